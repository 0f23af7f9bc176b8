/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happened, written as event records: to STATE/migrations/ID.csv, the journal of a migration
 * (common/record/journal.h reads it), and to STATE/history.csv, all of them.
 *
 * A line without its newline never happened: it is what a crash left, is not read, and the next
 * writer cuts it off.
 */
#ifndef EXEC_JOURNAL_H
#define EXEC_JOURNAL_H

#include <stdbool.h>

#include "common/record/journal.h"

/* ---- the journal ---- */

struct journal;

/*
 * Opens the journal of ID in the folder STATE for writing, made if CREATE, and locks it: one
 * process drives a migration.  Space for what is to come is reserved.  *OUT is owned.  0, -EAGAIN
 * (another process has it), -ENOENT, or another -errno.
 */
int journal_open(const char *state, const char *id, bool create, struct journal **out);
void journal_close(struct journal *j);

/* Appends E and makes it durable.  0 or -errno: then it did not happen. */
int journal_append(struct journal *j, const struct event *e);

/* Reserves the space of the next events again, before a step that must not fail for want of it. */
int journal_reserve(struct journal *j);

/* Appends E to STATE/history.csv, one write under a lock.  0 or -errno. */
int history_append(const char *state, const struct event *e);
/* As history_append(), unless E is there: for one that a killed run may have left in its journal
 * alone. */
int history_complete(const char *state, const struct event *e);

#endif
