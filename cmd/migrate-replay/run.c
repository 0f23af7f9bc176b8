/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/run.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-replay/proofs.h"
#include "common/base/error.h"
#include "common/record/schema.h"

/* Bytes of a copy's request: so a copy takes its share of the requests a gateway can serve. */
static const double copy_request_bytes = 256 << 10;
/* Nearer to its capacity a queue only grows; clients wait for answers before they ask more. */
static const double use_max = 0.98;

static size_t gateways_of(const struct run *r)
{
    return r->stage->fleet->gateway_names.n;
}

static size_t sites_of(const struct run *r)
{
    return r->stage->trace->sites.n;
}

static const char *gateway_name(const struct run *r, size_t gateway)
{
    return r->stage->fleet->gateways[gateway].name;
}

double run_rate(const struct run *r, size_t volume)
{
    double sum = 0;
    for (size_t s = 0; s < sites_of(r); s++)
        sum += r->rates[volume * sites_of(r) + s];
    return sum;
}

uint64_t run_bytes(const struct run *r, size_t gateway)
{
    uint64_t sum = 0;
    for (size_t v = 0; v < r->n_volumes; v++)
        if (r->volumes[v].owner == gateway || r->volumes[v].other == gateway)
            sum += r->volumes[v].bytes;
    return sum;
}

bool run_has_room(const struct run *r, size_t volume, size_t gateway)
{
    const struct fleet_gateway *g = &r->stage->fleet->gateways[gateway];
    if (r->gateways[gateway].state != GATEWAY_STATE_ACTIVE ||
        !fleet_allowed(r->stage->fleet, r->stage->trace->volumes.names[volume], g->name))
        return false;
    return !g->capacity_bytes ||
           run_bytes(r, gateway) + r->volumes[volume].bytes <= g->capacity_bytes;
}

bool run_may_begin(const struct run *r, size_t source, size_t target)
{
    return r->n_moves < r->limits->max_moves &&
           r->gateways[source].leaving < r->limits->max_per_source &&
           r->gateways[target].arriving < r->limits->max_per_target;
}

/* ---- moves ---- */

static void tell(struct run *r, const struct run_move *m, enum rec_event event, const char *detail)
{
    struct rec_writer *w = r->events;
    char id[64];
    if (!w)
        return;
    snprintf(id, sizeof(id), "%s-%llu-%llu", r->policy, (unsigned long long)r->seed,
             (unsigned long long)m->number);
    rec_put_real(w, EVENT_TIME, r->now);
    rec_put_text(w, EVENT_MIGRATION, id);
    rec_put_text(w, EVENT_VOLUME, r->stage->trace->volumes.names[m->volume]);
    rec_put_text(w, EVENT_SOURCE, gateway_name(r, m->source));
    rec_put_text(w, EVENT_TARGET, gateway_name(r, m->target));
    rec_put_word(w, EVENT_PHASE,
                 event == EVENT_BEGIN      ? PHASE_REDIRECT
                 : event == EVENT_SWITCHED ? PHASE_HANDOVER
                                           : PHASE_REPLICATE);
    rec_put_word(w, EVENT_EVENT, event);
    const bool done = event == EVENT_SWITCHED || event == EVENT_DEFERRED;
    rec_put_uint(w, EVENT_BYTES_DONE, done ? m->bytes : 0);
    rec_put_uint(w, EVENT_BYTES_TOTAL, m->bytes);
    rec_put_text(w, EVENT_WHO, *r->setting ? r->setting : r->policy);
    rec_put_text(w, EVENT_DETAIL, detail);
    const int err = rec_write(w);
    if (err < 0)
        outfile_fail(r->events_file, err);
}

static double read_by(const struct run *r, const struct run_move *m)
{
    return m->reads + m->read / r->limits->copy_rate;
}

/*
 * When M reads: hand-overs one after the other at each of their gateways, as migrate-exec does
 * (--per-gateway), copies at once, of which the limits let only so many begin.
 */
static void queue_up(struct run *r, struct run_move *m)
{
    double *source = &r->gateways[m->source].handing, *target = &r->gateways[m->target].handing;
    m->reads = m->bytes ? r->now : fmax(r->now, fmax(*source, *target));
    if (!m->bytes)
        *source = *target = read_by(r, m);
    m->ends = fmax(r->now + r->stage->step_s, read_by(r, m));
}

/* Moves were cut short: nobody waits for those any more who begins one now. */
static void queue_anew(struct run *r)
{
    for (size_t g = 0; g < gateways_of(r); g++)
        r->gateways[g].handing = 0;
    for (size_t i = 0; i < r->n_moves; i++) {
        const struct run_move *m = &r->moves[i];
        double *source = &r->gateways[m->source].handing, *target = &r->gateways[m->target].handing;
        if (m->bytes)
            continue;
        *source = fmax(*source, read_by(r, m));
        *target = fmax(*target, read_by(r, m));
    }
}

static bool answers(const struct run *r, size_t gateway)
{
    return scenario_condition(r->scenario, gateway, r->now) != CONDITION_FAILED;
}

/* A standby that could not be made says nothing of its source. */
static void note_failed(struct run *r, const struct run_move *m)
{
    r->tally.failed_moves++;
    if (!m->standby)
        r->gateways[m->source].failed = r->now;
}

bool run_begin(struct run *r, const struct run_wish *w)
{
    struct run_volume *v = &r->volumes[w->volume];
    struct run_move m = {
        .volume = w->volume,
        .source = v->owner,
        .target = w->target,
        .number = ++r->numbers,
        .begun = r->now,
        .bytes = v->mirrored && v->other == w->target ? 0 : v->bytes,
        .das_gain = w->das_gain,
        .das_told = w->das_told,
        .mandatory = w->mandatory,
        .health = w->health,
        .standby = w->standby,
        .was = v->state,
    };
    m.read = m.bytes ? (double)m.bytes : proofs_missing(v);
    m.mistaken =
        w->health && !scenario_trouble(r->scenario, v->owner, r->now, r->now + r->stage->horizon_s);
    tell(r, &m, EVENT_BEGIN, w->why);
    if (!answers(r, m.source) || !answers(r, m.target) ||
        (!w->mandatory && v->other != RUN_NONE && !answers(r, v->other))) {
        tell(r, &m, EVENT_FAILED, "a gateway does not answer");
        note_failed(r, &m);
        return false;
    }
    queue_up(r, &m);
    err_need(vec_room(&r->moves, r->n_moves, &r->cap_moves, sizeof(*r->moves)) == 0);
    r->moves[r->n_moves++] = m;
    r->gateways[m.source].leaving++;
    r->gateways[m.target].arriving++;
    v->state = ROUTE_STATE_MOVING;
    v->other = m.target;
    v->mirrored = false;
    r->dirty = true;
    return true;
}

bool run_must(struct run *r, size_t volume, size_t target, const char *why)
{
    return run_begin(r, &(struct run_wish){
                            .volume = volume,
                            .target = target,
                            .mandatory = true,
                            .health = true,
                            .das_gain = NAN,
                            .das_told = NAN,
                            .why = why,
                        });
}

/* Did affinity alone favour the trip by the margin? */
static bool for_affinity(const struct run *r, const struct run_trip *t)
{
    return t->das_gain > r->limits->margin;
}

/*
 * A return to where V was of late, though nothing is wrong where it is now, and not because the
 * demand came and went: guard 5 of the plan, judged by what really happened.
 */
static bool is_pingpong(const struct run *r, const struct run_volume *v, const struct run_trip *now)
{
    if (scenario_trouble(r->scenario, now->source, now->time, now->time + r->stage->horizon_s))
        return false;
    for (size_t i = v->n_trips; i-- > 0;) {
        const struct run_trip *t = &v->trips[i];
        if (now->time - t->time >= r->limits->return_after_s)
            break;
        if (t->source == now->target)
            return !(for_affinity(r, t) && for_affinity(r, now));
    }
    return false;
}

static void remember(struct run_volume *v, const struct run_trip *trip)
{
    err_need(vec_room(&v->trips, v->n_trips, &v->cap_trips, sizeof(*v->trips)) == 0);
    v->trips[v->n_trips++] = *trip;
}

static void count_switch(struct run *r, struct run_volume *v, const struct run_move *m)
{
    const struct run_trip trip = {
        r->now, m->source, m->target, m->das_gain, m->das_told, m->mandatory, m->health,
    };
    r->tally.health_moves += m->health;
    r->tally.affinity_moves += !m->health;
    r->tally.mismigrations += m->mistaken;
    r->tally.pingpongs += is_pingpong(r, v, &trip);
    remember(v, &trip);
    /* Volumes that moved on are no nearer for the move before. */
    v->before = m->health ? RUN_NONE : m->source;
}

static void switch_owner(struct run *r, const struct run_move *m)
{
    struct run_volume *v = &r->volumes[m->volume];
    v->owner = m->target;
    v->epoch++;
    v->moved = r->now;
    v->kept_until = r->now + r->limits->retain_s;
    v->other = m->source;
    v->mirrored = r->standby;
    v->unproved = 0;
    v->state = ROUTE_STATE_UNCOMMITTED;
    r->tally.bytes += m->bytes;
    r->gateways[m->source].switched = r->now;
}

static void stand_by(struct run *r, const struct run_move *m)
{
    struct run_volume *v = &r->volumes[m->volume];
    v->state = ROUTE_STATE_DEFERRED;
    v->mirrored = true;
    v->unproved = 0;
    r->tally.bytes += m->bytes;
    tell(r, m, EVENT_DEFERRED, REC_STANDS_BY);
}

static void end_well(struct run *r, const struct run_move *m)
{
    if (m->standby) {
        stand_by(r, m);
        return;
    }
    switch_owner(r, m);
    count_switch(r, &r->volumes[m->volume], m);
    tell(r, m, EVENT_SWITCHED, "");
}

/* The copy that M would have handed over to stands by as before, if its gateway lives. */
static bool stands_by_again(struct run *r, const struct run_move *m)
{
    struct run_volume *v = &r->volumes[m->volume];
    if (m->bytes || !answers(r, m->target))
        return false;
    v->state = m->was;
    v->mirrored = true;
    return true;
}

static void give_up(struct run *r, const struct run_move *m)
{
    struct run_volume *v = &r->volumes[m->volume];
    const double done = (r->now - m->begun) / (m->ends - m->begun);
    if (!stands_by_again(r, m)) {
        v->state = ROUTE_STATE_STEADY;
        v->other = RUN_NONE;
    }
    note_failed(r, m);
    r->tally.bytes += (uint64_t)((double)m->bytes * done);
    tell(r, m, EVENT_FAILED, "a gateway does not answer");
}

/* Ends the moves that are done, and those that a failed gateway ends. */
static void end_moves(struct run *r)
{
    size_t n = 0;
    bool any_cut = false;
    for (size_t i = 0; i < r->n_moves; i++) {
        const struct run_move m = r->moves[i];
        const bool cut = !answers(r, m.source) || !answers(r, m.target);
        if (!cut && m.ends > r->now) {
            r->moves[n++] = m;
            continue;
        }
        r->gateways[m.source].leaving--;
        r->gateways[m.target].arriving--;
        (cut ? give_up : end_well)(r, &m);
        any_cut |= cut;
        r->ended = r->dirty = true;
    }
    r->n_moves = n;
    if (any_cut)
        queue_anew(r);
    r->dirty |= n > 0; /* what reads now need not read in the next step */
}

/* ---- kept copies ---- */

static bool has_failed(const struct run *r, size_t gateway)
{
    return r->gateways[gateway].condition == CONDITION_FAILED;
}

/*
 * The director has the mirrored copy of V take over from the owner that died, of which a copy of
 * unknown worth is left.
 */
static void take_over(struct run *r, size_t volume)
{
    struct run_volume *v = &r->volumes[volume];
    const struct run_move m = {
        .volume = volume,
        .source = v->owner,
        .target = v->other,
        .number = ++r->numbers,
    };
    const struct run_trip trip = {r->now, m.source, m.target, NAN, NAN, true, true};
    switch_owner(r, &m);
    v->mirrored = false;
    v->before = RUN_NONE;
    remember(v, &trip);
    r->tally.takeovers++;
    r->dirty = true;
    tell(r, &m, EVENT_SWITCHED, "the owner is dead, and its copy takes over");
}

/* A move that is deferred ends with it. */
static void drop_mirror(struct run_volume *v)
{
    v->mirrored = false;
    if (v->state != ROUTE_STATE_DEFERRED)
        return;
    v->state = ROUTE_STATE_STEADY;
    v->other = RUN_NONE;
}

/*
 * By how the gateways were in the step that has passed, so that all of one is lost before a copy
 * takes over; a mirror whose copy's gateway fails is dropped.
 */
static void look_after_mirrors(struct run *r)
{
    for (size_t i = 0; i < r->n_volumes; i++) {
        struct run_volume *v = &r->volumes[i];
        if (!v->mirrored)
            continue;
        if (has_failed(r, v->other)) {
            drop_mirror(v);
            r->dirty = true;
        } else if (has_failed(r, v->owner) && answers(r, v->other) && !answers(r, v->owner)) {
            take_over(r, i);
        }
    }
}

static void let_copies_go(struct run *r)
{
    for (size_t i = 0; i < r->n_volumes; i++) {
        struct run_volume *v = &r->volumes[i];
        if (v->state == ROUTE_STATE_UNCOMMITTED && !v->mirrored && v->kept_until <= r->now &&
            answers(r, v->other)) {
            v->state = ROUTE_STATE_STEADY;
            v->other = RUN_NONE;
        }
    }
}

/* ---- clients ---- */

/* Where a volume is at first: as its first record says, else on an allowed gateway in turn. */
static size_t first_home(const struct run *r, size_t volume)
{
    const size_t home = r->stage->trace->home[volume], n = gateways_of(r);
    assert(n); /* the fleet's reader refuses one without gateways */
    for (size_t i = 0; home == RUN_NONE && i < n; i++) {
        const size_t g = (volume + i) % n;
        if (fleet_allowed(r->stage->fleet, r->stage->trace->volumes.names[volume],
                          gateway_name(r, g)))
            return g;
    }
    return home == RUN_NONE ? volume % n : home;
}

/* Volumes up to number V are there from now on; the trace numbers them in order of first sight. */
static void meet(struct run *r, size_t v)
{
    for (; r->n_volumes <= v; r->n_volumes++) {
        const char *name = r->stage->trace->volumes.names[r->n_volumes];
        const struct fleet_volume *listed = fleet_volume(r->stage->fleet, name);
        const uint64_t *routed = r->stage->trace->sizes;
        const uint64_t known = routed ? routed[r->n_volumes] : 0;
        const uint64_t size = known ? known : listed ? listed->size_bytes : 0;
        r->volumes[r->n_volumes] = (struct run_volume){
            .owner = first_home(r, r->n_volumes),
            .other = RUN_NONE,
            .state = ROUTE_STATE_STEADY,
            .epoch = 1,
            .bytes = size ? size : r->stage->volume_bytes,
            .moved = r->now,
            .before = RUN_NONE,
        };
    }
}

static double *rate_of(const struct run *r, const struct trace_span *s)
{
    return &r->rates[s->volume * sites_of(r) + s->site];
}

/* What is left of a difference of equal sums is no demand. */
static void take_off(double *rate, double less)
{
    *rate -= less;
    if (*rate < 1e-9)
        *rate = 0;
}

/* Rates that begin and end now.  Those of one volume and site follow each other, or add up. */
static void follow_trace(struct run *r)
{
    const struct trace *t = r->stage->trace;
    for (; r->last < r->next && t->spans[r->last].from + t->span_s <= r->now; r->last++) {
        double *rate = rate_of(r, &t->spans[r->last]);
        take_off(rate, (double)t->spans[r->last].requests / t->span_s);
        take_off(&r->writes[t->spans[r->last].volume],
                 (double)t->spans[r->last].writes / t->span_s);
        r->dirty = true;
    }
    for (; r->next < t->n && t->spans[r->next].from <= r->now; r->next++) {
        meet(r, t->spans[r->next].volume);
        *rate_of(r, &t->spans[r->next]) += (double)t->spans[r->next].requests / t->span_s;
        r->writes[t->spans[r->next].volume] += (double)t->spans[r->next].writes / t->span_s;
        r->dirty = true;
    }
}

/* ---- gateways ---- */

static void add_load(struct run *r, size_t volume)
{
    const struct run_volume *v = &r->volumes[volume];
    const size_t sites = sites_of(r), n = gateways_of(r);
    if (v->mirrored)
        r->gateways[v->other].rate += r->writes[volume];
    for (size_t s = 0; s < sites; s++) {
        const double rate = r->rates[volume * sites + s];
        const double *rtt = &r->stage->rtt_us[s * n];
        r->loads[v->owner * sites + s] += rate;
        r->gateways[v->owner].rate += rate;
        if (v->before != RUN_NONE)
            r->gaining_us += rate * (rtt[v->before] - rtt[v->owner]);
    }
}

/* The part of the step in which M reads. */
static double reading(const struct run *r, const struct run_move *m)
{
    const double step = r->stage->step_s;
    return fmax(0, fmin(read_by(r, m), r->now + step) - fmax(m->reads, r->now)) / step;
}

static void sum_up(struct run *r)
{
    memset(r->loads, 0, gateways_of(r) * sites_of(r) * sizeof(*r->loads));
    for (size_t g = 0; g < gateways_of(r); g++)
        r->gateways[g].rate = 0;
    r->gaining_us = 0;
    for (size_t v = 0; v < r->n_volumes; v++)
        add_load(r, v);
    for (size_t i = 0; i < r->n_moves; i++) {
        const double rate = reading(r, &r->moves[i]) * r->limits->copy_rate / copy_request_bytes;
        r->gateways[r->moves[i].source].rate += rate;
        r->gateways[r->moves[i].target].rate += rate;
    }
    r->dirty = false;
}

/*
 * The mean answer time of gateway G: that of an M/M/1 server at its use, and what its degradation
 * adds for each request (linear or exponential, to critical on an idle one).
 */
static double mean_us(const struct run *r, size_t g)
{
    const double idle = r->stage->service_us, queue = idle / (1 - r->gateways[g].use);
    enum rec_scenario_kind kind = SCENARIO_SUDDEN;
    const double done = scenario_progress(r->scenario, g, r->now, &kind);
    if (done > 0 && kind == SCENARIO_LINEAR)
        return queue + (SCENARIO_CRITICAL_US - idle) * done;
    if (done > 0 && kind == SCENARIO_CURVED)
        return queue + idle * (pow(SCENARIO_CRITICAL_US / idle, done) - 1);
    return queue;
}

static void serve(struct run *r)
{
    for (size_t g = 0; g < gateways_of(r); g++) {
        struct run_gateway *w = &r->gateways[g];
        const double limit = r->stage->fleet->gateways[g].iops_limit;
        w->use = fmin((w->rate + w->proving) / (limit > 0 ? limit : r->stage->capacity), use_max);
        w->condition = scenario_condition(r->scenario, g, r->now);
        w->unwarned = scenario_unwarned(r->scenario, g, r->now);
        w->mean_us = mean_us(r, g);
    }
}

/* What the operator says now, for those who decide. */
static void set_states(struct run *r)
{
    for (size_t g = 0; g < gateways_of(r); g++)
        r->gateways[g].state =
            scenario_state(r->scenario, g, r->now, r->stage->fleet->gateways[g].state);
}

static void count_site(struct run *r, size_t g, size_t s, size_t part)
{
    const struct run_gateway *w = &r->gateways[g];
    const double n = r->loads[g * sites_of(r) + s] * r->stage->step_s;
    if (!(n > 0))
        return;
    r->tally.requests += n;
    if (w->condition != CONDITION_WELL)
        r->tally.bad[part] += n;
    if (w->condition == CONDITION_FAILED) {
        r->tally.failed += n;
        r->tally.unwarned += w->unwarned ? n : 0;
        return;
    }
    if (w->condition == CONDITION_DEGRADED)
        r->tally.degraded += n;
    tally_served(&r->tally, n, r->stage->rtt_us[s * gateways_of(r) + g], w->mean_us);
}

/* Copies that stand by are proved anew, which their gateways serve in the next step. */
static void prove(struct run *r)
{
    for (size_t g = 0; g < gateways_of(r); g++)
        r->gateways[g].proving = 0;
    for (size_t i = 0; i < r->n_volumes; i++) {
        struct run_volume *v = &r->volumes[i];
        const double took_us =
            v->mirrored ? r->gateways[v->owner].mean_us + r->gateways[v->other].mean_us : 0;
        const double read = proofs_step(v, r->writes[i], took_us, r->stage->step_s);
        if (read > 0) {
            r->gateways[v->owner].proving += read;
            r->gateways[v->other].proving += read;
        }
    }
}

static void count_step(struct run *r)
{
    const struct trace *t = r->stage->trace;
    const double share = (r->now - t->start) / (t->end - t->start);
    const size_t part = (size_t)(share * TALLY_PARTS);
    for (size_t g = 0; g < gateways_of(r); g++)
        for (size_t s = 0; s < sites_of(r); s++)
            count_site(r, g, s, part < TALLY_PARTS ? part : TALLY_PARTS - 1);
    r->tally.gained_us += r->gaining_us * r->stage->step_s;
    prove(r);
}

/* ---- the clock ---- */

static void set_out(struct run *r)
{
    const size_t volumes = r->stage->trace->volumes.n, sites = sites_of(r), n = gateways_of(r);
    r->volumes = calloc(volumes + 1, sizeof(*r->volumes));
    r->rates = calloc(volumes * sites + 1, sizeof(*r->rates));
    r->writes = calloc(volumes + 1, sizeof(*r->writes));
    r->gateways = calloc(n + 1, sizeof(*r->gateways));
    r->loads = calloc(n * sites + 1, sizeof(*r->loads));
    err_need(r->volumes && r->rates && r->writes && r->gateways && r->loads);
    for (size_t g = 0; g < n; g++)
        r->gateways[g].failed = r->gateways[g].switched = -INFINITY;
    r->now = r->stage->trace->start;
    r->dirty = true;
}

static bool is_due(const struct run *r)
{
    return r->ended || fmod(r->now, r->stage->every_s) < r->stage->step_s;
}

void run_all(struct run *r, const struct policy *policy)
{
    set_out(r);
    void *self = policy->open ? policy->open(r) : NULL;
    for (; r->now < r->stage->trace->end; r->now += r->stage->step_s) {
        end_moves(r);
        look_after_mirrors(r);
        let_copies_go(r);
        set_states(r);
        if (policy->decide && is_due(r)) {
            r->ended = false;
            policy->decide(self, r);
        }
        follow_trace(r);
        if (r->dirty)
            sum_up(r);
        serve(r);
        count_step(r);
        if (policy->observe)
            policy->observe(self, r);
    }
    if (policy->close)
        policy->close(self);
}

void run_release(struct run *r)
{
    for (size_t v = 0; v < r->n_volumes; v++)
        free(r->volumes[v].trips);
    free(r->volumes);
    free(r->rates);
    free(r->writes);
    free(r->gateways);
    free(r->loads);
    free(r->moves);
}
