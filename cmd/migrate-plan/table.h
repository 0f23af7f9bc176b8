/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text in aligned columns; holds all of it until it is printed.  Ends the program without memory.
 */
#ifndef GS_MIGRATE_PLAN_TABLE_H
#define GS_MIGRATE_PLAN_TABLE_H

#include <stdio.h>

#include "common/base/buf.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    size_t columns;
    size_t n;        /* cells */
    struct buf text; /* of the cells, each with its NUL */
    size_t width[TABLE_COLUMNS_MAX];
};

/* HEADS: the columns' heads, NULL-terminated; they are the first row.  table_release() frees. */
void table_init(struct table *t, const char *const *heads);

/* The next cell; the last column's ends the row.  What would steer a terminal is shown as "?". */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void table_print(const struct table *t, FILE *out);
void table_release(struct table *t);

#endif
