/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The probability that a metric reaches its critical limit, from its level, drift and trends. */
#ifndef GS_HEALTH_FAILURE_H
#define GS_HEALTH_FAILURE_H

#include "common/health/excess.h"
#include "common/health/limits.h"
#include "common/health/signal.h"

/* What speaks for a failure; the probabilities are 0 … 1. */
struct health_risk {
    double p;     /* the five below joined, as if independent */
    double level; /* the value lies between warn and critical, or beyond */
    double drift; /* the short mean has left the long one */
    double trend; /* a line reaches critical within the horizon */
    double value; /* present value */
    double usual; /* long-term mean */
    double burst; /* it went beyond warn again and again of late */
    double slow;  /* a time has become longer than on any usual day (slow.h), or at its load … */
    double times; /* … in which case (excess.h) it is so many times as long; else 0 */
    double reach_s;     /* time from NOW until the most probable trend reaches critical; INFINITY */
    double reach_low_s; /* its interval, from that of the slope */
    double reach_high_s;
    double since; /* that trend: when and where it was first seen */
    double since_value;
    bool by_load; /* the gateway's load explains the value */
};

/* The lines of those levels of a signal that show a trend. */
struct health_trends {
    struct health_trend line[SIGNAL_LEVELS];
    bool known[SIGNAL_LEVELS];
};

/*
 * Do trends make a difference to health_risk() now?  Not while the signal is where it was on other
 * days: then it need not be given them up to date.
 */
bool health_trends_matter(const struct signal *s, const struct health_limit *l);

/* Fits anew the levels in the mask CHANGED (signal_add). */
void health_trends_update(struct health_trends *t, const struct signal *s, unsigned changed);

/*
 * The risk at time NOW, within HORIZON_S; BURSTS is what health_bursts_add() made.
 *
 * A trend that has been seen for a time S is believed for at most 6 S ahead, with a trust that
 * falls linearly; only what lies above the range of the days before counts, and the samples of late
 * with it, so that a repair ends it; and as long as no whole
 * day was seen, windows of more than 2 h do not count, for the rise may be the morning's.
 *
 * All but a level at critical is shrunk by n / (n + 8) for n samples: to no risk, which is what
 * most gateways have at most times.
 */
struct health_risk health_risk(const struct signal *s, const struct health_trends *t,
                               const struct health_limit *limit, double bursts, double now,
                               double horizon_s);

/*
 * Joins what E tells of S to its risk R: the greater of it and R->slow counts, or E alone where the
 * load explains what is slow.  Below critical neither drift nor trend count then: what rises with
 * the load does so no further than the load, and two busy gateways would push their volumes at each
 * other for it.
 */
void health_risk_excess(struct health_risk *r, const struct signal *s, const struct excess *e,
                        const struct health_limit *limit);

/*
 * The share of the last hour's samples that were more than half of the way from warn to critical,
 * as a running mean: *BURSTS takes VALUE, which is the newest of S, ELAPSED_S after the sample
 * before it.  When all that S keeps of its samples is well, or all is bad, it fades in ten minutes.
 */
void health_bursts_add(double *bursts, const struct signal *s, const struct health_limit *limit,
                       double value, double elapsed_s);

#endif
