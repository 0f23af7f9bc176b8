/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Migrations that were begun before: go on, end, let the old copy go.  What is true is asked of
 * the store, the live director and the journal, in that order (S15).
 */
#ifndef EXEC_RECOVER_H
#define EXEC_RECOVER_H

#include "cmd/migrate-exec/move.h"

/* Goes on with migration ID from wherever it is. */
enum outcome recover_resume(const struct exec *x, const char *id);
/* The same with every migration that has not ended, one after the other; the worst outcome. */
enum outcome recover_resume_all(const struct exec *x);
/*
 * Calls TAKE for each of them, with its last event; that has no names if its journal is damaged.
 * Last come those that are to stand by, and no more (ahead.h).
 */
typedef void recover_take(void *arg, const char *id, const struct event *last, bool standby);
void recover_each_open(const struct exec *x, recover_take *take, void *arg);

/* As recover_resume(), for a deferred migration alone: attach, catch up, hand over. */
enum outcome recover_cutover(const struct exec *x, const char *id);

/* Ends ID on the source, as long as it has not switched; SETTLED when it is ended. */
enum outcome recover_abort(const struct exec *x, const char *id);

/*
 * The same on behalf of a plan's row, with x->reason: not under another process that drives it
 * (DEFERRED), nor while the owner is away (FAILED).
 */
enum outcome recover_give_up(const struct exec *x, const char *id);

/* Lets the old copy of the switched migration ID go: fenced and made cold by the hook. */
enum outcome recover_commit(const struct exec *x, const char *id);

/* The same with every switched migration whose copy was retained long enough; the worst outcome. */
enum outcome recover_expire(const struct exec *x);

/*
 * Brings the volume of the switched migration ID back to where it came from, in a migration of its
 * own, which sends only what has changed since.
 */
enum outcome recover_revert(const struct exec *x, const char *id);

#endif
