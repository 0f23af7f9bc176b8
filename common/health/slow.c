/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/slow.h"

#include <math.h>

#include "common/health/order.h"

/* Of the finest points, which are the noisiest, there must be more. */
enum { POINTS_MIN = 6, POINTS_MIN_FINEST = 12 };

/* Shorter is a hiccup: a neighbour's, or a job's. */
#define SPAN_MIN_S 300.0
/* Half as long again as the mean is a busy hour, twice as long is not. */
#define MEAN_FROM 1.5
#define MEAN_FULL 2.0
/* A day with more load comes somewhat beyond the worst of the others. */
#define WORST_FROM 1.3
#define WORST_FULL 1.5

/* The newest points of L that span long enough, LEAST or more, into OUT; how many; 0: none do. */
static unsigned newest(const struct signal_level *l, unsigned least, double out[TREND_POINTS_MAX])
{
    for (unsigned n = least; n <= l->n; n++) {
        const struct health_point *first = &l->points[l->n - n];
        if (l->points[l->n - 1].time - first->time < SPAN_MIN_S)
            continue;
        for (unsigned i = 0; i < n; i++)
            out[i] = first[i].value;
        return n;
    }
    return 0;
}

/* The second-highest of the days before today, or the highest of fewer than three. */
static double worst_usual(const struct signal *s, double warn)
{
    double v[SIGNAL_DAYS] = {0};
    const unsigned days = s->n_days - 1;
    unsigned n = 0;
    for (unsigned i = 1; i < s->n_days; i++)
        if (s->days[i].high <= warn)
            v[n++] = s->days[i].high;
    if (2 * n < days || !n)
        return warn;
    return order_nth(v, n, n < 3 ? n - 1 : n - 2);
}

/* How far VALUE is from FROM to FULL, in logarithms: 0 … 1. */
static double way(double value, double from, double full)
{
    return fmin(fmax(log(value / from) / log(full / from), 0), 1);
}

double health_slow(const struct signal *s, const struct health_limit *l)
{
    double v[TREND_POINTS_MAX] = {0};
    double low, high;
    if (!(l->critical > l->warn && l->warn > 0) || !health_name_ends(l->metric, "_us") ||
        !(s->mean > 0) || !signal_usual(s, &low, &high))
        return 0;
    unsigned n = newest(&s->levels[0], POINTS_MIN_FINEST, v);
    if (!n)
        n = newest(&s->levels[1], POINTS_MIN, v);
    const double worst = worst_usual(s, l->warn);
    if (!n || !(worst > 0))
        return 0;
    /* What is over already does not count. */
    const double now = fmin(order_median(v, n), signal_short_mean(s));
    if (!(order_nth(v, n, 1) > worst) || !(now > 0))
        return 0;
    return fmin(way(now, MEAN_FROM * s->mean, MEAN_FULL * s->mean),
                way(now, WORST_FROM * worst, WORST_FULL * worst));
}
