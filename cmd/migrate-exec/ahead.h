/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A standby that is made ahead of any move (a plan's row of the kind "standby"): a migration that
 * ends before its hand-over, on purpose.  Its target has everything, the director mirrors what is
 * written, and makes the target the owner if that dies (S17).
 *
 *     begin ─ replicate ─ mirror ─ proof ─ deferred ─ { --cutover, a row, --abort, the owner dies }
 *
 * That it is one is in its journal before anything else, so that no crash makes a move of it:
 * whoever resumes it brings it back to standing by, and never hands over.  Its route is "deferred"
 * while it stands by.  What a director's end leaves is "deferred" without a mirror; what the loss
 * of the target leaves is a steady route; --resume makes good either.
 */
#ifndef EXEC_AHEAD_H
#define EXEC_AHEAD_H

#include "cmd/migrate-exec/story.h"

/* Why there can be none, for the source and the target. */
#define AHEAD_SHARED "%s and %s share their storage: there is nothing to stand by"

/* Notes, as the first event of M's journal, that it is one.  0 or -errno. */
int ahead_note(struct move *m);
/* Is E that note? */
bool ahead_says(const struct event *e);

/*
 * The target is copied and mirrored: proves that, over what clients write meanwhile.  SETTLED, with
 * the event in M that says that it stands by, or a fault.
 */
enum outcome ahead_stand(struct move *m);

/*
 * M, whose journal is locked and says S, has not switched, and the store has ROUTE for its volume:
 * sees to it that its target lacks nothing, if the director mirrors to it.  SETTLED, also if
 * nothing can be done now, which is said; GO: it is to be driven again; DEFERRED: interrupted.
 */
enum outcome ahead_renew(struct move *m, const struct story *s, const struct route *route);

/* Has the target of ID, whose journal says S, taken its owner's place, which no journal says? */
bool ahead_took_over(const struct exec *x, const char *id, const struct story *s);

/* Makes what --status says of ID, in its last event E, that which is true by now. */
void ahead_describe(const struct exec *x, const char *id, struct event *e);

#endif
