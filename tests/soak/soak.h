/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The world of a run: volumes, each on gateways of its own, their clients, and what goes wrong. */
#ifndef SOAK_SOAK_H
#define SOAK_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/rng.h"
#include "model.h"
#include "trace.h"

enum { VOLUMES_MAX = 8, CONNS_MAX = 8, GATEWAYS_MAX = 4 };

/* What may go wrong; the order is that of the summary. */
enum fault {
    FAULT_KILL,     /* kill -9 of a gateway, which is started again */
    FAULT_TWICE,    /* the same, and once more when it has just come back */
    FAULT_STOP,     /* SIGSTOP of a gateway for a while */
    FAULT_AWAY,     /* kill -9 of a gateway, which stays away for longer than --retry-for */
    FAULT_DIRECTOR, /* kill -9 of the director */
    FAULT_CRASH,    /* kill -9 of the director and of a gateway at once */
    FAULT_CLIENT,   /* a client closes its connection in the middle of everything */
    FAULT_STALL,    /* a client does not read its answers for a while */
    FAULT_FREEZE,   /* SIGSTOP of the director for a while */
    FAULT_MOVER,    /* kill -9 of a migrate-exec */
    FAULT_HALT,     /* SIGSTOP of a migrate-exec for a while */
    FAULT_SIGNAL,   /* SIGINT or SIGTERM of a migrate-exec */
    FAULT_KINDS,
};

enum proc_state { PROC_DOWN, PROC_STARTING, PROC_UP };

/* A gateway or the director. */
struct proc {
    char name[16];
    char socket[108];
    char *argv[64];
    pid_t pid; /* 0: none */
    enum proc_state state;
    bool stopped;
    bool aborted;        /* a gateway that ended by itself: not dealt with yet */
    uint64_t start_us;   /* DOWN: when it is to be started */
    uint64_t started_us; /* when it began to listen last */
    uint64_t cont_us;    /* stopped: until then */
    /* To be killed again, so long after it began to listen, for so long. */
    bool again;
    uint64_t again_after_us, again_down_us;
};

/* A write of a closed connection, that somebody may execute still. */
struct ghost {
    uint64_t first, n, op;
    uint64_t over_us;
};

struct gateway {
    struct proc proc;
    const struct gateway_kind *kind;
    char path[160]; /* the folder of its exports */
};

struct volume {
    struct world *w;
    char name[16];
    char kinds[64]; /* of its gateways, with pluses */
    bool aligned;   /* one of them takes whole sectors only */
    uint64_t size;
    struct model *model;
    struct gateway gateways[GATEWAYS_MAX];
    unsigned n_gateways;
    unsigned owner; /* which of them the store named when it was read last */
    struct ghost *ghosts;
    size_t n_ghosts, cap_ghosts;
    uint64_t answered_us; /* the latest asked request that was answered with success: when asked */
    uint64_t lenient_from_us, lenient_until_us; /* errors are due to requests under way then */
    struct conn *conns[CONNS_MAX];
};

struct counters {
    uint64_t requests, bytes, errors; /* errors: those that were due */
    uint64_t reconnects, refused, cuts;
    uint64_t faults[FAULT_KINDS];
    uint64_t aborts; /* of gateways */
};

struct settings {
    uint64_t seed;
    double seconds, fault_every_s, retry_for_s, hang_s, ghost_s;
    unsigned n_conns;
    unsigned faults; /* a bit a kind */
    bool direct;     /* without a director */
    bool tolerate_cuts, keep_dir;
    const char *gateways;
    uint64_t big_bytes;
    char **director_args; /* further ones, NULL-terminated; borrowed */
};

enum phase { PHASE_RUN, PHASE_CALM, PHASE_READ };

struct world {
    struct settings set;
    enum phase phase;
    char dir[64];
    uint64_t begin_us, now_us;
    struct proc director;
    struct volume volumes[VOLUMES_MAX];
    unsigned n_volumes;
    struct rng fault_rng;
    uint64_t next_fault_us;
    uint64_t next_op;
    size_t payload_bytes; /* of requests under way */
    struct counters count;
    struct trace trace;
    struct moves *moves; /* NULL: there are none */
    int signal_fd;
};

/* Adds an event now; VOLUME may be NULL. */
void soak_note(struct world *w, const struct volume *v, const char *what);

/* The same, of WHO (borrowed until the end of the run). */
void soak_note_of(struct world *w, const struct volume *v, const char *what, const char *who);

/* Ends the run: a reason, on volume V (or NULL) and about F (or NULL) as seen by R. */
_Noreturn void soak_fail(struct world *w, const struct volume *v, const struct finding *f,
                         const struct model_read *r, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Ends without a verdict: the surroundings are at fault, or the user interrupts. */
_Noreturn void soak_abort(struct world *w, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
