/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The benefit of a move, and whether a gateway has to be left. */
#ifndef GS_PLAN_SCORE_H
#define GS_PLAN_SCORE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/plan/fleet.h"
#include "common/plan/limits.h"

/* The terms of a move of one volume; NaN where one is not known. */
struct plan_score {
    double source_ghs;
    double target_ghs;
    double source_das; /* as recorded; NaN: no record, then 0.5 stands in the benefit */
    double target_das;
    double benefit;  /* GHS(t) - GHS(s) + DAS(v,t); NaN without both healths */
    double reverse;  /* GHS(s) - GHS(t) + DAS(v,s) */
    double handicap; /* of a target among others: so much less is the benefit worth; mostly 0 */
};

struct plan_score plan_score(const struct plan_fleet *f, size_t volume, size_t target);

/*
 * As if TARGET had the highest DAS of all for VOLUME.  With the healthiest gateway as TARGET no
 * target's benefit is higher, to the bit, nor any that is less the reverse.
 */
struct plan_score plan_score_most(const struct plan_fleet *f, size_t volume, size_t target);

/*
 * The same for N > 0 volumes on one gateway that move together.  Their DAS is that of one volume
 * with the demand of all: the mean, weighted by the requests predicted (plain where none are);
 * NaN if one is not known.
 */
struct plan_score plan_score_joint(const struct plan_fleet *f, const size_t *volumes, size_t n,
                                   size_t target);

/*
 * What candidates and volumes are ranked by: the benefit, a source of unknown health taken as
 * healthy (it is the same for each candidate of a volume), less the handicap.  -INFINITY without
 * the target's health.
 */
double plan_score_rank(const struct plan_score *s);

/* What each request is better off by the move: GHS(t) - GHS(s) + DAS(v,t) - DAS(v,s); or NaN. */
double plan_score_gain(const struct plan_score *s);

/* Why volumes must leave a gateway. */
enum plan_cause {
    PLAN_CAUSE_NONE,
    PLAN_CAUSE_DOWN,     /* its state, on shared storage: nothing has to be copied from it */
    PLAN_CAUSE_DRAIN,    /* its state */
    PLAN_CAUSE_CRITICAL, /* GHS < critical */
    PLAN_CAUSE_P_FAIL,   /* p_fail > p_fail_limit */
};

/*
 * A silent gateway is not left for its silence: its clients may be served well while only the
 * probe's way to it is broken, and nothing the planner is given tells the two apart.
 */
enum plan_cause plan_cause(const struct plan_gateway *g, const struct plan_limits *lim);

/* A > B by more than the rounding of sums of 4-decimal terms. */
bool plan_exceeds(double a, double b);

/* Requests a second that VOLUME brings at its peak: peak_factor * requests / horizon; 0 unknown. */
double plan_peak(const struct plan_volume *v, const struct plan_limits *lim);

#endif
