/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logarithms of whole arrays, many at a time: log(1 + y / unit), which an idle hour has, too, and
 * back.  Right to some 1e-15 (floats: 1e-7), relative or absolute, whichever is larger.
 */
#ifndef GS_FORECAST_LOGS_H
#define GS_FORECAST_LOGS_H

#include <stddef.h>

/* X = log(1 + Y / UNIT) of N values; Y and UNIT are finite, Y ≥ 0, UNIT > 0.  0 stays 0. */
void logs_of(const double *y, size_t n, double unit, double *x);

/* The inverse, in place; nothing gets negative, and no X counts as more than 300. */
void logs_back(double *x, size_t n, double unit);

/* X = log(1 + X), of floats, in place; X ≥ 0 and at most 1e38. */
void logs_floats(float *x, size_t n);

#endif
