/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Moves between two gateways that export the very same bytes, as the hook of one of them says.
 * Nothing is copied, and nothing is kept that would have to be let go:
 *
 *     begin ─ { detach (hold, drain, flush, close) ─ fence the source ─ switch }
 *
 * The source is fenced before the switch (S14): what it was asked by anybody has ended then.  Until
 * the switch every failure leads back to it: it is unfenced, and serves.  That it may be fenced is
 * in the journal before it is.
 */
#ifndef EXEC_SHARED_H
#define EXEC_SHARED_H

#include "cmd/migrate-exec/journal.h"
#include "cmd/migrate-exec/move.h"

/*
 * Asks the hooks of both gateways: GO, with m->shared set.  FAILED if one does not answer: to copy
 * a volume onto itself would destroy it, so that only a "no" will do.
 */
enum outcome shared_ask(struct move *m);

/*
 * Says that the storage is shared, and has the target lift a fence of its own, of a move that went
 * away from it.
 */
enum outcome shared_prepare(struct move *m);

/* In place of replicate and hand over. */
enum outcome shared_hand_over(struct move *m);

/*
 * The source, which may be fenced (m->fenced), is let serve again, unless the store has another
 * owner by now.  GO, or DEFERRED if its hook can't.  Only while the director can't switch any more,
 * or has not been asked to.
 */
enum outcome shared_unfence(struct move *m);

/* After the owner has changed: says so, and that there is nothing to be let go. */
enum outcome shared_finish(struct move *m);
/* Only the second half, if the journal has the first already. */
enum outcome shared_retire(struct move *m);

/* Does E, an event of a journal, say that the migration is one on shared storage? */
bool shared_says(const struct event *e);
/* May the source be fenced behind E, of such a migration, if it was so BEFORE? */
bool shared_fence_of(const struct event *e, bool before);

#endif
