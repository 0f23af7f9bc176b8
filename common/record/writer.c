/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/record/record.h"
#include "common/record/value.h"

/* A field of the record being built: its bytes as they will be printed, in writer.text. */
struct field {
    size_t start;
    size_t len;
};

struct rec_writer {
    const struct rec_schema *schema;
    FILE *out;
    bool header_done;
    bool with[REC_COLUMNS_MAX]; /* columns that are printed */
    struct field fields[REC_COLUMNS_MAX];
    struct buf text;
    struct buf line;
    int error;  /* the first failure since the record was begun */
    int broken; /* the first failure of OUT: records are missing from then on */
};

struct rec_writer *rec_writer_new(const struct rec_schema *schema, FILE *out)
{
    struct rec_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->schema = schema;
    w->out = out;
    for (size_t col = 0; col < schema->n; col++)
        w->with[col] = !(schema->columns[col].flags & REC_OPTIONAL);
    return w;
}

void rec_writer_free(struct rec_writer *w)
{
    if (!w)
        return;
    buf_release(&w->text);
    buf_release(&w->line);
    free(w);
}

void rec_writer_with(struct rec_writer *w, size_t col)
{
    w->with[col] = true;
}

/* ---- fields ---- */

static void note(struct rec_writer *w, int error)
{
    if (!w->error)
        w->error = error;
}

/* Sets a field to bytes that need no quotes. */
static void put_plain(struct rec_writer *w, size_t col, const char *s, size_t len)
{
    w->fields[col] = (struct field){w->text.len, len};
    if (buf_add(&w->text, s, len) < 0)
        note(w, -ENOMEM);
}

static void put_quoted(struct rec_writer *w, size_t col, const char *s)
{
    size_t start = w->text.len;
    int r = buf_adds(&w->text, "\"");
    for (; r == 0 && *s; s++)
        r = buf_add(&w->text, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    if (r == 0)
        r = buf_adds(&w->text, "\"");
    if (r < 0)
        note(w, r);
    w->fields[col] = (struct field){start, w->text.len - start};
}

void rec_put_text(struct rec_writer *w, size_t col, const char *s)
{
    size_t plain = strcspn(s, ",\"\r\n");
    if (!s[plain])
        put_plain(w, col, s, plain);
    else if (strpbrk(s + plain, "\r\n"))
        note(w, -EINVAL);
    else
        put_quoted(w, col, s);
}

/* LEN is the result of a value_format function. */
static void put_number(struct rec_writer *w, size_t col, const char *text, int len)
{
    if (len < 0)
        note(w, len);
    else
        put_plain(w, col, text, (size_t)len);
}

void rec_put_real(struct rec_writer *w, size_t col, double v)
{
    char text[VALUE_TEXT_MAX];
    put_number(w, col, text, value_format_real(&w->schema->columns[col], v, text));
}

void rec_put_uint(struct rec_writer *w, size_t col, uint64_t v)
{
    char text[VALUE_TEXT_MAX];
    put_number(w, col, text, value_format_uint(&w->schema->columns[col], v, text));
}

void rec_put_int(struct rec_writer *w, size_t col, int64_t v)
{
    char text[VALUE_TEXT_MAX];
    put_number(w, col, text, value_format_int(&w->schema->columns[col], v, text));
}

void rec_put_word(struct rec_writer *w, size_t col, unsigned v)
{
    const char *const *words = w->schema->columns[col].words;
    for (unsigned i = 0; words && words[i]; i++)
        if (i == v) {
            put_plain(w, col, words[i], strlen(words[i]));
            return;
        }
    note(w, -EINVAL);
}

/* ---- lines ---- */

int rec_format_header(struct rec_writer *w, struct buf *b)
{
    size_t len = b->len;
    int r = 0;
    for (size_t col = 0; col < w->schema->n && r == 0; col++)
        if (w->with[col]) {
            if (b->len > len)
                r = buf_adds(b, ",");
            if (r == 0)
                r = buf_adds(b, w->schema->columns[col].name);
        }
    if (r == 0)
        r = buf_adds(b, "\n");
    if (r < 0)
        b->len = len;
    return r;
}

/* Room for the whole line is there. */
static void add_fields(const struct rec_writer *w, struct buf *b)
{
    char *start = b->data + b->len;
    char *p = start;
    for (size_t col = 0; col < w->schema->n; col++) {
        if (!w->with[col])
            continue;
        const struct field *f = &w->fields[col];
        if (f->len)
            memcpy(p, w->text.data + f->start, f->len);
        p += f->len;
        *p++ = ',';
    }
    if (p > start)
        p--;
    if (p == start) { /* a single empty field: an empty line would be refused */
        *p++ = '"';
        *p++ = '"';
    }
    *p++ = '\n';
    *p = 0;
    b->len += (size_t)(p - start);
}

static void clear_record(struct rec_writer *w)
{
    buf_clear(&w->text);
    memset(w->fields, 0, w->schema->n * sizeof(w->fields[0]));
    w->error = 0;
}

int rec_format(struct rec_writer *w, struct buf *b)
{
    int r = w->error;
    if (r == 0)
        r = buf_reserve(b, w->text.len + w->schema->n + 4);
    if (r == 0)
        add_fields(w, b);
    clear_record(w);
    return r;
}

static int print(struct rec_writer *w, const struct buf *b)
{
    errno = 0;
    if (w->broken == 0 && fwrite_unlocked(b->data, 1, b->len, w->out) != b->len)
        w->broken = errno ? -errno : -EIO;
    return w->broken;
}

int rec_writer_header(struct rec_writer *w)
{
    if (w->header_done)
        return 0;
    buf_clear(&w->line);
    int r = rec_format_header(w, &w->line);
    if (r == 0)
        r = print(w, &w->line);
    if (r == 0)
        w->header_done = true;
    return r;
}

int rec_write(struct rec_writer *w)
{
    int r = w->error ? w->error : rec_writer_header(w);
    if (r < 0) {
        clear_record(w);
        return r;
    }
    buf_clear(&w->line);
    r = rec_format(w, &w->line);
    return r < 0 ? r : print(w, &w->line);
}

int rec_flush(struct rec_writer *w)
{
    if (w->broken == 0 && w->out && fflush(w->out) != 0)
        w->broken = -errno;
    if (w->broken < 0 && w->out == stdout)
        err_stdout_failed(w->broken);
    return w->broken;
}

int rec_write_now(struct rec_writer *w)
{
    int r = rec_write(w);
    return r < 0 ? r : rec_flush(w);
}
