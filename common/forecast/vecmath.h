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
/* The same without fused multiplication: the same bits as elsewhere. */
#define VEC_CLONES_EXACT __attribute__((target_clones("avx2", "default")))
#else
#define VEC_CLONES
#define VEC_CLONES_EXACT
#endif

/* A part of such a function: it has to become one with it, to be compiled as it is. */
#define VEC_PART static inline __attribute__((always_inline))

/*
 * e^x to some 2e-7, relative, for |x| < 87: 2^n by the exponent's bits, the rest, of at most ln 2 /
 * 2, by a polynomial (Cephes' expf).
 */
VEC_PART float vec_exp(float x)
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

/*
 * log x for normal x > 0, to an ulp or two of the larger of the result and 1: of x = 2^k · (1 + f),
 * √½ ≤ 1 + f < √2, the rest by a series in f / (2 + f) (fdlibm's e_log.c and e_logf.c).
 */
VEC_PART float vec_log(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits += 0x3f800000 - 0x3f3504f3;
    float k = (float)((bits >> 23) - 127);
    bits = (bits & 0x007fffff) + 0x3f3504f3;
    float f;
    memcpy(&f, &bits, sizeof(f));
    f -= 1;
    float s = f / (2 + f), z = s * s;
    float r =
        z * (0.66666662693f + z * (0.40000972152f + z * (0.28498786688f + z * 0.24279078841f)));
    float half = 0.5f * f * f;
    return k * 0.69314718056f + (f - (half - s * (half + r)));
}

VEC_PART double vec_log_wide(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits += 0x3ff0000000000000 - 0x3fe6a09e667f3bcd;
    double k = (double)((int32_t)((uint64_t)bits >> 52) - 1023);
    bits = (bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd;
    double f;
    memcpy(&f, &bits, sizeof(f));
    f -= 1;
    double s = f / (2 + f), z = s * s, r = 1.479819860511658591e-01;
    r = r * z + 1.531383769920937332e-01;
    r = r * z + 1.818357216161805012e-01;
    r = r * z + 2.222219843214978396e-01;
    r = r * z + 2.857142874366239149e-01;
    r = r * z + 3.999999999940941908e-01;
    r = r * z + 6.666666666666735130e-01;
    double half = 0.5 * f * f;
    return k * 0.693147180559945309 + (f - (half - s * (half + r * z)));
}

/* e^x to an ulp or two, for 0 ≤ x < 700: as vec_exp(), the rest by its Taylor series. */
VEC_PART double vec_exp_wide(double x)
{
    int32_t n = (int32_t)(x * 1.44269504088896341 + 0.5);
    double r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1;
    p = p * r + 1;
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double two_n;
    memcpy(&two_n, &bits, sizeof(two_n));
    return p * two_n;
}

VEC_PART float vec_clamp(float x, float least, float most)
{
    x = x < least ? least : x;
    return x > most ? most : x;
}

VEC_PART float vec_sigmoid(float x)
{
    return 1 / (1 + vec_exp(-vec_clamp(x, -30, 30)));
}

VEC_PART float vec_tanh(float x)
{
    return 2 / (1 + vec_exp(-2 * vec_clamp(x, -15, 15))) - 1;
}

#endif
