/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A volume that is being served: its owner leg, its clients, the overlap lock and the gate behind
 * which requests wait while the owner changes.  A volume is opened by its first user (a client or
 * a move) and closed after its last, once all that was acknowledged is durable.
 *
 * volume.c has its life and its users, io.c the way of a request, owner.c what happens when the
 * owner goes away: the volume outlives it, and clients wait.
 */
#ifndef DIRECTOR_VOLUME_H
#define DIRECTOR_VOLUME_H

#include <stdbool.h>

#include "common/route/store.h"
#include "director.h"
#include "haunts.h"
#include "leg.h"
#include "ranges.h"
#include "replay.h"
#include "stats.h"
#include "storejobs.h"
#include "witness.h"

struct changes;
struct client;
struct move;
struct reverse;

/* Somebody waiting for a volume to be served.  Embedded; stays until called or cancelled. */
struct volume_wait {
    void (*done)(struct volume_wait *w, struct volume *v, const char *error); /* V NULL: failed */
    struct volume_wait *next;
};

enum volume_state { VOLUME_LOOKUP, VOLUME_CONNECT, VOLUME_SIZE, VOLUME_SERVING, VOLUME_FAILED };

/* Where the owner is (owner.c). */
enum owner_place {
    OWNER_HERE,
    OWNER_AWAY,       /* looked for again later */
    OWNER_CONNECTING, /* … now */
    OWNER_CHECKING,   /* does it still have what it had? (S13) */
    OWNER_WAITED,     /* until what was replayed once has landed or never will (S2) */
    OWNER_REPLAYING,  /* it is given what it may have lost (I2) */
    OWNER_FLUSHING,   /* … and makes it durable */
    OWNER_DISTRUSTED, /* it has other data: nothing is touched */
};

struct ghost;

struct owner {
    struct leg *leg; /* NULL: away, or the volume has failed */
    enum owner_place place;
    struct nbd_export has; /* what it offers; kept while it is away */
    uint64_t since_us;     /* … since when */
    bool expired;          /* for longer than --retry-for: requests fail */
    unsigned tries;
    uint64_t back_us; /* when it last came back */
    struct loop_timer again, late, verdict;
    uint64_t next;           /* the entry to be replayed next */
    size_t asked;            /* of checking and replaying: not answered yet */
    struct ranges replaying; /* overlapping entries one after the other */
    bool other;              /* a check found other data */
    bool readable;           /* … or at least a block that could be read */
    struct replay log;       /* acknowledged, not flushed */
    bool flushing;           /* a flush of the director's own is under way */
    struct request *flushes; /* all that are, in the order in which they were sent */
    unsigned silences;       /* how often in a row it was given up for its silence */
    struct intents *intents; /* where changes are in flight, for who comes after a kill */
    struct haunts haunts;    /* where writes of ended connections may land */
    struct ghost *ghosts;    /* who may still do that */
    int process;             /* of the gateway that went away: a pidfd; -1: not known, … */
    bool refused;            /* … but nobody listens where it was */
    struct loop_timer exorcism;
    struct witness witness;
    uint64_t arrivals;  /* data-changing commands sent so far, … */
    uint64_t doubts;    /* and those of which nobody knows whether they are durable, … */
    uint64_t settled;   /* … of which so many were before a flush */
    uint64_t data_seen; /* READs whose data might have been witnessed */
};

struct volume {
    struct director *d;
    struct volume *next;
    char name[NAME_LEN_MAX + 1];
    enum volume_state state;
    char error[512];
    unsigned users; /* waiters, clients, a move, a job of the store */
    struct volume_wait *waiters;
    struct route route;  /* as the store has it */
    struct storejob job; /* LOOKUP and SIZE; a verdict of manual recovery */
    bool reread_due;     /* the store changed while a move was writing the record */
    int lock_fd;
    bool unclean; /* the last director did not let go in order */
    struct owner owner;
    uint64_t asked_us;         /* since when its owner is asked for a connection, in CONNECT */
    struct nbd_export offered; /* what clients are told */
    struct client *clients;    /* a list */
    unsigned n_clients, next_index;
    struct move *move;
    uint64_t incarnation;    /* a number that no other opening of the volume has */
    struct changes *changes; /* since the kept copy was left; NULL: not known, or none is kept */
    struct reverse *reverse; /* gives it the writes, if that was asked for; NULL: never was */
    struct ranges ranges;    /* of commands that the owner has not answered, … */
    struct ranges lagging;   /* … and of those that only a target that stands by has not */
    struct requestq blocked; /* wait for a range, or for room in the log */
    struct requestq held;    /* wait for the gate */
    bool gate;               /* closed: new requests are held */
    size_t inflight;         /* started and not ended, … */
    size_t aside;            /* … of which so many are READs that keep it from no end (io.h) */
    size_t lagging_bytes;    /* of those whose clients do not wait for a target that stands by */
    struct loop_task close_task;
    struct loop_timer close_late;        /* when its quarantine is over */
    uint64_t requests, errors, pause_us; /* for status, as are: */
    uint64_t replayed;                   /* commands sent again, logged and unanswered ones */
    uint64_t reconnects;                 /* how often the owner came back */
    uint64_t expired;                    /* requests that failed since it did not */
    uint64_t promoted_epoch;             /* of the last owner that took a dead one's place … */
    uint64_t promoted_unproved;          /* … with so many bytes that were not proved */
    struct volume_stats stats;
};

/*
 * Asks for the volume NAME (parse_name() holds).  W->done is called once, perhaps at once; with a
 * volume it has become a user of it: volume_unuse() when done with it.
 */
void volume_open(struct director *d, const char *name, struct volume_wait *w);
void volume_open_cancel(struct director *d, struct volume_wait *w);
void volume_unuse(struct volume *v);
/* A volume that is being served, or NULL. */
struct volume *volume_find(struct director *d, const char *name);

/* Client C becomes, or is no longer, one of the volume's.  Attaching takes over a use. */
void volume_attach(struct volume *v, struct client *c);
void volume_detach(struct volume *v, struct client *c);

/* Takes a checked request: it is sent, or waits for a range or behind the gate. */
void volume_submit(struct volume *v, struct request *r);

/* The gate: closing holds new requests; opening sends them on to whoever is the owner now. */
void volume_close_gate(struct volume *v);
void volume_open_gate(struct volume *v);
/* Ends what is held with ERROR (NBD_EIO), the gate staying closed. */
void volume_fail_held(struct volume *v, uint32_t error);

/* Makes leg L the owner as the route R says; returns the old owner leg, now the caller's. */
struct leg *volume_change_owner(struct volume *v, struct leg *l, const struct route *r);

/* All requests waiting for ROLE stop waiting for it: its leg is gone for good. */
void volume_forget_role(struct volume *v, enum leg_role role, uint32_t error);
/* Ends with ERROR what waits for a range or for room in the log. */
void volume_fail_blocked(struct volume *v, uint32_t error);
/* Something became free: starts what can go now. */
void volume_unblock(struct volume *v);
/*
 * Is a client's request that was mirrored before BEFORE_US waiting for the target?  LAGGING: also
 * one whose client does not.
 */
bool volume_target_waits(const struct volume *v, uint64_t before_us, bool lagging);

/*
 * The owner is another, by the store: clients are cut off, and find it when they connect again.  In
 * state CONNECT or SERVING.
 */
void volume_drop(struct volume *v, const char *why);

/* Closes the volume if nobody uses it and nothing is left to be done for it. */
void volume_close_if_unused(struct volume *v);

/*
 * An orderly end: clients are let go, what was acknowledged is made durable, and nothing is begun
 * that nobody asked for.  Flush: what the gateways answer only then is, too.  Durable: all of that
 * is; settled: nor is anything in flight.
 */
void volumes_settle(struct director *d);
void volumes_flush(struct director *d);
bool volumes_durable(const struct director *d);
bool volumes_settled(const struct director *d);

/* For the legs of a volume: answers and data, owner and target alike. */
void volume_answered(struct leg *l, struct request *r, enum leg_role role, uint32_t error);
void volume_data(struct leg *l, struct request *r, struct slice part, size_t room);
extern const struct leg_ops volume_owner_ops;

/* Is a data-changing request, of a client or a copier, in flight on these bytes? */
bool volume_range_busy(void *v, uint64_t offset, uint64_t length);

/*
 * Where gateway NAME is: its URI into URI (SIZE bytes), if VOLUME may be there (NULL: any).  Reads
 * the configuration afresh.  0 or -errno with WHY filled.
 */
int volume_gateway_uri(struct director *d, const char *name, const char *volume, char *uri,
                       size_t size, char *why, size_t why_size);

#endif
