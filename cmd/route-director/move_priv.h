/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of a move (move.c, move_copy.c, handover.c, shared.c, stall.c) share; nobody else
 * includes it.
 */
#ifndef DIRECTOR_MOVE_PRIV_H
#define DIRECTOR_MOVE_PRIV_H

#include "control.h"
#include "move.h"

uint64_t move_now_us(const struct move *m);

/* The verb that C sent is answered later, when WHAT has come. */
void move_wait_for(struct move *m, struct control *c, enum move_wait what);
/* The waiting verb's connection, which waits no longer; NULL: none, or gone. */
struct control *move_take_waiter(struct move *m);
/* Is another verb waiting still?  Then C has its answer. */
bool move_busy(struct move *m, struct control *c);
/* Is the move where claims make sense?  If not, C has its answer. */
bool move_is_copying(const struct move *m, struct control *c);
/* Are there blocks, and is no commit sent? */
static inline bool move_is_open(const struct move *m)
{
    return m->phase == MOVE_COPYING || m->phase == MOVE_HELD || m->phase == MOVE_STALLED ||
           m->phase == MOVE_PROMOTING;
}

/* Writes NEXT to the store by compare-and-set; move_store_outcome() follows. */
void move_record(struct move *m, const struct route *next, uint64_t expect, int expect_state);
/* The store's answer to whatever was asked in this phase. */
void move_store_outcome(struct storejob *j);
/* The same in COMMIT and DOUBT. */
void move_commit_outcome(struct move *m);

/* Proves M's copy anew while it only stands by, if that is not under way (reprove.h). */
void move_reprove(struct move *m);
/* Looks after haunted blocks and late mirrored writes. */
void move_start_tick(struct move *m);
/* A hold of WINDOW_MS begins at NOW_US, the clock's. */
void move_start_hold(struct move *m, uint64_t now_us, uint64_t window_ms);
/* Ends a hold on the owner: the waiting requests go on.  May give the move up. */
void move_end_hold(struct move *m);

/*
 * A flush on every connection of the target, or of the old owner.  0; 1: it cannot flush, and its
 * replies count as durable (S23); or -errno.
 */
int move_flush_leg(struct move *m);
/* The target shall be the owner: starts the compare-and-set. */
void move_commit(struct move *m);
/* No request counts as mirrored any more. */
void move_unmirror(struct volume *v);

/* ---- shared.c ---- */

/* All blocks of a new move are synced and proved: there is but one copy.  0 or -errno. */
int move_adopt_all(struct move *m);
/* WAIT_DETACH, and nothing is in flight any more. */
void move_detach_drained(struct move *m);
/* A hold with a detached owner is over: it is looked for. */
void move_reattach(struct move *m);
/* The switch of a move in HELD, in time and at the right epoch; and its outcome. */
void move_switch_shared(struct move *m, struct control *c);
void move_switched_shared(struct move *m, const struct route *route);

/* ---- stall.c ---- */

/* Is the owner away?  Then C, whose verb needs it, has its answer. */
bool move_is_stalled(const struct move *m, struct control *c);
/* The owner is lost: until it is back nothing is copied, and nothing is given up (S17). */
void move_stall(struct move *m);
/* Looks if a stalled move can go on, or its target take the owner's place. */
void move_stalled_tick(struct move *m);
/* It is, as ROUTE says; or it is not, for the reason WHY, and the move stalls again. */
void move_note_promotion(struct move *m, const struct route *route);
void move_not_promoted(struct move *m, const char *why);
/* The next step of a promotion. */
void move_promote_step(struct move *m);

/*
 * Back to the owner alone.  Whoever waits is told; an abort that waits is answered when the store
 * says "steady" again.  May free M.
 */
void move_give_up(struct move *m, int err, const char *why);
/* The end of a move that was recorded goes to the store: "steady". */
void move_record_end(struct move *m);
/* Frees a move that is over and that nobody will ask for any more. */
void move_free_if_over(struct move *m);

extern const struct leg_ops move_target_ops;

#endif
