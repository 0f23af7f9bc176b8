/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/cost.h"

#include <math.h>

static const double hour_s = 3600;
/* Sending takes no longer in what still counts as a hand-over. */
static const double handover_s = 10;

double plan_copy_s(const struct plan_fleet *f, const struct plan_limits *lim, uint64_t bytes)
{
    const double measured = plan_history_rate(&f->history);
    return (double)bytes / (measured > 0 ? measured : lim->copy_rate);
}

static enum plan_way way_of(const struct plan_fleet *f, size_t volume, size_t target,
                            uint64_t *changed)
{
    if (plan_fleet_shared(f, f->volumes[volume].owner, target))
        return PLAN_WAY_SHARED;
    return plan_fleet_copy(f, volume, target, changed) ? PLAN_WAY_CHANGES : PLAN_WAY_COPY;
}

uint64_t plan_cost_bytes(const struct plan_fleet *f, size_t volume, size_t target, bool *known)
{
    const uint64_t size = f->volumes[volume].size_bytes;
    uint64_t changed = 0;
    const enum plan_way way = way_of(f, volume, target, &changed);
    *known = way != PLAN_WAY_COPY || size > 0;
    if (way == PLAN_WAY_SHARED)
        return 0;
    return way == PLAN_WAY_CHANGES && (changed < size || !size) ? changed : size;
}

/* NaN unless all of that time is forecast. */
static double meanwhile(const struct plan_fleet *f, size_t volume, double start, double copy_s)
{
    const double from = start - f->hours_start;
    if (!f->hours || !f->volumes[volume].forecast || !(copy_s > 0) || from < 0 ||
        from + copy_s > hour_s * (double)f->n_hours)
        return NAN;
    return plan_hours_between(&f->hours[volume], from, from + copy_s);
}

struct plan_cost plan_cost(const struct plan_fleet *f, const struct plan_limits *lim, size_t volume,
                           size_t target, double start, double now)
{
    uint64_t changed = 0;
    struct plan_cost c = {.way = way_of(f, volume, target, &changed)};
    c.bytes = plan_cost_bytes(f, volume, target, &c.known);
    if (c.way != PLAN_WAY_SHARED)
        c.copy_s = plan_copy_s(f, lim, f->volumes[volume].size_bytes);
    c.requests = meanwhile(f, volume, fmax(start, now), c.copy_s);
    return c;
}

bool plan_cost_handover(const struct plan_fleet *f, const struct plan_limits *lim, size_t volume,
                        size_t target)
{
    uint64_t changed;
    if (plan_fleet_shared(f, f->volumes[volume].owner, target))
        return true;
    return plan_fleet_kept(f, volume, target) && plan_fleet_copy(f, volume, target, &changed) &&
           plan_copy_s(f, lim, changed) <= handover_s;
}
