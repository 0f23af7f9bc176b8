/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/split.h"

#include <csv.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

struct split_csv {
    struct csv_parser parser;
    struct buf text; /* the fields of a line, each with its NUL */
    uint32_t at[REC_COLUMNS_MAX + 1];
    size_t n;
    bool too_many;
    bool no_memory;
};

static const char too_many_fields[] = "more than 64 fields";
static const char no_memory[] = "out of memory";

void split_release(struct split *s)
{
    if (s->csv) {
        csv_free(&s->csv->parser);
        buf_release(&s->csv->text);
    }
    free(s->csv);
    free(s->alone);
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
    if (buf_add(&c->text, data, len) < 0 || buf_add(&c->text, "", 1) < 0)
        c->no_memory = true;
    c->at[++c->n] = (uint32_t)c->text.len;
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
    buf_clear(&c->text);
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
    s->marks = NULL;
    s->base = c->text.data;
    s->at = c->at;
    s->n = c->n;
    return NULL;
}

void split_end(struct split *s)
{
    for (size_t i = 0; s->marks && i < s->n; i++)
        (void)split_text(s, i);
}

const char *split_line_csv(struct split *s, char *line, size_t len)
{
    const char *reason = refuse(line, len);
    return reason ? reason : split_quoted(s, line, len);
}

/*
 * Splits at commas if there is nothing else: true, or false at a quote or at what is refused.  The
 * line stays as it is: a look at memory that was written a moment ago would have to wait for it.
 */
static bool split_plain(struct split *s, char *line, size_t len)
{
    struct marks_line l = {0};
    if (len == 0 || len >= MARKS_TEXT)
        return false;
    line[len] = '\n';
    marks_find(s->alone, line, len + 1);
    bool plain = marks_next(s->alone, &l) && l.n - 1 < REC_COLUMNS_MAX;
    if (plain)
        split_marked(s, line, s->alone, &l);
    line[len] = 0;
    return plain;
}

const char *split_line(struct split *s, char *line, size_t len)
{
    if (!s->alone && !(s->alone = calloc(1, sizeof(*s->alone)))) {
        errno = ENOMEM;
        return no_memory;
    }
    return split_plain(s, line, len) ? NULL : split_line_csv(s, line, len);
}
