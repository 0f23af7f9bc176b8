/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/accesses.h"

#include "common/record/schema.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2,bmi,bmi2")))
#define INLINE AVX2 __attribute__((always_inline)) static inline

enum {
    SECONDS = 10,  /* digits of a time before the point, of which the first is at most 3 … */
    FRACTION = 6,  /* … and at most so many behind it */
    WHOLE_US = 12, /* of a latency before the point: more could be too many */
};

/* What is wrong with a line: nothing, if all of it is 0. */
struct wrong {
    __m128i digits;
    uint64_t other;
};

struct field {
    const char *at;
    size_t len;
};

INLINE struct field field_of(const struct rec_lines *l, const uint32_t *at, size_t col)
{
    return (struct field){l->base + at[col], at[col + 1] - at[col] - 1};
}

INLINE __m128i sixteen(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* 16 digits, as bytes 0 … 9, as one number: neighbours of one, two and four digits are joined. */
INLINE uint64_t joined(__m128i digits)
{
    const __m128i ones = _mm_set1_epi16(1 << 8 | 10), twos = _mm_set1_epi32(1 << 16 | 100);
    const __m128i fours = _mm_set1_epi32(1 << 16 | 10000);
    __m128i v = _mm_madd_epi16(_mm_maddubs_epi16(digits, ones), twos);
    uint64_t eights = (uint64_t)_mm_cvtsi128_si64(_mm_madd_epi16(_mm_packus_epi32(v, v), fours));
    return (eights & UINT32_MAX) * 100000000 + (eights >> 32);
}

/* The 16 bytes at AT as PLACES say (_mm_shuffle_epi8()), which must be digits. */
INLINE uint64_t digits_of(const char *at, __m128i places, struct wrong *w)
{
    __m128i v = _mm_shuffle_epi8(_mm_sub_epi8(sixteen(at), _mm_set1_epi8('0')), places);
    w->digits = _mm_or_si128(w->digits, _mm_subs_epu8(v, _mm_set1_epi8(9)));
    return joined(v);
}

/* 1 … 16 digits: they go to the right, and zeros before them. */
INLINE uint64_t whole_of(struct field f, struct wrong *w)
{
    static const signed char right[32] = {
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
    };
    size_t len1 = f.len - 1;
    w->other |= len1 >> 4;
    return digits_of(f.at, sixteen(right + 1 + (len1 & 15)), w);
}

/*
 * SECONDS digits, and a fraction or none, as a double: of a whole number of microseconds below
 * 2^53, whose one division rounds as that of the digits would.
 */
INLINE double time_of(struct field f, struct wrong *w)
{
    /* By the length behind SECONDS.  The first digit is left out, for the sake of the last. */
    enum { X = -1 };
    static const signed char places[8][16] = {
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, X, X, X, X, X, X},
        {X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, X, X, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, X, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15},
    };
    size_t more = f.len - SECONDS;
    uint64_t first = (unsigned char)f.at[0] - (uint64_t)'0';
    w->other |= (more >> 3) | (more == 1) | (first >> 2);
    w->other |= (more != 0) & (f.at[SECONDS] != '.');
    uint64_t us = digits_of(f.at + 1, sixteen(places[more & 7]), w);
    return (double)(first * UINT64_C(1000000000000000) + us) / 1e6;
}

/* At most 16 bytes: DIGITS, and a point and what is behind it, or not. */
INLINE void check_latency(struct field f, struct wrong *w)
{
    __m128i v = sixteen(f.at), value = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
    uint32_t end = UINT32_C(1) << (f.len & 31);
    uint32_t others = ~(uint32_t)_mm_movemask_epi8(digit) & (end - 1);
    uint32_t points = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
    uint32_t stops = others | end;
    w->other |= (f.len > 16) | (others & ~points) | (others & (others - 1));
    w->other |= stops & -stops & ~((UINT32_C(2) << WHOLE_US) - 2);
}

AVX2 static size_t read_avx2(const struct rec_lines *lines, struct access_numbers *out, size_t n)
{
    const uint32_t *at = lines->at;
    for (size_t i = 0; i < n; i++, at += lines->fields) {
        struct wrong w = {_mm_setzero_si128(), 0};
        struct access_numbers a = {.count = 1};
        a.time = time_of(field_of(lines, at, ACCESS_TIME), &w);
        a.offset = whole_of(field_of(lines, at, ACCESS_OFFSET), &w);
        a.length = whole_of(field_of(lines, at, ACCESS_LENGTH), &w);
        check_latency(field_of(lines, at, ACCESS_LATENCY_US), &w);
        w.other |= field_of(lines, at, ACCESS_ERROR).len;
        if (lines->fields > ACCESS_COUNT && field_of(lines, at, ACCESS_COUNT).len)
            a.count = whole_of(field_of(lines, at, ACCESS_COUNT), &w);
        if (w.other | !_mm_testz_si128(w.digits, w.digits))
            return i;
        out[i] = a;
    }
    return n;
}

bool accesses_quick(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}
#else
static size_t read_avx2(const struct rec_lines *lines, struct access_numbers *out, size_t n)
{
    (void)lines;
    (void)out;
    return n * 0;
}

bool accesses_quick(void)
{
    return false;
}
#endif

size_t accesses_read(const struct rec_lines *lines, struct access_numbers *out, size_t most)
{
    return accesses_quick() ? read_avx2(lines, out, most < lines->n ? most : lines->n) : 0;
}
