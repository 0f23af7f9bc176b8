/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/standby.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/plan/shun.h"

static const double dead_ghs = 0.05;

/* So long a volume whose standby could not be made, or was lost, comes last. */
static const double balk_s = 3600;

struct wish {
    size_t volume;
    size_t place; /* in the order of names */
    double worth; /* requests for each byte that is copied */
    bool balks;   /* it failed a while ago, and must not keep others from their turn */
};

struct standbys {
    struct planner *p;
    bool *moves;   /* [volume]: P moves it */
    double *rates; /* [gateway]: peak requests a second of the volumes whose copies are there */
    size_t *homes; /* [volume]: where its copy is or will be; or PLAN_NONE */
    struct wish *wishes;
    size_t n;
};

/* ---- which volumes ---- */

static bool must_be_left(const struct planner *p, size_t gateway)
{
    return plan_cause(&p->fleet->gateways[gateway], p->limits) != PLAN_CAUSE_NONE;
}

/* One that has next to no health may be dead, of which it is not yet known. */
static bool answers(const struct plan_gateway *g)
{
    return g->scored && g->health.ghs > dead_ghs;
}

/* Is the copy that V has of no use, and may it be given up?  That needs its gateway. */
static bool is_useless(const struct planner *p, const struct plan_volume *v, size_t volume)
{
    if (!plan_fleet_kept(p->fleet, volume, v->other) || !must_be_left(p, v->other) ||
        !answers(&p->fleet->gateways[v->other]))
        return false;
    return v->state == ROUTE_STATE_DEFERRED || p->now - v->routed >= p->limits->retain_s;
}

/* What shared storage holds is not lost with a gateway. */
static bool wants(const struct standbys *s, size_t volume)
{
    const struct planner *p = s->p;
    const struct plan_volume *v = &p->fleet->volumes[volume];
    const bool wanted =
        v->standby == STANDBY_YES || (v->standby == STANDBY_ASKED && p->limits->standby);
    if (!wanted || s->moves[volume] || v->open || v->handed || v->policy != POLICY_AUTO ||
        v->owner == PLAN_NONE)
        return false;
    const struct plan_gateway *owner = &p->fleet->gateways[v->owner];
    if (!answers(owner) || owner->state == GATEWAY_STATE_DOWN || must_be_left(p, v->owner) ||
        (owner->storage && *owner->storage))
        return false;
    return v->state == ROUTE_STATE_STEADY || is_useless(p, v, volume);
}

static double worth_of(const struct plan_volume *v)
{
    const double requests = v->demand.known ? fmax(v->demand.requests, 0) : 0;
    return v->size_bytes ? (1 + requests) / (double)v->size_bytes : 0;
}

static int by_worth(const void *pa, const void *pb)
{
    const struct wish *a = pa, *b = pb;
    if (a->balks != b->balks)
        return a->balks ? 1 : -1;
    if (a->worth != b->worth)
        return a->worth > b->worth ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static void stands_by(struct standbys *s, size_t volume, size_t gateway)
{
    s->homes[volume] = gateway;
    s->rates[gateway] += plan_peak(&s->p->fleet->volumes[volume], s->p->limits);
}

static void fill(struct standbys *s)
{
    const struct plan_fleet *f = s->p->fleet;
    for (size_t i = 0; i < s->p->n; i++)
        for (size_t k = 0; k < s->p->queue[i].unit.n; k++)
            s->moves[s->p->queue[i].unit.members[k]] = s->p->queue[i].target != PLAN_NONE;
    for (size_t i = 0; i < f->volume_names.n; i++) {
        const size_t volume = f->volume_order[i];
        const struct plan_volume *v = &f->volumes[volume];
        s->homes[volume] = PLAN_NONE;
        if (wants(s, volume))
            s->wishes[s->n++] =
                (struct wish){volume, i, worth_of(v), s->p->now - v->balked < balk_s};
        else if (plan_fleet_kept(f, volume, v->other))
            stands_by(s, volume, v->other);
    }
    qsort(s->wishes, s->n, sizeof(*s->wishes), by_worth);
}

/* ---- where to ---- */

/* Copies of VOLUME's group on GATEWAY: they had better take over together. */
static size_t mates(const struct standbys *s, size_t volume, size_t gateway)
{
    const struct plan_fleet *f = s->p->fleet;
    size_t n = 0;
    for (size_t v = 0; f->volumes[volume].group != PLAN_NONE && v < f->volume_names.n; v++)
        n += f->volumes[v].group == f->volumes[volume].group && s->homes[v] == gateway;
    return n;
}

static unsigned failures(const struct plan_case *c)
{
    const struct plan_shun *shun = plan_shun(c->fleet, c->volume, c->target, c->now);
    return shun ? shun->times : 0;
}

static bool better(const struct standbys *s, const struct plan_case *a, const struct plan_case *b)
{
    const unsigned fa = failures(a), fb = failures(b);
    const double ra = plan_score_rank(&a->score), rb = plan_score_rank(&b->score);
    const size_t ma = mates(s, a->volume, a->target), mb = mates(s, b->volume, b->target);
    if (fa != fb)
        return fa < fb;
    if (ma != mb)
        return ma > mb;
    if (plan_exceeds(ra, rb) || plan_exceeds(rb, ra))
        return ra > rb;
    return s->rates[a->target] < s->rates[b->target];
}

static struct plan_case aim(const struct standbys *s, size_t volume, size_t target)
{
    return (struct plan_case){
        .fleet = s->p->fleet,
        .limits = s->p->limits,
        .projection = s->p->at,
        .now = s->p->now,
        .volume = volume,
        .target = target,
        .score = plan_score(s->p->fleet, volume, target),
        .together = 1,
        .standby = true,
    };
}

/* In order of names, so that the first of equals is kept.  Its target is PLAN_NONE for none. */
static struct plan_case pick(const struct standbys *s, size_t volume)
{
    const struct plan_fleet *f = s->p->fleet;
    struct plan_case best = {.target = PLAN_NONE};
    for (size_t i = 0; i < f->gateway_names.n; i++) {
        const size_t g = f->gateway_order[i];
        if (g == f->volumes[volume].owner || g == f->volumes[volume].other)
            continue;
        const struct plan_case c = aim(s, volume, g);
        if (plan_judge_standby(&c) == PLAN_PASS &&
            (best.target == PLAN_NONE || better(s, &c, &best)))
            best = c;
    }
    return best;
}

static int plan(struct standbys *s, size_t volume)
{
    struct planner *p = s->p;
    if (p->at->gateways[p->fleet->volumes[volume].owner].leaving >= p->limits->max_per_source)
        return 0;
    const struct plan_case c = pick(s, volume);
    const struct plan_move m = {&c, PLAN_KIND_STANDBY, 0};
    if (c.target == PLAN_NONE)
        return 0;
    stands_by(s, volume, c.target);
    plan_projection_hold(p->at, p->fleet, volume, c.target);
    plan_projection_start(p->at, p->fleet, p->limits, p->fleet->volumes[volume].owner, c.target,
                          true);
    return p->sink->move(p->sink->arg, &m);
}

int plan_standbys(struct planner *p)
{
    const size_t volumes = p->fleet->volume_names.n + 1;
    if (p->limits->shadow)
        return 0;
    p->at = &p->all;
    struct standbys s = {
        .p = p,
        .moves = calloc(volumes, sizeof(*s.moves)),
        .rates = calloc(p->fleet->gateway_names.n + 1, sizeof(*s.rates)),
        .homes = calloc(volumes, sizeof(*s.homes)),
        .wishes = calloc(volumes, sizeof(*s.wishes)),
    };
    int err = s.moves && s.rates && s.homes && s.wishes ? 0 : -ENOMEM;
    if (!err)
        fill(&s);
    for (size_t i = 0; !err && i < s.n && p->at->moves < p->limits->max_moves; i++)
        err = plan(&s, s.wishes[i].volume);
    free(s.moves);
    free(s.rates);
    free(s.homes);
    free(s.wishes);
    return err;
}
