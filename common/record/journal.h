/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journals of migrations, read: event records in STATE/migrations/ID.csv.  Who writes them is
 * migrate-exec(1).  A line without its newline never happened, and is not read.
 */
#ifndef GS_JOURNAL_H
#define GS_JOURNAL_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/record/event.h"

/* Appends "STATE/migrations/ID.csv" to PATH.  0, -EINVAL: ID is no name; or -ENOMEM. */
int journal_path(const char *state, const char *id, struct buf *path);

/*
 * Calls FN for each event of ID's journal, oldest first, until it returns non-zero, which is then
 * returned.  0, or -errno: -ENOENT (no such journal), -EBADMSG (damage before the last line).
 */
int journal_each(const char *state, const char *id, int (*fn)(const struct event *e, void *arg),
                 void *arg);
/*
 * Puts into OUT why ID's journal could not be read, after journal_each() has returned R < 0: with
 * the file, and where it is damaged the line.
 */
void journal_why(const char *state, const char *id, int r, char *out, size_t size);
/* The last event of ID's journal: 1, 0 (none yet), or -errno as journal_each(). */
int journal_last(const char *state, const char *id, struct event *out);

/*
 * The ids of all journals in the folder STATE, sorted; freed by journal_ids_free().  0 or -errno.
 */
int journal_ids(const char *state, char ***ids, size_t *n);
void journal_ids_free(char **ids, size_t n);

#endif
