/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/text.h"
#include "common/record/split.h"

enum { COLUMNS = 32, GAP = 2, NARROWEST = 4 };

/* ---- records ---- */

static int add_line(struct records *r, struct split *s, struct buf *line)
{
    bool header = !r->header.n;
    char *text = line->data;
    if (!header)
        words_add_n(&r->lines, text, line->len);
    if (split_line(s, text, line->len))
        return -EBADMSG;
    split_end(s);
    if (!header && s->n != r->header.n)
        return -EBADMSG;
    for (size_t i = 0; i < s->n; i++)
        words_add(header ? &r->header : &r->cells, split_field(s, i));
    return 0;
}

int records_parse(struct records *r, const struct buf *csv)
{
    struct split s = {0};
    struct buf line = {0};
    int result = 0;
    records_release(r);
    for (size_t at = 0; at < csv->len && result == 0;) {
        const char *start = csv->data + at, *end = memchr(start, '\n', csv->len - at);
        size_t len = end ? (size_t)(end - start) : csv->len - at;
        at += len + 1;
        if (len && start[len - 1] == '\r')
            len--;
        buf_clear(&line);
        words_need(buf_reserve(&line, len + SPLIT_SLACK));
        words_need(buf_add(&line, start, len));
        memset(line.data + len, 0, SPLIT_SLACK + 1);
        result = len && len <= REC_LINE_MAX ? add_line(r, &s, &line) : -EBADMSG;
    }
    split_release(&s);
    buf_release(&line);
    if (result == 0 && !r->header.n)
        result = -EBADMSG;
    if (result < 0)
        records_release(r);
    return result;
}

void records_release(struct records *r)
{
    words_release(&r->header);
    words_release(&r->cells);
    words_release(&r->lines);
}

const char *records_get(const struct records *r, size_t row, const char *name)
{
    for (size_t i = 0; i < r->header.n; i++)
        if (strcmp(r->header.v[i], name) == 0)
            return r->cells.v[row * r->header.n + i];
    return "";
}

/* ---- tables ---- */

void table_begin(struct table *t, const char *const *titles)
{
    words_clear(&t->cells);
    for (t->columns = 0; titles[t->columns] && t->columns < COLUMNS; t->columns++)
        words_add(&t->cells, titles[t->columns]);
}

void table_cell(struct table *t, const char *text)
{
    struct buf safe = {0};
    text_safe(&safe, text, strlen(text));
    words_add(&t->cells, safe.len ? safe.data : "");
    buf_release(&safe);
}

void table_take(struct table *t, struct buf *b)
{
    table_cell(t, b->len ? b->data : "");
    buf_clear(b);
}

static bool is_right(const struct table *t, size_t column)
{
    return t->cells.v[column][0] == '>';
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
    const char *text = t->cells.v[row * t->columns + column];
    return row == 0 && is_right(t, column) ? text + 1 : text;
}

/* What each column needs, and, while that is too much, one less for the widest. */
static void widths(const struct table *t, size_t rows, size_t width, size_t *out)
{
    size_t sum = GAP * (t->columns - 1);
    for (size_t c = 0; c < t->columns; c++) {
        out[c] = 0;
        for (size_t r = 0; r < rows; r++) {
            size_t w = text_width(cell(t, r, c));
            out[c] = w > out[c] ? w : out[c];
        }
        sum += out[c];
    }
    while (sum > width) {
        size_t widest = 0, second = 0;
        for (size_t c = 1; c < t->columns; c++)
            widest = out[c] >= out[widest] ? c : widest;
        for (size_t c = 0; c < t->columns; c++)
            second = c != widest && out[c] > second ? out[c] : second;
        if (out[widest] <= NARROWEST)
            break;
        size_t less = out[widest] > second ? out[widest] - second : 1;
        less = less > sum - width ? sum - width : less;
        less = out[widest] - less < NARROWEST ? out[widest] - NARROWEST : less;
        out[widest] -= less;
        sum -= less;
    }
}

void table_format(const struct table *t, size_t width, struct buf *out)
{
    size_t rows = t->columns ? t->cells.n / t->columns : 0, w[COLUMNS];
    if (rows < 2)
        return;
    widths(t, rows, width, w);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            words_need(buf_printf(out, "%*s", c ? GAP : 0, ""));
            text_fit(out, cell(t, r, c), w[c], is_right(t, c));
        }
        while (out->len && out->data[out->len - 1] == ' ')
            out->data[--out->len] = 0;
        words_need(buf_adds(out, "\n"));
    }
}

void table_print(const struct table *t)
{
    struct buf out = {0};
    table_format(t, text_columns(), &out);
    if (out.len)
        fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

void table_release(struct table *t)
{
    words_release(&t->cells);
}
