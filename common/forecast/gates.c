/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/gates.h"

#include "common/forecast/vecmath.h"

VEC_CLONES
static void forward_row(size_t n, float *restrict z, const float *restrict before,
                        float *restrict c, float *restrict tanh_c, float *restrict h)
{
#pragma omp simd
    for (size_t j = 0; j < n; j++) {
        float in = vec_sigmoid(z[j]), forget = vec_sigmoid(z[n + j]);
        float candidate = vec_tanh(z[2 * n + j]), out = vec_sigmoid(z[3 * n + j]);
        float cell = in * candidate + forget * before[j];
        float t = vec_tanh(cell);
        z[j] = in;
        z[n + j] = forget;
        z[2 * n + j] = candidate;
        z[3 * n + j] = out;
        c[j] = cell;
        tanh_c[j] = t;
        h[j] = out * t;
    }
}

VEC_CLONES
static void backward_row(size_t n, float *restrict z, const float *restrict before,
                         const float *restrict tanh_c, const float *restrict dh, float *restrict dc)
{
#pragma omp simd
    for (size_t j = 0; j < n; j++) {
        float in = z[j], forget = z[n + j], candidate = z[2 * n + j], out = z[3 * n + j];
        float t = tanh_c[j];
        float cell = dc[j] + dh[j] * out * (1 - t * t);
        z[j] = cell * candidate * in * (1 - in);
        z[n + j] = cell * before[j] * forget * (1 - forget);
        z[2 * n + j] = cell * in * (1 - candidate * candidate);
        z[3 * n + j] = dh[j] * t * out * (1 - out);
        dc[j] = cell * forget;
    }
}

void gates_forward(size_t rows, size_t n, float *z, const float *c_before, float *c, float *tanh_c,
                   float *h)
{
    for (size_t i = 0; i < rows; i++)
        forward_row(n, z + i * 4 * n, c_before + i * n, c + i * n, tanh_c + i * n, h + i * n);
}

void gates_backward(size_t rows, size_t n, float *z, const float *c_before, const float *tanh_c,
                    const float *dh, float *dc)
{
    for (size_t i = 0; i < rows; i++)
        backward_row(n, z + i * 4 * n, c_before + i * n, tanh_c + i * n, dh + i * n, dc + i * n);
}
