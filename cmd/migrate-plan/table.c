/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"

enum { GAP = 2 };

/* What would steer a terminal, whoever wrote it, becomes a question mark: control characters, those
 * of UTF-8 (U+0080 to U+009F) included. */
static void make_safe(char *cell)
{
    for (unsigned char *p = (unsigned char *)cell; *p; p++) {
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    }
}

static void add(struct table *t, const char *cell)
{
    size_t *width = &t->width[t->n++ % t->columns];
    const size_t len = strlen(cell);
    if (buf_add(&t->text, cell, len + 1) < 0)
        err_die(EX_OSERR, "out of memory");
    if (len > *width)
        *width = len;
}

void table_init(struct table *t, const char *const *heads)
{
    *t = (struct table){0};
    while (heads[t->columns] && t->columns < TABLE_COLUMNS_MAX)
        t->columns++;
    for (size_t i = 0; i < t->columns; i++)
        add(t, heads[i]);
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char *cell = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&cell, fmt, ap);
    va_end(ap);
    if (n < 0)
        err_die(EX_OSERR, "out of memory");
    make_safe(cell);
    add(t, cell);
    free(cell);
}

void table_print(const struct table *t, FILE *out)
{
    const char *cell = t->text.data;
    for (size_t i = 0; i < t->n; i++, cell += strlen(cell) + 1) {
        const size_t column = i % t->columns;
        if (column + 1 == t->columns)
            fprintf(out, "%s\n", cell);
        else
            fprintf(out, "%-*s", (int)t->width[column] + GAP, cell);
    }
}

void table_release(struct table *t)
{
    buf_release(&t->text);
}
