/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The real pipeline: health_board_score() is health-score, insights_at() affinity-profile and
 * plan_choose() migrate-plan.  The planner's picture is kept from one decision to the next; what
 * changes is written into it as it would be read from records.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-replay/insights.h"
#include "cmd/migrate-replay/policies.h"
#include "cmd/migrate-replay/probes.h"
#include "common/base/error.h"
#include "common/plan/choose.h"
#include "common/plan/words.h"

enum { MAX_SERIES = 1 << 30 };

struct predictive {
    struct health_rules rules;
    struct health_board *board;
    struct probes probes;
    struct plan_fleet fleet;
    const struct insight *insight;      /* that FLEET holds */
    size_t volumes;                     /* that FLEET holds */
    size_t *trips;                      /* [volume]: that FLEET holds; owned */
    char (*reasons)[HEALTH_REASON_MAX]; /* [gateway]: what FLEET borrows; owned */
    struct run *run;
    struct buf words;
};

static void check(int err)
{
    if (err < 0)
        err_die(err == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "cannot plan: %s", err_text(err));
}

static void *open_predictive(struct run *r)
{
    struct predictive *p = calloc(1, sizeof(*p));
    err_need(p != NULL);
    p->rules = (struct health_rules){
        .horizon_s = r->stage->horizon_s,
        .silent_after_s = 60,
        .damping = SIGNAL_DAMPING_DEFAULT,
        .max_series = MAX_SERIES,
        .no_anomalies = true,
    };
    p->board = health_board_new(r->stage->limits, &p->rules);
    p->trips = calloc(r->stage->trace->volumes.n + 1, sizeof(*p->trips));
    p->reasons = calloc(r->stage->fleet->gateway_names.n + 1, sizeof(*p->reasons));
    err_need(p->board && p->trips && p->reasons);
    probes_init(&p->probes, r);
    p->run = r;
    return p;
}

static void observe(void *self, struct run *r)
{
    struct predictive *p = self;
    probes_feed(&p->probes, r, p->board);
}

/* ---- the planner's picture ---- */

static void add_gateways(struct predictive *p, const struct run *r)
{
    const struct fleet *f = r->stage->fleet;
    for (size_t g = 0; g < f->gateway_names.n; g++) {
        const struct plan_gateway w = {
            .name = f->gateways[g].name,
            .state = f->gateways[g].state,
            .capacity_bytes = f->gateways[g].capacity_bytes,
            .iops_limit = f->gateways[g].iops_limit,
            .storage = f->gateways[g].storage,
        };
        check(plan_fleet_gateway(&p->fleet, &w));
    }
}

static void add_volume(struct predictive *p, const struct run *r, size_t v)
{
    const char *name = r->stage->trace->volumes.names[v];
    const struct fleet_volume *listed = fleet_volume(r->stage->fleet, name);
    const struct plan_volume w = {
        .name = name,
        .owner_name = r->stage->fleet->gateways[r->volumes[v].owner].name,
        .state = ROUTE_STATE_STEADY,
        .epoch = r->volumes[v].epoch,
        .size_bytes = r->volumes[v].bytes,
        .routed = r->volumes[v].moved,
        .policy = listed ? listed->policy : POLICY_AUTO,
        .standby = listed ? listed->standby : STANDBY_ASKED,
    };
    check(plan_fleet_volume(&p->fleet, &w, "", listed ? listed->gateways : ""));
    if (listed && *listed->anti)
        check(plan_fleet_apart(&p->fleet, name, listed->anti));
    if (listed && *listed->group)
        check(plan_fleet_group(&p->fleet, name, listed->group));
    /* Room for what is known of a kept copy: put_copy() fills it. */
    check(plan_fleet_changed(&p->fleet, name, r->stage->fleet->gateways[0].name, 0));
}

/* Anew, as there are more volumes than before. */
static void build_fleet(struct predictive *p, const struct run *r)
{
    plan_fleet_release(&p->fleet);
    add_gateways(p, r);
    for (size_t v = 0; v < r->n_volumes; v++) {
        add_volume(p, r, v);
        p->trips[v] = 0;
    }
    p->fleet.with_affinity = r->stage->insights != NULL;
    p->fleet.with_history = true;
    p->fleet.calendar = r->stage->calendar;
    if (r->stage->insights && insights_hourly(r->stage->insights))
        check(plan_fleet_hours(&p->fleet, r->now));
    check(plan_fleet_settle(&p->fleet));
    p->volumes = r->n_volumes;
    p->insight = NULL;
}

static double as_printed(double v)
{
    return round(v * 1e4) / 1e4;
}

/* Gateways that the board does not know yet have no health record. */
static void put_health(struct predictive *p, size_t g, double now)
{
    const size_t at = plan_fleet_find(&p->fleet, health_board_gateway(p->board, g));
    struct health_score s;
    if (at == PLAN_NONE)
        return;
    check(health_board_score(p->board, g, now, &s));
    struct plan_gateway *w = &p->fleet.gateways[at];
    memcpy(p->reasons[at], s.reason, sizeof(s.reason));
    w->scored = true;
    w->health = (struct plan_health){
        .time = s.time,
        .ghs = s.known ? as_printed(s.ghs) : (double)NAN,
        .by_load = s.known ? fmax(as_printed(s.unloaded) - as_printed(s.ghs), 0) : 0,
        .p_fail = s.known ? as_printed(s.p_fail) : (double)NAN,
        .confidence = as_printed(s.confidence),
        .horizon_s = p->rules.horizon_s,
        .reason = p->reasons[at],
    };
}

static void put_gateways(struct predictive *p, const struct run *r)
{
    for (size_t g = 0; g < health_board_gateways(p->board); g++)
        put_health(p, g, r->now);
    for (size_t g = 0; g < r->stage->fleet->gateway_names.n; g++) {
        struct plan_gateway *to = &p->fleet.gateways[g];
        to->state = r->gateways[g].state;
        to->failed = r->gateways[g].failed;
        to->switched = r->gateways[g].switched;
    }
}

static void put_trip(struct predictive *p, const struct run *r, size_t v, const struct run_trip *t)
{
    struct plan_past *past = &p->fleet.volumes[v].past;
    const struct fleet_gateway *names = r->stage->fleet->gateways;
    const struct plan_trip trip = {
        t->time, names[t->source].name, names[t->target].name, t->mandatory, t->das_told,
    };
    err_need(vec_room(&past->trips, past->n, &past->cap, sizeof(*past->trips)) == 0);
    past->trips[past->n++] = trip;
}

/* As the director's change map says of a copy that is mirrored; of others nothing is. */
static void put_copy(struct predictive *p, const struct run_volume *from, size_t v)
{
    struct plan_copy *copy = &p->fleet.copies[p->fleet.volumes[v].copies];
    copy->gateway = from->mirrored ? from->other : PLAN_NONE;
    copy->changed = 0;
}

static void put_volumes(struct predictive *p, const struct run *r)
{
    for (size_t v = 0; v < r->n_volumes; v++) {
        const struct run_volume *from = &r->volumes[v];
        struct plan_volume *to = &p->fleet.volumes[v];
        to->owner = from->owner;
        to->owner_name = r->stage->fleet->gateways[from->owner].name;
        to->other = from->other == RUN_NONE ? PLAN_NONE : from->other;
        to->state = from->state;
        to->stands_by = from->state == ROUTE_STATE_DEFERRED;
        to->epoch = from->epoch;
        to->routed = from->moved;
        put_copy(p, from, v);
        for (; p->trips[v] < from->n_trips; p->trips[v]++)
            put_trip(p, r, v, &from->trips[p->trips[v]]);
    }
}

static void put_demand(struct predictive *p, const struct insight *i, size_t v, double horizon_s)
{
    const size_t n = p->fleet.gateway_names.n;
    const struct plan_demand d = {
        .time = i->time,
        .confidence = (double)i->confidence[v],
        .requests = i->requests[v],
        .horizon_s = horizon_s,
    };
    for (size_t g = 0; g < n; g++)
        if (plan_fleet_allowed(&p->fleet, v, g))
            check(plan_fleet_affinity(&p->fleet, p->fleet.volumes[v].name,
                                      p->fleet.gateways[g].name,
                                      as_printed((double)i->das[v * n + g]), 0, &d));
}

/* What is left of the forecast, from the hour of NOW on. */
static void put_hours(struct predictive *p, const struct insight *i, double now)
{
    struct plan_fleet *f = &p->fleet;
    const double start = 3600 * floor(now / 3600);
    const size_t gone = (size_t)((start - i->time) / 3600);
    if (!i->hourly || (i == p->insight && start == f->hours_start))
        return;
    f->hours_start = start;
    f->n_hours = PLAN_HOURS - gone; /* an insight follows before the last of them */
    for (size_t v = 0; v < i->volumes && v < p->volumes; v++) {
        const float *hourly = &i->hourly[v * PLAN_HOURS];
        f->hours[v] = (struct plan_hours){0};
        for (size_t h = gone; h < PLAN_HOURS; h++)
            plan_hours_spread(&f->hours[v], start, i->time + 3600.0 * (double)h, 3600,
                              (double)hourly[h]);
        f->volumes[v].forecast = true;
        f->volumes[v].peak_milli = plan_hours_peak(&f->hours[v]);
    }
}

static void put_affinity(struct predictive *p, const struct run *r)
{
    if (!r->stage->insights)
        return;
    const struct insight *i = insights_at(r->stage->insights, r->now);
    put_hours(p, i, r->now);
    for (size_t v = 0; i != p->insight && v < i->volumes && v < p->volumes; v++)
        put_demand(p, i, v, insights_horizon_s(r->stage->insights));
    p->insight = i;
}

/* ---- deciding ---- */

/*
 * A move for health: one that must be made, or to which health adds more than affinity does, and
 * than what the source lacks by its load alone, which foretells nothing.  As in the begin event of
 * a migration, the reason in words is what later decisions know of it.
 */
static int take_move(void *arg, const struct plan_move *m)
{
    struct predictive *p = arg;
    const struct plan_score *s = &m->c->score;
    const double das = s->target_das - s->source_das;
    const double by_load = plan_case_source(m->c)->health.by_load;
    const double ill = s->target_ghs - s->source_ghs - by_load;
    bool mandatory = false;
    double das_told = NAN;
    if (m->kind == PLAN_KIND_SHADOW || m->not_before > p->run->now)
        return 0;
    buf_clear(&p->words);
    int err = plan_words_move(&p->words, m->c);
    if (err < 0)
        return err;
    plan_words_recall(p->words.data, &mandatory, &das_told);
    run_begin(p->run, &(struct run_wish){
                          .volume = m->c->volume,
                          .target = m->c->target,
                          .mandatory = mandatory,
                          .standby = m->kind == PLAN_KIND_STANDBY,
                          .health = mandatory || 2 * ill > fmax(das, 2 * by_load),
                          .das_gain = das,
                          .das_told = das_told,
                          .why = p->words.data,
                      });
    return 0;
}

static void decide(void *self, struct run *r)
{
    struct predictive *p = self;
    const struct plan_sink sink = {p, take_move, NULL};
    if (r->n_volumes > p->volumes)
        build_fleet(p, r);
    if (!p->volumes)
        return;
    put_gateways(p, r);
    put_volumes(p, r);
    put_affinity(p, r);
    struct plan_limits limits = *r->limits;
    limits.standby = limits.standby || r->standby;
    check(plan_choose(&p->fleet, &limits, r->now, &sink));
}

static void close_predictive(void *self)
{
    struct predictive *p = self;
    plan_fleet_release(&p->fleet);
    health_board_free(p->board);
    probes_release(&p->probes);
    buf_release(&p->words);
    free(p->trips);
    free(p->reasons);
    free(p);
}

const struct policy policy_predictive = {
    .name = "predictive",
    .open = open_predictive,
    .observe = observe,
    .decide = decide,
    .close = close_predictive,
};

const struct policy policy_standby = {
    .name = "standby",
    .standby = true,
    .open = open_predictive,
    .observe = observe,
    .decide = decide,
    .close = close_predictive,
};
