/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A volume's owner that goes away and comes back (I2, S2, S4, S13, S18).
 *
 *   HERE ▶ AWAY ▶ CONNECTING ▶ CHECKING ▶ WAITED ▶ REPLAYING ▶ FLUSHING ▶ HERE
 *            ▲         │           │ ▶ DISTRUSTED                   │
 *            └─────────┴───────────┴────────────────────────────────┘ lost again
 *
 * Meanwhile requests wait, with their ranges; once the owner is back, and has again what it had
 * acknowledged, those that were unanswered are sent anew.  After --retry-for they fail, and
 * whatever comes then fails at once, until it is back: what it had acknowledged is kept for it.
 */
#ifndef DIRECTOR_OWNER_H
#define DIRECTOR_OWNER_H

#include "volume.h"

/* The leg of a serving volume is lost: for now, the volume has no owner. */
void owner_went_away(struct volume *v);

/* The leg that owner_went_away() led to is negotiated. */
void owner_came_back(struct volume *v);

/*
 * Is it away and certainly dead?  The process that listened on its unix socket has ended; or where
 * that is not known connections are refused.
 */
bool owner_is_dead(const struct volume *v);

/* An owner that is away is looked for no more, or again. */
void owner_stop_looking(struct volume *v);
void owner_look_again(struct volume *v);

/*
 * Another has taken the place of an owner that was away (owner_take()): what waited for it is sent,
 * and what it may still do touches nobody.
 */
void owner_replaced(struct volume *v);

/*
 * The owner's connections are closed on purpose, with nothing in flight and everything flushed; or
 * it is away, and looked for no more.  What comes waits until owner_look_again() or another owner.
 */
void owner_detach(struct volume *v);

/*
 * The owner is detached, and nobody can write by what it was asked before; L leads to the same
 * bytes.  It is the owner's leg now, as ROUTE says, and is given what the old one had not made
 * durable and not answered.
 */
void owner_succeeds(struct volume *v, struct leg *l, const struct route *route);

/*
 * The data of R, a READ of the director's own of WITNESS_BLOCK bytes, into BLOCK.  False: it
 * failed.
 */
bool owner_gather(struct request *r, unsigned char block[WITNESS_BLOCK]);

/*
 * Asks L, which leads to another copy as ROLE_TARGET, for the blocks that are known to be durable
 * (S13).  DONE is called with each, its r->arg ARG, its r->mark the number for witness_holds().
 * Returns how many are asked for.
 */
size_t owner_ask_other(struct volume *v, struct leg *l, void (*done)(struct request *r), void *arg);

/* The volume is opened, or has changed hands: L is the owner's leg, and nothing is owed to it. */
void owner_take(struct volume *v, struct leg *l);

/*
 * Opens the volume's intents, once its size is known: where a director that was killed had changes
 * in flight is haunted (S2).  0 or -errno.
 */
int owner_open_intents(struct volume *v);

/* "here", "away", "connecting", "checking", "waiting", "replaying", "flushing", "distrusted". */
const char *owner_place_name(const struct volume *v);

/* For how long it has been away; 0: it is here. */
uint64_t owner_away_us(const struct volume *v);

/* The volume ends: all is let go, and the leg closed. */
void owner_release(struct volume *v);

/*
 * Has the owner make durable what it acknowledged, if it is here and that is not under way.  What
 * follows from it, the log's being trimmed, is io.c's.
 */
void owner_flush(struct volume *v);

/* A request of the director's own to the owner, or NULL.  It is sent by io_transmit(). */
struct request *owner_request(struct volume *v, uint16_t type, uint64_t offset, uint32_t length,
                              void (*done)(struct request *r));

/*
 * R, which changed data, was acknowledged: until a flush the owner may lose it, so it is kept.  0,
 * or -ENOMEM: then it must not be acknowledged to the client.
 */
int owner_keep(struct volume *v, const struct request *r);

/*
 * A FLUSH leaves for the owner, or is answered.  Then: was it the first that left of those under
 * way?  Only then does it cover what the mark says: an earlier one may still tell of an error.
 */
void owner_flush_leaves(struct volume *v, struct request *r);
bool owner_flush_is_back(struct volume *v, struct request *r);

/* R, which changes data, has failed: whether and where it is durable nobody knows. */
void owner_doubts(struct volume *v, const struct request *r);

/* R, a FLUSH, succeeded: what it covers is forgotten, and perhaps a witness taken (S13). */
void owner_flushed(struct volume *v, const struct request *r);

/* Data of a READ: perhaps a witness, if all that was written is durable. */
void owner_saw(struct volume *v, const struct request *r, const struct slice *part);

/* Must a new command wait for what an ended connection may still do? */
static inline bool owner_haunted(const struct volume *v, uint64_t offset, uint64_t length,
                                 bool changes)
{
    return v->owner.haunts.n && haunts_block(&v->owner.haunts, offset, length, changes);
}

#endif
