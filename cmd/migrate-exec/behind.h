/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kept copy that is left behind: its gateway is silent, and its volume has to leave the gateway
 * that owns it (a plan's row, mandatory, to a third one).  What is owed to the copy, to be fenced
 * and made cold, stays written down and is done when its gateway is back; the volume goes on.
 *
 *     left behind ─ route steady ─ the new move        behind_leave(), then as any row
 *          └─ … ─ { fence, cold ─ committed            behind_finish(): --resume, --commit
 *                 { committed, nothing done            as its gateway has got the volume again
 *
 * The migration that has left the copy stays open for that: the event "deferred" of its last phase
 * says so, before anything else is done.  A kill behind it leaves, in this order: an uncommitted
 * route (--resume or the next row makes it steady, or commits if the gateway is back), a steady one
 * (the next row moves on), or what the new move leaves; the copy's part is open in any case.
 *
 * Nobody writes to the copy through us meanwhile: the store has another owner, the live director
 * agrees, has no leg to the gateway and is not about to open one; its mirror was seen to end, or is
 * dropped.  A gateway that answers a flush of that mirror is not silent, whatever its hook says.
 *
 * A fence that is owed must not hit what has been made of the copy since:
 *   - Whoever is about to use the gateway for the volume, as a target of whatever kind, calls
 *     behind_clear(), which does first what is owed, under the old journal's lock.  No use begins
 *     while another process has that lock, or while the gateway does not answer.
 *   - Who does it asks the store, then the director, under that lock.  If the gateway is owner,
 *     target or has the kept copy, as route-set(1) can have it, nothing is done, and that is the
 *     end.  The store is read once more behind it: a gateway that was made the owner at that very
 *     moment gets its export back.
 *   - What is not clear (no record, manual-recovery, an epoch before the journal's, a director that
 *     disagrees, or does not answer; storage that it shares with the owner) is left as it is, and
 *     open.
 * It is made cold, whatever an earlier --commit was to do: nobody can compare it with an owner that
 * knows what has changed any more.
 */
#ifndef EXEC_BEHIND_H
#define EXEC_BEHIND_H

#include "cmd/migrate-exec/story.h"

/* Is E the event that says it?  Then *UNPROVED: … and not all of the copy was proved. */
bool behind_says(const struct event *e, bool *unproved);

/* Has the migration whose journal says S left its copy behind, with something owed to it? */
bool behind_is(const struct story *s);

/*
 * Leaves the copy of the switched migration ID, whose gateway is silent, behind: GO, and the route
 * is steady; or an outcome with its message printed.
 */
enum outcome behind_leave(const struct exec *x, const char *id);

/*
 * Goes on with M, whose journal is locked and says S, as behind_is().  A gateway that is silent
 * still is told of, once in a run, and no failure.
 */
enum outcome behind_resume(struct move *m, struct story *s);

/*
 * Does what is owed, with the volume steady or moved on: SWITCHED, SILENT if the gateway is that
 * still, or an outcome with its message printed.
 */
enum outcome behind_finish(struct move *m, struct story *s, enum outcome silent);

/*
 * Before GATEWAY is used for VOLUME: does what is owed to copies that were left behind there.  GO,
 * or an outcome with its message printed: then it must not be used.
 */
enum outcome behind_clear(const struct exec *x, const char *volume, const char *gateway);

/* Calls TAKE for each migration that is behind_is(), with its last event. */
void behind_each(const struct exec *x,
                 void (*take)(void *arg, const char *id, const struct event *last), void *arg);

/* If migration ID is behind_is(), its last event's detail says so. */
bool behind_describe(const struct exec *x, const char *id, struct event *e);

#endif
