/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/error.h"
#include "common/record/check.h"
#include "common/record/lines.h"
#include "common/record/marks.h"
#include "common/record/plain.h"
#include "common/record/record.h"
#include "common/record/split.h"
#include "common/record/value.h"

struct rec_reader {
    const struct rec_schema *schema;
    char *const *paths;
    size_t n_paths;
    size_t next_path;
    struct rec_writer *tied;
    bool in_range; /* rec_reader_range() */
    uint64_t from, to;
    bool whole;

    /* the current file */
    struct input *input;
    const char *name;
    uint64_t line;
    bool was_empty;      /* an input without a byte was refused */
    uint64_t lines_from; /* not counted in LINE: those from the header to this byte */
    struct lines lines;
    struct buf header;                /* the names of the extra columns point into it */
    size_t n_fields;                  /* fields a line must have */
    short column_of[REC_COLUMNS_MAX]; /* field to schema column, or -1: extra */
    short field_of[REC_COLUMNS_MAX];  /* schema column to field, or -1: absent */
    bool in_order;                    /* the fields are the schema's first columns */
    struct check check;
    size_t n_extras;
    unsigned char extras[REC_COLUMNS_MAX]; /* fields of the extra columns */
    const char *extra_names[REC_COLUMNS_MAX];

    /* the current record */
    struct split split;
    enum check_result quick; /* what check_plain() said */

    char where[512];
    char error[1024];
    int status;

    char *marked; /* the text of marks */
    struct marks marks;
    size_t mark_most; /* bytes, the next time */
};

/* Bytes that are looked at where most lines were read by others. */
enum { MARK_FIRST = 256 };

static char *stdin_only[] = {(char[]){"-"}};

static void flush_tied(void *ctx)
{
    struct rec_reader *r = ctx;
    /* A failure stays in the stream; the writer's next call or the check at exit reports it. */
    if (r->tied)
        (void)rec_flush(r->tied);
}

struct rec_reader *rec_reader_new(const struct rec_schema *schema)
{
    struct rec_reader *r = calloc(1, sizeof(*r));
    if (!r || lines_init(&r->lines, flush_tied, r) < 0) {
        free(r);
        return NULL;
    }
    r->schema = schema;
    r->mark_most = MARKS_TEXT;
    rec_reader_files(r, NULL, 0);
    return r;
}

static void close_input(struct rec_reader *r)
{
    input_close(r->input);
    r->input = NULL;
}

void rec_reader_free(struct rec_reader *r)
{
    if (!r)
        return;
    close_input(r);
    lines_release(&r->lines);
    split_release(&r->split);
    buf_release(&r->header);
    free(r);
}

void rec_reader_files(struct rec_reader *r, char *const *paths, size_t n)
{
    close_input(r);
    r->paths = n ? paths : stdin_only;
    r->n_paths = n ? n : 1;
    r->next_path = 0;
    r->in_range = r->whole = false;
}

void rec_reader_range(struct rec_reader *r, char *const *path, uint64_t from, uint64_t to,
                      bool whole)
{
    rec_reader_files(r, path, 1);
    r->in_range = true;
    r->whole = whole;
    r->from = from;
    r->to = to;
}

uint64_t rec_reader_offset(const struct rec_reader *r)
{
    return lines_offset(&r->lines);
}

void rec_reader_tie(struct rec_reader *r, struct rec_writer *w)
{
    r->tied = w;
}

/* ---- failures ---- */

const char *rec_reader_error(const struct rec_reader *r)
{
    return r->error;
}

int rec_reader_status(const struct rec_reader *r)
{
    return r->status;
}

/* The lines that a range left out: counted only where somebody wants to know. */
static void count_skipped(struct rec_reader *r)
{
    struct input *in;
    char bytes[4096];
    uint64_t at = 0, lines = 0;
    if (input_open(r->name, &in) < 0)
        return;
    while (at < r->lines_from) {
        ssize_t n = input_read(in, bytes, sizeof(bytes));
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n && at < r->lines_from; i++, at++)
            lines += bytes[i] == '\n';
    }
    input_close(in);
    /* The header is one of them. */
    r->line += lines ? lines - 1 : 0;
    r->lines_from = 0;
}

const char *rec_reader_where(struct rec_reader *r)
{
    if (r->lines_from)
        count_skipped(r);
    snprintf(r->where, sizeof(r->where), "%s:%llu", r->name, (unsigned long long)r->line);
    return r->where;
}

bool rec_reader_was_empty(const struct rec_reader *r)
{
    return r->was_empty;
}

/* A name or text as it may stand in a message: clipped, on one line, no control characters. */
static const char *shown(const char *text, char out[80])
{
    size_t n = 0;
    for (; n < 76 && text[n]; n++)
        out[n] = iscntrl((unsigned char)text[n]) ? '?' : text[n];
    memcpy(out + n, text[n] ? "..." : "", text[n] ? 4 : 1);
    return out;
}

/* Refuses the current line: sets the error and returns -EBADMSG. */
__attribute__((format(printf, 2, 3))) static int refuse(struct rec_reader *r, const char *fmt, ...)
{
    int n = snprintf(r->error, sizeof(r->error), "%s: ", rec_reader_where(r));
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->error + n, sizeof(r->error) - (size_t)n, fmt, ap);
    va_end(ap);
    r->status = EX_DATAERR;
    return -EBADMSG;
}

static int fail(struct rec_reader *r, int err, const char *what)
{
    snprintf(r->error, sizeof(r->error), "%s '%s': %s", what, r->name, err_text(err));
    r->status = err == -ENOMEM ? EX_OSERR : EX_IOERR;
    return err;
}

static int fail_open(struct rec_reader *r, int err)
{
    fail(r, err, "cannot open");
    if (err != -ENOMEM && err != -EMFILE && err != -ENFILE)
        r->status = EX_NOINPUT;
    return err;
}

/* ---- lines ---- */

/* The next line, split: 1, 0 at the end of the file, or the failure, reported. */
static int next_split(struct rec_reader *r)
{
    char *line;
    size_t len;
    if (r->in_range && lines_offset(&r->lines) >= r->to)
        return 0;
    int got = lines_next(&r->lines, &line, &len);
    if (got == 0 || (got > 0 && r->whole && lines_is_cut(&r->lines)))
        return 0;
    r->line++;
    if (got == -EMSGSIZE)
        return refuse(r, "line is longer than %d bytes", REC_LINE_MAX);
    if (got < 0) {
        close_input(r);
        return got == -EBADMSG ? refuse(r, "lz4 frame is damaged or ends early")
                               : fail(r, got, "cannot read");
    }
    const char *reason = split_line(&r->split, line, len);
    if (!reason)
        return 1;
    return errno == ENOMEM ? fail(r, -ENOMEM, "cannot read") : refuse(r, "%s", reason);
}

/* ---- the header ---- */

static int column_index(const struct rec_schema *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

static int check_duplicates(struct rec_reader *r)
{
    char text[80];
    for (size_t i = 0; i < r->split.n; i++) {
        if (!split_field(&r->split, i)[0])
            return refuse(r, "column %zu has no name", i + 1);
        for (size_t j = 0; j < i; j++)
            if (strcmp(split_field(&r->split, i), split_field(&r->split, j)) == 0)
                return refuse(r, "column '%s' stands twice",
                              shown(split_field(&r->split, i), text));
    }
    return 0;
}

/* What spreadsheets and cut files have in the place of a header, in their own words. */
static int check_strange(struct rec_reader *r)
{
    const char *first = split_field(&r->split, 0);
    if (strncmp(first, "\xef\xbb\xbf", 3) == 0)
        return refuse(r, "a byte order mark before the header: save as UTF-8 without one");
    for (size_t i = 0; i < r->split.n; i++)
        if (column_index(r->schema, split_field(&r->split, i)) >= 0)
            return 0;
    if (isdigit((unsigned char)first[0]))
        return refuse(r, "no header: the first line is not the columns' names");
    if (r->split.n == 1 && strpbrk(first, ";\t"))
        return refuse(r, "fields are not separated by commas");
    return 0;
}

static int check_missing(struct rec_reader *r)
{
    for (size_t col = 0; col < r->schema->n; col++) {
        bool optional = r->schema->columns[col].flags & REC_OPTIONAL;
        if (r->field_of[col] < 0 && !optional)
            return refuse(r, "column '%s' of %s records is missing", r->schema->columns[col].name,
                          r->schema->name);
    }
    return 0;
}

/* Keeps the names of the extra columns: the line they stand in is overwritten by the next. */
static int keep_extras(struct rec_reader *r)
{
    size_t bytes = 0;
    for (size_t i = 0; i < r->n_extras; i++)
        bytes += strlen(split_field(&r->split, r->extras[i])) + 1;
    buf_clear(&r->header);
    if (buf_reserve(&r->header, bytes) < 0)
        return fail(r, -ENOMEM, "cannot read");
    for (size_t i = 0; i < r->n_extras; i++) {
        const char *name = split_field(&r->split, r->extras[i]);
        r->extra_names[i] = r->header.data + r->header.len;
        buf_add(&r->header, name, strlen(name) + 1);
    }
    return 0;
}

/* Which field of a line is which column. */
static void place_columns(struct rec_reader *r)
{
    r->n_fields = r->split.n;
    r->n_extras = 0;
    r->in_order = true;
    check_clear(&r->check);
    for (size_t col = 0; col < r->schema->n; col++)
        r->field_of[col] = -1;
    for (size_t i = 0; i < r->n_fields; i++) {
        int col = column_index(r->schema, split_field(&r->split, i));
        r->column_of[i] = (short)col;
        r->in_order = r->in_order && col == (int)i;
        if (col < 0) {
            r->extras[r->n_extras++] = (unsigned char)i;
        } else {
            r->field_of[col] = (short)i;
            check_add(&r->check, i, &r->schema->columns[col]);
        }
    }
}

static int read_header(struct rec_reader *r)
{
    int got = next_split(r);
    if (got < 0)
        return got;
    if (got == 0) {
        r->line = 1;
        r->was_empty = true;
        return refuse(r, "no header");
    }
    split_end(&r->split);
    got = check_strange(r);
    if (got == 0)
        got = check_duplicates(r);
    if (got < 0)
        return got;
    place_columns(r);
    got = check_missing(r);
    return got < 0 ? got : keep_extras(r);
}

/* Leaves out what lies before a range. */
static int enter_range(struct rec_reader *r)
{
    char *line;
    size_t len;
    if (r->from <= lines_offset(&r->lines))
        return 0;
    /* A line begins where the byte before is a newline: that one is looked at, too. */
    int got = lines_seek(&r->lines, r->from - 1);
    if (got == 0)
        got = lines_next(&r->lines, &line, &len);
    r->lines_from = lines_offset(&r->lines);
    if (got == -EMSGSIZE || got > 0)
        return 0;
    if (got != 0 && got != -ENODATA)
        return fail(r, got, "cannot read");
    snprintf(r->error, sizeof(r->error), "cannot read '%s': it has become shorter", r->name);
    r->status = EX_DATAERR;
    return -ENODATA;
}

/* Opens the next file and reads its header: 1, 0 if there is none, or the failure, reported. */
static int next_file(struct rec_reader *r)
{
    if (r->next_path == r->n_paths)
        return 0;
    const char *path = r->paths[r->next_path++];
    r->name = strcmp(path, "-") == 0 ? "stdin" : path;
    r->line = r->lines_from = 0;
    int got = input_open(path, &r->input);
    if (got < 0)
        return fail_open(r, got);
    lines_begin(&r->lines, r->input);
    r->marks.n = r->marks.next = 0;
    uint64_t to = r->to;
    r->to = UINT64_MAX;
    got = read_header(r);
    r->to = to;
    if (got == 0 && r->in_range)
        got = enter_range(r);
    if (got < 0)
        close_input(r);
    return got < 0 ? got : 1;
}

/* ---- records ---- */

static int check_field(struct rec_reader *r, const struct rec_column *c, const char *text)
{
    union value v;
    if (!*text)
        return c->flags & REC_EMPTY ? 0 : refuse(r, "%s is empty", c->name);
    if (value_parse(c, text, &v) == 0)
        return 0;
    if (strcmp(text, c->name) == 0)
        return refuse(r,
                      "a second header: files that are joined have one, or are given one by one");
    char quoted[80];
    char expected[VALUE_EXPECTED_MAX];
    value_expected(c, expected);
    return refuse(r, "%s '%s' is not %s", c->name, shown(text, quoted), expected);
}

/* Checks every field; the numbers behind them are made when asked for. */
static int check_fields(struct rec_reader *r)
{
    struct split *s = &r->split;
    if (s->n != r->n_fields)
        return refuse(r, "%zu fields where the header has %zu", s->n, r->n_fields);
    split_end(s);
    for (size_t i = 0; i < s->n; i++) {
        if (r->column_of[i] < 0)
            continue;
        int got = check_field(r, &r->schema->columns[r->column_of[i]], split_field(s, i));
        if (got < 0)
            return got;
    }
    return 1;
}

/* Finds the lines at hand: first some of them, then ever more. */
static void mark(struct rec_reader *r)
{
    size_t len = lines_at_hand(&r->lines, &r->marked);
    r->marks.n = r->marks.next = 0;
    if (len)
        marks_find(&r->marks, r->marked, len < r->mark_most ? len : r->mark_most);
    r->mark_most = 2 * r->mark_most < MARKS_TEXT ? 2 * r->mark_most : MARKS_TEXT;
}

/* The next of the lines at hand, if it is plain: true, and it is split.  False takes nothing. */
static bool next_marked(struct rec_reader *r)
{
    struct split *s = &r->split;
    struct marks_line line;
    if (r->in_range && lines_offset(&r->lines) >= r->to)
        return false;
    if (r->marks.next == r->marks.n)
        mark(r);
    if (!marks_next(&r->marks, &line) || line.n - 1 >= REC_COLUMNS_MAX)
        return false;
    if (line.at[line.n] - line.at[0] == 1)
        return false; /* empty */
    split_marked(s, r->marked, &r->marks, &line);
    lines_take(&r->lines, r->marked + line.at[line.n]);
    r->line++;
    return true;
}

int rec_reader_next(struct rec_reader *r)
{
    for (;;) {
        if (!r->input) {
            int got = next_file(r);
            if (got <= 0)
                return got;
        }
        int got = next_marked(r) ? 1 : next_split(r);
        r->quick = CHECK_UNSURE;
        if (got > 0 && r->split.marks && r->split.n == r->n_fields)
            r->quick = check_plain(&r->check, &r->split);
        if (r->quick)
            return 1;
        if (got > 0)
            got = check_fields(r);
        if (got != 0)
            return got;
        close_input(r);
    }
}

bool rec_reader_lines(struct rec_reader *r, struct rec_lines *out)
{
    char *text;
    if (!r->input || !r->in_order)
        return false;
    size_t len = lines_at_hand(&r->lines, &text), begin = len;
    if (r->in_range) {
        uint64_t at = lines_offset(&r->lines), left = r->to > at ? r->to - at : 0;
        begin = left < len ? (size_t)left : len;
    }
    *out = (struct rec_lines){text, len, begin, r->n_fields};
    return begin > 0;
}

void rec_reader_take(struct rec_reader *r, size_t n, size_t bytes)
{
    char *text;
    lines_at_hand(&r->lines, &text);
    lines_take(&r->lines, text + bytes);
    r->line += n;
    /* The marks, if any, were of these lines.  Of the next ones few may need some. */
    r->marks.n = r->marks.next = 0;
    r->mark_most = MARK_FIRST;
}

const char *rec_text(const struct rec_reader *r, size_t col)
{
    return r->field_of[col] < 0 ? "" : split_text(&r->split, (size_t)r->field_of[col]);
}

const char *rec_bytes(const struct rec_reader *r, size_t col, size_t *len)
{
    short field = r->field_of[col];
    *len = 0;
    if (field < 0)
        return "";
    *len = split_len(&r->split, (size_t)field);
    return split_field(&r->split, (size_t)field);
}

bool rec_present(const struct rec_reader *r, size_t col)
{
    size_t len;
    rec_bytes(r, col, &len);
    return len > 0;
}

/* The value of a field, which was checked when the record was read. */
static union value value_of(const struct rec_reader *r, size_t col)
{
    union value v = {.uint = 0};
    const char *text = rec_text(r, col);
    if (*text)
        (void)value_parse(&r->schema->columns[col], text, &v);
    return v;
}

double rec_real(const struct rec_reader *r, size_t col)
{
    const struct rec_column *c = &r->schema->columns[col];
    double v;
    size_t len;
    const char *text = rec_bytes(r, col, &len);
    if (r->quick && len && c->type == REC_TIME && plain_real(text, len, &v))
        return v;
    return value_real(c, value_of(r, col));
}

uint64_t rec_uint(const struct rec_reader *r, size_t col)
{
    const struct rec_column *c = &r->schema->columns[col];
    uint64_t v;
    size_t len;
    const char *text = rec_bytes(r, col, &len);
    if (r->quick && len && c->type == REC_UINT)
        return plain_digits(text, (unsigned)len);
    if (r->quick && len && c->type == REC_TIME && plain_whole(text, len, &v))
        return v;
    return value_uint(c, value_of(r, col));
}

int64_t rec_int(const struct rec_reader *r, size_t col)
{
    return value_int(&r->schema->columns[col], value_of(r, col));
}

unsigned rec_word(const struct rec_reader *r, size_t col)
{
    return (unsigned)value_of(r, col).uint;
}

size_t rec_extras(const struct rec_reader *r)
{
    return r->n_extras;
}

const char *rec_extra_name(const struct rec_reader *r, size_t i)
{
    return r->extra_names[i];
}

const char *rec_extra(const struct rec_reader *r, size_t i)
{
    return split_text(&r->split, r->extras[i]);
}
