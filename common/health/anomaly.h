/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How unlike itself a metric is, without limits and without being told what to look for.
 *
 * Seven signals, each a distance from what was: of the sample from its hour (rhythm.h), plain and
 * in the hour's own spread; from the last ten; of the mean of the last thirty from that of the
 * week; of the shape of the last eight from all shapes kept; of the spread of late from that of
 * long; and how long nothing has moved.  Each is compared with its own record: a slowly fading
 * blend of its largest past values, up and down apart.  What counts is the largest ratio, so that
 * it means the same on every metric.
 */
#ifndef GS_HEALTH_ANOMALY_H
#define GS_HEALTH_ANOMALY_H

#include <stdint.h>

#include "common/health/rhythm.h"

enum {
    ANOMALY_RECENT = 30, /* samples kept */
    ANOMALY_SIGNALS = 7,
    ANOMALY_SHAPES = 32, /* remembered shapes … */
    ANOMALY_SHAPE = 8,   /* … of so many samples */
};

/* Of a score, from here on it is told: fixed, and the same for every metric. */
#define ANOMALY_THRESHOLD 0.56

/* Zero-initialised it has seen nothing. */
struct anomaly {
    uint64_t n; /* samples taken */
    double last;
    uint32_t n_shapes;
    uint32_t next_shape; /* to be replaced, once the stride grows no more */
    uint32_t stride;     /* samples from shape to shape */
    double step_short;   /* mean square of the steps, of late and of long */
    double step_long;
    double still; /* samples since the last that moved */
    double records[ANOMALY_SIGNALS][2];
    double rest_until; /* time, and number of samples, to which scores stay below the threshold */
    double rest_samples;
    double z; /* of the last sample: standard deviations off its hour, at most 8 each way */
    double recent[ANOMALY_RECENT]; /* oldest first, the newest at the end */
    /* Of each shape the newest sample, then of each the one before it, and so on. */
    float shapes[ANOMALY_SHAPE][ANOMALY_SHAPES];
    struct rhythm rhythm; /* last: the rest is touched by each sample */
};

/*
 * Takes a sample, later than all before it, and returns its anomaly score, 0 … 1: r / (1 + r) for
 * r times the record.  The first thirty score 0.  After a score over ANOMALY_THRESHOLD there is a
 * rest, of 3.6 % of the samples so far and at most two days, in which scores are at most 0.5: an
 * event is told once.
 */
double anomaly_add(struct anomaly *a, double time, double value);

/*
 * The same, but for the score and what only scores are made of: N, LAST, Z and RHYTHM are kept.  A
 * fraction of the work, for those who ask for no score of A's, then and later.
 */
void anomaly_follow(struct anomaly *a, double time, double value);

/* SDS >= 0 standard deviations on the same scale: four are ANOMALY_THRESHOLD. */
double anomaly_of_sds(double sds);

#endif
