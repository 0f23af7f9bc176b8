/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/choose.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Kinds of moves in the order in which they are planned. */
enum rank { RANK_MANDATORY, RANK_OPTIONAL, RANK_SHADOW_MANDATORY, RANK_SHADOW_OPTIONAL };

struct entry {
    size_t volume;
    size_t place; /* in the order of names */
    enum rank rank;
    enum plan_cause cause;
    double best; /* the highest rank of its targets, before any move is planned */
    uint64_t bytes;
};

struct planner {
    const struct plan_fleet *fleet;
    const struct plan_limits *limits;
    const struct plan_sink *sink;
    double now;
    struct plan_projection projection;
    struct entry *queue;
    size_t n;
};

static struct plan_case case_of(const struct planner *p, size_t volume, enum plan_cause cause)
{
    return (struct plan_case){
        .fleet = p->fleet,
        .limits = p->limits,
        .projection = &p->projection,
        .now = p->now,
        .volume = volume,
        .target = PLAN_NONE,
        .cause = cause,
        .score = {NAN, NAN, NAN, NAN, NAN, NAN},
    };
}

static void aim(struct plan_case *c, size_t target)
{
    c->target = target;
    c->score = plan_score(c->fleet, c->volume, target);
}

static enum plan_cause cause_of(const struct planner *p, size_t volume)
{
    const size_t owner = p->fleet->volumes[volume].owner;
    return owner == PLAN_NONE ? PLAN_CAUSE_NONE : plan_cause(&p->fleet->gateways[owner], p->limits);
}

/* ---- the queue ---- */

static enum rank rank_of(const struct plan_volume *v, enum plan_cause cause)
{
    if (v->policy == POLICY_MANUAL)
        return cause ? RANK_SHADOW_MANDATORY : RANK_SHADOW_OPTIONAL;
    return cause ? RANK_MANDATORY : RANK_OPTIONAL;
}

/* The best that the volume could do now; -INFINITY if every target is refused. */
static double best_rank(struct plan_case *c)
{
    double best = -INFINITY;
    for (size_t g = 0; g < c->fleet->gateway_names.n; g++) {
        if (g == plan_case_volume(c)->owner)
            continue;
        aim(c, g);
        if (plan_judge(c) == PLAN_PASS)
            best = fmax(best, plan_score_rank(&c->score));
    }
    return best;
}

static int refuse_volume(const struct planner *p, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_verdict v = {c, VERDICT_REFUSED, r, PLAN_NONE};
    return p->sink->verdict ? p->sink->verdict(p->sink->arg, &v) : 0;
}

static int enqueue(struct planner *p, size_t place)
{
    const size_t volume = p->fleet->volume_order[place];
    const struct plan_volume *v = &p->fleet->volumes[volume];
    struct plan_case c = case_of(p, volume, cause_of(p, volume));
    enum plan_refusal r = plan_judge_volume(&c);
    if (r)
        return refuse_volume(p, &c, r);
    const struct entry e = {
        volume, place, rank_of(v, c.cause), c.cause, best_rank(&c), v->size_bytes,
    };
    /* Planning more only takes room away, so a volume without a target now has none later. */
    if (p->sink->verdict || e.best > -INFINITY)
        p->queue[p->n++] = e;
    return 0;
}

static int by_urgency(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->best != b->best)
        return a->best > b->best ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static int fill_queue(struct planner *p)
{
    p->queue = reallocarray(NULL, p->fleet->volume_names.n + 1, sizeof(*p->queue));
    if (!p->queue)
        return -ENOMEM;
    for (size_t i = 0; i < p->fleet->volume_names.n; i++) {
        int err = enqueue(p, i);
        if (err)
            return err;
    }
    qsort(p->queue, p->n, sizeof(*p->queue), by_urgency);
    return 0;
}

/* ---- one volume ---- */

static bool better(const struct plan_case *a, const struct plan_case *b)
{
    const double ra = plan_score_rank(&a->score), rb = plan_score_rank(&b->score);
    if (plan_exceeds(ra, rb) || plan_exceeds(rb, ra))
        return ra > rb;
    return plan_fleet_share(a->fleet, a->volume, a->target) >
           plan_fleet_share(b->fleet, b->volume, b->target);
}

/* The target to take, or PLAN_NONE.  In order of names, so that the first of equals is kept. */
static size_t pick(const struct planner *p, const struct entry *e)
{
    struct plan_case best = case_of(p, e->volume, e->cause), c = best;
    for (size_t i = 0; i < p->fleet->gateway_names.n; i++) {
        const size_t g = p->fleet->gateway_order[i];
        if (g == plan_case_volume(&c)->owner)
            continue;
        aim(&c, g);
        if (plan_judge(&c) == PLAN_PASS && (best.target == PLAN_NONE || better(&c, &best)))
            best = c;
    }
    return best.target;
}

static enum rec_verdict verdict_of(const struct entry *e, const struct plan_case *c,
                                   enum plan_refusal r, size_t taken)
{
    const enum plan_guard g = plan_guard_of(r);
    if (c->target == taken)
        return e->rank >= RANK_SHADOW_MANDATORY ? VERDICT_SHADOW : VERDICT_MOVE;
    if (r == PLAN_PASS || g == PLAN_GUARD_BENEFIT || g == PLAN_GUARD_MARGIN)
        return VERDICT_STAY;
    return VERDICT_REFUSED;
}

static int explain(const struct planner *p, const struct entry *e, size_t taken)
{
    struct plan_case c = case_of(p, e->volume, e->cause);
    int err = 0;
    for (size_t i = 0; !err && i < p->fleet->gateway_names.n; i++) {
        const size_t g = p->fleet->gateway_order[i];
        if (g == plan_case_volume(&c)->owner)
            continue;
        aim(&c, g);
        const enum plan_refusal r = plan_judge(&c);
        const struct plan_verdict v = {&c, verdict_of(e, &c, r, taken), r,
                                       r || g == taken ? PLAN_NONE : taken};
        err = p->sink->verdict(p->sink->arg, &v);
    }
    return err;
}

static enum rec_plan_kind kind_of(enum rank rank)
{
    if (rank >= RANK_SHADOW_MANDATORY)
        return PLAN_KIND_SHADOW;
    return rank == RANK_MANDATORY ? PLAN_KIND_MANDATORY : PLAN_KIND_OPTIONAL;
}

static int decide(struct planner *p, const struct entry *e)
{
    const size_t taken = pick(p, e);
    int err = p->sink->verdict ? explain(p, e, taken) : 0;
    if (err || taken == PLAN_NONE)
        return err;
    struct plan_case c = case_of(p, e->volume, e->cause);
    aim(&c, taken);
    const struct plan_move m = {&c, kind_of(e->rank), 0};
    err = p->sink->move(p->sink->arg, &m);
    plan_projection_add(&p->projection, p->fleet, p->limits, e->volume, taken);
    return err;
}

int plan_choose(const struct plan_fleet *f, const struct plan_limits *lim, double now,
                const struct plan_sink *sink)
{
    struct planner p = {.fleet = f, .limits = lim, .sink = sink, .now = now};
    int err = plan_projection_init(&p.projection, f, lim);
    if (!err)
        err = fill_queue(&p);
    for (size_t i = 0; !err && i < p.n; i++)
        err = decide(&p, &p.queue[i]);
    plan_projection_release(&p.projection);
    free(p.queue);
    return err;
}
