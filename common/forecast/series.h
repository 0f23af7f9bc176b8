/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hourly series of demand, and the measures by which a forecast of one is judged. */
#ifndef GS_FORECAST_SERIES_H
#define GS_FORECAST_SERIES_H

#include <stddef.h>
#include <stdint.h>

enum { HOURS_A_DAY = 24, HOURS_A_WEEK = 168 };

/* N hourly values, none negative; Y is borrowed. */
struct series {
    const double *y;
    size_t n;
    int64_t start; /* hours since the epoch of y[0]: the phase of its seasons */
};

/* The first N hours of S. */
struct series series_head(struct series s, size_t n);
/* The last N hours of S, all if there are no more. */
struct series series_tail(struct series s, size_t n);

/* The phase (0 … PERIOD − 1) of the hour I of S; I may lie behind its end. */
size_t series_phase(struct series s, size_t i, size_t period);

/* Mean of N values; 0 if N is 0. */
double series_mean(const double *y, size_t n);
/* The highest of N values; 0 if N is 0. */
double series_most(const double *y, size_t n);
/* Median of N values, which are put in order; 0 if N is 0. */
double series_median(double *y, size_t n);
/* The Q-quantile (0 … 1) of N > 0 ascending values, interpolated (Hyndman and Fan's type 7). */
double series_quantile(const double *sorted, size_t n, double q);
/* Puts N values in ascending order. */
void series_sort(double *y, size_t n);

/*
 * The scale of MASE: the mean absolute difference of S from itself LAG hours before (Hyndman and
 * Koehler 2006).  0 if there is none: S is constant, or not longer than LAG.
 */
double series_naive_error(struct series s, size_t lag);

/* Symmetric absolute percentage error of one hour, 0 … 200, as the M4 competition has it. */
double series_smape(double actual, double forecast);

#endif
