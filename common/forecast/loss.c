/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/loss.h"

#include "common/forecast/vecmath.h"

static const float naive_smape = 18.383f;
static const float naive_mase = 2.395f;

/*
 * Without a bound, series that hardly change from day to day would own the gradient.  A unit is a
 * tenth of the mean, so this stands for a change by 5 %.
 */
static const float scaled_most = 2;

/* Percentages of almost nothing say nothing: so many units are added to the size. */
static const float least_size = 0.02f;

float loss_scaled(double scale)
{
    return scale * (double)scaled_most > 1 ? (float)(1 / scale) : scaled_most;
}

VEC_CLONES
float loss_row(size_t n, const float *restrict base, const float *restrict y,
               const float *restrict actual, float scaled, float weight, float *restrict dy)
{
    float sum = 0, by_mase = 0.5f * scaled / naive_mase;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) {
        float e = vec_exp(vec_clamp(base[i] + y[i], -20, 60));
        float f = e > 1 ? e - 1 : 0, a = actual[i];
        float error = f - a, size = f + a + least_size;
        float sign = error > 0 ? 1.0f : -1.0f;
        float by_smape = 100 / naive_smape / size;
        sum += sign * error * (by_smape + by_mase);
        dy[i] = weight * e * (sign * (by_smape + by_mase) - by_smape * sign * error / size);
    }
    return sum;
}
