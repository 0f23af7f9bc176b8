/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/shun.h"

#include <errno.h>
#include <math.h>

#include "common/base/buf.h"

static const double first_s = 3600;
static const double longest_s = 86400;
static const double forgotten_s = 86400;

/* Benefits, less the handicap of a return, are within -2 … 4. */
static const double handicap_each = 8;
enum { TIMES_MAX = 100 }; /* more make no difference */

/* ---- collecting ---- */

static struct plan_shun *find(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    size_t i = f->volumes[volume].shuns;
    while (i != PLAN_NONE && f->shuns[i].gateway != gateway)
        i = f->shuns[i].next;
    return i == PLAN_NONE ? NULL : &f->shuns[i];
}

static struct plan_shun *find_or_add(struct plan_fleet *f, size_t volume, size_t gateway)
{
    struct plan_shun *s = find(f, volume, gateway);
    if (s)
        return s;
    if (vec_room(&f->shuns, f->n_shuns, &f->shuns_cap, sizeof(*f->shuns)) < 0)
        return NULL;
    s = &f->shuns[f->n_shuns];
    *s = (struct plan_shun){gateway, f->volumes[volume].shuns, -INFINITY, -INFINITY, 0};
    f->volumes[volume].shuns = f->n_shuns++;
    return s;
}

bool plan_shun_lost(const struct plan_volume *v, const struct plan_migration *m)
{
    return m->stands_by && !m->ended && v->state == ROUTE_STATE_STEADY && m->last < v->routed;
}

/* How often one migration has failed, and when last. */
struct failures {
    unsigned n;
    double last;
};

static struct failures failures_of(const struct plan_volume *v, const struct plan_migration *m,
                                   const char *id)
{
    if (!isnan(m->failed))
        return (struct failures){1, m->failed};
    if (!plan_shun_lost(v, m) || plan_history_is_past(id, v->epoch) ||
        v->routed - m->last >= forgotten_s)
        return (struct failures){0, -INFINITY};
    return (struct failures){m->losses, m->losses ? v->routed : -(double)INFINITY};
}

static double worked_at(const struct plan_migration *m, const struct failures *n)
{
    const double stood = n->n ? -(double)INFINITY : m->stood;
    return fmax(isnan(m->switched) ? -(double)INFINITY : m->switched, stood);
}

/* The first time over all migrations, *S learns when; the second time, how often. */
static void note(struct plan_shun *s, const struct failures *n, double worked, bool count)
{
    if (!count) {
        s->failed = fmax(s->failed, n->last);
        s->worked = fmax(s->worked, worked);
    } else if (n->last > s->worked && s->failed - n->last < forgotten_s && s->times < TIMES_MAX) {
        s->times += n->n < TIMES_MAX ? n->n : TIMES_MAX;
    }
}

static int take(struct plan_fleet *f, size_t i, bool count)
{
    const struct plan_migration *m = &f->history.migrations[i];
    const long v = intern_find(&f->volume_names, m->volume);
    const size_t g = plan_fleet_find(f, m->target);
    if (v < 0 || g == PLAN_NONE)
        return 0;
    const struct failures n = failures_of(&f->volumes[v], m, f->history.ids.names[i]);
    const double worked = worked_at(m, &n);
    /* Without a failure there is nothing to remember. */
    struct plan_shun *s = n.n ? find_or_add(f, (size_t)v, g) : find(f, (size_t)v, g);
    if (s)
        note(s, &n, worked, count);
    return s || !n.n ? 0 : -ENOMEM;
}

int plan_shuns_collect(struct plan_fleet *f)
{
    int err = 0;
    /* What worked is asked for once all that failed are there. */
    for (unsigned pass = 0; !err && pass < 3; pass++)
        for (size_t i = 0; !err && i < f->history.ids.n; i++)
            err = take(f, i, pass == 2);
    return err;
}

/* ---- asking ---- */

double plan_shun_pause_s(const struct plan_shun *s)
{
    double pause = first_s;
    for (unsigned n = 1; n < s->times && pause < longest_s; n++)
        pause *= 2;
    return fmin(pause, longest_s);
}

const struct plan_shun *plan_shun(const struct plan_fleet *f, size_t volume, size_t gateway,
                                  double now)
{
    if (f->volumes[volume].shuns == PLAN_NONE)
        return NULL;
    const struct plan_shun *s = find(f, volume, gateway);
    return s && s->times && now - s->failed < plan_shun_pause_s(s) ? s : NULL;
}

double plan_shun_handicap(const struct plan_shun *s)
{
    return s ? handicap_each * s->times : 0;
}
