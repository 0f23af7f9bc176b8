/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/logs.h"

#include "common/forecast/vecmath.h"

static const double most = 300;

VEC_CLONES
void logs_of(const double *restrict y, size_t n, double unit, double *restrict x)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_log_wide(1 + y[i] / unit);
}

VEC_CLONES
void logs_back(double *x, size_t n, double unit)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        double at = x[i] < 0 ? 0 : x[i];
        x[i] = unit * (vec_exp_wide(at < most ? at : most) - 1);
    }
}

VEC_CLONES
void logs_floats(float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        x[i] = vec_log(1 + x[i]);
}
