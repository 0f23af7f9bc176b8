/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What loops that a compiler is to turn into vector instructions need: no branches, no calls.  For
 * files compiled with relaxed floating point and omp simd (see the Makefile); nothing there may
 * meet a NaN.
 */
#ifndef GS_FORECAST_VECMATH_H
#define GS_FORECAST_VECMATH_H

#include <stdint.h>
#include <string.h>

/*
 * AVX2 doubles the speed; the loader picks.  Sanitizers (clang's here) do not get along with that.
 */
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12
#define VEC_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define VEC_CLONES
#endif

/*
 * e^x to some 2e-7, relative, for |x| < 87: 2^n by the exponent's bits, the rest, of at most ln 2 /
 * 2, by a polynomial (Cephes' expf).
 */
static inline float vec_exp(float x)
{
    float n = x * 1.44269504f;
    n = (float)(int32_t)(n + (n < 0 ? -0.5f : 0.5f));
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1;
    int32_t bits = (int32_t)(((uint32_t)(int32_t)n + 127) << 23);
    float two_n;
    memcpy(&two_n, &bits, sizeof(two_n));
    return p * two_n;
}

static inline float vec_clamp(float x, float least, float most)
{
    x = x < least ? least : x;
    return x > most ? most : x;
}

static inline float vec_sigmoid(float x)
{
    return 1 / (1 + vec_exp(-vec_clamp(x, -30, 30)));
}

static inline float vec_tanh(float x)
{
    return 2 / (1 + vec_exp(-2 * vec_clamp(x, -15, 15))) - 1;
}

#endif
