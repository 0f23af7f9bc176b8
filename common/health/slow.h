/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a time (_us) has become much longer than it ever usually is, whatever its limits: what
 * clients feel is that they wait twice as long, wherever they were.
 */
#ifndef GS_HEALTH_SLOW_H
#define GS_HEALTH_SLOW_H

#include "common/health/limits.h"
#include "common/health/signal.h"

/*
 * How much so, 0 … 1, by the median of the newest points of S that span five minutes: the lesser
 * of how far, in logarithms, it is between 1.5 times and twice the mean of two days, and between
 * 1.3 and 1.5 times the worst of the days before.  0 if more than one of those points is within
 * that worst, for metrics that are no times, and while no whole day was seen: it may be the
 * morning.
 *
 * The worst of the days before is their second-highest highest point.  Days on which it went beyond
 * warn were no usual ones, unless most were: then it is warn.
 */
double health_slow(const struct signal *s, const struct health_limit *l);

#endif
