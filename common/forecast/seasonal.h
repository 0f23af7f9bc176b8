/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Double-seasonal exponential smoothing with an AR(1) remainder: Taylor, "Short-term electricity
 * demand forecasting using double seasonal exponential smoothing", JORS 54 (2003), in its additive
 * form, on the values themselves or on their logarithms:
 *
 *     x(t) = level + trend + day[t mod 24] + week[t mod 168] + r(t),   r(t) ~ ar · r(t − 1)
 */
#ifndef GS_FORECAST_SEASONAL_H
#define GS_FORECAST_SEASONAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/forecast/series.h"

/* What the search finds and a caller may store. */
struct seasonal_params {
    double level, trend, day, week; /* smoothing, 0 … 1; trend and week may be 0: not used */
    double ar;                      /* of the remainder, 0 … 1 */
    double keep_week;               /* 0 … 1: how much of the first weeks' pattern is believed */
    bool log;                       /* works on log(1 + y) */
    bool weekly;                    /* has a week[]; else 24 hours only */
};

/* The shortest series each kind can be fitted to: one period to begin with, one to judge by. */
enum { SEASONAL_DAILY_MIN = 2 * HOURS_A_DAY, SEASONAL_WEEKLY_MIN = 2 * HOURS_A_WEEK };

/* What a run over a series leaves behind: enough to forecast from its end. */
struct seasonal_state {
    double level, trend; /* level: of the hour to come, with the trend as it is */
    double rest;         /* the last hour's remainder */
    double day[HOURS_A_DAY];
    double week[HOURS_A_WEEK];
};

struct seasonal_search {
    bool log, weekly;
    uint64_t seed;
    unsigned tries; /* of parameters, at least 1; the time taken is proportional */
    size_t horizon; /* hours ahead whose mean absolute error is minimised */
    size_t origins; /* … from so many points, */
    size_t step;    /* … so many hours apart, the last HORIZON before the end */
};

/*
 * Finds parameters for S, of at least SEASONAL_WEEKLY_MIN or _DAILY_MIN hours.  Deterministic.
 * 0 or -ENOMEM; -EDOM: S is too short.
 */
int seasonal_fit(struct series s, const struct seasonal_search *how, struct seasonal_params *out);

/*
 * Runs over S with P and forecasts the H hours behind it into OUT, none negative.  0, -ENOMEM, or
 * -EDOM: S is too short.
 */
int seasonal_forecast(struct series s, const struct seasonal_params *p, size_t h, double *out);

/*
 * As seasonal_forecast() from each of N points in one run: from the first ORIGIN[j] hours of S into
 * OUT + j · H.  The origins ascend and none lies behind the end of S.
 */
int seasonal_rolling(struct series s, const struct seasonal_params *p, const size_t *origin,
                     size_t n, size_t h, double *out);

/* As seasonal_rolling() with P into OUT_P and with Q into OUT_Q, in about the time of one. */
int seasonal_rolling_two(struct series s, const struct seasonal_params *p,
                         const struct seasonal_params *q, const size_t *origin, size_t n, size_t h,
                         double *out_p, double *out_q);

#endif
