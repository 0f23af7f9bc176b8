/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What model.c shares with its back-test and with the training of many series. */
#ifndef GS_FORECAST_MODEL_PRIVATE_H
#define GS_FORECAST_MODEL_PRIVATE_H

#include <stdbool.h>

#include "common/forecast/model.h"

/*
 * The share of errors that a band holds, so that 80 % of the hours to come lie in it, where there
 * are too few series to find it: errors of hours side by side are correlated, so that the range
 * which held 80 % of two weeks' errors holds less of the next days'.
 */
extern const double model_share;

/* Which of the bands an hour LEAD ≥ 1 hours ahead belongs to. */
size_t model_band_of(size_t lead);

/* As model_kind_for(), with last and mean told apart by what predicted the next hour better. */
enum model_kind model_kind_of(struct series s);

/* Is a part of M, of kind MODEL_DAILY or _WEEKLY, a smoothing, which needs parameters? */
bool model_smooths(const struct model *m);

/* Lets BASE, what the methods say of the next MODEL_NET_HOURS, listen to NET as far as M does. */
void model_mix(const struct model *m, const double *net, double *base);

/* Finds the smoothing parameters of M, of kind MODEL_DAILY or _WEEKLY, on S.  0 or -ENOMEM. */
int model_fit_seasonal(struct series s, uint64_t seed, struct model *m);

#endif
