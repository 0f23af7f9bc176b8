/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/trend.h"

#include <math.h>
#include <stdlib.h>

enum { POINTS_MIN = 8, PAIRS_MAX = TREND_POINTS_MAX * (TREND_POINTS_MAX - 1) / 2 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Slopes of all pairs into SLOPES, their number into *PAIRS; the result is Kendall's S. */
static int pair_slopes(const struct health_point *p, size_t n, double *slopes, size_t *pairs)
{
    int s = 0;
    *pairs = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            double rise = p[j].value - p[i].value;
            s += (rise > 0) - (rise < 0);
            slopes[(*pairs)++] = rise / (p[j].time - p[i].time);
        }
    return s;
}

/* Variance of Kendall's S for N values, given in V (sorted here), with its correction for ties. */
static double kendall_variance(double *v, size_t n)
{
    double sum = (double)(n * (n - 1) * (2 * n + 5));
    qsort(v, n, sizeof(*v), by_value);
    for (size_t i = 0, run; i < n; i += run) {
        for (run = 1; i + run < n && v[i + run] <= v[i]; run++)
            ;
        sum -= (double)(run * (run - 1) * (2 * run + 5));
    }
    return sum / 18;
}

/* The median height of the points above a line of SLOPE, taken at time AT. */
static double height_at(const struct health_point *p, size_t n, double slope, double at)
{
    double v[TREND_POINTS_MAX];
    for (size_t i = 0; i < n; i++)
        v[i] = p[i].value + slope * (at - p[i].time);
    return median(v, n);
}

bool health_trend_fit(const struct health_point *p, size_t n, struct health_trend *t)
{
    if (n < POINTS_MIN || n > TREND_POINTS_MAX)
        return false;
    double slopes[PAIRS_MAX];
    double values[TREND_POINTS_MAX];
    size_t pairs;
    int s = pair_slopes(p, n, slopes, &pairs);
    for (size_t i = 0; i < n; i++)
        values[i] = p[i].value;
    double sd = sqrt(kendall_variance(values, n));

    t->slope = median(slopes, pairs);
    /* median() has sorted them: the interval is read off at the ranks one sd of S away. */
    size_t off = (size_t)fmin(sd / 2, (double)(pairs - 1) / 2);
    t->slope_low = slopes[(pairs - 1) / 2 - off];
    t->slope_high = slopes[pairs / 2 + off];
    t->end_time = p[n - 1].time;
    t->end_value = height_at(p, n, t->slope, t->end_time);
    t->span_s = p[n - 1].time - p[0].time;
    t->z = sd > 0 ? (s - (s > 0) + (s < 0)) / sd : 0;
    return true;
}
