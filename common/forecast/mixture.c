/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/mixture.h"

#include <math.h>
#include <string.h>

#include "common/forecast/vecmath.h"

/*
 * Errors that two days are worth.  If absolute errors are exponentially distributed, of a scale
 * that nobody knows, then what N independent ones say for a method is their mean to the power −N.
 * Hours side by side are not independent: 48 of them say as much as this.  1 and 2 do as well.
 */
static const double errors_a_window = 1.5;

/* A part of the mixture that is not worth its computing. */
static const double least_weight = 0.05;

static void divide_by_sum(double *weight, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += weight[k];
    for (size_t k = 0; k < n; k++)
        weight[k] /= sum;
}

void mixture_weigh(const double *error, size_t n, double windows, double *weight)
{
    double least = INFINITY;
    for (size_t k = 0; k < n; k++)
        least = fmin(least, error[k]);
    for (size_t k = 0; k < n; k++)
        weight[k] = error[k] <= least ? 1 : pow(least / error[k], errors_a_window * windows);
    divide_by_sum(weight, n);
    for (size_t k = 0; k < n; k++)
        if (weight[k] < least_weight)
            weight[k] = 0;
    divide_by_sum(weight, n);
}

/* Hours that are mixed side by side. */
enum { SIDE = 24 };

/* What the methods say, and each one's weight: as rows, in any order. */
struct block {
    double value[MIXTURE_MOST][SIDE], weight[MIXTURE_MOST][SIDE];
    size_t rows;
};

/*
 * Puts each column in order of its values: neighbours change places, even and odd ones in turn, as
 * many times as there are rows (Knuth 5.3.4); by way of a copy, since what is stored only where it
 * changes is stored slowly.
 */
VEC_PART void order_columns(struct block *b)
{
    for (size_t pass = 0; pass < b->rows; pass++)
        for (size_t r = pass % 2; r + 1 < b->rows; r += 2) {
            double *restrict v = b->value[r], *restrict u = b->value[r + 1];
            double *restrict w = b->weight[r], *restrict x = b->weight[r + 1];
            double low[SIDE], high[SIDE], of_low[SIDE], of_high[SIDE];
#pragma omp simd
            for (size_t i = 0; i < SIDE; i++) {
                low[i] = v[i] <= u[i] ? v[i] : u[i];
                high[i] = v[i] <= u[i] ? u[i] : v[i];
                of_low[i] = v[i] <= u[i] ? w[i] : x[i];
                of_high[i] = v[i] <= u[i] ? x[i] : w[i];
            }
            memcpy(v, low, sizeof(low));
            memcpy(u, high, sizeof(high));
            memcpy(w, of_low, sizeof(low));
            memcpy(x, of_high, sizeof(high));
        }
}

/*
 * The weighted median, interpolated: each value stands at the middle of its weight, and the value
 * at one half is asked for.
 */
VEC_CLONES
static void mix(struct block *b, double *restrict out)
{
    double mean[SIDE], median[SIDE], at[SIDE];
    order_columns(b);
    for (size_t i = 0; i < SIDE; i++) {
        median[i] = b->value[0][i];
        mean[i] = b->weight[0][i] * median[i];
        at[i] = b->weight[0][i] / 2;
    }
    for (size_t r = 1; r < b->rows; r++) {
        const double *restrict v = b->value[r], *restrict u = b->value[r - 1];
        const double *restrict w = b->weight[r], *restrict x = b->weight[r - 1];
#pragma omp simd
        for (size_t i = 0; i < SIDE; i++) {
            double step = (x[i] + w[i]) / 2, part = (0.5 - at[i]) / step;
            part = part < 0 ? 0 : part > 1 ? 1 : part;
            median[i] += part * (v[i] - u[i]);
            mean[i] += w[i] * v[i];
            at[i] += step;
        }
    }
#pragma omp simd
    for (size_t i = 0; i < SIDE; i++)
        out[i] = 0.5 * (mean[i] + median[i]);
}

void mixture_of(const double *each, const double *weight, size_t n, size_t cells, double *out)
{
    struct block b = {.rows = 0};
    double mixed[SIDE];
    for (size_t from = 0; from < cells; from += SIDE) {
        size_t here = cells - from < SIDE ? cells - from : SIDE;
        b.rows = 0;
        for (size_t k = 0; k < n; k++) {
            if (weight[k] <= 0)
                continue;
            memcpy(b.value[b.rows], each + k * cells + from, here * sizeof(*each));
            for (size_t i = 0; i < SIDE; i++)
                b.weight[b.rows][i] = weight[k];
            b.rows++;
        }
        mix(&b, mixed);
        memcpy(out + from, mixed, here * sizeof(*out));
    }
}
