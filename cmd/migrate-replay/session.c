/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/session.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "cmd/migrate-replay/chart.h"
#include "cmd/migrate-replay/draw.h"
#include "cmd/migrate-replay/insights.h"
#include "cmd/migrate-replay/policies.h"
#include "common/base/error.h"
#include "common/base/outfile.h"
#include "common/forecast/workers.h"

enum { PREDICTIVE = 2, STANDBY = 3 };

const struct policy *const session_policies[SESSION_POLICIES] = {
    &policy_none,    &policy_reactive, &policy_predictive,
    &policy_standby, &policy_onset,    &policy_oracle};

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
    const struct session_how *how;
    const struct stage *stage;
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

/* How many events were left out. */
static size_t draw(const struct session *s, uint64_t seed, struct scenario *out)
{
    const struct draw_how how = {
        .failures = s->how->failures,
        .from = s->stage->trace->start + s->how->warm_up_s,
        .to = s->stage->trace->end,
        .every_kind = s->how->every_kind,
        .arrivals = s->how->arrivals,
        .seed = seed,
    };
    return draw_scenario(out, s->stage->fleet, &how);
}

/* A seed with fewer failures than were asked for must not look as one with all. */
static void warn_of_room(const struct session *s)
{
    const struct session_how *how = s->how;
    size_t left_out = 0, seeds = how->print_scenario ? 1 : how->last_seed - how->first_seed + 1;
    for (size_t i = 0; how->failures && i < seeds; i++) {
        struct scenario drawn = {0};
        left_out += draw(s, how->first_seed + i, &drawn);
        scenario_release(&drawn);
    }
    if (left_out)
        err_warn("%zu of %zu drawn failures and degradations found no room, and are left out",
                 left_out, seeds * draw_events(how->failures));
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
    rec_put_uint(w, REPLAY_TAKEOVERS, t->takeovers);
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
    if (!s->how->scenario)
        draw(s, j->seed, &drawn);
    struct run r = {
        .stage = s->stage,
        .scenario = s->how->scenario ? s->how->scenario : &drawn,
        .limits = j->limits,
        .policy = j->policy->name,
        .standby = j->policy->standby,
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
    const struct session_how *how = s->how;
    const size_t values = sweep_count(how->sweep), seeds = how->last_seed - how->first_seed + 1;
    s->limits = calloc(values, sizeof(*s->limits));
    s->settings = calloc(values, sizeof(*s->settings));
    s->jobs = calloc(values * seeds * SESSION_POLICIES + 1, sizeof(*s->jobs));
    err_need(s->limits && s->settings && s->jobs);
    for (size_t v = 0; v < values; v++) {
        s->limits[v] = sweep_limits(how->sweep, how->knobs, v, s->settings[v]);
        for (size_t i = 0; s->stage->trace->n && i < seeds * SESSION_POLICIES; i++)
            if (how->wanted[i % SESSION_POLICIES])
                s->jobs[s->n_jobs++] = (struct job){
                    .policy = session_policies[i % SESSION_POLICIES],
                    .limits = &s->limits[v],
                    .setting = s->settings[v],
                    .seed = how->first_seed + i / SESSION_POLICIES,
                };
    }
}

/* Events of several runs must not mix: one after the other. */
static void run_session(struct session *s)
{
    const size_t threads = s->events ? 1 : s->how->threads;
    list_jobs(s);
    if (threads > 1 && s->n_jobs && s->stage->insights &&
        (s->how->wanted[PREDICTIVE] || s->how->wanted[STANDBY]))
        insights_prepare(s->stage->insights, s->stage->trace->end);
    pthread_mutex_init(&s->lock, NULL);
    workers_run(s->n_jobs, threads, run_job, s);
    pthread_mutex_destroy(&s->lock);
    err_progress(NULL);
    free(s->limits);
    free(s->settings);
    free(s->jobs);
}

static void print_scenario(const struct session *s)
{
    struct rec_writer *w = rec_writer_new(&rec_scenario, stdout);
    struct scenario drawn = {0};
    err_need(w != NULL);
    if (!s->how->scenario)
        draw(s, s->how->first_seed, &drawn);
    const int err =
        scenario_write(s->how->scenario ? s->how->scenario : &drawn, s->stage->fleet, w);
    if (err < 0)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(err));
    scenario_release(&drawn);
    rec_writer_free(w);
}

static void compare(struct session *s)
{
    const struct session_how *how = s->how;
    if (how->events) {
        outfile_open(&s->events_file, how->events);
        s->events = rec_writer_new(&rec_event, s->events_file.stream);
        err_need(s->events && rec_writer_header(s->events) == 0);
    }
    if (!how->chart) {
        s->out = rec_writer_new(&rec_replay, stdout);
        err_need(s->out != NULL);
        const int err = rec_writer_header(s->out);
        if (err < 0)
            err_die(EX_IOERR, "write failed 'stdout': %s", err_text(err));
    }
    s->chart = (struct chart){.start = s->stage->trace->start, .end = s->stage->trace->end};
    run_session(s);
    if (how->events)
        outfile_close(&s->events_file);
    if (how->chart)
        chart_print(&s->chart, stdout);
    if (how->svg)
        chart_svg(&s->chart, how->svg);
    rec_writer_free(s->events);
    rec_writer_free(s->out);
    chart_release(&s->chart);
}

void session_run(const struct session_how *how, const struct stage *stage)
{
    struct session s = {.how = how, .stage = stage};
    warn_of_room(&s);
    if (how->print_scenario)
        print_scenario(&s);
    else
        compare(&s);
}
