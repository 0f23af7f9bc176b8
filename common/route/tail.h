/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The records of a route log in the order in which they were written, as far as one has read. */
#ifndef GS_ROUTE_TAIL_H
#define GS_ROUTE_TAIL_H

#include <sys/types.h>

#include "common/route/store.h"

/* Zero-initialise: nothing read yet. */
struct route_tail {
    dev_t device; /* of the file that was read … */
    ino_t inode;
    uint64_t offset; /* … up to here */
};

/* A record; anything but 0 stops the reading, and is its result. */
typedef int route_tail_fn(const struct route *r, void *arg);

/*
 * Calls FN for each whole record of the log PATH behind what T has read; from the beginning if
 * another file stands there now, as after a compaction, or it was cut; what the file before had got
 * besides is told first, if it is kept (past.h).  A last line that is torn or being written is left
 * for the next call.  0, -ENOENT, -EBADMSG (no route log, or damage), or
 * another -errno.  The lock is not taken, and what is read need not be durable yet: for who
 * watches, not for who acts.
 */
int route_tail_read(struct route_tail *t, const char *path, route_tail_fn *fn, void *arg);

/*
 * The same for all records that are still known, oldest first: of the old logs that compaction has
 * left beside LOG, then of LOG itself.  Records that a compaction kept come twice.
 */
int route_tail_history(const char *log, route_tail_fn *fn, void *arg);

#endif
