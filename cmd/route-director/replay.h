/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The replay log of a volume: what its owner has acknowledged and not yet flushed, in one order
 * (I2, S4).  A gateway that comes back without its cache is given all of it again, from the oldest
 * entry on.  Commands that overlap are never in flight together, so the order in which they were
 * answered is theirs.  Pure: no sockets, no clock.
 */
#ifndef DIRECTOR_REPLAY_H
#define DIRECTOR_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "chunk.h"
#include "common/nbd/handshake.h"

/* A command that changed data: WRITE (FUA or not), WRITE_ZEROES, TRIM. */
struct replay_entry {
    struct nbd_request nbd;
    struct slice wire; /* of a WRITE: room for the header, and the payload; else empty */
};

/* Zero-initialise; replay_release() frees.  Entries are numbered from 0 on, for good. */
struct replay {
    struct replay_entry *items; /* a ring */
    size_t head, n, cap;
    uint64_t oldest; /* the number of items[head] */
    size_t kept;     /* bytes of the chunks that it keeps, each counted whole and once */
};

/* Appends; a WRITE's slice gets a reference of its own.  0, or -ENOMEM (nothing appended). */
int replay_add(struct replay *l, const struct nbd_request *n, struct slice wire);

/* The memory that its entries take; 0 of an empty log. */
size_t replay_bytes(const struct replay *l);

/* The number that the next entry will get: what a flush that is sent now covers lies before it. */
uint64_t replay_mark(const struct replay *l);

/* The entry NUMBER (oldest … mark - 1).  Borrowed until the log is changed. */
const struct replay_entry *replay_at(const struct replay *l, uint64_t number);

/* Forgets all entries before MARK: they are durable. */
void replay_trim(struct replay *l, struct chunk_pool *pool, uint64_t mark);

void replay_release(struct replay *l, struct chunk_pool *pool);

#endif
