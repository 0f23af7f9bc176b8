/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a whole file of records, of which any fault ends the program with its message. */
#ifndef PLAN_FILE_H
#define PLAN_FILE_H

#include "common/record/record.h"

/* Takes the record at hand; ARG is the caller's. */
typedef void file_take(void *arg, struct rec_reader *r);

/*
 * Has TAKE take each record of the file PATH, which has the schema SCHEMA.  Ends the program if it
 * cannot be read, a record is malformed, or memory runs out.
 */
void file_read(const struct rec_schema *schema, const char *path, file_take *take, void *arg);

/*
 * The same of a file that others append to, and may be killed doing so: one that is empty has no
 * records, and a last line that has no newline yet, and is no record, is told of and left out.
 */
void file_read_appended(const struct rec_schema *schema, const char *path, file_take *take,
                        void *arg);

/* Column COL, a real; NaN if it is empty. */
double file_real_or_nan(const struct rec_reader *r, size_t col);

#endif
