/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every part of the director in one thread shares: the loop, the pools, the settings.  Each
 * worker thread has one of its own (worker.h).
 */
#ifndef DIRECTOR_DIRECTOR_H
#define DIRECTOR_DIRECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk.h"
#include "common/base/intern.h"
#include "common/base/loop.h"
#include "common/base/opts.h"
#include "request.h"
#include "stats.h"

struct accesslog;
struct admission;
struct routewatch;
struct accesslog_tap;
struct reprove;
struct storejobs;
struct volume;
struct workers;

#define PROMOTE_NEVER UINT64_MAX

struct settings {
    struct opts_dirs dirs;
    const char *control_path;
    uint64_t handshake_us;  /* a client may take so long to ask for an export */
    uint64_t connect_us;    /* a gateway may take so long to be ready */
    uint64_t leg_us;        /* the second leg may be so much late with a mirrored write (S16) */
    uint64_t reverse_us;    /* a mirrored kept copy may be so much late with a write (S16) */
    uint64_t promote_us;    /* a dead owner's target takes over after this (S17); or never: */
    uint64_t quarantine_us; /* writes of a dead connection have landed or never will (S2) */
    uint64_t retry_us;      /* requests wait so long for a gateway, or for a commit in doubt */
    uint64_t silence_us;    /* a gateway that owes answers and is silent for so long is given up */
    size_t replay_bytes;    /* of a volume's replay log; 0: none is kept */
    size_t inflight_max;    /* requests of one connection */
    size_t inflight_bytes;  /* their payload, in either direction */
    unsigned gateway_conns; /* to one gateway, a volume */
    bool proxied;           /* who listens on a unix socket need not be the gateway */
    size_t max_clients;     /* connections, in all */
};

/* Until when a volume's moves are refused: writes of ended connections may still land (S2). */
struct quarantine {
    char *volume;
    const void *writer; /* who may be writing still; NULL: until_us counts */
    uint64_t until_us;
};

struct director {
    struct settings set;
    struct workers *workers; /* all of them */
    unsigned worker;         /* which of them this is; 0: the main thread's */
    struct loop *loop;
    struct chunk_pool pool;
    struct requests requests;
    struct intern client_names;
    struct accesslog *log;     /* NULL: none */
    struct accesslog_tap *tap; /* this loop's; NULL: none */
    struct stats stats;
    struct storejobs *jobs;
    struct admission *admission;
    struct routewatch *watch; /* NULL: none */
    struct volume *volumes;   /* a list */
    bool ending;              /* nothing is begun that nobody asked for */
    struct reprove *proving;  /* the reads of copies under way, a list */
    struct quarantine *quarantines;
    size_t n_quarantines, cap_quarantines;
};

#endif
