/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records as a table for people. */
#ifndef GS_CONSOLE_TABLE_H
#define GS_CONSOLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/migrate-console/words.h"
#include "common/base/buf.h"

/* ---- records: CSV text with a header, by the names of its columns ---- */

/* Zero-initialise; records_release() frees. */
struct records {
    struct words header;
    struct words cells; /* row by row, header.n a row, unquoted */
    struct words lines; /* each row as it stood there, without the newline */
};

/* Reads CSV, replacing what R holds.  0, or -EBADMSG: no header, or a line that does not fit it. */
int records_parse(struct records *r, const struct buf *csv);
void records_release(struct records *r);
/* The field of ROW (from 0) in the column NAME; "" where there is no such column.  Borrowed. */
const char *records_get(const struct records *r, size_t row, const char *name);
static inline size_t records_n(const struct records *r)
{
    return r->lines.n;
}

/* ---- tables ---- */

/* Zero-initialise; table_release() frees. */
struct table {
    struct words cells; /* titles first */
    size_t columns;
};

/* Begins anew with the titles (NULL-terminated); one with '>' before it is written to the right. */
void table_begin(struct table *t, const char *const *titles);
/* The next cell, row by row; TEXT may be anything (text_safe()). */
void table_cell(struct table *t, const char *text);
/* As table_cell(), and clears B, which is shown. */
void table_take(struct table *t, struct buf *b);
/*
 * Appends the table to OUT, a line a row, at most WIDTH columns wide: what is too wide is cut where
 * cells are widest.  Nothing, not even titles, if there are no rows.
 */
void table_format(const struct table *t, size_t width, struct buf *out);
/* To standard output, as wide as that is. */
void table_print(const struct table *t);
void table_release(struct table *t);

#endif
