/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text in aligned columns; holds all of it until it is printed.  Ends the program without memory. */
#ifndef GS_MIGRATE_PLAN_TABLE_H
#define GS_MIGRATE_PLAN_TABLE_H

#include <stdio.h>

struct table;

/* HEADS: the columns' heads, NULL-terminated; they are the first row. */
struct table *table_new(const char *const *heads);

/* The next cell; the last column's ends the row. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void table_print(const struct table *t, FILE *out);
void table_free(struct table *t);

#endif
