/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sums that stop at the largest number: counts and sizes from outside may be anything. */
#ifndef GS_BASE_SATURATE_H
#define GS_BASE_SATURATE_H

#include <stdint.h>

/* A + B, or UINT64_MAX. */
static inline uint64_t saturate_sum(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

#endif
