/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request on its way, and the table that gives each a cookie for the gateways. */
#ifndef DIRECTOR_REQUEST_H
#define DIRECTOR_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk.h"
#include "common/nbd/handshake.h"
#include "stream.h"

struct client;
struct volume;

/* Which leg a copy of the request goes to: one bit each. */
enum leg_role { ROLE_OWNER = 1, ROLE_TARGET = 2 };

struct request {
    struct volume *volume;   /* NULL: the slot is free */
    struct client *client;   /* NULL: gone, or the director's own request */
    struct nbd_request nbd;  /* as the client sent it, its cookie included */
    const char *client_name; /* outlives the client; borrowed from the director */
    struct outq parts;       /* of a READ's answer, while another is on its way to the client */
    struct slice wire; /* header and payload; the header's place is rewritten before sending */
    uint64_t arrived_us;
    uint32_t slot, generation;
    uint32_t error;                  /* the owner's answer */
    uint8_t waiting;                 /* roles that have not answered */
    const void *conn[2];             /* where it was sent as owner and as target; NULL: not sent */
    bool ranged;                     /* holds its range of the overlap lock */
    uint64_t mirrored_us;            /* when it was sent to the target */
    bool mirrored;                   /* sent to both legs and no error so far */
    bool lags;                       /* its client has its answer, the target has not answered */
    bool sent;                       /* was sent to the owner once, on a connection that ended */
    uint8_t losses;                  /* how often */
    struct slice whole;              /* a READ's data, where the gateway sends them in pieces */
    uint32_t gathered;               /* bytes of it that came */
    struct slice status;             /* a BLOCK_STATUS's extents, as on the wire */
    uint32_t failed;                 /* the first error among the gateway's chunks */
    uint32_t delivered;              /* bytes of a READ that its client was given … */
    uint32_t skip;                   /* … so that so many are dropped when it is sent again */
    uint64_t mark;                   /* FLUSH: what it covers of the replay log */
    uint64_t stamp;                  /* READ, FLUSH: what the volume had seen when it left */
    bool copied;                     /* a kept copy that is mirrored got it, too (reverse.h) */
    bool intended;                   /* its range is in the volume's intents */
    uint64_t lost_us;                /* since when it waits for an owner that went away; 0: no */
    uint32_t done_bytes;             /* of a command that is carried out in steps */
    bool aside;                      /* a READ of the director's own that nobody waits for */
    bool copier;                     /* of a move's driver (copiers.h), and has `done` as well */
    struct request *next;            /* in a queue, or in the free list */
    void (*done)(struct request *r); /* the director's own request: called instead of a reply */
    void *arg;
};

/* A queue in order of arrival. */
struct requestq {
    struct request *first, **last;
    size_t n;
};

void requestq_init(struct requestq *q);
void requestq_push(struct requestq *q, struct request *r);
struct request *requestq_pop(struct requestq *q);

/* All requests; zero-initialise. */
struct requests {
    struct request **slots;
    size_t n, cap;
    struct request *free;
};

/* A zeroed request of VOLUME, or NULL. */
struct request *request_new(struct requests *t, struct volume *v);
/* Forgets what the owner has answered so far: R will be sent to it anew. */
void request_reset(struct chunk_pool *pool, struct request *r);
/* Drops its buffers and gives the slot back. */
void request_free(struct requests *t, struct chunk_pool *pool, struct request *r);
void requests_release(struct requests *t);

/*
 * The cookie under which R goes to a gateway on CONN (an identity), and back: NULL if no request
 * that went there with this cookie waits for ROLE.  So no gateway answers what another was asked.
 */
uint64_t request_sent(struct request *r, enum leg_role role, const void *conn);
struct request *request_find(const struct requests *t, uint64_t cookie, const void *conn,
                             enum leg_role *role);

#endif
