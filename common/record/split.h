/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One CSV line to its fields.  libcsv, strict and keeping blanks, defines what a line means; a
 * line without a quote is split at its commas, which is the same and several times faster.
 */
#ifndef GS_RECORD_SPLIT_H
#define GS_RECORD_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/record/marks.h"
#include "common/record/record.h"

/* Bytes behind a line that are read, though not looked at. */
#define SPLIT_SLACK 64

struct split_csv;

/*
 * Zero-initialise, and leave where it is; split_release() frees.  Field i is the bytes at[i] … at[i
 * + 1] − 2 behind BASE; the one byte behind it is a separator or a NUL.
 */
struct split {
    char *base;
    const uint32_t *at; /* [n + 1], borrowed */
    size_t n;
    const struct marks *marks; /* borrowed, of BASE; NULL: some field was quoted */
    struct marks *alone;       /* owned; of a line that came alone */
    struct split_csv *csv;     /* owned; made by the first quoted line */
};

void split_release(struct split *s);

/*
 * Splits LINE (LEN bytes, then a NUL, then SPLIT_SLACK bytes of any content; changed in place, and
 * the fields point into it).  Returns NULL, or why the line is refused (static storage); errno is
 * then ENOMEM if memory ran out, else 0.
 */
const char *split_line(struct split *s, char *line, size_t len);

/* As the line L, which was found at TEXT among MARKS (both stored), says; L->n is 1 or more. */
static inline void split_marked(struct split *s, char *text, const struct marks *marks,
                                const struct marks_line *l)
{
    s->base = text;
    s->at = l->at;
    s->n = l->n;
    s->marks = marks;
}

/* Ends every field with a NUL. */
void split_end(struct split *s);
/* Field I as it lies there, and its length. */
static inline char *split_field(const struct split *s, size_t i)
{
    return s->base + s->at[i];
}
static inline size_t split_len(const struct split *s, size_t i)
{
    return s->at[i + 1] - s->at[i] - 1;
}
/* Field I with its NUL. */
static inline const char *split_text(const struct split *s, size_t i)
{
    s->base[s->at[i + 1] - 1] = 0;
    return split_field(s, i);
}

/* The same without the short way, for tests. */
const char *split_line_csv(struct split *s, char *line, size_t len);

#endif
