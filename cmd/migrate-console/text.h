/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text on its way to a terminal: nothing of it may steer the terminal, whoever wrote it. */
#ifndef GS_CONSOLE_TEXT_H
#define GS_CONSOLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/* Are the locale's characters UTF-8? */
bool text_is_utf8(void);

/*
 * Appends LEN bytes of S to OUT: characters that the locale can print as they are, every other byte
 * as \xNN; these are control characters (C1 too), what is not of the locale's encoding, and
 * characters without a width or that turn the direction of writing.
 */
void text_safe(struct buf *out, const char *s, size_t len);

/* Columns that S takes, which came from text_safe(). */
size_t text_width(const char *s);

/*
 * Appends S, which came from text_safe(), cut or filled with blanks to COLUMNS; a cut is marked.
 * RIGHT: the blanks stand before it.
 */
void text_fit(struct buf *out, const char *s, size_t columns, bool right);

/*
 * Appends S, which came from text_safe(), in lines of at most COLUMNS that are broken at blanks, or
 * where there is none; all but the first begin with INDENT blanks, fewer than COLUMNS.  Each ends
 * in a newline.
 */
void text_wrap(struct buf *out, const char *s, size_t columns, size_t indent);

/* Appends "1.5G": BYTES in the largest unit of 1024 that leaves a whole part, three digits. */
void text_bytes(struct buf *out, uint64_t bytes);
/* Appends SECONDS as "4.2s", "3m12s", "5h03m" or "9d04h"; "-" where negative or not finite. */
void text_seconds(struct buf *out, double seconds);
/* Appends microseconds as "830us", "1.2ms" or "3.4s". */
void text_us(struct buf *out, double us);
/* Appends a time of the clock, UTC: "11-26 04:31:07". */
void text_time(struct buf *out, double time);

/* Columns of the terminal on standard output, else COLUMNS, else 80; at least 20, at most 1000. */
size_t text_columns(void);
/* Its lines, or 24; at least 2. */
size_t text_lines(void);
/* May the terminal be given colours?  Not with NO_COLOR, and not a dumb one. */
bool text_colour(void);

#endif
