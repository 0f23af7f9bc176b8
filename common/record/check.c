/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/check.h"

#include <string.h>

#include "common/record/plain.h"
#include "common/record/value.h"

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

/* One digit less than the largest value has. */
static unsigned char digits_of(enum rec_type type)
{
    return type == REC_TIME ? 11 : type == REC_LATENCY ? 12 : 32;
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
    for (size_t i = 0; i < CHECK_WORDS && words[i]; i++)
        if (strlen(words[i]) < sizeof(f->words[0]))
            f->words[i] = letters(words[i], strlen(words[i]));
}

void check_add(struct check *c, size_t field, const struct rec_column *column)
{
    enum check_look look = look_for(column->type);
    struct check_field *f = &c->fields[look][c->n[look]++];
    *f = (struct check_field){.column = column,
                              .field = (unsigned char)field,
                              .digits = digits_of(column->type),
                              .may_be_empty = column->flags & REC_EMPTY};
    if (look == CHECK_WORD)
        add_words(f, column->words);
}

struct text {
    const char *at;
    size_t len;
};

static struct text text_of(const struct check_field *f, const struct split *s)
{
    const char *at = s->fields[f->field];
    return (struct text){at, (size_t)(s->fields[f->field + 1] - at) - 1};
}

static bool empty_is_good(const struct check_field *f, struct text t)
{
    return (t.len == 0) & f->may_be_empty;
}

/* What the quick looks leave. */
static bool parses(const struct check_field *f, const struct split *s)
{
    union value v;
    return value_parse(f->column, split_text(s, f->field), &v) == 0;
}

static bool is_word(const struct check_field *f, struct text t)
{
    uint64_t have;
    bool found = false;
    if (t.len - 1 >= sizeof(have) - 1)
        return false;
    memcpy(&have, t.at, sizeof(have));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    have &= (UINT64_C(1) << 8 * t.len) - 1;
#else
    have = letters(t.at, t.len);
#endif
    for (size_t i = 0; i < CHECK_WORDS; i++)
        found |= f->words[i] == have;
    return found;
}

static bool check_names(const struct check *c, const struct split *s)
{
    bool good = true;
    for (size_t i = 0; i < c->n[CHECK_NAME]; i++) {
        const struct check_field *f = &c->fields[CHECK_NAME][i];
        struct text t = text_of(f, s);
        good &= plain_is_name(t.at, t.len) || empty_is_good(f, t);
    }
    return good;
}

static bool check_numbers(const struct check *c, const struct split *s)
{
    bool good = true;
    for (size_t i = 0; i < c->n[CHECK_UINT]; i++) {
        const struct check_field *f = &c->fields[CHECK_UINT][i];
        struct text t = text_of(f, s);
        good &= plain_is_uint(t.at, t.len) || empty_is_good(f, t);
    }
    for (size_t i = 0; i < c->n[CHECK_DECIMAL]; i++) {
        const struct check_field *f = &c->fields[CHECK_DECIMAL][i];
        struct text t = text_of(f, s);
        good &= plain_is_decimal(t.at, t.len, f->digits) || empty_is_good(f, t);
    }
    return good;
}

static bool check_texts(const struct check *c, const struct split *s)
{
    bool good = true;
    for (size_t i = 0; i < c->n[CHECK_TEXT]; i++) {
        const struct check_field *f = &c->fields[CHECK_TEXT][i];
        good &= text_of(f, s).len > 0 || f->may_be_empty;
    }
    return good;
}

/* Fields that may need the parser come last: it wants a NUL where others look. */
bool check_plain(const struct check *c, const struct split *s)
{
    bool good = check_names(c, s) && check_numbers(c, s) && check_texts(c, s);
    for (size_t i = 0; i < c->n[CHECK_WORD]; i++) {
        const struct check_field *f = &c->fields[CHECK_WORD][i];
        struct text t = text_of(f, s);
        good = good && (is_word(f, t) || empty_is_good(f, t) || parses(f, s));
    }
    for (size_t i = 0; i < c->n[CHECK_OTHER]; i++) {
        const struct check_field *f = &c->fields[CHECK_OTHER][i];
        good = good && (empty_is_good(f, text_of(f, s)) || parses(f, s));
    }
    return good;
}
