/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The record reader on any bytes.  Held to: the short way through a line is libcsv's; whatever is
 * read prints, and what was printed reads back without a complaint and prints alike.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/fsfile.h"
#include "common/record/accesses.h"
#include "common/record/check.h"
#include "common/record/marks.h"
#include "common/record/plain.h"
#include "common/record/record.h"
#include "common/record/schema.h"
#include "common/record/split.h"
#include "common/record/value.h"
#include "fuzz.h"

static const char *const words[] = {"red", "green", NULL};
static const struct rec_column columns[] = {
    {"a", REC_TEXT, REC_EMPTY, NULL},
    {"b", REC_NAME, REC_EMPTY | REC_OPTIONAL, NULL},
    {"c", REC_TIME, REC_EMPTY | REC_OPTIONAL, NULL},
    {"d", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"e", REC_INT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"f", REC_REAL, REC_EMPTY | REC_OPTIONAL, NULL},
    {"g", REC_RATIO, REC_EMPTY | REC_OPTIONAL, NULL},
    {"h", REC_BENEFIT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"i", REC_LATENCY, REC_EMPTY | REC_OPTIONAL, NULL},
    {"j", REC_ERRNO, REC_EMPTY | REC_OPTIONAL, NULL},
    {"k", REC_WORD, REC_EMPTY | REC_OPTIONAL, words},
};
static const struct rec_schema schema = {"fuzz", columns, sizeof(columns) / sizeof(columns[0])};

/* ---- lines ---- */

/* What the quick looks take, the parser takes, and with the same number. */
static void check_field(const struct rec_column *c, size_t i, const struct split *s)
{
    union value v;
    double real;
    uint64_t whole;
    struct check look;
    size_t len = split_len(s, i);
    check_clear(&look);
    check_add(&look, i, c);
    if (!len || !check_plain(&look, s))
        return;
    const char *text = split_text(s, i);
    require(value_parse(c, text, &v) == 0);
    if (c->type == REC_UINT)
        require(plain_digits(text, (unsigned)len) == v.uint);
    if (c->type == REC_TIME && plain_real(text, len, &real))
        require(real == v.real && plain_whole(text, len, &whole) && whole == (uint64_t)real);
}

static void check_fields(const struct split *s)
{
    for (size_t i = 0; s->marks && i < s->n; i++)
        for (size_t col = 0; col < schema.n; col++)
            check_field(&columns[col], i, s);
}

/* The same for the look at a whole access record. */
static void check_access(const struct split *s)
{
    union value v;
    struct check look;
    if (!s->marks || s->n < ACCESS_COUNT || s->n > rec_access.n)
        return;
    check_clear(&look);
    for (size_t i = 0; i < s->n; i++)
        check_add(&look, i, &rec_access.columns[i]);
    if (!check_plain(&look, s))
        return;
    for (size_t i = 0; i < s->n; i++) {
        const struct rec_column *c = &rec_access.columns[i];
        const char *text = split_text(s, i);
        require(*text ? value_parse(c, text, &v) == 0 : c->flags & REC_EMPTY);
    }
}

/* ---- access records, many at a time ---- */

/* What was read of a line, S, with so many FIELDS, the parser reads, and the same. */
static void check_numbers(const struct access_line *l, const struct split *s, size_t fields)
{
    union value v[ACCESS_COUNT + 1] = {{0}};
    require(s->marks && s->n == fields);
    for (size_t i = 0; i < s->n; i++) {
        const struct rec_column *c = &rec_access.columns[i];
        const char *text = split_text(s, i);
        if (c->type != REC_NAME && c->type != REC_TEXT && c->type != REC_WORD)
            require(*text ? value_parse(c, text, &v[i]) == 0 : c->flags & REC_EMPTY);
    }
    bool counted = s->n > ACCESS_COUNT && *split_text(s, ACCESS_COUNT);
    require(l->time == v[ACCESS_TIME].real && l->offset == v[ACCESS_OFFSET].uint);
    require(l->length == v[ACCESS_LENGTH].uint && !*split_text(s, ACCESS_ERROR));
    require(l->count == (counted ? v[ACCESS_COUNT].uint : 1));
}

/* The same for LINE, of LEN bytes before its newline. */
static void check_read(const struct access_line *l, const char *line, size_t len, size_t fields)
{
    struct split s = {0};
    char *copy = malloc(len + 1 + SPLIT_SLACK);
    require(copy && !memchr(line, '\n', len) && line[len] == '\n');
    memcpy(copy, line, len);
    copy[len] = 0;
    require(!split_line(&s, copy, len));
    check_numbers(l, &s, fields);
    require(l->route - line == split_field(&s, ACCESS_VOLUME) - copy);
    require(l->origin - line == split_field(&s, ACCESS_CLIENT) - copy);
    require(l->route + l->route_len + 1 == l->origin);
    require(l->origin + l->origin_len + 1 - line == split_field(&s, ACCESS_OFFSET) - copy);
    split_release(&s);
    free(copy);
}

/* TEXT from each of its lines on, with and without a column of counts. */
static void check_accesses(const char *text, size_t len)
{
    char *padded = calloc(len + REC_LINES_SLACK, 1);
    struct accesses a;
    require(padded);
    memcpy(padded, text, len);
    for (size_t at = 0; at < len; at += a.n ? (size_t)(a.line[0].end - padded) - at : 1)
        for (size_t fields = ACCESS_COUNT; fields <= ACCESS_COUNT + 1; fields++) {
            const struct rec_lines lines = {padded + at, len - at, len - at, fields};
            const char *line = lines.text;
            accesses_read(&lines, &a);
            for (size_t i = 0; i < a.n; line = a.line[i++].end) {
                const struct access_line *l = &a.line[i];
                require(l->end <= padded + len && a.first <= l->time && l->time <= a.last);
                if (access_is_odd(l->route, l->route_len) ||
                    access_is_odd(l->origin, l->origin_len))
                    break;
                check_read(l, line, (size_t)(l->end - 1 - line), fields);
            }
        }
    free(padded);
}

/* ---- lines, both ways ---- */

static void compare_line(const char *line, size_t len)
{
    struct split fast = {0};
    struct split csv = {0};
    char *a = malloc(len + 1 + SPLIT_SLACK);
    char *b = malloc(len + 1 + SPLIT_SLACK);
    require(a && b);
    memcpy(a, line, len);
    memcpy(b, line, len);
    a[len] = b[len] = 0;
    const char *reason = split_line(&fast, a, len);
    const char *expected = split_line_csv(&csv, b, len);
    require(!reason == !expected);
    require(!reason || strcmp(reason, expected) == 0);
    require(reason || fast.n == csv.n);
    for (size_t i = 0; !reason && i < fast.n; i++)
        require(strcmp(split_text(&fast, i), split_text(&csv, i)) == 0);
    if (!reason) {
        check_access(&fast);
        check_fields(&fast);
    }
    split_release(&fast);
    split_release(&csv);
    free(a);
    free(b);
}

static void compare_lines(const char *text, size_t len)
{
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        compare_line(text, n);
        n += end != NULL;
        text += n;
        len -= n;
    }
}

/* All lines at once, by what this processor can and by what every one can. */
static void compare_marks(const char *text, size_t len)
{
    static struct marks fast, portable;
    len = len < MARKS_TEXT ? len : MARKS_TEXT;
    char *padded = calloc(len + SPLIT_SLACK, 1);
    require(padded);
    memcpy(padded, text, len);
    marks_find(&fast, padded, len);
    marks_find_portable(&portable, padded, len);
    require(fast.n == portable.n);
    for (struct marks_line a, b; marks_next(&fast, &a);) {
        require(marks_next(&portable, &b) && a.n == b.n);
        for (size_t i = 0; i <= a.n; i++)
            require(a.at[i] == b.at[i]);
    }
    for (size_t i = 0; i < len / 64; i++)
        require(fast.not_name[i] == portable.not_name[i] &&
                fast.not_digit[i] == portable.not_digit[i]);
    free(padded);
}

/* ---- records ---- */

static void put_field(struct rec_writer *w, const struct rec_reader *r, size_t col)
{
    switch (columns[col].type) {
    case REC_TEXT:
    case REC_NAME:
        rec_put_text(w, col, rec_text(r, col));
        break;
    case REC_UINT:
    case REC_ERRNO:
        rec_put_uint(w, col, rec_uint(r, col));
        break;
    case REC_INT:
        rec_put_int(w, col, rec_int(r, col));
        break;
    case REC_WORD:
        rec_put_word(w, col, rec_word(r, col));
        break;
    default:
        rec_put_real(w, col, rec_real(r, col));
    }
}

/* Reads the file behind FD and appends what was read to OUT, printed; how many were refused. */
static size_t copy_records(int fd, struct buf *out)
{
    char path[32];
    char *paths[] = {path};
    size_t refused = 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct rec_reader *r = rec_reader_new(&schema);
    struct rec_writer *w = rec_writer_new(&schema, NULL);
    require(r && w);
    for (size_t col = 0; col < schema.n; col++)
        rec_writer_with(w, col);
    rec_reader_files(r, paths, 1);
    require(rec_format_header(w, out) == 0);
    for (int got; (got = rec_reader_next(r)) != 0;) {
        refused += got < 0;
        for (size_t col = 0; got > 0 && col < schema.n; col++)
            if (rec_present(r, col))
                put_field(w, r, col);
        require(got < 0 || rec_format(w, out) == 0);
    }
    rec_reader_free(r);
    rec_writer_free(w);
    return refused;
}

static int file_of(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(fd >= 0 && fsfile_write_all(fd, data, size) == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = {0};
    struct buf second = {0};
    compare_lines((const char *)data, size);
    check_accesses((const char *)data, size);
    if (size)
        compare_marks((const char *)data, size);
    int fd = file_of(data, size);
    copy_records(fd, &first);
    close(fd);
    fd = file_of(first.data, first.len);
    require(copy_records(fd, &second) == 0);
    close(fd);
    require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    buf_release(&first);
    buf_release(&second);
    return 0;
}
