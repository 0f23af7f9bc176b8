/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Haunted ranges (S2): a connection to the owner ended with a write unanswered, and the server may
 * still carry it out, over whatever is written there later.  Until that is impossible nothing new
 * is written there.  What the client was told that failed may also be read as if it had not been
 * and come to life afterwards: there nothing is read either (S18).  Pure: no clock but what is
 * given.
 */
#ifndef DIRECTOR_HAUNTS_H
#define DIRECTOR_HAUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct haunt {
    uint64_t start, end; /* END: first byte behind */
    uint64_t until_us;
    const void *ghost; /* an identity: who may still write; never dereferenced */
    bool failed;       /* its client was told EIO */
    bool replay;       /* it was an old write, sent again: newer ones may be in its place */
};

/* Zero-initialise; haunts_release() frees. */
struct haunts {
    struct haunt *items;
    size_t n, cap;
};

/* Notes T, a write that its ghost may still carry out.  0 or -ENOMEM. */
int haunts_add(struct haunts *h, const struct haunt *t);

/* A write to these bytes is answered with an error: what was noted there may come to life. */
void haunts_fail(struct haunts *h, uint64_t offset, uint64_t length);

/* The gateway lives: only from now on can time tell that it is done with them. */
void haunts_renew(struct haunts *h, uint64_t until_us);

/* May writes that were replayed still land?  Then nothing is replayed over them. */
bool haunts_replay(const struct haunts *h);

/* Must a new command on these bytes wait?  CHANGES: it changes data. */
bool haunts_block(const struct haunts *h, uint64_t offset, uint64_t length, bool changes);

/* GHOST can write no more. */
void haunts_lay(struct haunts *h, const void *ghost);

/* Forgets what is over at NOW_US.  Returns when to look again; 0: nothing is left. */
uint64_t haunts_expire(struct haunts *h, uint64_t now_us);

/* When the last of them is over; 0: there is none. */
uint64_t haunts_last_us(const struct haunts *h);

void haunts_release(struct haunts *h);

#endif
