/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The slope of a few points, such that a minority of wild ones does not matter. */
#ifndef GS_HEALTH_TREND_H
#define GS_HEALTH_TREND_H

#include <stdbool.h>
#include <stddef.h>

/* A value at a time (Unix seconds). */
struct health_point {
    double time;
    double value;
};

/* No more points than this go into one trend. */
enum { TREND_POINTS_MAX = 24 };

/* The line through a window of points. */
struct health_trend {
    double slope;     /* a second: the median of the slopes of all pairs (Theil 1950, Sen 1968) */
    double slope_low; /* its 68 % interval (Sen 1968, section 6) */
    double slope_high;
    double end_time;    /* of the last point */
    double end_value;   /* of the line, there */
    double start_value; /* of the first point */
    double span_s;      /* from the first point to the last */
    double z;           /* Mann-Kendall statistic, ties counted as such: how sure a trend is, in
                          standard deviations; its sign is the direction */
};

/*
 * Fits the N points P, in order of their strictly growing times, N at most TREND_POINTS_MAX.
 * False, and *T untouched, if |z| is less than Z_MIN, or if there are fewer than 8 points: too few
 * for z to be more than 3.
 */
bool health_trend_fit(const struct health_point *p, size_t n, double z_min, struct health_trend *t);

#endif
