/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/order.h"

double order_nth(double *v, size_t n, size_t k)
{
    ptrdiff_t low = 0;
    ptrdiff_t high = (ptrdiff_t)n - 1;
    ptrdiff_t at = (ptrdiff_t)k;
    while (low < high) {
        double pivot = v[low + (high - low) / 2];
        ptrdiff_t i = low;
        ptrdiff_t j = high;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i > j)
                break;
            double x = v[i];
            v[i++] = v[j];
            v[j--] = x;
        }
        if (at > j && at < i)
            break;
        low = at <= j ? low : i;
        high = at <= j ? j : high;
    }
    return v[k];
}

double order_median(double *v, size_t n)
{
    double upper = order_nth(v, n, n / 2);
    return n % 2 ? upper : (order_nth(v, n / 2, n / 2 - 1) + upper) / 2;
}
