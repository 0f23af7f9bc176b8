/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Quick looks at text that lies in a line's own memory, 16 bytes at a time: what they take, the
 * parsers of value.h take with the same result; what they don't take is for these to decide.  A
 * text of LEN bytes needs no NUL, but SPLIT_SLACK bytes behind it that may be read.
 */
#ifndef GS_RECORD_PLAIN_H
#define GS_RECORD_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/base/parse.h"
#include "common/record/record.h"

/* Which of 16 bytes are what, as bit masks. */
struct plain_marks {
    unsigned commas, newlines;
    unsigned others;    /* a quote, or below a blank: NUL, CR, newline, what is harmless but rare */
    unsigned not_first; /* a point or minus, with which no name begins */
};

/* Of the 16 bytes at P. */
static inline struct plain_marks plain_marks_16(const char *p)
{
#ifdef __SSE2__
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quotes = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(' ' - 1)), v);
    __m128i commas = _mm_cmpeq_epi8(v, _mm_set1_epi8(','));
    __m128i points = _mm_cmpeq_epi8(v, _mm_set1_epi8('.'));
    __m128i minus = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));
    __m128i newlines = _mm_cmpeq_epi8(v, _mm_set1_epi8('\n'));
    return (struct plain_marks){(unsigned)_mm_movemask_epi8(commas),
                                (unsigned)_mm_movemask_epi8(newlines),
                                (unsigned)_mm_movemask_epi8(_mm_or_si128(quotes, control)),
                                (unsigned)_mm_movemask_epi8(_mm_or_si128(points, minus))};
#else
    struct plain_marks m = {0};
    for (unsigned i = 0; i < 16; i++) {
        m.commas |= (unsigned)(p[i] == ',') << i;
        m.newlines |= (unsigned)(p[i] == '\n') << i;
        m.not_first |= (unsigned)(p[i] == '.' || p[i] == '-') << i;
        m.others |= (unsigned)(p[i] == '"' || (unsigned char)p[i] < ' ') << i;
    }
    return m;
#endif
}

/* Which of the 16 bytes at P are not digits, as a bit mask. */
static inline unsigned plain_non_digits(const char *p)
{
#ifdef __SSE2__
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i value = _mm_sub_epi8(v, _mm_set1_epi8('0'));
    __m128i digits = _mm_cmpeq_epi8(_mm_min_epu8(value, _mm_set1_epi8(9)), value);
    return ~(unsigned)_mm_movemask_epi8(digits) & 0xffff;
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (unsigned)(p[i] < '0' || p[i] > '9') << i;
    return mask;
#endif
}

/* Which of the 16 bytes at P may stand in a name (parse_name()), as a bit mask. */
static inline unsigned plain_in_name(const char *p)
{
#ifdef __SSE2__
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0')); /* … or the colon behind 9 */
    __m128i in = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
                              _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(10)), digit));
    in = _mm_or_si128(in, _mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
    in = _mm_or_si128(in, _mm_cmpeq_epi8(v, _mm_set1_epi8('_')));
    in = _mm_or_si128(in, _mm_cmpeq_epi8(v, _mm_set1_epi8('@')));
    in = _mm_or_si128(in, _mm_cmpeq_epi8(v, _mm_set1_epi8('+')));
    in = _mm_or_si128(in, _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
    return (unsigned)_mm_movemask_epi8(in);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++) {
        const char c[2] = {p[i] == '.' || p[i] == '-' ? '_' : p[i], 0};
        mask |= (unsigned)(parse_name(c) == 0) << i;
    }
    return mask;
#endif
}

/* ---- numbers, in what check_plain() took ---- */

/*
 * The N (1 … 8) digits at P as a number: all at once, each step joining neighbours of one, two and
 * four digits.
 */
static inline uint64_t plain_eight(const char *p, unsigned n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    v = v << (64 - 8 * n) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    v = v * (10 * 0x100 + 1) >> 8 & UINT64_C(0x00ff00ff00ff00ff);
    v = v * (100 * 0x10000 + 1) >> 16 & UINT64_C(0x0000ffff0000ffff);
    return v * (10000 * UINT64_C(0x100000000) + 1) >> 32;
#else
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v * 10 + (uint64_t)(p[i] - '0');
    return v;
#endif
}

/* The N (1 … 16) digits at P as a number. */
static inline uint64_t plain_digits(const char *p, unsigned n)
{
    return n <= 8 ? plain_eight(p, n)
                  : plain_eight(p, n - 8) * 100000000 + plain_eight(p + n - 8, 8);
}

/* How many of the LEN bytes at TEXT stand before the point; 16 if too many. */
static inline unsigned plain_before_point(const char *text, size_t len)
{
    unsigned n = (unsigned)__builtin_ctz(plain_non_digits(text) | 1u << 16);
    return n < len ? n : (unsigned)len;
}

/* A decimal without its fraction; false where rounding could reach the next whole number. */
static inline bool plain_whole(const char *text, size_t len, uint64_t *out)
{
    unsigned n = plain_before_point(text, len);
    if (len > 17 || n > 15)
        return false;
    *out = plain_digits(text, n);
    return true;
}

/*
 * DIGITS or DIGITS.DIGITS, with at most 2^53 as its digits.  Both they as a whole number and the
 * power of ten are exact doubles, so that the one division rounds correctly (Clinger 1990).
 */
static inline bool plain_real(const char *text, size_t len, double *out)
{
    static const double power[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t whole = plain_before_point(text, len);
    size_t fraction = len > whole + 1 ? len - whole - 1 : 0;
    if (len > 17 || !whole || whole > 15 || fraction > 15)
        return false;
    uint64_t digits = plain_digits(text, (unsigned)whole);
    if (fraction)
        digits =
            digits * (uint64_t)power[fraction] + plain_digits(text + whole + 1, (unsigned)fraction);
    if (digits > UINT64_C(1) << 53)
        return false;
    *out = fraction ? (double)digits / power[fraction] : (double)digits;
    return true;
}

#endif
