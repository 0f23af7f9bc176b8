/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/saturate.h"
#include "common/plan/project.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/plan/left.h"
#include "common/plan/score.h"

static void hold(struct plan_projection *p, size_t gateway, uint64_t bytes, double rate)
{
    p->gateways[gateway].bytes = saturate_sum(p->gateways[gateway].bytes, bytes);
    p->gateways[gateway].rate += rate;
}

/* V is on GATEWAY, or will be. */
static void settle(struct plan_projection *p, const struct plan_fleet *f,
                   const struct plan_limits *lim, const struct plan_volume *v, size_t gateway)
{
    if (gateway == PLAN_NONE)
        return;
    /* The bytes of a copy that is there are counted already. */
    const bool there = plan_left_room(f, (size_t)(v - f->volumes), gateway);
    hold(p, gateway, there ? 0 : v->size_bytes, plan_peak(v, lim));
    if (p->hours) {
        plan_hours_add(&p->hours[gateway], &f->hours[v - f->volumes]);
        p->gateways[gateway].peak_milli = plan_hours_peak(&p->hours[gateway]);
    }
    if (v->apart != PLAN_NONE)
        p->apart[v->apart * f->gateway_names.n + gateway]++;
}

static void leave(struct plan_projection *p, const struct plan_gateway *g, struct plan_load *load,
                  const struct plan_limits *lim, bool counts)
{
    load->leaving += counts;
    if (!load->evacuated && plan_cause(g, lim) != PLAN_CAUSE_NONE) {
        load->evacuated = true;
        p->evacuated++;
    }
}

void plan_projection_start(struct plan_projection *p, const struct plan_fleet *f,
                           const struct plan_limits *lim, size_t source, size_t target, bool counts)
{
    p->moves += counts;
    if (source != PLAN_NONE)
        leave(p, &f->gateways[source], &p->gateways[source], lim, counts);
    if (target != PLAN_NONE)
        p->gateways[target].arriving += counts;
}

/* Will the copy that V gets, to stand by, give way to a move that has to be made, and can be? */
static bool gives_way(const struct plan_fleet *f, const struct plan_limits *lim,
                      const struct plan_volume *v)
{
    if (!v->copying || v->owner == PLAN_NONE)
        return false;
    const struct plan_gateway *owner = &f->gateways[v->owner];
    const enum plan_cause cause = plan_cause(owner, lim);
    if (owner->state == GATEWAY_STATE_DOWN && cause != PLAN_CAUSE_DOWN)
        return false;
    return cause != PLAN_CAUSE_NONE &&
           (v->policy == POLICY_AUTO || (v->policy == POLICY_PINNED && lim->force));
}

/* The room of V's exports beside its owner's, whatever becomes of them. */
static void hold_copies(struct plan_projection *p, const struct plan_fleet *f,
                        const struct plan_volume *v)
{
    const size_t volume = (size_t)(v - f->volumes);
    const size_t copying = plan_fleet_copying(f, volume);
    if (plan_fleet_kept(f, volume, v->other))
        hold(p, v->other, v->size_bytes, 0);
    if (copying != PLAN_NONE && !plan_fleet_kept(f, volume, copying))
        hold(p, copying, v->size_bytes, 0);
    for (size_t i = v->lefts; i != PLAN_NONE; i = f->lefts[i].next) {
        const size_t g = f->lefts[i].gateway;
        if (plan_left(f, volume, g) && !plan_fleet_kept(f, volume, g) && g != copying)
            hold(p, g, v->size_bytes, 0);
    }
}

/*
 * A deferred move waits for somebody, so it takes room but none of the moves at once; where its
 * target only stands by, that serves nobody.
 */
static void add_volume(struct plan_projection *p, const struct plan_fleet *f,
                       const struct plan_limits *lim, const struct plan_volume *v)
{
    const size_t volume = (size_t)(v - f->volumes);
    const bool stands_by = plan_fleet_kept(f, volume, v->other);
    settle(p, f, lim, v, v->owner);
    hold_copies(p, f, v);
    if (gives_way(f, lim, v))
        return;
    if (v->state == ROUTE_STATE_MOVING ||
        (v->state == ROUTE_STATE_DEFERRED && (!stands_by || v->handed)))
        settle(p, f, lim, v, v->other);
    else if (v->open)
        settle(p, f, lim, v, v->open_to);
    else if (v->state != ROUTE_STATE_STEADY && v->other != PLAN_NONE &&
             !plan_left_room(f, volume, v->other))
        hold(p, v->other, v->size_bytes, 0);
}

/* Moves under way of one group, on one way, are one: the last way that was seen of each group. */
struct way {
    size_t source;
    size_t target;
    bool seen;
};

static bool counted(struct way *ways, const struct plan_volume *v, size_t to)
{
    if (v->group == PLAN_NONE)
        return false;
    struct way *w = &ways[v->group];
    const bool same = w->seen && w->source == v->owner && w->target == to;
    *w = (struct way){v->owner, to, true};
    return same;
}

static int add_moves(struct plan_projection *p, const struct plan_fleet *f,
                     const struct plan_limits *lim)
{
    struct way *ways = calloc(f->groups.n + 1, sizeof(*ways));
    if (!ways)
        return -ENOMEM;
    for (size_t i = 0; i < f->volume_names.n; i++) {
        const struct plan_volume *v = &f->volumes[f->volume_order[i]];
        const size_t to = v->open ? v->open_to : v->other;
        if ((v->state == ROUTE_STATE_MOVING || v->open || v->handed) && !gives_way(f, lim, v) &&
            !counted(ways, v, to))
            plan_projection_start(p, f, lim, v->owner, to, true);
    }
    free(ways);
    return 0;
}

int plan_projection_init(struct plan_projection *p, const struct plan_fleet *f,
                         const struct plan_limits *lim, double now)
{
    *p = (struct plan_projection){.opens = plan_calendar_next(f->calendar, now)};
    p->gateways = calloc(f->gateway_names.n + 1, sizeof(*p->gateways));
    p->apart = calloc(f->aparts.n * f->gateway_names.n + 1, sizeof(*p->apart));
    p->hours = f->hours ? calloc(f->gateway_names.n + 1, sizeof(*p->hours)) : NULL;
    if (!p->gateways || !p->apart || (f->hours && !p->hours))
        return -ENOMEM;
    for (size_t i = 0; i < f->volume_names.n; i++)
        add_volume(p, f, lim, &f->volumes[f->volume_order[i]]);
    for (size_t g = 0; g < f->gateway_names.n; g++)
        p->gateways[g].now_milli = p->gateways[g].peak_milli;
    return add_moves(p, f, lim);
}

void plan_projection_place(struct plan_projection *p, const struct plan_fleet *f,
                           const struct plan_limits *lim, size_t volume, size_t gateway)
{
    settle(p, f, lim, &f->volumes[volume], gateway);
}

void plan_projection_hold(struct plan_projection *p, const struct plan_fleet *f, size_t volume,
                          size_t gateway)
{
    if (!plan_left_room(f, volume, gateway))
        hold(p, gateway, f->volumes[volume].size_bytes, 0);
}

void plan_projection_undo(struct plan_projection *p, const struct plan_fleet *f,
                          const size_t *volumes, size_t n, size_t gateway,
                          const struct plan_load *before)
{
    p->gateways[gateway] = *before;
    for (size_t i = 0; i < n; i++) {
        plan_projection_unlabel(p, f, volumes[i], gateway);
        if (p->hours)
            plan_hours_take(&p->hours[gateway], &f->hours[volumes[i]]);
    }
}

void plan_projection_unlabel(struct plan_projection *p, const struct plan_fleet *f, size_t volume,
                             size_t gateway)
{
    const size_t apart = f->volumes[volume].apart;
    if (apart != PLAN_NONE)
        p->apart[apart * f->gateway_names.n + gateway]--;
}

int plan_projection_keep(const struct plan_projection *p, const struct plan_fleet *f,
                         struct plan_moment *m)
{
    const size_t n = f->gateway_names.n + 1;
    *m = (struct plan_moment){
        .gateways = calloc(n, sizeof(*m->gateways)),
        .hours = p->hours ? calloc(n, sizeof(*m->hours)) : NULL,
        .moves = p->moves,
        .evacuated = p->evacuated,
    };
    if (!m->gateways || (p->hours && !m->hours))
        return -ENOMEM;
    memcpy(m->gateways, p->gateways, n * sizeof(*m->gateways));
    if (p->hours)
        memcpy(m->hours, p->hours, n * sizeof(*m->hours));
    return 0;
}

void plan_projection_return(struct plan_projection *p, const struct plan_fleet *f,
                            const struct plan_moment *m)
{
    const size_t n = f->gateway_names.n + 1;
    memcpy(p->gateways, m->gateways, n * sizeof(*m->gateways));
    if (p->hours && m->hours)
        memcpy(p->hours, m->hours, n * sizeof(*m->hours));
    p->moves = m->moves;
    p->evacuated = m->evacuated;
}

void plan_moment_release(struct plan_moment *m)
{
    free(m->gateways);
    free(m->hours);
    *m = (struct plan_moment){0};
}

bool plan_projection_shared(const struct plan_projection *p, const struct plan_fleet *f,
                            size_t volume, size_t gateway)
{
    const size_t apart = f->volumes[volume].apart;
    return apart != PLAN_NONE && p->apart[apart * f->gateway_names.n + gateway] > 0;
}

void plan_projection_release(struct plan_projection *p)
{
    free(p->gateways);
    free(p->apart);
    free(p->hours);
    *p = (struct plan_projection){0};
}
