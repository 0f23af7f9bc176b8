/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The quick check of a whole record whose line was plain: the fields that ask for the same look
 * one after the other, with few decisions in between.
 */
#ifndef GS_RECORD_CHECK_H
#define GS_RECORD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/record.h"
#include "common/record/split.h"

enum check_look {
    CHECK_TEXT,
    CHECK_NAME,
    CHECK_UINT,
    CHECK_DECIMAL,
    CHECK_WORD,
    CHECK_OTHER,
    CHECK_LOOKS
};

/* Words of more than 7 letters, and further words, are left to value_parse(). */
enum { CHECK_WORDS = 8 };

struct check_field {
    const struct rec_column *column;
    unsigned char field;         /* of the line */
    unsigned char least, span;   /* bytes, and how many more; CHECK_DECIMAL: before the point */
    unsigned char n_words;       /* CHECK_WORD: so many */
    uint64_t words[CHECK_WORDS]; /* their letters and NULs */
};

struct check {
    struct check_field fields[CHECK_LOOKS][REC_COLUMNS_MAX];
    size_t n[CHECK_LOOKS];
};

/* Empties C. */
void check_clear(struct check *c);
/* Field FIELD of a line is a value of COLUMN (stored). */
void check_add(struct check *c, size_t field, const struct rec_column *column);

/*
 * True only if each field of the plain S is a value of its column (value_parse(), or empty where
 * that is allowed); false says nothing.
 */
bool check_plain(const struct check *c, const struct split *s);

#endif
