/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Brings those blocks of a mirrored kept copy up to date that lag behind (reverse.h): written
 * between the switch and the mirror's beginning, trimmed, failed by the owner.  One at a time, read
 * from the owner, and at most a quarter of the time, so that clients hardly notice.
 *
 * A block is equal from the moment its write to the copy is given away: nothing was in flight on it
 * when it was read, nothing came since, and what comes next is sent to the copy behind it.
 */
#ifndef DIRECTOR_CATCHUP_H
#define DIRECTOR_CATCHUP_H

#include "volume.h"

/*
 * DATA, with room for a request's header in front, was read at OFFSET, and is the copy's to be
 * written from now on: takes it over, and calls catchup_goes_on() when that is answered.  False: it
 * was not taken.
 */
typedef bool catchup_give(void *arg, uint64_t offset, struct slice data);

/* Zero-initialise; embedded. */
struct catchup {
    struct volume *v; /* NULL: stopped */
    struct loop_timer next;
    struct request *reading; /* NULL: nothing is being read */
    bool touched;            /* … a write to it has come */
    uint64_t cursor, began_us;
    uint32_t max_block; /* what owner and copy take at once, bytes */
    catchup_give *give;
    void *arg;
};

/* From now on, until catchup_stop().  MAX_BLOCK is the copy's; V has a map with an account. */
void catchup_start(struct catchup *c, struct volume *v, uint32_t max_block, catchup_give *give,
                   void *arg);
/* What is being read comes to nothing.  Stopped already is fine. */
void catchup_stop(struct catchup *c);

/* A data-changing request to these bytes leaves for the owner. */
void catchup_written(struct catchup *c, uint64_t offset, uint64_t length);

/* What was given is answered. */
void catchup_goes_on(struct catchup *c);

/*
 * What R, a READ of the director's own, was answered, in one piece with room for a request's header
 * in front.  False: the data are not all there, or no memory is.
 */
bool catchup_gather(struct volume *v, struct request *r, struct slice *out);

#endif
