/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an hour was like on the last days, for the 24 hours behind a series at once: the hours of a
 * day lie side by side, so days are compared as vectors.
 */
#ifndef GS_FORECAST_DAYS_H
#define GS_FORECAST_DAYS_H

#include <stddef.h>

#include "common/forecast/series.h"

/* More days than that are not asked for. */
enum { DAYS_MAX = 14 };

/*
 * The Q-quantile, as series_quantile() has it, of the same hour of the last DAYS whole days of S,
 * or of as many as it has, into OUT; 0 if it has none.  DAYS ≤ DAYS_MAX.
 */
void days_quantile(struct series s, size_t days, double q, double out[HOURS_A_DAY]);

#endif
