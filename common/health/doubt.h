/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Samples that can't be what they say. */
#ifndef GS_HEALTH_DOUBT_H
#define GS_HEALTH_DOUBT_H

#include <stdbool.h>

#include "common/health/limits.h"
#include "common/health/signal.h"

/*
 * Whether VALUE is no measurement of METRIC: a time, rate, ratio or counter (by its name's ending,
 * _us, _rate, _ratio, _total) that is negative.
 */
bool health_impossible(const char *metric, double value);

/*
 * Whether the present value of S, a time (_us) that is the worse the longer, is less than a
 * 500th of its long-term mean, and was so on no day before: nothing gets so much faster, but a
 * metric that is now told in milliseconds looks like it.  A rise as large is believed, as it may be
 * a failure; so is all of the first day, when little is known of the metric.
 */
bool health_doubtful(const struct signal *s, const struct health_limit *l);

#endif
