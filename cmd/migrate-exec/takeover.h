/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kept copy that took the place of a dead owner (S17): the director made it the owner while it
 * was mirrored, and no migrate-exec took part.  The store says so, and the live director agrees;
 * the journals are brought up to it (S15): the way back is a migration of its own, as if by
 * --revert, but not proved, and what is left on the dead owner is unknown.
 *
 * A record of the store is taken for that only if nobody else can have written it: see
 * place_of()'s TAKEN_OVER.
 */
#ifndef EXEC_TAKEOVER_H
#define EXEC_TAKEOVER_H

#include "cmd/migrate-exec/story.h"

/* Has that become of the switched migration M, whose journal says S?  ROUTE gets the store's
 * record. */
bool takeover_is(const struct move *m, const struct story *s, struct route *route);

/* The same of ID, and nobody has begun to record it. */
bool takeover_is_new(const struct exec *x, const char *id, const struct story *s);

/*
 * Records it, if the director has nothing against it: SWITCHED; or an outcome with its message
 * printed, and nothing changed, or it can be gone on with.  M's journal is locked.
 */
enum outcome takeover_record(struct move *m, struct story *s, const struct route *route);

/*
 * M is open, and its journal says S.  Has the store its switch, and it had not come to ask for one,
 * or says the director that it is a promotion?  Then its target took the place of a dead owner, and
 * M is told: it is a standby or a move that was left mirrored, or a way back that is the record of
 * a takeover, cut short.  Where a hold may have asked for a switch, and the director that knows is
 * gone, it counts as one: what was proved is in the route either way.
 */
bool takeover_recall(struct move *m, const struct story *s);

/* Ends M, which BACK has taken back: before BACK's own switch is written.  0 or -errno. */
int takeover_end(struct move *m, const struct move *back);

/* Says that M can't be committed as its copy is the owner.  FAILED. */
enum outcome takeover_refuse_commit(const struct move *m, const struct route *route);

/* If that has become of migration ID, whose last event is E: E's detail says so.  Was it so? */
bool takeover_describe(const struct exec *x, const char *id, struct event *e);

#endif
