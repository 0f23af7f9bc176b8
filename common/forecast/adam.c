/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/adam.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/forecast/vecmath.h"

static const double beta_m = 0.9, beta_v = 0.999;
static const float least_root = 1e-8f;

/* The average's memory: of 200 steps, of fewer at first. */
static const double average_most = 0.995;

struct coefficients {
    float gradient, rate, decay, m, v, average;
};

int adam_init(struct adam *a, size_t n)
{
    *a = (struct adam){.n = n};
    float **const all[] = {&a->weight, &a->average, &a->m, &a->v};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = calloc(n, sizeof(float));
        if (!*all[i]) {
            adam_release(a);
            return -ENOMEM;
        }
    }
    return 0;
}

void adam_release(struct adam *a)
{
    free(a->weight);
    free(a->average);
    free(a->m);
    free(a->v);
    *a = (struct adam){0};
}

VEC_CLONES
static float square_sum(size_t n, const float *restrict g)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += g[i] * g[i];
    return sum;
}

VEC_CLONES
static void step_all(size_t n, struct coefficients k, const float *restrict g, float *restrict w,
                     float *restrict average, float *restrict m, float *restrict v)
{
    const float beta_1 = (float)beta_m, beta_2 = (float)beta_v;
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float d = k.gradient * g[i];
        m[i] = beta_1 * m[i] + (1 - beta_1) * d;
        v[i] = beta_2 * v[i] + (1 - beta_2) * d * d;
        float next = w[i] - k.decay * w[i] - k.rate * m[i] * k.m / (sqrtf(v[i] * k.v) + least_root);
        w[i] = next;
        average[i] = k.average * average[i] + (1 - k.average) * next;
    }
}

void adam_step(struct adam *a, float *gradient, double rate, double decay)
{
    double length = sqrt(square_sum(a->n, gradient)), n = (double)++a->step;
    struct coefficients k = {
        .gradient = length > 1 ? (float)(1 / length) : 1,
        .rate = (float)rate,
        .decay = (float)(rate * decay),
        .m = (float)(1 / (1 - pow(beta_m, n))),
        .v = (float)(1 / (1 - pow(beta_v, n))),
        .average = (float)fmin(average_most, n / (n + 9)),
    };
    step_all(a->n, k, gradient, a->weight, a->average, a->m, a->v);
}
