/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How unlike itself a gateway is: all its metrics together, one round of samples after another. */
#ifndef GS_HEALTH_CONSENSUS_H
#define GS_HEALTH_CONSENSUS_H

#include <stdint.h>

enum { CONSENSUS_RECENT = 5 };

/* Zero-initialised it has seen nothing. */
struct consensus {
    uint64_t n;   /* rounds that count */
    double first; /* time of the first round */
    double last;
    double mean; /* of what rounds come to; wild ones are clipped before they count */
    double var;
    double
        recent[CONSENSUS_RECENT]; /* rounds, in standard deviations above the mean; newest last */
};

/*
 * Takes a round that ended at TIME: MEAN_Z is the mean over its metrics of |z|, as anomaly_add()
 * leaves it.  The first day only teaches.
 */
void consensus_add(struct consensus *c, double time, double mean_z);

/*
 * How unusual the last round is, 0 … 1, on the scale of anomaly_add(): four standard deviations
 * are ANOMALY_THRESHOLD.
 */
double consensus_score(const struct consensus *c);

/* The same, but as far as three of the last five rounds agree on it: one wild round is nothing. */
double consensus_steady(const struct consensus *c);

#endif
