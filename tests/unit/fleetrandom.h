/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tests make seeded random fleets of, whose rows are named by a letter and their number. */
#ifndef GS_UNIT_FLEETRANDOM_H
#define GS_UNIT_FLEETRANDOM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/parse.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

/* True with the probability P, 0 … 1. */
static inline bool chance(struct rng *r, double p)
{
    return rng_unit(r) < p;
}

/* A ratio, 0 … 1, with as many decimals as records have. */
static inline double decimals(struct rng *r)
{
    return (double)rng_below(r, 10001) / 10000;
}

/* Fills ORDER with 0 … N - 1 in any order. */
static inline void shuffle(struct rng *r, size_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        const size_t j = rng_below(r, i), t = order[j];
        order[j] = order[i - 1];
        order[i - 1] = t;
    }
}

/* The row that NAME, as "g7", stands for. */
static inline size_t row_of(const char *name)
{
    uint64_t i = 0;
    CHECK(parse_u64(name + 1, &i) == 0);
    return i;
}

#endif
