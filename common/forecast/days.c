/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/days.h"

#include <string.h>

#include "common/forecast/vecmath.h"

static size_t known(struct series s, size_t days)
{
    size_t whole = s.n / HOURS_A_DAY;
    return whole < days ? whole : days;
}

VEC_CLONES
static void add_days(const double *restrict y, size_t days, double *restrict sum)
{
    for (size_t d = 0; d < days; d++)
#pragma omp simd
        for (size_t i = 0; i < HOURS_A_DAY; i++)
            sum[i] += y[d * HOURS_A_DAY + i];
}

void days_mean(struct series s, size_t days, double out[HOURS_A_DAY])
{
    days = known(s, days);
    memset(out, 0, HOURS_A_DAY * sizeof(*out));
    add_days(s.y + s.n - days * HOURS_A_DAY, days, out);
    for (size_t i = 0; i < HOURS_A_DAY; i++)
        out[i] /= days ? (double)days : 1;
}

VEC_CLONES
void days_add(const double *restrict y, double weight, size_t n, double *restrict sum)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        sum[i] += weight * y[i];
}

/*
 * Puts each column in order: neighbours change places, even and odd ones in turn, as many times as
 * there are rows (Knuth 5.3.4).  No branch depends on the values.
 */
VEC_CLONES
static void order_columns(double (*row)[HOURS_A_DAY], size_t rows)
{
    for (size_t pass = 0; pass < rows; pass++)
        for (size_t j = pass % 2; j + 1 < rows; j += 2) {
            double *restrict a = row[j], *restrict b = row[j + 1];
#pragma omp simd
            for (size_t i = 0; i < HOURS_A_DAY; i++) {
                double low = a[i] < b[i] ? a[i] : b[i], high = a[i] < b[i] ? b[i] : a[i];
                a[i] = low;
                b[i] = high;
            }
        }
}

void days_quantile(struct series s, size_t days, double q, double out[HOURS_A_DAY])
{
    double row[DAYS_MAX][HOURS_A_DAY];
    days = known(s, days);
    memset(out, 0, HOURS_A_DAY * sizeof(*out));
    if (!days)
        return;
    memcpy(row, s.y + s.n - days * HOURS_A_DAY, days * sizeof(row[0]));
    order_columns(row, days);
    double at = q * (double)(days - 1);
    size_t j = (size_t)at, next = j + 1 < days ? j + 1 : j;
    for (size_t i = 0; i < HOURS_A_DAY; i++)
        out[i] = row[j][i] + (at - (double)j) * (row[next][i] - row[j][i]);
}
