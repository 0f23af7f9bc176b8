/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/trend.h"

#include <math.h>
#include "common/health/order.h"

enum { POINTS_MIN = 8, PAIRS_MAX = TREND_POINTS_MAX * (TREND_POINTS_MAX - 1) / 2 };

/*
 * Kendall's S: how many pairs rise, less those that fall.  Counted while the values are sorted into
 * V, as each takes its place among those before it.
 */
static int kendall_s(const struct health_point *p, size_t n, double *v)
{
    int s = 0;
    for (size_t i = 0; i < n; i++) {
        double x = p[i].value;
        size_t above = i;
        for (; above > 0 && v[above - 1] > x; above--)
            v[above] = v[above - 1];
        size_t below = above;
        while (below > 0 && v[below - 1] >= x)
            below--;
        v[above] = x;
        s += (int)below - (int)(i - above);
    }
    return s;
}

/* The slopes of all pairs into SLOPES; their number. */
static size_t pair_slopes(const struct health_point *p, size_t n, double *slopes)
{
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            slopes[pairs++] = (p[j].value - p[i].value) / (p[j].time - p[i].time);
    return pairs;
}

/* The standard deviation of S without a trend, with its correction for ties; V is sorted. */
static double kendall_sd(const double *v, size_t n)
{
    double sum = (double)(n * (n - 1) * (2 * n + 5));
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && v[i + run] <= v[i]; run++)
            ;
        sum -= (double)(run * (run - 1) * (2 * run + 5));
    }
    return sqrt(sum / 18);
}

/* The median height of the points above a line of SLOPE, taken at time AT. */
static double height_at(const struct health_point *p, size_t n, double slope, double at)
{
    double v[TREND_POINTS_MAX] = {0};
    for (size_t i = 0; i < n; i++)
        v[i] = p[i].value + slope * (at - p[i].time);
    return order_median(v, n);
}

bool health_trend_fit(const struct health_point *p, size_t n, double z_min, struct health_trend *t)
{
    if (n < POINTS_MIN || n > TREND_POINTS_MAX)
        return false;
    double sorted[TREND_POINTS_MAX] = {0};
    int s = kendall_s(p, n, sorted);
    double sd = kendall_sd(sorted, n);
    double z = sd > 0 ? (s - (s > 0) + (s < 0)) / sd : 0;
    if (fabs(z) < z_min)
        return false;

    double slopes[PAIRS_MAX];
    size_t pairs = pair_slopes(p, n, slopes);
    /* The interval is read off at the ranks one sd of S away. */
    size_t off = (size_t)fmin(sd / 2, (double)(pairs - 1) / 2);
    t->slope = order_median(slopes, pairs);
    t->slope_low = order_nth(slopes, pairs, (pairs - 1) / 2 - off);
    t->slope_high = order_nth(slopes, pairs, pairs / 2 + off);
    t->end_time = p[n - 1].time;
    t->end_value = height_at(p, n, t->slope, t->end_time);
    t->start_value = p[0].value;
    t->span_s = p[n - 1].time - p[0].time;
    t->z = z;
    return true;
}
