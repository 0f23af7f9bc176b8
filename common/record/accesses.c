/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/accesses.h"

#include "common/record/schema.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2,bmi,bmi2")))
#define INLINE AVX2 __attribute__((always_inline)) static inline

enum {
    SECONDS = 10,    /* digits of a time before the point, of which the first is at most 3, … */
    TIME_MORE = 3,   /* … and 2^3 − 1 bytes at most behind them */
    WHOLE_BITS = 4,  /* 2^4 digits of a whole number, */
    LATENCY_BITS = 3 /* 2^3 of a latency before the point */
};

/* Made at each use, these constants would cost more than their use. */
struct kept {
    __m256i comma, zero, nine;
};

INLINE __m256i keep(char c)
{
    __m256i v = _mm256_set1_epi8(c);
    __asm__("" : "+x"(v)); /* which hides that it is one */
    return v;
}

/* ---- 64 bytes, a bit each ---- */

INLINE __m256i load(const char *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE uint64_t bits_of(__m256i a, __m256i b)
{
    return (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
}

INLINE uint64_t commas_of(const char *p, const struct kept *k)
{
    return bits_of(_mm256_cmpeq_epi8(load(p), k->comma), _mm256_cmpeq_epi8(load(p + 32), k->comma));
}

INLINE __m256i is_digit(const char *p, const struct kept *k)
{
    __m256i v = _mm256_sub_epi8(load(p), k->zero);
    return _mm256_cmpeq_epi8(_mm256_min_epu8(v, k->nine), v);
}

/* All that is no digit. */
INLINE uint64_t stops_of(const char *p, const struct kept *k)
{
    return ~bits_of(is_digit(p, k), is_digit(p + 32, k));
}

/* Behind the byte of the lowest of BITS, which loses it. */
INLINE size_t behind_next(uint64_t *bits)
{
    size_t at = (size_t)_tzcnt_u64(*bits) + 1;
    *bits = _blsr_u64(*bits);
    return at;
}

/* ---- numbers ---- */

/* Two numbers of 8 digits as one of 16. */
INLINE uint64_t together(uint64_t eights)
{
    return (eights & UINT32_MAX) * 100000000 + (eights >> 32);
}

/* Twice 16 digits, as bytes 0 … 9: neighbours of one, two and four digits are joined. */
INLINE __m256i joined(__m256i digits)
{
    const __m256i ones = _mm256_set1_epi16(1 << 8 | 10), twos = _mm256_set1_epi32(1 << 16 | 100);
    const __m256i fours = _mm256_set1_epi32(1 << 16 | 10000);
    __m256i v = _mm256_madd_epi16(_mm256_maddubs_epi16(digits, ones), twos);
    return _mm256_madd_epi16(_mm256_packus_epi32(v, v), fours);
}

INLINE __m256i two(const void *a, const void *b)
{
    __m128i v = _mm_loadu_si128((const __m128i *)a), w = _mm_loadu_si128((const __m128i *)b);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(v), w, 1);
}

/* Digits go to the right, and zeros before them: from its place 16 − N on, of N digits. */
static const signed char right[32] = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
};

/* The places of LEN1 + 1 digits, of which there are at most 16. */
INLINE const signed char *right_of(size_t len1)
{
    return right + 1 + (len1 & 15);
}

/* The digits at A and B, LEN1 + 1 each, to OFFSET and LENGTH of OUT. */
INLINE void take_range(const char *a, size_t a_len1, const char *b, size_t b_len1,
                       const struct kept *k, struct access_line *out)
{
    __m256i v = _mm256_sub_epi8(two(a, b), k->zero);
    v = joined(_mm256_shuffle_epi8(v, two(right_of(a_len1), right_of(b_len1))));
    out->offset = together((uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(v)));
    out->length = together((uint64_t)_mm_cvtsi128_si64(_mm256_extracti128_si256(v, 1)));
}

/* The 16 bytes at AT less '0', as PLACES say (_mm_shuffle_epi8()). */
INLINE __m128i sixteen(const char *at, const signed char *places, const struct kept *k)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm_shuffle_epi8(_mm_sub_epi8(v, _mm256_castsi256_si128(k->zero)),
                            _mm_loadu_si128((const __m128i *)(const void *)places));
}

INLINE uint64_t sixteen_joined(__m128i digits)
{
    __m256i v = joined(_mm256_castsi128_si256(digits));
    return together((uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(v)));
}

/*
 * The time of LEN bytes at P, before a comma, as a double: of a whole number of microseconds below
 * 2^53, whose one division rounds as that of the digits would.  *WRONG is not 0 if it is none.
 */
INLINE double time_of(const char *p, size_t len, const struct kept *k, uint64_t *wrong)
{
    /*
     * By the length behind SECONDS.  The first digit is left out, for the sake of the last; a point
     * is not, if nothing follows, and is no digit.
     */
    enum { X = -1 };
    static const signed char places[1 << TIME_MORE][16] = {
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, X, X, X, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, X, X, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, X, X, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, X, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, X, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, X, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, X},
        {X, 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15},
    };
    size_t more = len - SECONDS;
    uint64_t first = (unsigned char)p[0] - (uint64_t)'0';
    __m128i v = sixteen(p + 1, places[more & ((1 << TIME_MORE) - 1)], k);
    __m128i no_digits = _mm_subs_epu8(v, _mm256_castsi256_si128(k->nine));
    /* Behind the seconds there is a point, or the comma, which differ in one bit. */
    *wrong = (uint64_t)(_mm_testz_si128(no_digits, no_digits) ^ 1) | (more >> TIME_MORE) |
             (first >> 2) | ((uint64_t)(p[SECONDS] ^ ',') & ~UINT64_C(2));
    return (double)(int64_t)(first * UINT64_C(1000000000000000) + sixteen_joined(v)) / 1e6;
}
_Static_assert(('.' ^ ',') == 2, "a point and a comma differ in one bit");

/* ---- a line ---- */

/* Where OFFSET begins, if names are long and CLIENT begins there; 0: they are too long. */
AVX2 __attribute__((noinline)) static size_t offset_far(const char *p, size_t client)
{
    const struct kept k = {.comma = _mm256_set1_epi8(',')};
    if (__builtin_popcountll(commas_of(p, &k)) < 3)
        return 0;
    uint64_t commas = _blsr_u64(commas_of(p + client, &k));
    return commas ? client + (size_t)_tzcnt_u64(commas) + 1 : 0;
}

/* The count of LEN bytes at P, all digits, into OUT; not 0 if it has too many. */
INLINE uint64_t take_count(const char *p, size_t len, const struct kept *k, struct access_line *out)
{
    if (len == 0)
        return 0;
    out->count = sixteen_joined(sixteen(p, right_of(len - 1), k));
    return (len - 1) >> WHOLE_BITS;
}

/* The line at P, with a column of counts or not, into OUT: false if it is not read. */
INLINE bool read_line(const char *p, bool counts, const struct kept *k, struct access_line *out)
{
    uint64_t commas = commas_of(p, k), wrong;
    size_t volume = behind_next(&commas);
    commas = _blsr_u64(commas);
    size_t client = behind_next(&commas);
    commas = _blsr_u64(commas);
    size_t offset = (size_t)_tzcnt_u64(commas) + 1;
    if (__builtin_expect(!commas, 0) && !(offset = offset_far(p, client)))
        return false;
    out->time = time_of(p, volume - 1, k, &wrong);
    out->count = 1;
    out->route = p + volume;
    out->route_len = (uint32_t)(client - volume - 1);
    out->origin = p + client;
    out->origin_len = (uint32_t)(offset - client - 1);
    /* From here on there are only numbers, up to a point in the last of them. */
    p += offset;
    uint64_t stops = stops_of(p, k);
    size_t length = behind_next(&stops), latency = behind_next(&stops);
    size_t error = behind_next(&stops);
    take_range(p, length - 2, p + length, latency - length - 2, k, out);
    wrong |= ((length - 2) | (latency - length - 2)) >> WHOLE_BITS;
    wrong |= (error - latency - 2) >> LATENCY_BITS;
    if (p[error - 1] == '.')
        error = behind_next(&stops);
    wrong |= (uint64_t)((p[length - 1] ^ ',') | (p[latency - 1] ^ ',') | (p[error - 1] ^ ','));
    if (counts) {
        size_t end = (size_t)_tzcnt_u64(_blsr_u64(stops));
        wrong |= (uint64_t)(p[error] ^ ',');
        wrong |= take_count(p + error + 1, end - error - 1, k, out);
        error = end;
    }
    out->end = p + error + 1;
    return !(wrong | (uint64_t)(p[error] ^ '\n'));
}

INLINE void read_lines(const struct rec_lines *lines, bool counts, struct accesses *out)
{
    const struct kept k = {keep(','), keep('0'), keep(9)};
    const char *at = lines->text, *begin = at + lines->begin, *end = at + lines->len;
    double first = REC_TIME_MAX, last = 0;
    struct access_line *line = out->line;
    while (line < out->line + ACCESSES_MOST && at < begin) {
        if (!read_line(at, counts, &k, line) || line->end > end)
            break;
        first = line->time < first ? line->time : first;
        last = line->time > last ? line->time : last;
        at = line++->end;
    }
    out->n = (size_t)(line - out->line);
    out->first = first;
    out->last = last;
}

AVX2 static void read_avx2(const struct rec_lines *lines, struct accesses *out)
{
    if (lines->fields > ACCESS_COUNT)
        read_lines(lines, true, out);
    else
        read_lines(lines, false, out);
}

bool accesses_quick(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}
#else
static void read_avx2(const struct rec_lines *lines, struct accesses *out)
{
    (void)lines;
    out->n = 0;
}

bool accesses_quick(void)
{
    return false;
}
#endif

void accesses_read(const struct rec_lines *lines, struct accesses *out)
{
    out->n = 0;
    if (accesses_quick())
        read_avx2(lines, out);
}

bool access_is_odd(const char *text, size_t len)
{
    bool odd = false;
    for (size_t i = 0; i < len; i++)
        odd |= text[i] == '"' || (unsigned char)text[i] < ' ';
    return odd;
}
