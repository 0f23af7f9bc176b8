/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of columns: from text, checked, and back to text. */
#ifndef GS_RECORD_VALUE_H
#define GS_RECORD_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/record.h"

/* A number's text, with NUL. */
#define VALUE_TEXT_MAX 48
/* What value_expected() says, with NUL. */
#define VALUE_EXPECTED_MAX 256

/*
 * Which member counts depends on the type: real for REC_TIME, _REAL, _RATIO, _BENEFIT, _LATENCY;
 * sint for REC_INT; uint for REC_UINT, _ERRNO and _WORD.
 */
union value {
    double real;
    int64_t sint;
    uint64_t uint;
};

/* TEXT (not empty) as a value of column C: 0, -EINVAL (not of the form) or -ERANGE. */
int value_parse(const struct rec_column *c, const char *text, union value *v);

/* What a value of the column must be, for messages: "a time in Unix seconds". */
void value_expected(const struct rec_column *c, char text[VALUE_EXPECTED_MAX]);

/* A value of the column as a number; 0 for REC_TEXT and REC_NAME. */
double value_real(const struct rec_column *c, union value v);
/* The same, whole: fractions are cut off, what does not fit becomes the nearest that does. */
uint64_t value_uint(const struct rec_column *c, union value v);
int64_t value_int(const struct rec_column *c, union value v);

/*
 * The number V as the column prints it, into TEXT.  The length, or -EINVAL if it is not finite or
 * lies outside the column's range even when rounded to the digits that are printed.
 */
int value_format_real(const struct rec_column *c, double v, char text[VALUE_TEXT_MAX]);
int value_format_uint(const struct rec_column *c, uint64_t v, char text[VALUE_TEXT_MAX]);
int value_format_int(const struct rec_column *c, int64_t v, char text[VALUE_TEXT_MAX]);

#endif
