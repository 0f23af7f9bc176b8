/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/series.h"

#include <math.h>
#include <stdlib.h>

#include "common/forecast/vecmath.h"

struct series series_head(struct series s, size_t n)
{
    s.n = n < s.n ? n : s.n;
    return s;
}

struct series series_tail(struct series s, size_t n)
{
    size_t skip = n < s.n ? s.n - n : 0;
    return (struct series){s.y + skip, s.n - skip, s.start + (int64_t)skip};
}

size_t series_phase(struct series s, size_t i, size_t period)
{
    int64_t p = (s.start + (int64_t)i) % (int64_t)period;
    return (size_t)(p < 0 ? p + (int64_t)period : p);
}

VEC_CLONES
double series_mean(const double *y, size_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += y[i];
    return n ? sum / (double)n : 0;
}

double series_most(const double *y, size_t n)
{
    /* Several at once: each waits for its own last comparison only. */
    double most[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            most[k] = y[i + k] > most[k] ? y[i + k] : most[k];
    for (; i < n; i++)
        most[0] = y[i] > most[0] ? y[i] : most[0];
    return fmax(fmax(most[0], most[1]), fmax(most[2], most[3]));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void series_sort(double *y, size_t n)
{
    if (n)
        qsort(y, n, sizeof(*y), ascending);
}

double series_quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

double series_median(double *y, size_t n)
{
    series_sort(y, n);
    return n ? series_quantile(y, n, 0.5) : 0;
}

VEC_CLONES
double series_naive_error(struct series s, size_t lag)
{
    double sum = 0;
    if (s.n <= lag)
        return 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = lag; i < s.n; i++)
        sum += fabs(s.y[i] - s.y[i - lag]);
    return sum / (double)(s.n - lag);
}

double series_smape(double actual, double forecast)
{
    double size = fabs(actual) + fabs(forecast);
    return size > 0 ? 200 * fabs(actual - forecast) / size : 0;
}
