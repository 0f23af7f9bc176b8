/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data affinity (DAS) of a volume on a gateway: how close the gateway is to the clients that are
 * predicted to use the volume, 0 … 1:
 *
 *     DAS(v, g) = Σ_c demand(v, c) · closeness(c, g) / Σ_c demand(v, c)
 *     closeness(c, g) = (L + min_g' rtt(c, g')) / (L + rtt(c, g))
 */
#ifndef GS_AFFINITY_SCORE_H
#define GS_AFFINITY_SCORE_H

#include <stdbool.h>
#include <stddef.h>

/* DAS where nothing is known. */
#define SCORE_NEUTRAL 0.5

/*
 * Closeness of one client site to N gateways, into OUT.  RTT_US holds round-trip times, NaN where
 * no row says: such a gateway counts as the farthest known one.  Where none is known, SAME_SITE
 * decides: 1 in the client's own site, else SCORE_NEUTRAL.  SCALE_US is L (> 0): differences well
 * below it do not count.
 */
void score_closeness(const double *rtt_us, const bool *same_site, size_t n, double scale_us,
                     double *out);

/* Sites' DEMAND and their CLOSENESS to one gateway to its DAS; SCORE_NEUTRAL without demand. */
double score_das(const double *demand, const double *closeness, size_t n_sites);

/*
 * The demand from FROM_S to TO_S, in seconds from the start of HOURLY[0]; hours that lie partly
 * within count in proportion.
 */
double score_window(const double *hourly, size_t n, double from_s, double to_s);

#endif
