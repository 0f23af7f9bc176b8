/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The quick check of a whole record whose line was plain: the lengths of all fields at once, then
 * the fields that ask for the same look one after the other, with few decisions in between.
 */
#ifndef GS_RECORD_CHECK_H
#define GS_RECORD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/record.h"
#include "common/record/split.h"

enum check_look { CHECK_DECIMAL, CHECK_WORD, CHECK_OTHER, CHECK_LOOKS };

/* Words of more than 7 letters, and further words, are left to value_parse(). */
enum { CHECK_WORDS = 8 };

struct check_field {
    const struct rec_column *column;
    unsigned char field; /* of the line */
    bool may_be_empty;
    uint64_t stops; /* CHECK_DECIMAL: a bit for each number of digits before the point */
    uint64_t words[CHECK_WORDS]; /* CHECK_WORD: their letters and NULs, or no word's */
};

/* Fields FIRST … LAST hold bytes of one kind, as do the commas between them. */
struct check_run {
    unsigned char first, last;
    bool digits; /* of a number; else of a name */
};

enum check_result {
    CHECK_UNSURE, /* says nothing */
    CHECK_GOOD,   /* each field is a value of its column (value_parse(), or empty where it may) */
    CHECK_PARSED, /* the same, and NULs stand behind some fields */
};

struct check;
typedef enum check_result check_look_fn(const struct check *c, const struct split *s);

struct check {
    check_look_fn *look; /* that of this processor */
    /* How long each field is: LEAST1 − 1 bytes, and up to SPAN more. */
    uint32_t least1[REC_COLUMNS_MAX], span[REC_COLUMNS_MAX];
    size_t lanes; /* of them so many matter: a multiple of 8 */
    struct check_run runs[REC_COLUMNS_MAX];
    size_t n_runs;
    struct check_field fields[CHECK_LOOKS][REC_COLUMNS_MAX];
    size_t n[CHECK_LOOKS];
};

/* Empties C. */
void check_clear(struct check *c);
/* Field FIELD of a line, behind those added so far, is a value of COLUMN (stored). */
void check_add(struct check *c, size_t field, const struct rec_column *column);

/* Of the plain S, with as many fields as were added. */
static inline enum check_result check_plain(const struct check *c, const struct split *s)
{
    return c->look(c, s);
}

#endif
