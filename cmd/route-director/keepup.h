/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A move that is deferred, and mirrored, keeps up without a driver: what could not be mirrored, a
 * trim, say, is read from the owner and written to the target, so that this can take the owner's
 * place again (S17).  One block at a time, and at most a quarter of the time, so that clients
 * hardly notice.
 *
 * It is a copier like a driver (S6, S7): it claims the block, reads, writes, and reports; a write
 * of a client that comes meanwhile makes it worth nothing.  What it has sent is known as unanswered
 * like what a copier of the move sends through the director (copiers.h), for the quarantine of a
 * target that is lost (S2), and is covered by the leg's flush (S5).
 *
 * A block that can't be read or written is told of once, and again when none is left; it is tried
 * again after pauses that grow (stuck.h), while others are copied.
 */
#ifndef DIRECTOR_KEEPUP_H
#define DIRECTOR_KEEPUP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/loop.h"
#include "stuck.h"

struct move;
struct request;

/* A move's; zero-initialised. */
struct keepup {
    struct loop_timer next;
    bool rests;            /* until then */
    struct request *asked; /* the read or the write under way; NULL: none */
    uint64_t claim, offset, length, began_us;
    struct stuck stuck;
    uint64_t at; /* while anything is stuck: where the search goes on */
};

/* Begins with the next block, if there is one, M has no driver, and nothing is under way. */
void keepup_look(struct move *m);
/* M ends: what is under way comes to nothing. */
void keepup_stop(struct move *m);

#endif
