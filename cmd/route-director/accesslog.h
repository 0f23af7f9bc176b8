/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Access records: a log for the process, and a tap for each loop, which formats by hand into pieces
 * of its own.  A record costs next to nothing, and no loop ever waits for the file.
 */
#ifndef DIRECTOR_ACCESSLOG_H
#define DIRECTOR_ACCESSLOG_H

#include "director.h"

struct accesslog;
struct accesslog_tap;

struct accesslog_opts {
    const char *path;    /* "-": stdout; stored */
    uint64_t size_bytes; /* of a file, before it is moved aside and packed; 0: any */
    unsigned keep;       /* so many of those stay; 0: all */
    uint64_t sample;     /* one record of so many is written, with it as its count; 0: all */
};

/* Opens the log.  0 or -errno; -EEXIST: what is in the file are no access records. */
int accesslog_open(const struct accesslog_opts *set, struct accesslog **out);
/* The text of its negative result. */
const char *accesslog_error(int err);
/* Writes what is left, for as long as the file takes it.  After the taps.  NULL is fine. */
void accesslog_close(struct accesslog *log);
/* Opens the file anew (after it was renamed), behind what the taps have handed over. */
void accesslog_reopen(struct accesslog *log);
/* Records that could not be written.  0 if LOG is NULL.  From any thread. */
uint64_t accesslog_dropped(const struct accesslog *log);

/* A tap of LOG (stored) in the thread of LOOP (stored).  *OUT is owned.  0 or -ENOMEM. */
int accesslog_tap_new(struct accesslog *log, struct loop *loop, struct accesslog_tap **out);
/* Hands over what it has.  NULL is fine. */
void accesslog_tap_free(struct accesslog_tap *tap);
/* Hands over what it has if the queue is not full. */
void accesslog_tap_flush(struct accesslog_tap *tap);

/* R has ended at NOW_US.  TAP may be NULL. */
void accesslog_add(struct accesslog_tap *tap, const struct volume *v, const struct request *r,
                   uint64_t now_us);

#endif
