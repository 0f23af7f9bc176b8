/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The route store: which gateway owns which volume.  An append-only log of checksummed route
 * records in one file, STATE/routes.log, under flock; every change is a compare-and-set on the
 * volume's epoch, one appended line and one fdatasync.
 *
 * What a crash leaves: a torn last line (no newline, or a checksum that does not fit) never
 * happened, and the next writer cuts it off; a bad line before the last one is damage, is reported
 * (-EBADMSG) and nothing is changed.
 */
#ifndef GS_ROUTE_STORE_H
#define GS_ROUTE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/parse.h"
#include "common/record/schema.h"

/* One volume's record.  Copied by value. */
struct route {
    char volume[NAME_LEN_MAX + 1];
    char gateway[NAME_LEN_MAX + 1]; /* the owner */
    char target[NAME_LEN_MAX + 1];  /* of the move under way or uncommitted; "" if none */
    uint64_t epoch;                 /* grows by one with every change of owner */
    enum rec_route_state state;
    uint64_t size_bytes; /* the volume's size, whatever the gateways hold; 0: not yet known */
    double time;         /* of this record */
    /*
     * What is to be proved before the switch of the move under way; once that is uncommitted, what
     * was proved of its copy.  Steady: VERIFY_FULL.
     */
    enum rec_verify verify;
};

/* The log's name in the state folder: for who watches it. */
#define ROUTE_STORE_LOG "routes.log"

struct route_store;

/*
 * Opens the store in folder STATE, creating folder and file if CREATE.  *OUT is owned by the
 * caller.  0, -ENOENT (not there and not CREATE), or another -errno.  The store may be used by one
 * thread at a time; several processes may have it open.
 */
int route_store_open(const char *state, bool create, struct route_store **out);
void route_store_close(struct route_store *s);

/*
 * The current record of VOLUME: 1, 0 (none), or -errno (-EBADMSG: damage; -EINPROGRESS: a failed
 * route_store_cas() of this handle is not settled).  Always reads afresh, without the lock, and
 * what it returns is durable.
 */
int route_store_get(struct route_store *s, const char *volume, struct route *out);

/*
 * All current records, sorted by volume: FN is called for each and stops the walk with a non-zero
 * result, which is returned.  0 or -errno.
 */
int route_store_each(struct route_store *s, int (*fn)(const struct route *r, void *arg), void *arg);

/*
 * Compare-and-set: replaces VOLUME's record by NEXT if its epoch is EXPECT and its state is still
 * EXPECT_STATE (-1: any); a volume without a record has epoch 0.  NEXT->epoch must be EXPECT or
 * EXPECT + 1, and EXPECT + 1 if the owner changes (-EINVAL); that of a first record may be any.
 *
 * 0: durable.  -ESTALE: somebody else was first, nothing changed.  -EAGAIN: the lock could not be
 * had within WAIT_MS (-1: wait for ever), nothing changed.  -EINPROGRESS: the line was written but
 * fdatasync failed: the outcome is in doubt until route_store_settle() says.  Another -errno:
 * nothing changed.
 */
int route_store_cas(struct route_store *s, uint64_t expect, int expect_state,
                    const struct route *next, int wait_ms);

/*
 * After -EINPROGRESS, or by an operator: makes what can be read durable by rewriting the whole log
 * (temporary file, fsync, rename).  0 or -errno (still in doubt).  A director that starts calls it,
 * too: a predecessor may have died in doubt, and a second fdatasync of what failed once succeeds
 * without having written anything.
 */
int route_store_settle(struct route_store *s);

/* The line to print after a failure; "" if errno's text is all there is. */
const char *route_store_error(const struct route_store *s);

/* A descriptor for inotify or messages: the path of the log.  Borrowed. */
const char *route_store_path(const struct route_store *s);

/* R becomes steady: no move of the volume is open, or has left anything.  Its time stays. */
void route_settle(struct route *r);

/* Fills W's next record from R (a writer of rec_route). */
void route_put(struct rec_writer *w, const struct route *r);

/* ---- who serves a volume ---- */

/*
 * One director a volume: an exclusive lock (F_OFD_SETLK) on STATE/serving/VOLUME, which says where
 * the holder's control socket is ("" for who only wants to keep directors out).  Returns a
 * descriptor to keep open while serving (closing it, or dying, lets go), -EAGAIN when another
 * process has it, or -errno.  *UNCLEAN (may be NULL): the last director did not let go in order, so
 * writes of its connections may still be on their way (S2).
 */
int route_serve_lock(const char *state, const char *volume, const char *control_path,
                     bool *unclean);

/* Lets go in order: nothing that was sent to the volume's gateways is unanswered.  Closes FD. */
void route_serve_unlock(int fd);

/* Is somebody serving VOLUME?  1 (CONTROL gets the socket's path, up to SIZE), 0, or -errno. */
int route_serve_holder(const char *state, const char *volume, char *control, size_t size);

#endif
