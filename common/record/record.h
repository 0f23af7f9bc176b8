/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Line-oriented CSV records: one reader, one writer, one schema for each kind of record.
 *
 * A record is a line.  The first line of an input is a header that names the columns; columns are
 * found by name, in any order.  The schema fixes each column's type, its range and how it prints,
 * so that a value is checked where it is read and prints alike from every command.
 */
#ifndef GS_RECORD_RECORD_H
#define GS_RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/buf.h"

enum rec_type {
    REC_TEXT,    /* any text */
    REC_NAME,    /* parse_name(): volume, gateway, site */
    REC_TIME,    /* Unix seconds, 0 … 253402300799; prints up to 6 decimals, none if whole */
    REC_UINT,    /* 0 … 2^64-1 */
    REC_INT,     /* whole, signed */
    REC_REAL,    /* finite; prints up to 6 significant digits after trimming zeros */
    REC_RATIO,   /* 0 … 1; prints 4 decimals */
    REC_BENEFIT, /* -10 … 10; prints 4 decimals */
    REC_LATENCY, /* microseconds, 0 … 1e12; prints up to 3 decimals, zeros trimmed */
    REC_ERRNO,   /* "" or an errno name ("EIO"); value is the number */
    REC_WORD,    /* one of .words; value is the index */
};

enum {
    REC_EMPTY = 1,    /* the field may be empty */
    REC_OPTIONAL = 2, /* the column may be absent on input; on output it is printed only if the
                         writer was told to (rec_writer_with) */
};

struct rec_column {
    const char *name;
    enum rec_type type;
    unsigned flags;
    const char *const *words; /* REC_WORD: NULL-terminated */
};

struct rec_schema {
    const char *name; /* "access" */
    const struct rec_column *columns;
    size_t n;
};

/* The last second of the year 9999: no REC_TIME is later. */
#define REC_TIME_MAX 253402300799.0
/* No schema has more columns; no line more fields. */
#define REC_COLUMNS_MAX 64
/* A longer line is refused. */
#define REC_LINE_MAX (1024 * 1024)

/* ---- reading ---- */

struct rec_reader;
struct rec_writer;

/* A reader of SCHEMA (stored, must outlive it).  NULL: out of memory.  Free with _free. */
struct rec_reader *rec_reader_new(const struct rec_schema *schema);
void rec_reader_free(struct rec_reader *r);

/*
 * Reads the N files PATHS (stored) one after the other, each with a header of its own; N = 0 or a
 * path "-" is standard input.  .lz4 frames are recognised by their magic number, whatever the
 * name.  Nothing is opened before the first rec_reader_next().
 */
void rec_reader_files(struct rec_reader *r, char *const *paths, size_t n);

/*
 * Of the one file PATH (stored), behind its header, the records whose lines begin at bytes FROM …
 * TO − 1 of it (unpacked); FROM may lie within a line.  With WHOLE a last line without a newline is
 * left out: it is still being written.  -ENODATA (65) if there are fewer than FROM bytes.
 */
void rec_reader_range(struct rec_reader *r, char *const *path, uint64_t from, uint64_t to,
                      bool whole);
/* The bytes of the current file (unpacked) up to the end of the current record's line. */
uint64_t rec_reader_offset(const struct rec_reader *r);

/*
 * Before a read that may block, the reader flushes W (stored; NULL: none), so that in a pipeline
 * what was computed is seen at once.
 */
void rec_reader_tie(struct rec_reader *r, struct rec_writer *w);

/*
 * The next record: 1, 0 at the end of the last file, or -errno: -EBADMSG (malformed or
 * out-of-range record or header; the next call goes on behind it, or, after a bad header or a
 * damaged .lz4 frame, with the next file), -ENOENT/-EACCES/-EISDIR/… (cannot open), -EIO (read
 * error), -ENOMEM.
 */
int rec_reader_next(struct rec_reader *r);

/*
 * The text of the next records, as far as it is at hand, where the fields of a line are the
 * schema's first columns, in their order.  Nothing was looked at: that is left to who reads
 * millions.  Lines that begin before BEGIN are the reader's, if they end within LEN;
 * REC_LINES_SLACK bytes more may be read.  Borrowed until the next call that is given the reader.
 */
enum { REC_LINES_SLACK = 256 };
struct rec_lines {
    const char *text;
    size_t len, begin;
    size_t fields; /* of a line */
};

/*
 * The next lines of R, before which rec_reader_next() was called once: false if there are none, or
 * the columns are others.
 */
bool rec_reader_lines(struct rec_reader *r, struct rec_lines *out);
/*
 * The first N (not 0) of these lines, BYTES of text, were read, and are records without a fault.
 * With others, begin rec_reader_next(), which looks at the same line and says what is wrong with
 * it, or nothing.
 */
void rec_reader_take(struct rec_reader *r, size_t n, size_t bytes);

/*
 * After a negative result: "name:line: reason", or "cannot open 'name': reason", or "cannot read
 * 'name': reason".
 */
const char *rec_reader_error(const struct rec_reader *r);
/* After a negative result: the exit status that fits: 65, 66, 71 or 74. */
int rec_reader_status(const struct rec_reader *r);
/* Whether an input was refused because there was not a byte of it, so no header either. */
bool rec_reader_was_empty(const struct rec_reader *r);
/* "name:line" of the current record, for messages of the command's own. Borrowed until next. */
const char *rec_reader_where(struct rec_reader *r);

/*
 * Fields of the current record, COL = index in the schema.  Text is NUL-terminated, unquoted and
 * borrowed until the next rec_reader_next().  An absent or empty field is "", 0.
 */
bool rec_present(const struct rec_reader *r, size_t col); /* column there and field not empty */
const char *rec_text(const struct rec_reader *r, size_t col);
double rec_real(const struct rec_reader *r, size_t col); /* any numeric type */
uint64_t rec_uint(const struct rec_reader *r, size_t col);
int64_t rec_int(const struct rec_reader *r, size_t col);
unsigned rec_word(const struct rec_reader *r, size_t col);
/* The text without its NUL, which saves writing one: *LEN bytes, none of them NUL. */
const char *rec_bytes(const struct rec_reader *r, size_t col, size_t *len);
/* Columns of the current file that the schema does not know, in order: passed through filters. */
size_t rec_extras(const struct rec_reader *r);
const char *rec_extra_name(const struct rec_reader *r, size_t i);
const char *rec_extra(const struct rec_reader *r, size_t i);

/* ---- writing ---- */

/*
 * A writer of SCHEMA (stored) to OUT (borrowed, may be NULL if only rec_format() is used).  NULL:
 * out of memory.  _free does not close OUT.
 */
struct rec_writer *rec_writer_new(const struct rec_schema *schema, FILE *out);
void rec_writer_free(struct rec_writer *w);

/* Also print optional column COL. */
void rec_writer_with(struct rec_writer *w, size_t col);

/* Prints the header if it was not yet: so that "nothing" is a header and no rows. 0 or -errno. */
int rec_writer_header(struct rec_writer *w);

/* Set fields of the record being built; text is copied.  A field never set prints empty. */
void rec_put_text(struct rec_writer *w, size_t col, const char *s);
void rec_put_real(struct rec_writer *w, size_t col, double v);
void rec_put_uint(struct rec_writer *w, size_t col, uint64_t v);
void rec_put_int(struct rec_writer *w, size_t col, int64_t v);
void rec_put_word(struct rec_writer *w, size_t col, unsigned v);

/*
 * Prints the record (header first, once) and clears it.  0 or -errno (-EINVAL: a text field with
 * a line break, a number that is not finite or outside its column's range, a word
 * that does not exist: nothing printed).  The record is cleared in every case.
 */
int rec_write(struct rec_writer *w);
/* rec_write() and rec_flush(): for records that somebody waits for. */
int rec_write_now(struct rec_writer *w);
/*
 * Hands on what is buffered.  0 or -errno.  A write that failed, also one for a reader that is tied
 * to W, is answered by every later one too: records are missing then.
 */
int rec_flush(struct rec_writer *w);

/* As rec_write(), but appends the line without header to B.  rec_format_header() the header. */
int rec_format(struct rec_writer *w, struct buf *b);
int rec_format_header(struct rec_writer *w, struct buf *b);

#endif
