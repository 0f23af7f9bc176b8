/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/check.h"

#include <string.h>

#include "common/base/parse.h"
#include "common/record/value.h"

#define INLINE __attribute__((always_inline)) static inline

/* Fields whose lengths are looked at together. */
enum { LANES = 8 };

/* A decimal has at most so many bytes, or is for the parser. */
enum { DECIMAL_MOST = 32 };

/* The most bytes; of decimals, before the point: one less than the largest value has. */
static unsigned char most_of(enum rec_type type)
{
    switch (type) {
    case REC_NAME:
        return NAME_LEN_MAX < 56 ? NAME_LEN_MAX : 56;
    case REC_UINT:
        return 16;
    case REC_TIME:
        return 11;
    case REC_LATENCY:
        return 12;
    default:
        return DECIMAL_MOST;
    }
}

/* The first LEN bytes (at most 7) at TEXT, and NULs. */
static uint64_t letters(const char *text, size_t len)
{
    uint64_t v = 0;
    memcpy(&v, text, len);
    return v;
}

/* A field of a line: its first byte's place, and its length. */
struct text {
    size_t at, len;
};

INLINE struct text text_of(const struct check_field *f, const struct split *s)
{
    return (struct text){s->at[f->field], split_len(s, f->field)};
}

/* What the quick looks leave. */
static bool parses(const struct check_field *f, const struct split *s)
{
    union value v;
    return value_parse(f->column, split_text(s, f->field), &v) == 0;
}

/* 32 bytes as numbers, in as many registers as the processor needs for them. */
typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));
typedef uint64_t four __attribute__((vector_size(32)));

/* At P, whatever its alignment.  A macro: what functions hand over depends on the processor. */
#define LOAD(type, p)                                                                              \
    ({                                                                                             \
        type v_;                                                                                   \
        memcpy(&v_, p, sizeof(v_));                                                                \
        v_;                                                                                        \
    })

/*
 * The looks answer with bits of what is wrong, so that there is one decision a record: jumps that
 * go now here, now there, cost more than all of the rest.
 */
INLINE uint64_t look_at_lengths(const struct check *c, size_t n, const struct split *s)
{
    lanes bad;
    uint64_t any[sizeof(bad) / sizeof(uint64_t)], some = 0;
    memset(&bad, 0, sizeof(bad)); /* gcc's analyzer does not see through "= {0}" of a vector */
    for (size_t i = 0; i < n; i += LANES) {
        lanes more =
            LOAD(lanes, s->at + i + 1) - LOAD(lanes, s->at + i) - LOAD(lanes, c->least1 + i);
        bad |= (lanes)(more > LOAD(lanes, c->span + i));
    }
    memcpy(any, &bad, sizeof(bad));
    for (size_t i = 0; i < sizeof(any) / sizeof(*any); i++)
        some |= any[i];
    return some;
}

/* Nothing in the runs but what belongs there.  Of at most 56 bytes at a time: see marks_bits(). */
INLINE uint64_t look_at_runs(const struct check *c, size_t n, const struct split *s)
{
    uint64_t bad = 0;
#pragma GCC unroll 2
    for (size_t i = 0; i < n; i++) {
        const struct check_run *run = &c->runs[i];
        const uint64_t *map = run->digits ? s->marks->not_digit : s->marks->not_name;
        size_t at = s->at[run->first], end = s->at[run->last + 1u] - 1;
        for (; end - at > MARKS_BITS; at += MARKS_BITS)
            bad |= marks_bits(map, at, MARKS_BITS);
        bad |= marks_bits(map, at, end - at);
    }
    return bad;
}

/* DIGITS or DIGITS.DIGITS, with the point, or the end, where it may be. */
INLINE uint64_t look_at_decimals(const struct check_field *f, size_t n, const struct split *s)
{
    uint64_t bad = 0;
#pragma GCC unroll 2
    for (size_t i = 0; i < n; i++) {
        struct text t = text_of(&f[i], s);
        uint64_t others = marks_bits(s->marks->not_digit, t.at, t.len & 63);
        uint64_t stops = others | UINT64_C(1) << (t.len & 63);
        bad |= (stops & -stops & ~f[i].stops) | (others & ((others - 1) | 1));
        bad |= (others != 0) & (s->base[t.at + (size_t)__builtin_ctzll(stops)] != '.');
    }
    return bad;
}

/* Not one of the words that F knows. */
INLINE uint64_t is_no_word(const struct check_field *f, const struct split *s)
{
    struct text t = text_of(f, s);
    uint64_t have;
    memcpy(&have, s->base + t.at, sizeof(have));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    have &= (UINT64_C(1) << 8 * (t.len & 7)) - 1;
#else
    have = letters(s->base + t.at, t.len & 7);
#endif
    four same = (four)(LOAD(four, f->words) == have) | (four)(LOAD(four, f->words + 4) == have);
    return !(same[0] | same[1] | same[2] | same[3]) | (t.len >= sizeof(have));
}

/* A bit is set if the parser has to look. */
INLINE uint64_t look_at_words(const struct check_field *f, size_t n, const struct split *s)
{
    uint64_t unsure = 0;
#pragma GCC unroll 2
    for (size_t i = 0; i < n; i++)
        unsure |= is_no_word(&f[i], s);
    return unsure;
}

/* The same; of these only emptiness is looked at. */
INLINE uint64_t look_at_others(const struct check_field *f, size_t n, const struct split *s)
{
    uint64_t unsure = 0;
#pragma GCC unroll 2
    for (size_t i = 0; i < n; i++)
        unsure |= split_len(s, f[i].field) | !f[i].may_be_empty;
    return unsure;
}

/* The fields that the looks are unsure of, last: the parser wants a NUL where others look. */
__attribute__((noinline)) static enum check_result parse_rest(const struct check *c,
                                                              const struct split *s)
{
    bool good = true;
    for (size_t look = CHECK_WORD; look < CHECK_LOOKS; look++)
        for (size_t i = 0; good && i < c->n[look]; i++) {
            const struct check_field *f = &c->fields[look][i];
            good = (f->may_be_empty && !split_len(s, f->field)) || parses(f, s);
        }
    return good ? CHECK_PARSED : CHECK_UNSURE;
}

/* How often each look is taken: where the compiler knows, it needs no loops. */
struct rounds {
    size_t lanes, runs, of[CHECK_LOOKS];
};

INLINE enum check_result look(const struct check *c, const struct split *s, const struct rounds n)
{
    uint64_t bad = look_at_lengths(c, n.lanes, s) | look_at_runs(c, n.runs, s);
    bad |= look_at_decimals(c->fields[CHECK_DECIMAL], n.of[CHECK_DECIMAL], s);
    uint64_t unsure = look_at_words(c->fields[CHECK_WORD], n.of[CHECK_WORD], s);
    unsure |= look_at_others(c->fields[CHECK_OTHER], n.of[CHECK_OTHER], s);
    if (bad)
        return CHECK_UNSURE;
    return unsure ? parse_rest(c, s) : CHECK_GOOD;
}

/* Those of access records, of which there are most. */
#define ACCESS_ROUNDS ((struct rounds){LANES, 2, {2, 1, 1}})
#define ROUNDS(c)     ((struct rounds){(c)->lanes, (c)->n_runs, {(c)->n[0], (c)->n[1], (c)->n[2]}})

static enum check_result look_portable(const struct check *c, const struct split *s)
{
    return look(c, s, ROUNDS(c));
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt")))

AVX2 static enum check_result look_avx2(const struct check *c, const struct split *s)
{
    return look(c, s, ROUNDS(c));
}

AVX2 static enum check_result look_at_access_avx2(const struct check *c, const struct split *s)
{
    return look(c, s, ACCESS_ROUNDS);
}
#endif

static check_look_fn *best_look(const struct check *c)
{
#if defined(__x86_64__)
    const struct rounds n = ROUNDS(c), access = ACCESS_ROUNDS;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return memcmp(&n, &access, sizeof(n)) == 0 ? look_at_access_avx2 : look_avx2;
#endif
    (void)c;
    return look_portable;
}

/* ---- what is checked ---- */

void check_clear(struct check *c)
{
    c->lanes = c->n_runs = 0;
    for (size_t i = 0; i < REC_COLUMNS_MAX; i++) {
        c->least1[i] = 1;
        c->span[i] = UINT32_MAX;
    }
    for (size_t i = 0; i < CHECK_LOOKS; i++)
        c->n[i] = 0;
    c->look = best_look(c);
}

static void add_words(struct check_field *f, const char *const *words)
{
    size_t n = f->may_be_empty; /* an empty field has no letters */
    for (size_t i = 0; n < CHECK_WORDS && words[i]; i++)
        if (strlen(words[i]) < sizeof(f->words[0]))
            f->words[n++] = letters(words[i], strlen(words[i]));
    for (; n < CHECK_WORDS; n++)
        f->words[n] = UINT64_MAX;
}

/* Bytes of names, or digits, in FIELD. */
static void add_run(struct check *c, size_t field, bool digits)
{
    struct check_run *last = c->n_runs ? &c->runs[c->n_runs - 1] : NULL;
    if (last && last->digits == digits && last->last + 1u == field)
        last->last++;
    else
        c->runs[c->n_runs++] =
            (struct check_run){(unsigned char)field, (unsigned char)field, digits};
}

static void add_field(struct check *c, enum check_look look, const struct check_field *f)
{
    c->fields[look][c->n[look]++] = *f;
}

/* FIELD is LEAST to MOST bytes long. */
static void add_length(struct check *c, size_t field, uint32_t least, uint32_t most)
{
    c->least1[field] = least + 1;
    c->span[field] = most - least;
    c->lanes = (field / LANES + 1) * LANES;
}

void check_add(struct check *c, size_t field, const struct rec_column *column)
{
    const unsigned least = column->flags & REC_EMPTY ? 0 : 1, most = most_of(column->type);
    struct check_field f = {column, (unsigned char)field, !least, 0, {0}};
    switch (column->type) {
    case REC_NAME:
    case REC_UINT:
        add_length(c, field, least, most);
        add_run(c, field, column->type == REC_UINT);
        break;
    case REC_TEXT:
        add_length(c, field, least, UINT32_MAX);
        break;
    case REC_TIME:
    case REC_LATENCY:
    case REC_REAL:
        add_length(c, field, 0, DECIMAL_MOST);
        f.stops = (UINT64_C(2) << most) - (UINT64_C(1) << least);
        add_field(c, CHECK_DECIMAL, &f);
        break;
    case REC_WORD:
        add_words(&f, column->words);
        add_field(c, CHECK_WORD, &f);
        break;
    default:
        add_field(c, CHECK_OTHER, &f);
    }
    c->look = best_look(c);
}
