/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A volume that is being served: its owner leg, its clients, the overlap lock and the gate behind
 * which requests wait while the owner changes.  A volume is opened by its first user (a client or
 * a move) and closed by its last.
 */
#ifndef DIRECTOR_VOLUME_H
#define DIRECTOR_VOLUME_H

#include <stdbool.h>

#include "common/route/store.h"
#include "director.h"
#include "leg.h"
#include "ranges.h"
#include "stats.h"
#include "storejobs.h"

struct client;
struct move;

/* Somebody waiting for a volume to be served.  Embedded; stays until called or cancelled. */
struct volume_wait {
    void (*done)(struct volume_wait *w, struct volume *v, const char *error); /* V NULL: failed */
    struct volume_wait *next;
};

enum volume_state { VOLUME_LOOKUP, VOLUME_CONNECT, VOLUME_SIZE, VOLUME_SERVING, VOLUME_FAILED };

struct volume {
    struct director *d;
    struct volume *next;
    char name[NAME_LEN_MAX + 1];
    enum volume_state state;
    char error[512];
    unsigned users; /* waiters, clients, a move, a job of the store */
    struct volume_wait *waiters;
    struct route route;  /* as the store has it */
    struct storejob job; /* LOOKUP and SIZE */
    int lock_fd;
    struct leg *owner;
    struct client *clients; /* a list */
    unsigned n_clients, next_index;
    struct move *move;
    struct ranges ranges;
    struct requestq blocked; /* wait for a range */
    struct requestq held;    /* wait for the gate */
    bool gate;               /* closed: new requests are held */
    size_t inflight;         /* started and not ended */
    struct loop_task close_task;
    struct loop_timer close_late;        /* when its quarantine is over */
    uint64_t requests, errors, pause_us; /* for status */
    uint64_t replayed, reconnects, expired;
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

/* What clients are told: the route's size, the owner's flags as far as the director knows them. */
struct nbd_export volume_export(const struct volume *v);

/* Takes a checked request: it is sent, or waits for a range or behind the gate. */
void volume_submit(struct volume *v, struct request *r);

/* The gate: closing holds new requests; opening sends them on to whoever is the owner now. */
void volume_close_gate(struct volume *v);
void volume_open_gate(struct volume *v);
/* Ends what is held with ERROR (NBD_EIO), the gate staying closed. */
void volume_fail_held(struct volume *v, uint32_t error);

/* Makes leg L the owner as the route R says; returns the old owner leg, now the caller's. */
struct leg *volume_change_owner(struct volume *v, struct leg *l, const struct route *r);

/* All requests waiting for ROLE stop waiting for it: its leg is gone. */
void volume_forget_role(struct volume *v, enum leg_role role, uint32_t error);
/* Is a client's request that arrived before BEFORE_US waiting for ROLE? */
bool volume_role_waits(const struct volume *v, enum leg_role role, uint64_t before_us);

/*
 * The owner is lost, or another by the store: clients are cut off, as without a director.  In state
 * CONNECT or SERVING.
 */
void volume_drop(struct volume *v, const char *why);

/* For the legs of a volume: answers and data, owner and target alike. */
void volume_answered(struct leg *l, struct request *r, enum leg_role role, uint32_t error);
void volume_data(struct leg *l, struct request *r, struct slice part, bool first);
extern const struct leg_ops volume_owner_ops;

/* Is a data-changing request in flight on these bytes? */
bool volume_range_busy(void *v, uint64_t offset, uint64_t length);

/*
 * Where gateway NAME is: its URI into URI (SIZE bytes).  Reads the configuration afresh.  0 or
 * -errno with WHY filled.
 */
int volume_gateway_uri(struct director *d, const char *name, const char *volume, char *uri,
                       size_t size, char *why, size_t why_size);

#endif
