/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/shift.h"

#include <math.h>

#include "common/health/order.h"

enum { RECENT_MIN = 6, RECENT_MAX = 18, PAST_MIN = 16, PAST_MAX = 2 * TREND_POINTS_MAX };

/* The newest points must be beyond all before but a quarter, which may be of the shift, too. */
enum { BEYOND_SHARE = 4 };

/* Shorter is a hiccup: a neighbour's, or a job's. */
#define SPAN_MIN_S 300.0
/* Before the first day is over, longer ones may be no more than the morning's. */
#define FLANK_SPAN_S 1800.0
/* Smaller is no matter, however small the noise is: 5 %, or so little of critical. */
#define SPREAD_MIN 0.05
#define SMALL      0.001
/* For a normal distribution, the median of |x - median| is sd / 1.4826. */
#define SD_PER_MAD 1.4826

/* The points of one scale. */
struct scale {
    double recent[RECENT_MAX];
    unsigned n_recent;
    double past[PAST_MAX];
    unsigned n_past;
    double since;
    double span_s;
};

/*
 * Whether all but one of C's newest points are beyond LEAST, and beyond all but a quarter of those
 * before: the second-smallest of them is, and so many are smaller.
 */
static bool are_beyond(struct scale *c, double least)
{
    double second = order_nth(c->recent, c->n_recent, 1);
    unsigned smaller = 0;
    for (unsigned i = 0; i < c->n_past; i++)
        smaller += c->past[i] < second;
    return second > least && smaller >= c->n_past - c->n_past / BEYOND_SHARE;
}

/* How many of the newest points of L are six or more and span long enough; 0: none do. */
static unsigned count_recent(const struct signal_level *l)
{
    unsigned most = l->n < RECENT_MAX ? l->n : RECENT_MAX;
    for (unsigned n = RECENT_MIN; n <= most; n++)
        if (l->points[l->n - 1].time - l->points[l->n - n].time >= SPAN_MIN_S)
            return n;
    return 0;
}

/* Gathers level K of S, and what the level above remembers of the time before it. */
static bool gather(const struct signal *s, unsigned k, struct scale *out)
{
    const struct signal_level *l = &s->levels[k];
    *out = (struct scale){.n_recent = count_recent(l)};
    if (!out->n_recent)
        return false;
    unsigned first = l->n - out->n_recent;
    for (unsigned i = 0; i < out->n_recent; i++)
        out->recent[i] = l->points[first + i].value;
    for (unsigned i = 0; i < first; i++)
        out->past[out->n_past++] = l->points[i].value;
    const struct signal_level *older = k + 1 < SIGNAL_LEVELS ? &s->levels[k + 1] : NULL;
    for (unsigned i = 0; older && i < older->n && older->points[i].time < l->points[0].time; i++)
        out->past[out->n_past++] = older->points[i].value;
    out->since = l->points[first].time;
    out->span_s = l->points[l->n - 1].time - out->since;
    return out->n_past >= PAST_MIN;
}

/* Times vary by factors, not by sums: a logarithm, which nearly nothing does not disturb. */
static double log_of(double v, const struct health_limit *l)
{
    return log(fmax(v, 0) + SMALL * l->critical);
}

/* How far the newest points of C are from those before; moves both. */
static struct health_shift measure(struct scale *c, const struct health_limit *l)
{
    double to = order_median(c->recent, c->n_recent);
    double from = order_median(c->past, c->n_past);
    double middle = log_of(from, l);
    for (unsigned i = 0; i < c->n_past; i++)
        c->past[i] = fabs(log_of(c->past[i], l) - middle);
    double sd = fmax(SPREAD_MIN, SD_PER_MAD * order_median(c->past, c->n_past));
    return (struct health_shift){(log_of(to, l) - middle) / sd, from, to, c->since};
}

struct health_shift health_shift_find(const struct signal *s, const struct health_limit *l)
{
    struct health_shift most = {0};
    double usual = -INFINITY;
    double low, high;
    if (!(l->critical > l->warn && l->warn >= 0) || !health_name_ends(l->metric, "_us"))
        return most;
    bool day_seen = signal_usual(s, &low, &high);
    if (day_seen)
        usual = fmin(high, l->warn);
    for (unsigned k = 1; k < SIGNAL_LEVELS; k++) {
        struct scale c;
        if (!gather(s, k, &c) || (!day_seen && c.span_s > FLANK_SPAN_S))
            continue;
        if (!are_beyond(&c, usual))
            continue;
        struct health_shift found = measure(&c, l);
        if (found.sds > most.sds)
            most = found;
    }
    return most;
}
