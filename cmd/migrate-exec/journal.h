/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happened, as event records in files: STATE/migrations/ID.csv, the journal of a migration,
 * and STATE/history.csv, all of them.
 *
 * A line without its newline never happened: it is what a crash left, is not read, and the next
 * writer cuts it off.
 */
#ifndef EXEC_JOURNAL_H
#define EXEC_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/parse.h"
#include "common/record/schema.h"

/* An event record.  Copied by value. */
struct event {
    double time;
    char migration[NAME_LEN_MAX + 1];
    char volume[NAME_LEN_MAX + 1];
    char source[NAME_LEN_MAX + 1];
    char target[NAME_LEN_MAX + 1];
    enum rec_phase phase;
    enum rec_event event;
    uint64_t bytes_done;
    uint64_t bytes_total;
    bool has_pause;
    uint64_t pause_us;
    char who[256];
    char detail[256];
};

/* Fills W's next record (a writer of rec_event). */
void event_put(struct rec_writer *w, const struct event *e);

/* ---- identity ---- */

/*
 * The name of attempt ATTEMPT (from 1) to bring VOLUME to EPOCH: "VOLUME-EPOCH", later ones
 * "VOLUME-EPOCH.2" and so on.  0 or -ENAMETOOLONG.
 */
int migration_id(const char *volume, uint64_t epoch, unsigned attempt, char id[NAME_LEN_MAX + 1]);
/* The epoch that migration ID makes: 0, or -EINVAL if ID is not of that form. */
int migration_epoch(const char *id, uint64_t *epoch);

/*
 * Has a migration ended with this event, so that there is nothing to resume?  Not with
 * manual-recovery: what an operator did since is looked at each time.
 */
bool event_is_final(enum rec_event e);

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

/*
 * Calls FN for each event of ID's journal, oldest first, until it returns non-zero, which is then
 * returned.  0, or -errno: -ENOENT (no such journal), -EBADMSG (damage before the last line).
 */
int journal_each(const char *state, const char *id, int (*fn)(const struct event *e, void *arg),
                 void *arg);
/* The last event of ID's journal: 1, 0 (none yet), or -errno as journal_each(). */
int journal_last(const char *state, const char *id, struct event *out);

/*
 * The ids of all journals in the folder STATE, sorted; freed by journal_ids_free().  0 or -errno.
 */
int journal_ids(const char *state, char ***ids, size_t *n);
void journal_ids_free(char **ids, size_t n);

/* Appends E to STATE/history.csv, one write under a lock.  0 or -errno. */
int history_append(const char *state, const struct event *e);
/* As history_append(), unless E is there: for one that a killed run may have left in its journal
 * alone. */
int history_complete(const char *state, const struct event *e);

#endif
