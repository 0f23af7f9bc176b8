/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How good probabilities of failure were, when it is known what happened. */
#ifndef GS_HEALTH_GRADE_H
#define GS_HEALTH_GRADE_H

#include <stdbool.h>
#include <stddef.h>

enum { GRADE_BINS = 10 };

/* An alarm must come so long before a failure for its volumes to be moved. */
#define GRADE_MOVE_S 1800.0

/* What can be known of a moment afterwards. */
enum grade_truth { GRADE_HEALTHY, GRADE_FAILS, GRADE_UNKNOWN };

/* What was predicted for a gateway at a time. */
struct grade_point {
    size_t gateway;
    double time;
    double p;
    bool alarm;
    enum grade_truth truth; /* whether it failed within the horizon */
};

struct grade_failure {
    size_t gateway;
    double time;
};

struct grade {
    size_t failures;
    size_t alarms;      /* beginnings of alarms, of which is known what followed */
    size_t true_alarms; /* a failure followed within the horizon */
    size_t met;         /* failures with an alarm within the horizon before them */
    size_t moved;       /* of these: at least GRADE_MOVE_S before */
    size_t healthy;     /* gateways that did not fail */
    size_t mismoved;    /* of these: with an alarm */
    double lead_p10_s;  /* of the failures met; NaN: none */
    double lead_median_s;
    size_t known; /* points that are not unknown */
    double brier; /* their mean squared error; NaN: none */
    struct {
        size_t n;
        size_t failed;
    } bins[GRADE_BINS]; /* of p: [0, 0.1), … [0.9, 1] */
};

/*
 * What is true of GATEWAY at TIME: fails, if one of the N failures F is within (TIME, TIME +
 * HORIZON_S]; unknown, if one of the N_OTHERS planned outages and evacuations is there, or a
 * failure was in the hour before, or END, up to which is known what happened, comes too early;
 * else healthy.
 */
enum grade_truth grade_truth(const struct grade_failure *f, size_t n,
                             const struct grade_failure *others, size_t n_others, size_t gateway,
                             double time, double horizon_s, double end);

/*
 * Grades the N points P, those of a gateway in order of time, with the failures F; alarms less than
 * an hour apart are one.  0 or -ENOMEM.
 */
int grade_points(const struct grade_point *p, size_t n, const struct grade_failure *f,
                 size_t n_failures, double horizon_s, struct grade *out);

#endif
