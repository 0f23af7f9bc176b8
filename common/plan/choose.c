/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/saturate.h"
#include "common/plan/choose.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/plan/cost.h"
#include "common/plan/planner.h"
#include "common/plan/standby.h"
#include "common/plan/start.h"

/* More than any volume has in a horizon; a forecast may say anything. */
#define REQUESTS_MAX 1e15

static enum plan_cause cause_of(const struct planner *p, size_t owner)
{
    return owner == PLAN_NONE ? PLAN_CAUSE_NONE : plan_cause(&p->fleet->gateways[owner], p->limits);
}

/* ---- the queue ---- */

static enum plan_rank rank_of(const struct planner *p, const struct plan_volume *v,
                              enum plan_cause cause)
{
    if (v->policy == POLICY_MANUAL || p->limits->shadow)
        return cause ? RANK_SHADOW_MANDATORY : RANK_SHADOW_OPTIONAL;
    return cause ? RANK_MANDATORY : RANK_OPTIONAL;
}

/* A group with a volume that asks first is not torn apart by a move that could wait. */
static enum plan_rank unit_rank(const struct planner *p, const struct plan_entry *e)
{
    enum plan_rank least = RANK_SHADOW_OPTIONAL, most = RANK_MANDATORY;
    for (size_t i = 0; i < e->unit.n; i++) {
        const enum plan_rank r = rank_of(p, &p->fleet->volumes[e->unit.members[i]], e->cause);
        least = r < least ? r : least;
        most = r > most ? r : most;
    }
    return e->cause ? least : most;
}

/* What all of E send to TARGET; *KNOWN if each is. */
static uint64_t bytes_of(const struct planner *p, const struct plan_entry *e, size_t target,
                         bool *known)
{
    uint64_t sum = 0;
    *known = true;
    for (size_t i = 0; i < e->unit.n; i++) {
        bool one;
        sum = saturate_sum(sum, plan_cost_bytes(p->fleet, e->unit.members[i], target, &one));
        *known = *known && one;
    }
    return sum;
}

/* Requests that all of E are predicted to have; where nothing is, none; within what makes sense. */
static double requests_of(const struct planner *p, const struct plan_entry *e)
{
    double sum = 0;
    for (size_t i = 0; i < e->unit.n; i++) {
        const struct plan_demand *d = &p->fleet->volumes[e->unit.members[i]].demand;
        sum += d->known ? fmin(fmax(d->requests, 0), REQUESTS_MAX) : 0;
    }
    return sum;
}

/*
 * A move that must be made is worth 1 more, so that none is worth less for being small, and that
 * times the requests that meet the gateway as long as it waits.
 */
static double value_of(const struct planner *p, const struct plan_entry *e)
{
    if (p->limits->order == PLAN_ORDER_BENEFIT)
        return e->best;
    return e->cause ? (1 + fmax(e->best, -1)) * (1 + requests_of(p, e)) : e->best;
}

/*
 * By value per byte: in order of requests per byte the least of them meet a gateway that has to be
 * left (Smith 1956).  One that sends nothing comes first, one of unknown size last.
 */
static double worth_of(const struct planner *p, const struct plan_entry *e, bool known)
{
    if (p->limits->order == PLAN_ORDER_BENEFIT || !isfinite(e->best))
        return e->best;
    if (!known)
        return -1;
    return e->bytes ? e->value / (double)e->bytes : (double)INFINITY;
}

/* The best that the unit could do now; E->best is -INFINITY if every target is refused. */
static void look_for_best(struct planner *p, struct plan_entry *e)
{
    bool known = false;
    size_t kept = 0;
    double best = -INFINITY;
    const size_t n = plan_entry_hopeless(p, e) ? 0 : p->fleet->gateway_names.n;
    e->best = -INFINITY;
    for (size_t g = 0; g < n; g++) {
        if (g == plan_entry_owner(p, e))
            continue;
        struct plan_case c = plan_entry_aim(p, e, g);
        const double rank = plan_score_rank(&c.score);
        const size_t kept_here = plan_entry_copies(p, e, g);
        if (kept_here < kept || (kept_here == kept && rank < best) || !plan_entry_may(p, e, &c))
            continue;
        bool this_known;
        const uint64_t bytes = bytes_of(p, e, g, &this_known);
        const bool more = kept_here > kept || rank > best;
        if (more || (this_known && (!known || bytes < e->bytes))) {
            best = rank;
            e->best = rank + plan_entry_shun(p, e, g);
            e->bytes = bytes;
            known = this_known;
            kept = kept_here;
        }
    }
    e->value = value_of(p, e);
    e->worth = worth_of(p, e, known);
}

static int refuse_volume(const struct planner *p, const struct plan_entry *e, size_t volume,
                         enum plan_refusal r, const struct plan_case *held)
{
    const struct plan_case c = plan_entry_case(p, e, volume);
    const struct plan_verdict v = {&c, VERDICT_REFUSED, r, PLAN_NONE, held};
    return p->sink->verdict ? p->sink->verdict(p->sink->arg, &v) : 0;
}

/* From a gateway that has to be left, those that may not move do not hold the others. */
static int leave_behind(const struct planner *p, struct plan_entry *e)
{
    const struct plan_entry all = *e;
    int err = 0;
    e->unit.n = 0;
    for (size_t i = 0; !err && i < all.unit.n; i++) {
        const size_t volume = all.unit.members[i];
        const struct plan_case c = plan_entry_case(p, &all, volume);
        const enum plan_refusal r = plan_judge_volume(&c);
        if (r)
            err = refuse_volume(p, &all, volume, r, NULL);
        else
            e->unit.members[e->unit.n++] = volume;
    }
    return err;
}

/* One that may not move holds all the others. */
static int hold_back(const struct planner *p, struct plan_entry *e)
{
    enum plan_refusal first = PLAN_PASS;
    struct plan_case holder = {0};
    for (size_t i = 0; !first && i < e->unit.n; i++) {
        holder = plan_entry_case(p, e, e->unit.members[i]);
        first = plan_judge_volume(&holder);
    }
    int err = 0;
    for (size_t i = 0; first && !err && i < e->unit.n; i++) {
        const size_t volume = e->unit.members[i];
        const struct plan_case c = plan_entry_case(p, e, volume);
        const enum plan_refusal r = plan_judge_volume(&c);
        err = refuse_volume(p, e, volume, r ? r : first, r ? NULL : &holder);
    }
    if (first)
        e->unit.n = 0;
    return err;
}

static int enqueue(struct planner *p, const struct plan_unit *u)
{
    struct plan_entry e = {.unit = *u, .target = PLAN_NONE};
    e.cause = cause_of(p, plan_entry_owner(p, &e));
    int err = e.cause ? leave_behind(p, &e) : hold_back(p, &e);
    if (err || !e.unit.n)
        return err;
    e.rank = unit_rank(p, &e);
    e.balks = plan_fleet_balks(p->fleet, plan_entry_owner(p, &e), p->now);
    look_for_best(p, &e);
    /* Planning more only takes room away, so what has no target now has none later. */
    if (p->sink->verdict || e.best > -INFINITY)
        p->queue[p->n++] = e;
    return 0;
}

static int by_urgency(const void *pa, const void *pb)
{
    const struct plan_entry *a = pa, *b = pb;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->balks != b->balks)
        return a->balks ? 1 : -1;
    if (a->worth != b->worth)
        return a->worth > b->worth ? -1 : 1;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    if (a->best != b->best)
        return a->best > b->best ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return a->unit.place < b->unit.place ? -1 : a->unit.place > b->unit.place;
}

static int fill_queue(struct planner *p)
{
    int err = plan_units_init(&p->units, p->fleet);
    if (err < 0)
        return err;
    p->queue = reallocarray(NULL, p->units.n + 1, sizeof(*p->queue));
    if (!p->queue)
        return -ENOMEM;
    for (size_t i = 0; !err && i < p->units.n; i++)
        err = enqueue(p, &p->units.list[i]);
    if (!err)
        qsort(p->queue, p->n, sizeof(*p->queue), by_urgency);
    return err;
}

/* ---- one unit ---- */

static double share_of(const struct planner *p, const struct plan_entry *e, size_t gateway)
{
    double sum = 0;
    for (size_t i = 0; i < e->unit.n; i++)
        sum += plan_fleet_share(p->fleet, e->unit.members[i], gateway);
    return sum;
}

static bool better(const struct planner *p, const struct plan_entry *e, const struct plan_case *a,
                   const struct plan_case *b)
{
    const double ra = plan_score_rank(&a->score), rb = plan_score_rank(&b->score);
    const size_t ka = plan_entry_copies(p, e, a->target), kb = plan_entry_copies(p, e, b->target);
    if (ka != kb)
        return ka > kb;
    if (plan_exceeds(ra, rb) || plan_exceeds(rb, ra))
        return ra > rb;
    bool known_a, known_b;
    const uint64_t bytes_a = bytes_of(p, e, a->target, &known_a);
    const uint64_t bytes_b = bytes_of(p, e, b->target, &known_b);
    if (known_a && known_b && bytes_a != bytes_b)
        return bytes_a < bytes_b;
    const double sa = share_of(p, e, a->target), sb = share_of(p, e, b->target);
    if (sa != sb)
        return sa > sb;
    /* Or all would go to the first of a site, and be lost with it. */
    return p->at->gateways[a->target].rate < p->at->gateways[b->target].rate;
}

/* The target to take, or PLAN_NONE.  In order of names, so that the first of equals is kept. */
static size_t pick(struct planner *p, const struct plan_entry *e)
{
    struct plan_case best = {.target = PLAN_NONE};
    const size_t n = plan_entry_hopeless(p, e) ? 0 : p->fleet->gateway_names.n;
    for (size_t i = 0; i < n; i++) {
        const size_t g = p->fleet->gateway_order[i];
        if (g == plan_entry_owner(p, e))
            continue;
        struct plan_case c = plan_entry_aim(p, e, g);
        if (plan_entry_may(p, e, &c) && (best.target == PLAN_NONE || better(p, e, &c, &best)))
            best = c;
    }
    return best.target;
}

/* Of a member: from a gateway that has to be left each goes as it is asked. */
static enum plan_rank member_rank(const struct planner *p, const struct plan_entry *e,
                                  size_t volume)
{
    return e->cause ? rank_of(p, &p->fleet->volumes[volume], e->cause) : e->rank;
}

static enum rec_verdict verdict_of(enum plan_rank rank, const struct plan_case *c,
                                   enum plan_refusal r, size_t taken)
{
    const enum plan_guard g = plan_guard_of(r);
    if (c->target == taken)
        return rank >= RANK_SHADOW_MANDATORY ? VERDICT_SHADOW : VERDICT_MOVE;
    if (r == PLAN_PASS || g == PLAN_GUARD_BENEFIT || g == PLAN_GUARD_MARGIN)
        return VERDICT_STAY;
    return VERDICT_REFUSED;
}

/* TARGET for each member, where those before it are in place and R, of HOLDER, is the answer. */
static int explain_target(struct planner *p, const struct plan_entry *e, size_t target,
                          size_t taken)
{
    struct plan_case holder = plan_entry_aim(p, e, target);
    const enum plan_refusal all = plan_entry_judge(p, e, &holder);
    int err = 0;
    for (size_t i = 0; !err && i < e->unit.n; i++) {
        struct plan_case c = plan_entry_aim(p, e, target);
        c.volume = e->unit.members[i];
        c.start = target == taken ? e->start : 0;
        const enum plan_refusal own = plan_judge(&c);
        const enum plan_refusal r = target == taken ? PLAN_PASS : own ? own : all;
        const bool held = r && !own && c.volume != holder.volume;
        const struct plan_verdict v = {
            &c,
            verdict_of(member_rank(p, e, c.volume), &c, r, taken),
            r,
            r || target == taken ? PLAN_NONE : taken,
            held ? &holder : NULL,
        };
        err = p->sink->verdict(p->sink->arg, &v);
    }
    return err;
}

static int explain(struct planner *p, const struct plan_entry *e, size_t taken)
{
    int err = 0;
    for (size_t i = 0; !err && i < p->fleet->gateway_names.n; i++) {
        const size_t g = p->fleet->gateway_order[i];
        if (g != plan_entry_owner(p, e))
            err = explain_target(p, e, g, taken);
    }
    return err;
}

static enum rec_plan_kind kind_of(enum plan_rank rank)
{
    if (rank >= RANK_SHADOW_MANDATORY)
        return PLAN_KIND_SHADOW;
    return rank == RANK_MANDATORY ? PLAN_KIND_MANDATORY : PLAN_KIND_OPTIONAL;
}

/* What must leave does not wait. */
static double start_of(const struct planner *p, const struct plan_entry *e)
{
    const struct plan_case c = plan_entry_aim(p, e, e->target);
    return e->cause ? 0 : plan_start(&c, e->unit.members, e->unit.n);
}

static int move(struct planner *p, const struct plan_entry *e)
{
    struct plan_case c = plan_entry_aim(p, e, e->target);
    int err = 0;
    c.start = e->start;
    for (size_t i = 0; !err && i < e->unit.n; i++) {
        c.volume = e->unit.members[i];
        const struct plan_move m = {&c, kind_of(member_rank(p, e, c.volume)), e->start};
        err = p->sink->move(p->sink->arg, &m);
    }
    plan_entry_place(p, e, e->target);
    return err;
}

/* ---- all of them ---- */

static size_t healthiest(const struct plan_fleet *f)
{
    size_t best = PLAN_NONE;
    for (size_t i = 0; i < f->gateway_names.n; i++) {
        const struct plan_gateway *g = &f->gateways[i];
        if (g->state == GATEWAY_STATE_ACTIVE && g->scored && !isnan(g->health.ghs) &&
            (best == PLAN_NONE || g->health.ghs > f->gateways[best].health.ghs))
            best = i;
    }
    return best;
}

/* Takes what there is room for, in the order of urgency. */
static void choose_greedily(struct planner *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct plan_entry *e = &p->queue[i];
        if (e->target != PLAN_NONE)
            continue;
        e->target = pick(p, e);
        if (e->target != PLAN_NONE)
            plan_entry_place(p, e, e->target);
    }
}

static int choose_all(struct planner *p)
{
    p->at = &p->all;
    choose_greedily(p);
    if (!p->limits->improve)
        return 0;
    plan_projection_release(&p->all);
    int err = plan_projection_init(&p->all, p->fleet, p->limits, p->now);
    if (!err)
        err = plan_improve(p);
    if (!err)
        choose_greedily(p);
    return err;
}

/* A move is explained by what was planned before it, what stays by all that is planned. */
static int tell(struct planner *p, struct plan_entry *e)
{
    p->at = e->target == PLAN_NONE ? &p->all : &p->told;
    if (e->target != PLAN_NONE)
        e->start = start_of(p, e);
    int err = p->sink->verdict ? explain(p, e, e->target) : 0;
    return err || e->target == PLAN_NONE ? err : move(p, e);
}

int plan_choose(const struct plan_fleet *f, const struct plan_limits *lim, double now,
                const struct plan_sink *sink)
{
    struct planner p = {
        .fleet = f,
        .limits = lim,
        .sink = sink,
        .now = now,
        .at = &p.told,
        .healthiest = healthiest(f),
    };
    int err = plan_projection_init(&p.told, f, lim, now);
    if (!err)
        err = plan_projection_init(&p.all, f, lim, now);
    if (!err)
        err = fill_queue(&p);
    if (!err)
        err = choose_all(&p);
    for (size_t i = 0; !err && i < p.n; i++)
        err = tell(&p, &p.queue[i]);
    if (!err)
        err = plan_standbys(&p);
    plan_projection_release(&p.told);
    plan_projection_release(&p.all);
    plan_units_release(&p.units);
    free(p.queue);
    return err;
}
