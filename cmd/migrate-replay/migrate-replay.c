/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * migrate-replay: what would a policy have done?
 *
 * Replays access records against simulated gateways with a virtual clock: time-driven, in steps,
 * with each gateway an M/M/1 queue.  The predictive policy is the code of health-score,
 * affinity-profile and migrate-plan itself, given what was known at each moment.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-replay/chart.h"
#include "cmd/migrate-replay/insights.h"
#include "cmd/migrate-replay/policies.h"
#include "cmd/migrate-replay/probes.h"
#include "cmd/migrate-replay/setting.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "common/base/outfile.h"
#include "common/base/parse.h"
#include "common/forecast/workers.h"
#include "common/health/limits_file.h"
#include "common/plan/knobs.h"

static const struct policy *const policies[] = {&policy_none, &policy_reactive, &policy_predictive,
                                                &policy_onset, &policy_oracle};
enum {
    PREDICTIVE = 2,
    POLICIES = sizeof(policies) / sizeof(*policies),
    THREADS_MAX = 64,
    SEEDS_MAX = 10000
};

enum {
    OPT_AFFINITY_EVERY = OPT_LONG + 0x100,
    OPT_CAPACITY,
    OPT_CHART,
    OPT_EVENTS,
    OPT_EVERY,
    OPT_FAILURES,
    OPT_HORIZON,
    OPT_KEEP_GOING,
    OPT_KINDS,
    OPT_METRICS,
    OPT_POLICY,
    OPT_PRINT_SCENARIO,
    OPT_PROBE_EVERY,
    OPT_RETAIN,
    OPT_ROUTES,
    OPT_SCENARIO,
    OPT_SEEDS,
    OPT_SERVICE,
    OPT_SPREAD,
    OPT_STEP,
    OPT_SVG,
    OPT_SWEEP,
    OPT_THREADS,
    OPT_TRAIN_EVERY,
    OPT_VOLUME_SIZE,
    OPT_WARM_UP,
};

struct opts {
    struct opts_dirs dirs;
    struct knobs knobs;
    struct sweep sweep;
    bool wanted[POLICIES];
    const char *scenario, *metrics, *routes, *events, *svg;
    unsigned failures;
    bool every_kind, chart, print_scenario;
    uint64_t first_seed, last_seed;
    double every_s, probe_s, retain_s, horizon_s, service_s, capacity, warm_up_s;
    double affinity_every_s, train_every_s;
    uint64_t volume_bytes, threads;
    struct trace_how trace;
    char **files;
    size_t n_files;
};

static const double hour_s = 3600, day_s = 86400;
/* Gateways of the fleet, as affinity-profile has it. */
static const double rtt_scale_us = 1000;

static const struct argp_option options[] = {
    {"affinity-every", OPT_AFFINITY_EVERY, "DURATION", 0,
     "Time from one run of affinity-profile to the next, whole hours; 0: none (default 1h)", 0},
    {"capacity", OPT_CAPACITY, "NUMBER", 0,
     "Requests a second that a gateway without iops_limit can serve (default 10000)", 0},
    {"chart", OPT_CHART, 0, 0, "Draw the comparison instead of printing records", 0},
    {"events", OPT_EVENTS, "FILE", 0, "Write every move as event records (default: none)", 0},
    {"every", OPT_EVERY, "DURATION", 0,
     "Time from one decision to the next, if no move ends before (default 5m)", 0},
    {"failures", OPT_FAILURES, "COUNT", 0,
     "Draw a scenario with so many failures, a third of them without warning (default 0)", 0},
    {"horizon", OPT_HORIZON, "DURATION", 0, "How far p_fail looks ahead (default 24h)", 0},
    {"keep-going", OPT_KEEP_GOING, 0, 0, "Report malformed access records and go on; ends 65", 0},
    {"kinds", OPT_KINDS, "WHICH", 0,
     "Degradations that --failures draws: latency, or all (default latency)", 0},
    {"metrics", OPT_METRICS, "FILE", 0,
     "Recorded metric records; gateways without any have simulated ones (default: none)", 0},
    {"policy", OPT_POLICY, "LIST", 0,
     "Of none, reactive, predictive, onset and oracle, with commas (default: all but onset)", 0},
    {"print-scenario", OPT_PRINT_SCENARIO, 0, 0, "Print the scenario of the first seed and exit",
     0},
    {"probe-every", OPT_PROBE_EVERY, "DURATION", 0,
     "Time from one round of simulated metrics to the next, at most a step (default 10s)", 0},
    {"retain", OPT_RETAIN, "DURATION", 0,
     "How long an old copy is kept and its volume stays, as in migrate-exec (default 24h)", 0},
    {"routes", OPT_ROUTES, "FILE", 0,
     "Route records: where volumes are at first (default: as their first record says)", 0},
    {"scenario", OPT_SCENARIO, "FILE", 0,
     "Scenario records: what happens to the gateways (default: nothing)", 0},
    {"seeds", OPT_SEEDS, "N[:M]", 0, "Repeat with the seeds N to M (default 1)", 0},
    {"service", OPT_SERVICE, "DURATION", 0,
     "Mean time that an idle gateway takes to answer (default 0.8ms)", 0},
    {"spread", OPT_SPREAD, "DURATION", 0,
     "Spread each record's requests over so long from its time on, up to 1h (default 0)", 0},
    {"step", OPT_STEP, "DURATION", 0, "Step of the virtual clock, 1s to 5m (default 1m)", 0},
    {"svg", OPT_SVG, "FILE", 0, "Draw the comparison into FILE, as SVG (default: none)", 0},
    {"sweep", OPT_SWEEP, "NAME=FROM:TO:STEP", 0,
     "Repeat for each value of this limit, as threshold=0.1:0.9:0.1 (default: none)", 0},
    {"threads", OPT_THREADS, "N", 0,
     "Threads that runs are shared among (default: one a processor)", 0},
    {"train-every", OPT_TRAIN_EVERY, "DURATION", 0,
     "Time after which models of demand are fitted anew (default 1w)", 0},
    {"volume-size", OPT_VOLUME_SIZE, "SIZE", 0,
     "Size of a volume that volumes.csv and --routes have none for (default 20G)", 0},
    {"warm-up", OPT_WARM_UP, "DURATION", 0,
     "--failures draws none so soon after the start (default 7d)", 0},
    {0},
};

static void parse_policies(struct opts *o, const struct argp_state *st, const char *arg)
{
    for (int i = 0; i < POLICIES; i++)
        o->wanted[i] = false;
    for (const char *p = arg; *p; p += strcspn(p, ","), p += *p == ',') {
        const size_t len = strcspn(p, ",");
        int i = 0;
        while (i < POLICIES &&
               (strlen(policies[i]->name) != len || strncmp(policies[i]->name, p, len) != 0))
            i++;
        if (i == POLICIES)
            argp_error(st, "policy: '%.*s' is none of none, reactive, predictive, onset and oracle",
                       (int)len, p);
        else
            o->wanted[i] = true;
    }
}

static void parse_seeds(struct opts *o, const struct argp_state *st, const char *arg)
{
    char first[32];
    const size_t len = strcspn(arg, ":");
    const char *last = arg[len] ? arg + len + 1 : arg;
    if (len >= sizeof(first))
        argp_error(st, "seeds: '%s' is not of the form N or N:M", arg);
    memcpy(first, arg, len);
    first[len] = '\0';
    o->first_seed = opts_u64(st, "seeds", first, 0, UINT64_MAX - SEEDS_MAX);
    o->last_seed = opts_u64(st, "seeds", last, o->first_seed, o->first_seed + SEEDS_MAX - 1);
}

static void parse_kinds(struct opts *o, const struct argp_state *st, const char *arg)
{
    o->every_kind = strcmp(arg, "all") == 0;
    if (!o->every_kind && strcmp(arg, "latency") != 0)
        argp_error(st, "kinds: '%s' is neither latency nor all", arg);
}

static error_t parse_times(int key, char *arg, const struct argp_state *st, struct opts *o)
{
    switch (key) {
    case OPT_AFFINITY_EVERY:
        o->affinity_every_s = opts_duration(st, "affinity-every", arg, 0, 7 * day_s);
        if (fmod(o->affinity_every_s, hour_s) > 0)
            argp_error(st, "affinity-every takes whole hours, not '%s'", arg);
        return 0;
    case OPT_EVERY:
        o->every_s = opts_duration(st, "every", arg, 1, day_s);
        return 0;
    case OPT_HORIZON:
        o->horizon_s = opts_duration(st, "horizon", arg, 1, 366 * day_s);
        return 0;
    case OPT_PROBE_EVERY:
        o->probe_s = opts_duration(st, "probe-every", arg, 1, 300);
        return 0;
    case OPT_RETAIN:
        o->retain_s = opts_duration(st, "retain", arg, 0, 366 * day_s);
        return 0;
    case OPT_SERVICE:
        o->service_s = opts_duration(st, "service", arg, 1e-6, 1);
        return 0;
    case OPT_SPREAD:
        o->trace.spread_s = opts_duration(st, "spread", arg, 0, hour_s);
        return 0;
    case OPT_STEP:
        o->trace.step_s = opts_duration(st, "step", arg, 1, 300);
        return 0;
    case OPT_TRAIN_EVERY:
        o->train_every_s = opts_duration(st, "train-every", arg, hour_s, 7 * day_s);
        return 0;
    case OPT_WARM_UP:
        o->warm_up_s = opts_duration(st, "warm-up", arg, 0, 366 * day_s);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->knobs;
        st->child_inputs[1] = &o->dirs;
        return 0;
    case OPT_CAPACITY:
        o->capacity = opts_f64(st, "capacity", arg, 1, 1e12);
        return 0;
    case OPT_CHART:
        o->chart = true;
        return 0;
    case OPT_EVENTS:
        o->events = arg;
        return 0;
    case OPT_FAILURES:
        o->failures = (unsigned)opts_u64(st, "failures", arg, 0, 100000);
        return 0;
    case OPT_KEEP_GOING:
        o->trace.keep_going = true;
        return 0;
    case OPT_KINDS:
        parse_kinds(o, st, arg);
        return 0;
    case OPT_METRICS:
        o->metrics = arg;
        return 0;
    case OPT_POLICY:
        parse_policies(o, st, arg);
        return 0;
    case OPT_PRINT_SCENARIO:
        o->print_scenario = true;
        return 0;
    case OPT_ROUTES:
        o->routes = arg;
        return 0;
    case OPT_SCENARIO:
        o->scenario = arg;
        return 0;
    case OPT_SEEDS:
        parse_seeds(o, st, arg);
        return 0;
    case OPT_SVG:
        o->svg = arg;
        return 0;
    case OPT_SWEEP:
        sweep_parse(&o->sweep, st, arg);
        return 0;
    case OPT_THREADS:
        o->threads = opts_u64(st, "threads", arg, 1, THREADS_MAX);
        return 0;
    case OPT_VOLUME_SIZE:
        o->volume_bytes = opts_size(st, "volume-size", arg, 1, UINT64_C(1) << 50);
        return 0;
    case ARGP_KEY_ARGS:
        o->files = st->argv + st->next;
        o->n_files = (size_t)(st->argc - st->next);
        return 0;
    case ARGP_KEY_END:
        if (o->scenario && o->failures)
            argp_error(st, "either --scenario or --failures");
        return 0;
    default:
        return parse_times(key, arg, st, o);
    }
}

static const struct argp argp = {
    options,
    parse_opt,
    "[FILE...]",
    "Replay access records: what would each policy have done?\v"
    "Prints replay records, one for each policy, seed and value of a sweep.  DURATION takes ms, s, "
    "m, h, d, w.",
    (const struct argp_child[]){{&knobs_argp, 0, NULL, 0}, {&opts_dirs_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL,
};

/* ---- the stage ---- */

static void need(bool done)
{
    if (!done)
        err_die(EX_OSERR, "out of memory");
}

/* Round-trip times of the trace's sites; where no row says, the farthest known; else 0. */
static double *distances(const struct fleet *f, const struct trace *t)
{
    const size_t n = f->gateway_names.n;
    double *out = calloc(n * t->sites.n + 1, sizeof(*out));
    need(out != NULL);
    for (size_t c = 0; f->rtt_us && c < t->sites.n; c++) {
        const long s = intern_find(&f->site_names, t->sites.names[c]);
        double farthest = 0;
        if (s < 0)
            continue;
        for (size_t g = 0; g < n; g++)
            farthest = fmax(farthest, f->rtt_us[(size_t)s * n + g]);
        for (size_t g = 0; g < n; g++)
            out[c * n + g] = fmin(f->rtt_us[(size_t)s * n + g], farthest);
    }
    return out;
}

static void load_limits(struct health_limits *l, const char *config)
{
    struct health_limits_error e;
    if (health_limits_load(l, config, &e) < 0)
        err_die(e.status, "%s", e.text);
}

static void load_fleet(struct fleet *f, const char *config)
{
    if (fleet_load(f, config, FLEET_GATEWAYS | FLEET_VOLUMES | FLEET_SITES | FLEET_DISTANCES) < 0)
        err_die(f->status, "%s", f->error);
    if (!f->gateway_names.n)
        err_die(EX_CONFIG, "no gateways in '%s/gateways.csv'", config);
}

/* ---- runs ---- */

/* One run of all that are asked for, and what it came to. */
struct job {
    const struct policy *policy;
    const struct plan_limits *limits;
    const char *setting;
    uint64_t seed;
    struct tally tally;
    bool done;
};

struct session {
    const struct opts *o;
    struct stage stage;
    struct scenario scenario;   /* as read; empty if each seed draws its own */
    struct plan_limits *limits; /* of each value of the sweep */
    char (*settings)[SETTING_MAX];
    struct job *jobs;
    size_t n_jobs;
    size_t told;            /* jobs whose results are out */
    pthread_mutex_t lock;   /* of what follows, and of JOBS' results */
    struct rec_writer *out; /* NULL: only pictures are wanted */
    struct rec_writer *events;
    struct outfile events_file;
    struct chart chart;
};

static void draw_scenario(const struct session *s, uint64_t seed, struct scenario *out)
{
    const struct scenario_draw how = {
        .failures = s->o->failures,
        .from = s->stage.trace->start + s->o->warm_up_s,
        .to = s->stage.trace->end,
        .every_kind = s->o->every_kind,
        .seed = seed,
    };
    scenario_draw(out, s->stage.fleet, &how);
}

static void put_result(struct rec_writer *w, const struct job *j)
{
    const struct tally *t = &j->tally;
    rec_put_text(w, REPLAY_POLICY, j->policy->name);
    rec_put_text(w, REPLAY_SETTING, j->setting);
    rec_put_uint(w, REPLAY_SEED, j->seed);
    rec_put_uint(w, REPLAY_REQUESTS, (uint64_t)round(t->requests));
    rec_put_uint(w, REPLAY_FAILED, (uint64_t)round(t->failed));
    rec_put_uint(w, REPLAY_DEGRADED, (uint64_t)round(t->degraded));
    rec_put_real(w, REPLAY_MEAN_US, tally_mean_us(t));
    rec_put_real(w, REPLAY_P99_US, tally_p99_us(t));
    rec_put_uint(w, REPLAY_HEALTH_MOVES, t->health_moves);
    rec_put_uint(w, REPLAY_AFFINITY_MOVES, t->affinity_moves);
    rec_put_uint(w, REPLAY_FAILED_MOVES, t->failed_moves);
    rec_put_uint(w, REPLAY_BYTES, t->bytes);
    rec_put_uint(w, REPLAY_PINGPONGS, t->pingpongs);
    rec_put_uint(w, REPLAY_MISMIGRATIONS, t->mismigrations);
    rec_put_real(w, REPLAY_GAINED_US, t->requests > 0 ? t->gained_us / t->requests : 0);
    rec_put_uint(w, REPLAY_UNWARNED, (uint64_t)round(t->unwarned));
    const int err = rec_write_now(w);
    if (err < 0)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(err));
}

/* Results come out in the order of the jobs, whoever is first. */
static void tell_done(struct session *s, struct job *j)
{
    pthread_mutex_lock(&s->lock);
    j->done = true;
    for (; s->told < s->n_jobs && s->jobs[s->told].done; s->told++) {
        const struct job *next = &s->jobs[s->told];
        if (s->out)
            put_result(s->out, next);
        chart_add(&s->chart, next->policy->name, next->setting, &next->tally);
    }
    err_progress("%zu of %zu runs", s->told, s->n_jobs);
    pthread_mutex_unlock(&s->lock);
}

static int run_job(void *ctx, size_t i)
{
    struct session *s = ctx;
    struct job *j = &s->jobs[i];
    struct scenario drawn = {0};
    if (!s->o->scenario)
        draw_scenario(s, j->seed, &drawn);
    struct run r = {
        .stage = &s->stage,
        .scenario = s->o->scenario ? &s->scenario : &drawn,
        .limits = j->limits,
        .policy = j->policy->name,
        .seed = j->seed,
        .setting = j->setting,
        .events = s->events,
        .events_file = &s->events_file,
    };
    run_all(&r, j->policy);
    j->tally = r.tally;
    run_release(&r);
    scenario_release(&drawn);
    tell_done(s, j);
    return 0;
}

/* Every policy wanted, for each seed and each value of the sweep. */
static void list_jobs(struct session *s)
{
    const struct opts *o = s->o;
    const size_t values = sweep_count(&o->sweep), seeds = o->last_seed - o->first_seed + 1;
    s->limits = calloc(values, sizeof(*s->limits));
    s->settings = calloc(values, sizeof(*s->settings));
    s->jobs = calloc(values * seeds * POLICIES, sizeof(*s->jobs));
    need(s->limits && s->settings && s->jobs);
    for (size_t v = 0; v < values; v++) {
        s->limits[v] = sweep_limits(&o->sweep, &o->knobs, v, s->settings[v]);
        for (size_t i = 0; s->stage.trace->n && i < seeds * POLICIES; i++)
            if (o->wanted[i % POLICIES])
                s->jobs[s->n_jobs++] = (struct job){
                    .policy = policies[i % POLICIES],
                    .limits = &s->limits[v],
                    .setting = s->settings[v],
                    .seed = o->first_seed + i / POLICIES,
                };
    }
}

/* Events of several runs must not mix: one after the other. */
static void run_session(struct session *s)
{
    const size_t threads = s->events ? 1 : s->o->threads;
    list_jobs(s);
    if (threads > 1 && s->n_jobs && s->stage.insights && s->o->wanted[PREDICTIVE])
        insights_prepare(s->stage.insights, s->stage.trace->end);
    pthread_mutex_init(&s->lock, NULL);
    workers_run(s->n_jobs, threads, run_job, s);
    pthread_mutex_destroy(&s->lock);
    err_progress(NULL);
    free(s->limits);
    free(s->settings);
    free(s->jobs);
}

static void print_scenario(struct session *s)
{
    struct rec_writer *w = rec_writer_new(&rec_scenario, stdout);
    need(w != NULL);
    if (!s->o->scenario)
        draw_scenario(s, s->o->first_seed, &s->scenario);
    const int err = scenario_write(&s->scenario, s->stage.fleet, w);
    if (err < 0)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(err));
    rec_writer_free(w);
}

static void compare(struct session *s)
{
    const struct opts *o = s->o;
    if (o->events) {
        outfile_open(&s->events_file, o->events);
        s->events = rec_writer_new(&rec_event, s->events_file.stream);
        need(s->events && rec_writer_header(s->events) == 0);
    }
    if (!o->chart) {
        s->out = rec_writer_new(&rec_replay, stdout);
        need(s->out != NULL);
        const int err = rec_writer_header(s->out);
        if (err < 0)
            err_die(EX_IOERR, "write failed 'stdout': %s", err_text(err));
    }
    s->chart = (struct chart){.start = s->stage.trace->start, .end = s->stage.trace->end};
    run_session(s);
    if (o->events)
        outfile_close(&s->events_file);
    if (o->chart)
        chart_print(&s->chart, stdout);
    if (o->svg)
        chart_svg(&s->chart, o->svg);
    rec_writer_free(s->events);
    rec_writer_free(s->out);
    chart_release(&s->chart);
}

static void perform(struct session *s)
{
    if (s->o->scenario)
        scenario_read(&s->scenario, s->stage.fleet, s->o->scenario);
    if (s->o->print_scenario)
        print_scenario(s);
    else
        compare(s);
    scenario_release(&s->scenario);
}

int main(int argc, char **argv)
{
    struct opts o = {
        .wanted = {true, true, true, false, true},
        .first_seed = 1,
        .last_seed = 1,
        .every_s = 300,
        .probe_s = 10,
        .retain_s = day_s,
        .horizon_s = day_s,
        .service_s = 0.0008,
        .capacity = 10000,
        .warm_up_s = 7 * day_s,
        .affinity_every_s = hour_s,
        .train_every_s = 7 * day_s,
        .volume_bytes = UINT64_C(20) << 30,
        .threads = workers_available(),
        .trace = {.step_s = 60},
    };
    struct fleet fleet = {0};
    struct trace trace = {0};
    struct samples samples = {0};
    struct health_limits limits = {0};
    opts_dirs_init(&o.dirs);
    knobs_init(&o.knobs);
    opts_parse(&argp, argc, argv, &o);
    load_fleet(&fleet, o.dirs.config);
    load_limits(&limits, o.dirs.config);
    if (o.metrics)
        samples_read(&samples, o.metrics);
    const int status = trace_read(&trace, &fleet, o.files, o.n_files, &o.trace);
    if (o.routes)
        trace_place(&trace, &fleet, o.routes);
    double *rtt_us = distances(&fleet, &trace);
    const struct insights_how how = {o.affinity_every_s, o.train_every_s, 6 * hour_s, rtt_scale_us,
                                     o.threads};
    struct session s = {
        .o = &o,
        .stage =
            {
                .fleet = &fleet,
                .trace = &trace,
                .samples = o.metrics ? &samples : NULL,
                .limits = &limits,
                .insights = o.affinity_every_s > 0 ? insights_new(&trace, &fleet, &how) : NULL,
                .rtt_us = rtt_us,
                .step_s = o.trace.step_s,
                .probe_s = fmin(o.probe_s, o.trace.step_s),
                .every_s = o.every_s,
                .retain_s = o.retain_s,
                .horizon_s = o.horizon_s,
                .service_us = o.service_s * 1e6,
                .capacity = o.capacity,
                .volume_bytes = o.volume_bytes,
            },
    };
    perform(&s);
    insights_free(s.stage.insights);
    free(rtt_us);
    samples_release(&samples);
    trace_release(&trace);
    health_limits_release(&limits);
    fleet_release(&fleet);
    sweep_release(&o.sweep);
    return status;
}
