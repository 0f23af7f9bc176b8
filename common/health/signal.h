/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is remembered of one metric of one gateway: bounded memory and time a sample, and the same
 * state whether the samples came in one run or in many.
 */
#ifndef GS_HEALTH_SIGNAL_H
#define GS_HEALTH_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/health/trend.h"

enum {
    SIGNAL_RECENT = 16, /* raw samples kept */
    SIGNAL_LEVELS = 6,  /* windows, each four times as long as the one below it: at a sample
                           every 10 s from 4 minutes to 2.8 days */
    SIGNAL_FOLD = 4,    /* points of a level that make one of the next */
    SIGNAL_DAYS = 8,    /* today and the week before it */
};

/*
 * Flap damping: the present value goes up only as far as M of the last N samples are, and down in
 * the same way.  So M of N samples beyond a limit are needed to enter, and M of N before it to
 * leave, whatever the limit.  N / 2 < M <= N <= SIGNAL_RECENT; the least majority of an odd N is
 * the median.
 */
struct signal_damping {
    unsigned m;
    unsigned n;
};

#define SIGNAL_DAMPING_DEFAULT                                                                     \
    {                                                                                              \
        .m = 4, .n = 5                                                                             \
    }

/* A window of points, oldest first, and the sums of the next level's point in the making. */
struct signal_level {
    struct health_point points[TREND_POINTS_MAX];
    unsigned n;
    unsigned folded; /* points in the sums: fewer than SIGNAL_FOLD */
    double time_sum;
    double value_sum;
};

/* The extremes of one UTC day, over points of the second level. */
struct signal_day {
    double number; /* days since 1970 */
    double low;
    double high;
};

/* Zero-initialised it has seen nothing. */
struct signal {
    uint64_t n; /* samples taken */
    double first;
    double last;
    double interval_s; /* usual time between samples: a running mean, gaps clipped */
    double held;       /* the present value */
    double mean;       /* of the long term (2 days): wild samples are clipped before they count */
    double dev;        /* mean absolute deviation from it */
    /* The gain that this time between samples has, which mostly is the last one's; not saved. */
    double gain_elapsed_s, gain;
    unsigned n_days;
    double recent[SIGNAL_RECENT]; /* oldest first; min(n, SIGNAL_RECENT) of them */
    struct signal_level
        levels[SIGNAL_LEVELS];           /* from here on, all but the first are seldom touched */
    struct signal_day days[SIGNAL_DAYS]; /* newest first */
};

/*
 * Takes a sample, damped by D.  False if it is not later than the last one (a duplicate, or late):
 * nothing is changed then, as a median of the past can't be told anew.  *CHANGED, unless NULL, gets
 * a bit for each level with a new point.
 */
bool signal_add(struct signal *s, const struct signal_damping *d, double time, double value,
                unsigned *changed);

/* The present value, damped; of fewer samples than damping looks at a majority is enough. */
double signal_now(const struct signal *s);

/* The mean of the last eight points of the lowest level: for comparison with s->mean. */
double signal_short_mean(const struct signal *s);

/* A standard deviation from s->dev, at least FLOOR. */
double signal_sd(const struct signal *s, double floor);

/*
 * The range that days before today had (their second-widest extremes, so that one bad day does
 * not hide the next).  False while the signal has not been watched for a whole day: whether a rise
 * belongs to the daily rhythm can't be said then.
 */
bool signal_usual(const struct signal *s, double *low, double *high);

#endif
