/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/days.h"

#include <string.h>

#include "common/forecast/vecmath.h"

static size_t known(struct series s, size_t days)
{
    size_t whole = s.n / HOURS_A_DAY;
    return whole < days ? whole : days;
}

VEC_PART void exchange(double *restrict a, double *restrict b)
{
#pragma omp simd
    for (size_t i = 0; i < HOURS_A_DAY; i++) {
        double low = a[i] < b[i] ? a[i] : b[i], high = a[i] < b[i] ? b[i] : a[i];
        a[i] = low;
        b[i] = high;
    }
}

/* Puts each column in order, by merge exchange (Knuth 5.2.2M).  No branch depends on the values. */
VEC_CLONES
static void order_columns(double (*row)[HOURS_A_DAY], size_t rows)
{
    size_t top = 1;
    while (2 * top < rows)
        top *= 2;
    for (size_t p = top; p > 0; p /= 2)
        for (size_t q = top, r = 0, d = p; d > 0; d = q - p, q /= 2, r = p)
            for (size_t i = 0; i + d < rows; i++)
                if ((i & p) == r)
                    exchange(row[i], row[i + d]);
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
