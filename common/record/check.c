/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/check.h"

#include <string.h>

#include "common/base/parse.h"
#include "common/record/value.h"

#define INLINE __attribute__((always_inline)) static inline

void check_clear(struct check *c)
{
    for (size_t i = 0; i < CHECK_LOOKS; i++)
        c->n[i] = 0;
}

static enum check_look look_for(enum rec_type type)
{
    switch (type) {
    case REC_TEXT:
        return CHECK_TEXT;
    case REC_NAME:
        return CHECK_NAME;
    case REC_UINT:
        return CHECK_UINT;
    case REC_TIME:
    case REC_LATENCY:
    case REC_REAL:
        return CHECK_DECIMAL;
    case REC_WORD:
        return CHECK_WORD;
    default:
        return CHECK_OTHER;
    }
}

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

static void add_words(struct check_field *f, const char *const *words)
{
    /* An empty field has no letters. */
    f->n_words = !f->least;
    for (size_t i = 0; f->n_words < CHECK_WORDS && words[i]; i++)
        if (strlen(words[i]) < sizeof(f->words[0]))
            f->words[f->n_words++] = letters(words[i], strlen(words[i]));
}

void check_add(struct check *c, size_t field, const struct rec_column *column)
{
    enum check_look look = look_for(column->type);
    struct check_field *f = &c->fields[look][c->n[look]++];
    const unsigned char least = column->flags & REC_EMPTY ? 0 : 1;
    *f = (struct check_field){.column = column,
                              .field = (unsigned char)field,
                              .least = least,
                              .span = (unsigned char)(most_of(column->type) - least)};
    if (look == CHECK_WORD)
        add_words(f, column->words);
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

/*
 * The looks answer with bits of what is wrong, so that there is one decision a record: jumps that
 * go now here, now there, cost more than all of the rest.
 */
INLINE uint64_t is_long(const struct check_field *f, size_t len)
{
    return len - f->least > f->span;
}

/* LEAST … LEAST + SPAN bytes without a bit in MAP. */
INLINE uint64_t look_at_bytes(const struct check_field *f, size_t n, const struct split *s,
                              const uint64_t *map)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        struct text t = text_of(&f[i], s);
        bad |= marks_bits(map, t.at, t.len & 63) | is_long(&f[i], t.len);
    }
    return bad;
}

/* DIGITS or DIGITS.DIGITS, of LEAST to LEAST + SPAN digits before the point. */
INLINE uint64_t look_at_decimals(const struct check_field *f, size_t n, const struct split *s)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        struct text t = text_of(&f[i], s);
        uint64_t others = marks_bits(s->marks->not_digit, t.at, t.len & 63);
        /* Where the point is, or where the number ends. */
        size_t point = (size_t)__builtin_ctzll(others | UINT64_C(1) << (t.len & 63));
        bad |= is_long(&f[i], point) | (t.len > DECIMAL_MOST);
        bad |= others & ((others - 1) | 1);
        bad |= (others != 0) & (s->base[t.at + point] != '.');
    }
    return bad;
}

INLINE uint64_t look_at_texts(const struct check_field *f, size_t n, const struct split *s)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= split_len(s, f[i].field) < f[i].least;
    return bad;
}

INLINE bool is_word(const struct check_field *f, const struct split *s)
{
    struct text t = text_of(f, s);
    uint64_t have;
    bool found = false;
    memcpy(&have, s->base + t.at, sizeof(have));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    have &= (UINT64_C(1) << 8 * (t.len & 7)) - 1;
#else
    have = letters(s->base + t.at, t.len & 7);
#endif
    for (size_t i = 0; i < f->n_words; i++)
        found |= f->words[i] == have;
    return found & (t.len < sizeof(have));
}

INLINE bool look(const struct check *c, const struct split *s)
{
    uint64_t bad = 0;
#define GROUP(look) c->fields[look], c->n[look], s
    bad |= look_at_bytes(GROUP(CHECK_NAME), s->marks->not_name);
    bad |= look_at_bytes(GROUP(CHECK_UINT), s->marks->not_digit);
    bad |= look_at_decimals(GROUP(CHECK_DECIMAL));
    bad |= look_at_texts(GROUP(CHECK_TEXT));
#undef GROUP
    bool good = !bad;
    /* Fields that may need the parser come last: it wants a NUL where others look. */
    for (size_t i = 0; i < c->n[CHECK_WORD]; i++) {
        const struct check_field *f = &c->fields[CHECK_WORD][i];
        good = good && (is_word(f, s) || parses(f, s));
    }
    for (size_t i = 0; i < c->n[CHECK_OTHER]; i++) {
        const struct check_field *f = &c->fields[CHECK_OTHER][i];
        good = good && ((!f->least && !split_len(s, f->field)) || parses(f, s));
    }
    return good;
}

#if defined(__x86_64__)
__attribute__((target("bmi,bmi2,lzcnt"))) static bool look_bmi2(const struct check *c,
                                                                const struct split *s)
{
    return look(c, s);
}
#endif

bool check_plain(const struct check *c, const struct split *s)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("bmi2"))
        return look_bmi2(c, s);
#endif
    return look(c, s);
}
