/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/marks.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "common/record/plain.h"

#define INLINE __attribute__((always_inline)) static inline

/* ---- a block of 64 bytes ---- */

typedef struct marks_block look_fn(const char *p);
/* The number of the lowest bit; any number up to 64 if there is none. */
typedef size_t lowest_fn(uint64_t mask);

/* How blocks are looked at. */
struct way {
    look_fn *look;
    lowest_fn *lowest;
};

INLINE size_t lowest_portable(uint64_t mask)
{
    const uint64_t last = UINT64_C(1) << 63; /* so that there always is a bit */
    return (size_t)__builtin_ctzll(mask | last);
}

INLINE struct marks_block look_portable(const char *p)
{
    struct marks_block b = {0};
    for (unsigned i = 0; i < 64; i += 16, p += 16) {
        struct plain_marks m = plain_marks_16(p);
        b.commas |= (uint64_t)m.commas << i;
        b.newlines |= (uint64_t)m.newlines << i;
        b.odd |= (uint64_t)(m.others & ~m.newlines) << i;
        b.not_first |= (uint64_t)m.not_first << i;
        b.not_name |= (uint64_t)(~plain_in_name(p) & 0xffff) << i;
        b.not_digit |= (uint64_t)plain_non_digits(p) << i;
    }
    return b;
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))

/*
 * What a byte is, by its halves: a bit that both tables have.  A name's bytes need five, one for
 * each set of lower halves that goes with an upper one.
 */
enum {
    IN_2 = 1,       /* + - . */
    IN_37 = 2,      /* digits and colon; p … z */
    IN_4 = 4,       /* @ A … O */
    IN_5 = 8,       /* P … Z _ */
    IN_6 = 16,      /* a … o */
    IN_NAME = 31,   /* any of these */
    IN_DIGITS = 32, /* 0 … 9 */
    IN_COMMA = 64,  /* , */
    IN_LATER = 128, /* - . */
    IN_ALL = IN_37 | IN_4 | IN_5,
};

static const uint8_t upper_table[16] = {
    [2] = IN_2 | IN_COMMA | IN_LATER,
    [3] = IN_37 | IN_DIGITS,
    [4] = IN_4,
    [5] = IN_5,
    [6] = IN_6,
    [7] = IN_37,
};
static const uint8_t lower_table[16] = {
    [0] = IN_ALL | IN_DIGITS,      [1 ... 9] = IN_ALL | IN_6 | IN_DIGITS,
    [10] = IN_ALL | IN_6,          [11] = IN_4 | IN_6 | IN_2,
    [12] = IN_4 | IN_6 | IN_COMMA, [13 ... 14] = IN_4 | IN_6 | IN_2 | IN_LATER,
    [15] = IN_4 | IN_5 | IN_6,
};

AVX2 INLINE __m256i twice(const uint8_t table[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

AVX2 INLINE uint64_t bits_of(__m256i a, __m256i b)
{
    return (uint32_t)_mm256_movemask_epi8(a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
}

AVX2 INLINE __m256i classes(__m256i v)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(twice(lower_table), _mm256_and_si256(v, half));
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(v, 4), half);
    return _mm256_and_si256(low, _mm256_shuffle_epi8(twice(upper_table), upper));
}

AVX2 INLINE __m256i is_odd(__m256i v)
{
    __m256i quotes = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(' ' - 1)), v);
    return _mm256_or_si256(quotes, control);
}

AVX2 INLINE struct marks_block look_avx2(const char *p)
{
    const __m256i newline = _mm256_set1_epi8('\n'), name = _mm256_set1_epi8(IN_NAME);
    const __m256i none = _mm256_setzero_si256();
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i a = classes(v), b = classes(w);
    struct marks_block m = {
        .commas = bits_of(_mm256_slli_epi16(a, 1), _mm256_slli_epi16(b, 1)),
        .newlines = bits_of(_mm256_cmpeq_epi8(v, newline), _mm256_cmpeq_epi8(w, newline)),
        .odd = bits_of(is_odd(v), is_odd(w)),
        .not_name = bits_of(_mm256_cmpeq_epi8(_mm256_and_si256(a, name), none),
                            _mm256_cmpeq_epi8(_mm256_and_si256(b, name), none)),
        .not_first = bits_of(a, b),
        .not_digit = ~bits_of(_mm256_slli_epi16(a, 2), _mm256_slli_epi16(b, 2)),
    };
    m.odd &= ~m.newlines;
    return m;
}

AVX2 INLINE size_t lowest_avx2(uint64_t mask)
{
    return (size_t)_tzcnt_u64(mask);
}
#endif

/* ---- lines ---- */

enum { ROUND = 12 };

struct found {
    size_t ends, lines;
    bool odd; /* something odd stands in the line that goes on */
};

/*
 * The places behind the bits of MASK, whose first is byte AT, to OUT.  At least ROUND are written:
 * seldom are there more, and a loop that ended now here, now there, would cost more.
 */
INLINE void put_places(uint32_t *out, size_t at, uint64_t mask, lowest_fn *lowest)
{
    const uint32_t *end = out + __builtin_popcountll(mask);
    do {
#pragma GCC unroll 12
        for (size_t k = 0; k < ROUND; k++) {
            out[k] = (uint32_t)(at + 1 + lowest(mask));
            mask &= mask - 1;
        }
        out += ROUND;
    } while (out < end);
}

/* The lines that end in block B, with ENDS of fields. */
INLINE void put_lines(struct marks *m, struct found *f, const struct marks_block *b, uint64_t ends)
{
    uint64_t odd = b->odd;
    for (uint64_t left = b->newlines; left; left &= left - 1) {
        uint64_t upto = left ^ (left - 1); /* the lowest bit and all below */
        m->line[f->lines++] += f->odd | ((odd & upto) != 0);
        m->line[f->lines] = 2 * (uint32_t)(f->ends + (size_t)__builtin_popcountll(ends & upto));
        odd &= ~upto;
        f->odd = false;
    }
    f->odd |= odd != 0;
}

INLINE void find(struct marks *m, const char *text, size_t len, const struct way way)
{
    struct found f = {0, 0, false};
    uint64_t begins = 1; /* with the next block a field begins */
    m->at[0] = 0;
    m->line[0] = 0;
    for (size_t at = 0; at < len; at += 64) {
        struct marks_block b = way.look(text + at);
        uint64_t inside = len - at < 64 ? (UINT64_C(1) << (len - at)) - 1 : UINT64_MAX;
        b.newlines &= inside;
        uint64_t ends = (b.commas & inside) | b.newlines;
        m->not_name[at / 64] = (b.not_name & ~b.commas) | (b.not_first & (ends << 1 | begins));
        m->not_digit[at / 64] = b.not_digit & ~b.commas;
        begins = ends >> 63;
        put_places(m->at + 1 + f.ends, at, ends, way.lowest);
        put_lines(m, &f, &b, ends);
        f.ends += (size_t)__builtin_popcountll(ends);
    }
    m->n = f.lines;
    m->next = 0;
}

void marks_find_portable(struct marks *m, const char *text, size_t len)
{
    find(m, text, len, (struct way){look_portable, lowest_portable});
}

#if defined(__x86_64__)
AVX2 static void find_avx2(struct marks *m, const char *text, size_t len)
{
    find(m, text, len, (struct way){look_avx2, lowest_avx2});
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}
#else
#define find_avx2 marks_find_portable

static bool has_avx2(void)
{
    return false;
}
#endif

void marks_find(struct marks *m, const char *text, size_t len)
{
    (has_avx2() ? find_avx2 : marks_find_portable)(m, text, len);
}
