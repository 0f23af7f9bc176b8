/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The worker threads.  A volume lives in exactly one of them, with all its clients, legs and moves,
 * and each has a struct director of its own; what they share are settings that nobody changes, and
 * messages (loop_post()).  Worker 0 is the main thread: it also has the listening sockets, the
 * signals and the control connections.
 */
#ifndef DIRECTOR_WORKER_H
#define DIRECTOR_WORKER_H

#include <stdatomic.h>

#include "director.h"
#include "ratelog.h"

enum { WORKERS_MAX = 64 };

struct worker;

struct workers {
    struct worker *all[WORKERS_MAX]; /* owned */
    unsigned n;
    atomic_size_t n_clients; /* connections, in all */
    const char *copy_path;   /* the socket of private exports; NULL: none.  Set before they run */
    /* Worker 0's: */
    uint64_t refused_clients; /* beyond max_clients */
    unsigned reopen_from;     /* the log is being reopened: workers that have to hand over still */
    struct ratelog crowd;     /* of lines about those */
};

/*
 * Makes N workers with the settings SET (copied; its strings are borrowed) that write to LOG
 * (borrowed; NULL: none).  0 or -errno.
 */
int workers_new(struct workers *w, const struct settings *set, unsigned n, struct accesslog *log);

/* Worker I's director.  Only its thread may look at more than .loop, .workers and .worker. */
struct director *workers_director(const struct workers *w, unsigned i);

/* Where volume NAME lives: any thread may ask with its own D. */
struct director *worker_of(const struct director *d, const char *name);

/* Runs them all, worker 0 here, until its loop is stopped; then all have ended.  0 or -errno. */
int workers_run(struct workers *w);

/* The access log goes on in a new file, once each worker has handed over what it has for this one.
 */
void workers_reopen_log(struct workers *w);

/* After workers_run(): what clients were told that is written is made durable. */
void workers_settle(struct workers *w);

/* After workers_run(): lets go of what an orderly end has to; open volumes stay as they are. */
void workers_release(struct workers *w);

#endif
