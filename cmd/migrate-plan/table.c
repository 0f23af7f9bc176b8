/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/error.h"

enum { COLUMNS_MAX = 16, GAP = 2 };

struct table {
    size_t columns;
    char **cells;
    size_t n;
    size_t cap;
    size_t width[COLUMNS_MAX];
};

static void *must(void *p)
{
    if (!p)
        err_die(EX_OSERR, "out of memory");
    return p;
}

static void add(struct table *t, char *cell)
{
    size_t *width = &t->width[t->n % t->columns], len = strlen(cell);
    if (vec_room(&t->cells, t->n, &t->cap, sizeof(*t->cells)) < 0)
        must(NULL);
    t->cells[t->n++] = cell;
    if (len > *width)
        *width = len;
}

struct table *table_new(const char *const *heads)
{
    struct table *t = must(calloc(1, sizeof(*t)));
    while (heads[t->columns] && t->columns < COLUMNS_MAX)
        t->columns++;
    for (size_t i = 0; i < t->columns; i++)
        add(t, must(strdup(heads[i])));
    return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char *cell = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&cell, fmt, ap);
    va_end(ap);
    add(t, must(n < 0 ? NULL : cell));
}

void table_print(const struct table *t, FILE *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const size_t column = i % t->columns;
        if (column + 1 == t->columns)
            fprintf(out, "%s\n", t->cells[i]);
        else
            fprintf(out, "%-*s", (int)t->width[column] + GAP, t->cells[i]);
    }
}

void table_free(struct table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}
