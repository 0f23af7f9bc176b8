/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/split.h"

#include <csv.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/record/plain.h"

struct split_csv {
    struct csv_parser parser;
    size_t starts[REC_COLUMNS_MAX]; /* offsets in split.text, which may move while it grows */
    size_t n;
    bool too_many;
    bool no_memory;
    struct buf *text;
};

static const char too_many_fields[] = "more than 64 fields";
static const char no_memory[] = "out of memory";

void split_release(struct split *s)
{
    if (s->csv)
        csv_free(&s->csv->parser);
    free(s->csv);
    buf_release(&s->text);
    *s = (struct split){0};
}

static int never_blank(unsigned char c)
{
    (void)c;
    return 0;
}

static int parser_init(struct csv_parser *p)
{
    if (csv_init(p, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return -ENOMEM;
    csv_set_space_func(p, never_blank);
    return 0;
}

static void on_field(void *data, size_t len, void *ctx)
{
    struct split_csv *c = ctx;
    if (c->n == REC_COLUMNS_MAX) {
        c->too_many = true;
        return;
    }
    c->starts[c->n++] = c->text->len;
    if (buf_add(c->text, data, len) < 0 || buf_add(c->text, "", 1) < 0)
        c->no_memory = true;
}

static int need_parser(struct split *s)
{
    if (s->csv)
        return 0;
    struct split_csv *c = calloc(1, sizeof(*c));
    if (!c || parser_init(&c->parser) < 0) {
        free(c);
        return -ENOMEM;
    }
    c->text = &s->text;
    s->csv = c;
    return 0;
}

/* Runs libcsv over the line; why it is refused, or NULL. */
static const char *parse(struct split_csv *c, const char *line, size_t len)
{
    const char *reason = NULL;
    if (csv_parse(&c->parser, line, len, on_field, NULL, c) != len)
        reason = "misplaced quote";
    else if (csv_fini(&c->parser, on_field, NULL, c) != 0)
        reason = "quote is not closed";
    if (!reason)
        return NULL;
    if (csv_error(&c->parser) == CSV_ENOMEM)
        c->no_memory = true;
    /* libcsv does not leave a half-read field by itself. */
    csv_free(&c->parser);
    if (parser_init(&c->parser) < 0)
        c->no_memory = true;
    return reason;
}

/* What is refused before the line is looked at as CSV. */
static const char *refuse(const char *line, size_t len)
{
    errno = 0;
    if (len == 0)
        return "empty line";
    if (memchr(line, 0, len))
        return "NUL byte in a field";
    if (memchr(line, '\r', len))
        return "carriage return in a field";
    return NULL;
}

static const char *split_quoted(struct split *s, const char *line, size_t len)
{
    if (need_parser(s) < 0) {
        errno = ENOMEM;
        return no_memory;
    }
    struct split_csv *c = s->csv;
    buf_clear(&s->text);
    c->n = 0;
    c->too_many = c->no_memory = false;
    const char *reason = parse(c, line, len);
    errno = c->no_memory ? ENOMEM : 0;
    if (c->no_memory)
        return no_memory;
    if (reason)
        return reason;
    if (c->too_many)
        return too_many_fields;
    s->plain = false;
    for (s->n = 0; s->n < c->n; s->n++)
        s->fields[s->n] = s->text.data + c->starts[s->n];
    return NULL;
}

/*
 * Splits at commas as long as there is nothing else: true, or false at a quote or at what is
 * refused.  The line stays as it is: a look at memory that was written a moment ago would have to
 * wait for it.
 */
static bool split_plain(struct split *s, char *line, size_t len)
{
    size_t n = 1;
    s->fields[0] = line;
    for (size_t at = 0; at < len; at += 64) {
        struct plain_marks m = plain_marks_64(line + at, len - at);
        if (m.others)
            return false;
        for (char *behind = line + at + 1; m.commas; m.commas &= m.commas - 1)
            s->fields[n++] = behind + __builtin_ctzll(m.commas);
        if (n > REC_COLUMNS_MAX)
            return false;
    }
    s->fields[n] = line + len + 1;
    s->n = n;
    s->plain = true;
    s->ended = false;
    return len > 0;
}

void split_end(struct split *s)
{
    for (size_t i = 0; s->plain && !s->ended && i < s->n; i++)
        (void)split_text(s, i);
    s->ended = true;
}

const char *split_line_csv(struct split *s, char *line, size_t len)
{
    const char *reason = refuse(line, len);
    return reason ? reason : split_quoted(s, line, len);
}

const char *split_line(struct split *s, char *line, size_t len)
{
    return split_plain(s, line, len) ? NULL : split_line_csv(s, line, len);
}
