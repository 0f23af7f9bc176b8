/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Order statistics of few numbers: without sorting all, and without a callback. */
#ifndef GS_HEALTH_ORDER_H
#define GS_HEALTH_ORDER_H

#include <stddef.h>

/*
 * The number that would be V[K] if the N numbers V were sorted, K < N; it is there now, with none
 * larger before it and none smaller behind it (Hoare, Algorithm 65: Find, 1961).
 */
double order_nth(double *v, size_t n, size_t k);

/* The median of the N > 0 numbers V, which are moved as by order_nth(V, N, N / 2). */
double order_median(double *v, size_t n);

#endif
