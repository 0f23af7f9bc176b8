/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One CSV line to its fields.  libcsv, strict and keeping blanks, defines what a line means; a
 * line without a quote is split at its commas, which is the same and several times faster.
 */
#ifndef GS_RECORD_SPLIT_H
#define GS_RECORD_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/record/record.h"

/* Bytes behind a line that are read, though not looked at. */
#define SPLIT_SLACK 64

struct split_csv;

/* Zero-initialise; split_release() frees. */
struct split {
    /* Unquoted.  Room for the commas of a block of 64 bytes more than is allowed. */
    char *fields[REC_COLUMNS_MAX + 65];
    size_t n;
    bool plain; /* nothing was quoted: each field ends one byte before fields[i + 1], … */
    bool ended; /* … where a NUL stands only now; quoted fields always have theirs */
    struct split_csv *csv; /* made by the first quoted line */
    struct buf text;       /* the fields of a quoted line */
};

void split_release(struct split *s);

/*
 * Splits LINE (LEN bytes, then a NUL, then SPLIT_SLACK bytes of any content; changed in place, and
 * the fields point into it).  Returns NULL, or why the line is refused (static storage); errno is
 * then ENOMEM if memory ran out, else 0.
 */
const char *split_line(struct split *s, char *line, size_t len);

/* Ends every field with a NUL. */
void split_end(struct split *s);
/* Field I with its NUL. */
static inline const char *split_text(const struct split *s, size_t i)
{
    if (s->plain)
        s->fields[i + 1][-1] = 0; /* cppcheck-suppress negativeIndex ; the comma before it */
    return s->fields[i];
}

/* The same without the short way, for tests. */
const char *split_line_csv(struct split *s, char *line, size_t len);

#endif
