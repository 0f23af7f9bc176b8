/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/left.h"

#include <errno.h>
#include <math.h>

#include "common/base/buf.h"
#include "common/base/saturate.h"

/* ---- collecting ---- */

static struct plan_left *find(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    size_t i = gateway == PLAN_NONE ? PLAN_NONE : f->volumes[volume].lefts;
    while (i != PLAN_NONE && f->lefts[i].gateway != gateway)
        i = f->lefts[i].next;
    return i == PLAN_NONE ? NULL : &f->lefts[i];
}

static int add(struct plan_fleet *f, size_t volume, size_t gateway, double time)
{
    struct plan_left *l = find(f, volume, gateway);
    if (!l && vec_room(&f->lefts, f->n_lefts, &f->lefts_cap, sizeof(*f->lefts)) < 0)
        return -ENOMEM;
    if (!l) {
        l = &f->lefts[f->n_lefts];
        *l = (struct plan_left){gateway, f->volumes[volume].lefts, -INFINITY, -INFINITY};
        f->volumes[volume].lefts = f->n_lefts++;
    }
    l->since = fmax(l->since, time);
    return 0;
}

static void use(const struct plan_fleet *f, size_t volume, const char *gateway, double time)
{
    struct plan_left *l = find(f, volume, plan_fleet_find(f, gateway));
    if (l)
        l->used = fmax(l->used, time); /* that of NaN is the other */
}

/* Since when M's target has what M left there; -INFINITY: M left nothing, or is under way. */
static double left_since(const struct plan_volume *v, const struct plan_migration *m,
                         const char *id)
{
    if (m->ended)
        return m->left > m->gone ? m->left : -(double)INFINITY;
    return v->open == id || isnan(m->began) ? -(double)INFINITY : m->last;
}

static int take(struct plan_fleet *f, size_t i, bool uses)
{
    const struct plan_migration *m = &f->history.migrations[i];
    const long v = intern_find(&f->volume_names, m->volume);
    const size_t target = plan_fleet_find(f, m->target);
    if (v < 0)
        return 0;
    if (uses) {
        const double time = fmax(m->switched, m->reverted);
        use(f, (size_t)v, m->source, time);
        use(f, (size_t)v, m->target, fmax(time, m->gone));
        return 0;
    }
    const double since = left_since(&f->volumes[v], m, f->history.ids.names[i]);
    return isfinite(since) && target != PLAN_NONE ? add(f, (size_t)v, target, since) : 0;
}

int plan_lefts_collect(struct plan_fleet *f)
{
    int err = 0;
    for (unsigned pass = 0; pass < 2; pass++)
        for (size_t i = 0; !err && i < f->history.ids.n; i++)
            err = take(f, i, pass == 1);
    return err;
}

/* ---- asking ---- */

bool plan_left(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    const struct plan_left *l = find(f, volume, gateway);
    return l && f->volumes[volume].owner != gateway && l->since > l->used;
}

bool plan_left_room(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    return gateway != PLAN_NONE && gateway != f->volumes[volume].owner &&
           (plan_fleet_kept(f, volume, gateway) || plan_fleet_copying(f, volume) == gateway ||
            plan_left(f, volume, gateway));
}

uint64_t plan_left_bytes(const struct plan_fleet *f, size_t gateway)
{
    uint64_t sum = 0;
    for (size_t v = 0; v < f->volume_names.n; v++)
        if (plan_left(f, v, gateway) && f->volumes[v].other != gateway)
            sum = saturate_sum(sum, f->volumes[v].size_bytes);
    return sum;
}
