/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The route store, used from a thread of its own: a lock that somebody holds or a slow fdatasync
 * stops no volume's I/O.  Jobs are done one after the other, in order.  So is other work on the
 * state folder that syncs.
 */
#ifndef DIRECTOR_STOREJOBS_H
#define DIRECTOR_STOREJOBS_H

#include <stdbool.h>

#include "common/base/loop.h"
#include "common/route/store.h"

enum storejob_kind { STOREJOB_GET, STOREJOB_LIST, STOREJOB_CAS, STOREJOB_SETTLE, STOREJOB_CALL };

/* Owned by who queues it; must stay until done() was called. */
struct storejob {
    enum storejob_kind kind;
    struct route route; /* GET: its .volume is looked up and it is filled; CAS: the new record */
    uint64_t expect;    /* CAS: epoch and state that must be there still */
    int expect_state;   /* -1: any */
    struct buf names;   /* LIST: NUL-terminated volume names, owned by the job's owner */
    int result;         /* as route_store_get(), _each(), _cas() or _settle() */
    char error[512];    /* words for a negative result */
    void (*call)(struct storejob *j, const char *state); /* CALL: what to do, in the thread */
    void (*done)(struct storejob *j);                    /* called from the loop */
    void *arg;
    struct storejob *next;
    struct loop_msg msg; /* done, on its way to the loop */
};

struct storejobs;

/* Starts the thread, which ends with the process; STATE is borrowed.  0 or -errno. */
int storejobs_new(struct loop *l, const char *state, struct storejobs **out);
void storejobs_queue(struct storejobs *s, struct storejob *j);

#endif
