/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One forecast of several methods'.  Each weighs as much as it has been right; the forecast lies
 * half way between their weighted mean and their weighted median.  The median is what has the least
 * absolute error, and is not moved by one method that has lost its way; the mean keeps apart hours
 * that most methods find equally idle.
 */
#ifndef GS_FORECAST_MIXTURE_H
#define GS_FORECAST_MIXTURE_H

#include <stddef.h>

enum { MIXTURE_MOST = 8 };

/*
 * Weights of N ≤ MIXTURE_MOST methods whose sums of absolute errors over the same hours, of so many
 * WINDOWS of two days, are ERROR: into WEIGHT; their sum is 1, and those that would be small are 0.
 */
void mixture_weigh(const double *error, size_t n, double windows, double *weight);

/*
 * The forecast by WEIGHT of each of CELLS hours, of N ≤ MIXTURE_MOST methods' EACH[method][cell],
 * into OUT.  What a method of weight 0 says does not matter.
 */
void mixture_of(const double *each, const double *weight, size_t n, size_t cells, double *out);

#endif
