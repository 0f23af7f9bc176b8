/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/rewind.h"

#include <math.h>
#include <string.h>

#define DAY_S 86400.0

/* Drops the points later than NOW, also from the sums, which hold the last of them. */
static void level_rewind(struct signal_level *l, double now)
{
    unsigned before = l->n;
    while (l->n > 0 && l->points[l->n - 1].time > now)
        l->n--;
    unsigned dropped = before - l->n;
    if (!dropped)
        return;
    l->folded = l->folded > dropped ? l->folded - dropped : 0;
    l->time_sum = 0;
    l->value_sum = 0;
    for (unsigned i = l->n - l->folded; i < l->n; i++) {
        l->time_sum += l->points[i].time;
        l->value_sum += l->points[i].value;
    }
}

static void days_rewind(struct signal *s, double now)
{
    unsigned later = 0;
    while (later < s->n_days && s->days[later].number > floor(now / DAY_S))
        later++;
    s->n_days -= later;
    memmove(s->days, s->days + later, s->n_days * sizeof(s->days[0]));
}

/* All of S is told as of BY seconds later. */
static void shift(struct signal *s, double by)
{
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++) {
        struct signal_level *l = &s->levels[k];
        for (unsigned i = 0; i < l->n; i++)
            l->points[i].time += by;
        l->time_sum += l->folded * by;
    }
    double days = floor((s->last + by) / DAY_S) - s->days[0].number;
    for (unsigned i = 0; i < s->n_days; i++)
        s->days[i].number += days;
    s->first += by;
    s->last += by;
}

/* Would nothing be left? */
static bool all_later(const struct signal *s, double now)
{
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++)
        if (s->levels[k].n && s->levels[k].points[0].time <= now)
            return false;
    return true;
}

void signal_rewind(struct signal *s, double now, double time)
{
    if (all_later(s, now)) {
        shift(s, time - fmax(s->interval_s, 1) - s->last);
        return;
    }
    double left = -INFINITY;
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++) {
        const struct signal_level *l = &s->levels[k];
        level_rewind(&s->levels[k], now);
        left = l->n ? fmax(left, l->points[l->n - 1].time) : left;
    }
    days_rewind(s, now);
    /* Times grow on all levels: what comes next must be later than the last of each. */
    s->last = isfinite(left) ? left : time - fmax(s->interval_s, 1);
    s->first = fmin(s->first, s->last);
}

void anomaly_rewind(struct anomaly *a, double now)
{
    a->last = fmin(a->last, now);
    a->rest_until = fmin(a->rest_until, now);
    a->rhythm.day = fmin(a->rhythm.day, floor(now / DAY_S));
}

void consensus_rewind(struct consensus *c, double now)
{
    c->first = fmin(c->first, now);
    c->last = fmin(c->last, now);
}
