/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reverse mirror (S16): after a switch the old owner, where the copy is kept, goes on getting
 * the writes, so that the way back has nothing to copy.  Only when asked for.
 *
 *   OPENING ▶ ON ▶ DRAINING ▶ FLUSHING ▶ ENDED     in order: what it kept equal is known still
 *      └──────┴───────┴───────────┴────▶ DROPPED   all that was written since the switch counts as
 *                                                  changed, as if there had been no mirror
 *
 * No client waits for it: the owner's reply is the client's, and the copy's own request goes its
 * own way, after those that it overlaps.  An error, a lost connection, or a write that is too late
 * (--reverse-timeout) drops it.  Blocks that lag behind are brought up to date (catchup.h).  If
 * none does, and the owner dies, the copy takes its place (standby.h).
 *
 * Each write is in the change map, which outlives the director, before it leaves for either side
 * (S10, S11); that the copy has it all the same is said by an account in memory (changes_mirror()),
 * which the next director does not have.
 */
#ifndef DIRECTOR_REVERSE_H
#define DIRECTOR_REVERSE_H

#include <stdbool.h>

#include "volume.h"

struct control;
struct reverse; /* opaque; v->reverse, NULL until one is asked for */

/*
 * The verb "reverse": begins one, or says that there is one.  Takes over a use of V; C is answered
 * now or later.
 */
void reverse_start(struct volume *v, struct control *c);

/*
 * "reverse … off": C is answered when it has ended in order, EIO: it was dropped, and the copy is
 * unknown; ENOENT: there was none; EAGAIN: it is ending already, or taking the owner's place.
 */
void reverse_stop(struct volume *v, struct control *c);

/* The control connection C is closed. */
void reverse_control_gone(struct volume *v, const struct control *c);

/*
 * A way back is about to begin: the mirror, if there is one, ends in order, and what it kept equal
 * stays known; the volume stays open for that.  True: it is over.
 */
bool reverse_give_way(struct volume *v);

/* The director is about to end: the same, but the volume may be closed then. */
void reverse_settle(struct volume *v);

/*
 * Has the copy, as far as is known, all that the owner acknowledged, so that it could take the
 * place of one that is dead (S17)?
 */
bool reverse_may_promote(const struct volume *v);

/* The owner is away. */
void reverse_owner_away(struct volume *v);

/* Is it open, so that it has a leg? */
bool reverse_is_open(const struct volume *v);

/*
 * R, which changes data, is about to leave for the owner.  True: it is marked as changed, its
 * blocks were equal on the copy, and that is given the write, too; if R fails the caller marks its
 * range (changes_mark()).  False: nothing was done.
 */
bool reverse_write(struct volume *v, const struct request *r);

/* The map of V is another's, or V ends: it is dropped, if it is open, and forgotten. */
void reverse_forget(struct volume *v, const char *why);

/*
 * For status: "-", "starting", "on", "ending", "ended", or "dropped-" and why: "slow", "error",
 * "lost", "memory", "stopped".
 */
const char *reverse_word(const struct volume *v);

#endif
