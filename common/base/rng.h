/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A seeded generator: same seed, same sequence, on every machine. */
#ifndef GS_BASE_RNG_H
#define GS_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* xoshiro256**, Blackman and Vigna 2018, seeded by splitmix64. */
struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n); N > 0.  Without modulo bias (Lemire 2019). */
uint64_t rng_below(struct rng *r, uint64_t n);
/* Uniform in [0, 1), 53 bits. */
double rng_unit(struct rng *r);
/* Standard normal (Marsaglia's polar method, one value a call). */
double rng_normal(struct rng *r);
/* Fills OUT with 0 … N-1 in an order drawn evenly (Fisher and Yates 1938, from the inside out). */
void rng_order(struct rng *r, size_t *out, size_t n);

#endif
