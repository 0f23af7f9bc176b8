/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kept copy that is mirrored stands by (S17): it takes the place of its owner when that is
 * certainly dead, as the target of a move does (stall.c).  Part of a reverse mirror (reverse.h).
 *
 *   1. The owner is away, and no block of the copy lags behind: new requests are held, since one
 *      that can't be mirrored would make a block lag that nobody can bring up to date.
 *   2. It is dead, and away for --promote-after: the mirror drains.  What the copy was sent is all
 *      answered without an error, or the mirror is dropped.
 *   3. The copy is flushed on every connection, and what is known to be durable is read of it
 *      (S13).  If it can't flush, or has other data, the mirror is dropped.
 *   4. If the owner is dead still, and no block lags, the mirror ends in order and its connections
 *      go to a move all of whose blocks are synced, about to promote (move_stand_in()).  From here
 *      on the owner is looked for only between two attempts; if it is found the move is given up.
 *   5. The compare-and-set; in doubt until the store has been read (S1).
 *   6. The copy is the owner: what the dead one had not answered is sent to it, and answered to
 *      clients only then, with the ranges that it has held since it arrived (S4); what was held
 *      follows.
 *
 * Until 5 is durable nobody was told anything that the owner does not have, so that a director
 * that dies leaves the owner as it was; from then on the copy has, durably, all that anybody was
 * told.  If the copy is lost before 5 the owner is waited for, as without a mirror; afterwards it
 * is an owner that went away.  While the store can't be written to requests are held, and fail
 * after --retry-for.
 */
#ifndef DIRECTOR_STANDBY_H
#define DIRECTOR_STANDBY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "peer.h"

struct volume;

struct standby {
    struct volume *v;
    bool on; /* the mirror is */
    struct loop_timer watch;
    bool holding;        /* the gate is closed by this, which uses the volume therefor … */
    uint64_t held_at_us; /* … since then, by the clock */
    bool doubted; /* what a connection to the copy had not answered may land there still … */
    int server;   /* … until this one has ended: a pidfd; -1: not known */
    int pid;      /* its number */
    void (*drain)(void *arg);
    void *arg;
};

/*
 * Of V, off.  DRAIN: the copy shall take the owner's place, see 2 above; called again until
 * standby_end(), so that it may be in vain.  It may end the standby.
 */
void standby_init(struct standby *s, struct volume *v, void (*drain)(void *arg), void *arg);
/* Opens the gate that it has closed. */
void standby_release(struct standby *s);

/* The mirror is on, or over.  In the latter case the gate is opened from the loop. */
void standby_begin(struct standby *s);
void standby_end(struct standby *s);
/* The owner is away, if the mirror is on. */
void standby_owner_away(struct standby *s);
/* A gate that it has closed is another's to open now: returns since when it is. */
uint64_t standby_hand_over(struct standby *s);

/* A connection to the copy, at P, has ended with writes unanswered.  May take P's pidfd. */
void standby_doubt(struct standby *s, struct peer *p);

/*
 * Is nothing in the way of the copy on GATEWAY's becoming the owner, apart from what it lacks, and
 * from the owner's being alive?
 */
bool standby_is_ready(const struct standby *s, const char *gateway);

/* Is the owner dead for long enough? */
bool standby_is_due(const struct standby *s);

#endif
