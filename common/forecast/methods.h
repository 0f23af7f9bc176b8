/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The forecasts that a model's baseline is mixed from (mixture.h). */
#ifndef GS_FORECAST_METHODS_H
#define GS_FORECAST_METHODS_H

#include <stddef.h>

#include "common/forecast/model.h"
#include "common/forecast/series.h"

/* Older hours cost time and say nothing of the next days. */
enum { METHODS_HISTORY = 13 * HOURS_A_WEEK };

/*
 * Forecasts S by each method whose WEIGHT is positive, with the parameters of M (of kind
 * MODEL_DAILY or _WEEKLY), from each of N points as seasonal_rolling() has them, into
 * OUT[method][point][hour]. 0, -ENOMEM or -EDOM.
 */
int methods_each(const struct model *m, const double *weight, struct series s, const size_t *origin,
                 size_t n, size_t h, double *out);

/*
 * The baseline of M, of any kind, from each of N points of S, into OUT[point][hour]; the origins
 * ascend and none lies behind the end of S.  0, -ENOMEM or -EDOM.
 */
int methods_mixed(const struct model *m, struct series s, const size_t *origin, size_t n, size_t h,
                  double *out);

#endif
