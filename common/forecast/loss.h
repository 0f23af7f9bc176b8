/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the nets are trained for: half the symmetric percentage error and half the scaled absolute
 * error (MASE), each over what the M4 competition's Naive 2 has on hourly series (Makridakis et
 * al., The M4 Competition, IJF 36, 2020), so that neither owns the gradient.
 */
#ifndef GS_FORECAST_LOSS_H
#define GS_FORECAST_LOSS_H

#include <stddef.h>

/*
 * One row of N hours: BASE + Y is the logarithm of 1 + the forecast, ACTUAL what happened, both in
 * the series' unit; SCALED: the weight of an absolute error of one unit.  DY: derivatives by Y
 * times WEIGHT.  Returns the sum of the loss over the row.
 */
float loss_row(size_t n, const float *base, const float *y, const float *actual, float scaled,
               float weight, float *dy);

/* The weight of absolute errors in a series whose same hour of two days differs by SCALE units. */
float loss_scaled(double scale);

#endif
