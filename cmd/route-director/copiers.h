/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private exports of a move (S9): a gateway that does not promise one cache to several
 * connections gets exactly one, the leg's, so whoever copies goes through it as well.  `begin`
 * hands out the name of an export for each such side; it is good until the driver's control
 * connection ends, the owner changes, or that side is lost.
 *
 * A copier's requests are no clients' requests.  They are not mirrored, logged, counted or held,
 * change no block's state and take no range of the volume, because the claims do all that:
 *
 * - Reads of either side: a client's write, arriving or ending, voids the claim under which they
 *   were made (S6), in whatever order the gateway took the two.
 * - Writes to the target: only where the driver has a claim to copy.  A client's write is mirrored
 *   where all is synced (S7), so the two meet only if a block turned dirty while a mirrored write
 *   to it was in flight; then the block stays dirty (blocks_done()).  What is written here is not
 *   replayed: a target that is lost ends the move (S3).
 * - The source is read-only here, so its log and its order (S4) know nothing of copiers.
 * - `hold` does not hold them: the last blocks and proofs are theirs.  They count as in flight: a
 *   switch is refused while one is not answered (S5, S8).
 *
 * A copier that dies leaves its claims haunted (S2).  What it had sent is in flight on a connection
 * that lives, so its end is known: until then no haunted block is given out again, nothing that
 * it touches becomes synced, and nothing is written over it.
 *
 * A side that is lost takes its copiers' connections along, as a gateway of their own would:
 * unanswered is not failed.
 */
#ifndef DIRECTOR_COPIERS_H
#define DIRECTOR_COPIERS_H

#include <stdbool.h>
#include <stdint.h>

#include "copyname.h"
#include "director.h"
#include "leg.h"
#include "ranges.h"

struct client;
struct move;
struct volume;

/* Payload in flight of a copier's connection: clients' requests wait behind it on the leg. */
enum { COPIER_BYTES = 1 << 20 };

/* A move's; zero-initialised. */
struct copiers {
    char token[COPY_TOKEN_LEN + 1]; /* "": nobody is let in */
    struct client *connected[2];    /* lists: to the source, to the target */
    struct ranges writing;          /* writes to the target in flight, … */
    size_t orphans;                 /* … and how many of them lost who asked for them */
};

/* Room for the words of copiers_let_in(): two names and a socket. */
enum { COPIER_WORDS = 3 * COPY_NAME_SIZE + 128 };

/*
 * M's driver has begun: a new secret.  WORDS (COPIER_WORDS bytes) is what the reply says behind its
 * last word: " source=NAME", " target=NAME" and " at SOCKET", or nothing if no side is private.  0
 * or -errno.
 */
int copiers_let_in(struct move *m, char *words);

/* Nobody is let in any more, and who is in is closed: the driver is gone. */
void copiers_shut_out(struct move *m);
/* The same for one side, which is lost or changes its place; but new connections are let in. */
void copiers_close(struct move *m, enum leg_role side);

/* In which worker an export of this NAME is.  NULL: it is not a name of ours. */
struct director *copiers_home(const struct director *d, const char *name);
/* The volume of whose move NAME is a private export, and its *SIDE; NULL: there is none (now). */
struct volume *copiers_find(struct director *d, const char *name, enum leg_role *side);
/* What a copier is told of that side. */
struct nbd_export copiers_export(const struct volume *v, enum leg_role side);

/* Client C is connected to that side of V's move, or no longer. */
void copiers_attach(struct volume *v, struct client *c, enum leg_role side);
void copiers_detach(struct volume *v, struct client *c);

/* Takes a checked request R of a copier to that side; client_answer() follows. */
void copiers_submit(struct volume *v, struct request *r, enum leg_role side);

/* Is any request of copiers in flight on that side's leg? */
bool copiers_wait(const struct volume *v, enum leg_role side);
/* Is a copier's write to the target in flight on these bytes? */
bool copiers_write(const struct volume *v, uint64_t offset, uint64_t length);

#endif
