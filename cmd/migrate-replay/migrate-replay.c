/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * migrate-replay: what would a policy have done?
 *
 * Replays access records against simulated gateways with a virtual clock: time-driven, in steps,
 * with each gateway an M/M/1 queue.  The predictive policy is the code of health-score,
 * affinity-profile and migrate-plan itself, given what was known at each moment.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-replay/arrivals.h"
#include "cmd/migrate-replay/draw.h"
#include "cmd/migrate-replay/insights.h"
#include "cmd/migrate-replay/policies.h"
#include "cmd/migrate-replay/probes.h"
#include "cmd/migrate-replay/session.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "common/base/parse.h"
#include "common/forecast/workers.h"
#include "common/health/limits_file.h"
#include "common/plan/calendar_file.h"
#include "common/plan/knobs.h"

enum { THREADS_MAX = 64, SEEDS_MAX = 10000 };

enum {
    OPT_AFFINITY_EVERY = OPT_LONG + 0x100,
    OPT_ARRIVALS,
    OPT_CAPACITY,
    OPT_CHART,
    OPT_EVENTS,
    OPT_EVERY,
    OPT_FORECAST,
    OPT_FAILURES,
    OPT_HORIZON,
    OPT_KEEP_GOING,
    OPT_KINDS,
    OPT_METRICS,
    OPT_POLICY,
    OPT_PRINT_SCENARIO,
    OPT_PROBE_EVERY,
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
    struct session_how runs;
    const char *metrics, *routes, *scenario, *arrivals;
    double every_s, probe_s, horizon_s, service_s, capacity;
    double affinity_every_s, train_every_s;
    bool forecast;
    uint64_t volume_bytes;
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
    {"arrivals", OPT_ARRIVALS, "FILE", 0,
     "Failure records: --failures draws a stretch of them (default: failures come evenly)", 0},
    {"capacity", OPT_CAPACITY, "NUMBER", 0,
     "Requests a second that a gateway without iops_limit can serve (default 10000)", 0},
    {"chart", OPT_CHART, 0, 0, "Draw the comparison instead of printing records", 0},
    {"events", OPT_EVENTS, "FILE", 0, "Write every move as event records (default: none)", 0},
    {"every", OPT_EVERY, "DURATION", 0,
     "Time from one decision to the next, if no move ends before (default 5m)", 0},
    {"failures", OPT_FAILURES, "COUNT", 0,
     "Draw a scenario with so many failures, a third of them without warning (default 0)", 0},
    {"forecast", OPT_FORECAST, 0, 0,
     "Let the planner know what is forecast for each hour, as its --forecast does", 0},
    {"horizon", OPT_HORIZON, "DURATION", 0, "How far p_fail looks ahead (default 24h)", 0},
    {"keep-going", OPT_KEEP_GOING, 0, 0, "Report malformed access records and go on; ends 65", 0},
    {"kinds", OPT_KINDS, "WHICH", 0,
     "Degradations that --failures draws: latency, or all (default latency)", 0},
    {"metrics", OPT_METRICS, "FILE", 0,
     "Recorded metric records; gateways without any have simulated ones (default: none)", 0},
    {"policy", OPT_POLICY, "LIST", 0,
     "Of none, reactive, predictive, standby, onset and oracle, with commas (default: all but "
     "onset)",
     0},
    {"print-scenario", OPT_PRINT_SCENARIO, 0, 0, "Print the scenario of the first seed and exit",
     0},
    {"probe-every", OPT_PROBE_EVERY, "DURATION", 0,
     "Time from one round of simulated metrics to the next, at most a step (default 10s)", 0},
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
    for (int i = 0; i < SESSION_POLICIES; i++)
        o->runs.wanted[i] = false;
    for (const char *p = arg; *p; p += strcspn(p, ","), p += *p == ',') {
        const size_t len = strcspn(p, ",");
        int i = 0;
        while (i < SESSION_POLICIES && (strlen(session_policies[i]->name) != len ||
                                        strncmp(session_policies[i]->name, p, len) != 0))
            i++;
        if (i == SESSION_POLICIES)
            argp_error(st,
                       "policy: '%.*s' is none of none, reactive, predictive, standby, onset and "
                       "oracle",
                       (int)len, p);
        else
            o->runs.wanted[i] = true;
    }
    if (!*arg)
        argp_error(st, "policy: none is named");
}

static void parse_seeds(struct opts *o, const struct argp_state *st, const char *arg)
{
    char first[32];
    const size_t len = strcspn(arg, ":");
    const char *last = arg[len] ? arg + len + 1 : arg;
    if (!len || len >= sizeof(first) || arg[strspn(arg, "0123456789:")])
        argp_error(st, "seeds: '%s' is not of the form N or N:M", arg);
    memcpy(first, arg, len);
    first[len] = '\0';
    o->runs.first_seed = opts_u64(st, "seeds", first, 0, UINT64_MAX - SEEDS_MAX);
    o->runs.last_seed =
        opts_u64(st, "seeds", last, o->runs.first_seed, o->runs.first_seed + SEEDS_MAX - 1);
}

static void parse_kinds(struct opts *o, const struct argp_state *st, const char *arg)
{
    o->runs.every_kind = strcmp(arg, "all") == 0;
    if (!o->runs.every_kind && strcmp(arg, "latency") != 0)
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
        o->runs.warm_up_s = opts_duration(st, "warm-up", arg, 0, 366 * day_s);
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
    case OPT_ARRIVALS:
        o->arrivals = arg;
        return 0;
    case OPT_CAPACITY:
        o->capacity = opts_f64(st, "capacity", arg, 1, 1e12);
        return 0;
    case OPT_CHART:
        o->runs.chart = true;
        return 0;
    case OPT_EVENTS:
        o->runs.events = arg;
        return 0;
    case OPT_FAILURES:
        o->runs.failures = (unsigned)opts_u64(st, "failures", arg, 0, 100000);
        return 0;
    case OPT_FORECAST:
        o->forecast = true;
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
        o->runs.print_scenario = true;
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
        o->runs.svg = arg;
        return 0;
    case OPT_SWEEP:
        sweep_parse(&o->sweep, st, arg);
        return 0;
    case OPT_THREADS:
        o->runs.threads = opts_u64(st, "threads", arg, 1, THREADS_MAX);
        return 0;
    case OPT_VOLUME_SIZE:
        o->volume_bytes = opts_size(st, "volume-size", arg, 1, UINT64_C(1) << 50);
        return 0;
    case ARGP_KEY_ARGS:
        o->files = st->argv + st->next;
        o->n_files = (size_t)(st->argc - st->next);
        return 0;
    case ARGP_KEY_END:
        if (o->scenario && o->runs.failures)
            argp_error(st, "either --scenario or --failures");
        if (o->arrivals && !o->runs.failures)
            argp_error(st, "--arrivals needs --failures");
        if (o->forecast && !(o->affinity_every_s >= hour_s && o->affinity_every_s <= day_s))
            argp_error(st, "--forecast needs --affinity-every, of at most 1d");
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

/* Round-trip times of the trace's sites; where no row says, the farthest known; else 0. */
static double *distances(const struct fleet *f, const struct trace *t)
{
    const size_t n = f->gateway_names.n;
    double *out = calloc(n * t->sites.n + 1, sizeof(*out));
    err_need(out != NULL);
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
    struct refused e;
    if (health_limits_load(l, config, &e) < 0)
        err_die(e.status, "%s", e.text);
}

static void load_calendar(struct plan_calendar *c, const char *config)
{
    struct refused e;
    if (plan_calendar_load(c, config, &e) < 0)
        err_die(e.status, "%s", e.text);
}

static void load_fleet(struct fleet *f, const char *config)
{
    if (fleet_load(f, config, FLEET_GATEWAYS | FLEET_VOLUMES | FLEET_SITES | FLEET_DISTANCES) < 0)
        err_die(f->status, "%s", f->error);
    if (!f->gateway_names.n)
        err_die(EX_CONFIG, "no gateways in '%s/gateways.csv'", config);
}

/* What was read for all runs. */
struct inputs {
    struct fleet fleet;
    struct trace trace;
    struct samples samples;
    struct scenario scenario; /* empty if each seed draws its own */
    struct arrivals arrivals; /* empty if failures come evenly */
    struct health_limits limits;
    struct plan_calendar calendar;
    double *rtt_us;
    struct insights *insights; /* NULL: nothing is asked of them */
};

static void read_arrivals(struct arrivals *a, const struct fleet *f, const struct opts *o)
{
    const size_t wanted = draw_events(o->runs.failures);
    arrivals_read(a, f, o->arrivals);
    if (a->n < wanted)
        err_die(EX_DATAERR, "too few failures in '%s': %zu, and --failures %u draws %zu events",
                o->arrivals, a->n, o->runs.failures, wanted);
}

/* 0, or 65 after malformed records.  The access records, which may take long, come last. */
static int read_inputs(struct inputs *in, const struct opts *o)
{
    load_fleet(&in->fleet, o->dirs.config);
    load_limits(&in->limits, o->dirs.config);
    load_calendar(&in->calendar, o->dirs.config);
    if (o->scenario)
        scenario_read(&in->scenario, &in->fleet, o->scenario);
    if (o->arrivals)
        read_arrivals(&in->arrivals, &in->fleet, o);
    if (o->metrics)
        samples_read(&in->samples, o->metrics);
    const int status = trace_read(&in->trace, &in->fleet, o->files, o->n_files, &o->trace);
    if (o->routes)
        trace_place(&in->trace, &in->fleet, o->routes);
    in->rtt_us = distances(&in->fleet, &in->trace);
    const struct insights_how how = {o->affinity_every_s, o->train_every_s, 6 * hour_s,
                                     rtt_scale_us,        o->runs.threads,  o->forecast};
    in->insights = o->affinity_every_s > 0 ? insights_new(&in->trace, &in->fleet, &how) : NULL;
    return status;
}

static void inputs_release(struct inputs *in)
{
    insights_free(in->insights);
    free(in->rtt_us);
    samples_release(&in->samples);
    scenario_release(&in->scenario);
    arrivals_release(&in->arrivals);
    trace_release(&in->trace);
    health_limits_release(&in->limits);
    plan_calendar_release(&in->calendar);
    fleet_release(&in->fleet);
}

static struct stage stage_of(const struct inputs *in, const struct opts *o)
{
    return (struct stage){
        .fleet = &in->fleet,
        .trace = &in->trace,
        .samples = o->metrics ? &in->samples : NULL,
        .limits = &in->limits,
        .calendar = &in->calendar,
        .insights = in->insights,
        .rtt_us = in->rtt_us,
        .step_s = o->trace.step_s,
        .probe_s = fmin(o->probe_s, o->trace.step_s),
        .every_s = o->every_s,
        .horizon_s = o->horizon_s,
        .service_us = o->service_s * 1e6,
        .capacity = o->capacity,
        .volume_bytes = o->volume_bytes,
    };
}

int main(int argc, char **argv)
{
    struct opts o = {
        .every_s = 300,
        .probe_s = 10,
        .horizon_s = day_s,
        .service_s = 0.0008,
        .capacity = 10000,
        .affinity_every_s = hour_s,
        .train_every_s = 7 * day_s,
        .volume_bytes = UINT64_C(20) << 30,
        .trace = {.step_s = 60},
    };
    o.runs = (struct session_how){
        .knobs = &o.knobs,
        .sweep = &o.sweep,
        .wanted = {true, true, true, true, false, true},
        .first_seed = 1,
        .last_seed = 1,
        .warm_up_s = 7 * day_s,
        .threads = workers_available(),
    };
    struct inputs in = {0};
    opts_dirs_init(&o.dirs);
    knobs_init(&o.knobs);
    opts_parse(&argp, argc, argv, &o);
    sweep_check(&o.sweep, &o.knobs);
    const int status = read_inputs(&in, &o);
    const struct stage stage = stage_of(&in, &o);
    o.runs.scenario = o.scenario ? &in.scenario : NULL;
    o.runs.arrivals = o.arrivals ? &in.arrivals : NULL;
    session_run(&o.runs, &stage);
    inputs_release(&in);
    sweep_release(&o.sweep);
    return status;
}
