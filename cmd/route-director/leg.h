/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A leg: the set of connections to one gateway for one volume.  One; a gateway that advertises
 * CAN_MULTI_CONN gets several, over which clients are spread (S9), all opened at once: a later one
 * might lead to a server that was started in the first one's place.  All are negotiated alike,
 * and losing one loses the leg: what the gateway had cached is then unknown.  Structured replies
 * are spoken where the gateway does; what comes in pieces is put together here, so that whoever has
 * the leg sees one kind of answer.
 */
#ifndef DIRECTOR_LEG_H
#define DIRECTOR_LEG_H

#include <stdbool.h>

#include "common/base/parse.h"
#include "common/nbd/handshake.h"
#include "common/nbd/uri.h"
#include "director.h"
#include "lookup.h"
#include "peer.h"
#include "stream.h"

enum { LEG_CONNS_MAX = 16 };

struct leg;

struct leg_ops {
    /* All connections that can be had are negotiated: leg->export holds what the gateway offers. */
    void (*ready)(struct leg *l);
    /* Could not be opened, or a connection broke; leg->error, leg->err say why.  Called once, from
     * the loop; the owner then ends the requests that wait for it and calls leg_free(). */
    void (*lost)(struct leg *l);
    /* ROLE's answer to R is complete (for a successful READ: its data went through data()). */
    void (*answered)(struct leg *l, struct request *r, enum leg_role role, uint32_t error);
    /* The next part of a READ's data, in order.  Takes over the slice; the ROOM bytes in front of
     * it may be overwritten. */
    void (*data)(struct leg *l, struct request *r, struct slice part, size_t room);
};

struct leg_conn {
    struct stream stream;
    struct leg *leg;
    struct nbd_client handshake;
    struct loop_timer deadline;
    bool ready, failed;
    struct request *reading; /* whose payload is being received, … */
    enum leg_role role;      /* … as what */
    uint32_t left;           /* bytes of it still to come */
    unsigned char *into;     /* where they are gathered; NULL: they are passed on as they come */
    bool last;               /* the answer ends with them */
    size_t pending;          /* requests that are not answered */
    uint64_t heard_us;       /* when the gateway last gave a sign of life */
};

struct leg {
    struct director *d;
    const struct leg_ops *ops;
    void *owner;
    char gateway[NAME_LEN_MAX + 1];
    char volume[NAME_LEN_MAX + 1];
    struct nbd_addr addr;
    struct nbd_export export;
    bool ready, lost;
    bool silent; /* lost for its silence */
    uint64_t silence_us;
    struct lookup *lookup;      /* of its name, under way */
    struct loop_timer patience; /* with that */
    struct peer peer;           /* who listens, on a unix socket */
    struct loop_timer silence;  /* set while anything is pending */
    int err;
    char error[512];
    struct loop_task tell; /* calls ops->lost outside of whatever noticed it */
    struct leg_conn *conns[LEG_CONNS_MAX];
    unsigned n_conns;
    unsigned ready_conns[LEG_CONNS_MAX]; /* indices of the negotiated ones */
    unsigned n_ready;
};

/* Starts to open; ready() or lost() follows from the loop.  NULL: out of memory. */
struct leg *leg_open(struct director *d, const char *gateway, const char *uri, const char *volume,
                     const struct leg_ops *ops, void *owner);
/* Closes without further calls; NULL is fine. */
void leg_free(struct leg *l);

/* Silence is borne 2^TIMES as long as set, to a limit: a large command may just take its time. */
void leg_be_patient(struct leg *l, unsigned times);

/*
 * Sends R as ROLE on the connection of client number INDEX.  A leg that is lost, or is lost by
 * this, swallows it: lost() is on its way.
 */
void leg_send(struct leg *l, struct request *r, enum leg_role role, unsigned index);

/* Gives the leg up, as if its gateway had closed it. */
void leg_give_up(struct leg *l, int err, const char *why);

/* Is CONN, an identity as request_sent() has it, one of L's connections? */
bool leg_is_of(const struct leg *l, const void *conn);
/* Has it one connection for good, over which whoever copies has to go as well (S9)? */
bool leg_is_private(const struct leg *l);

/*
 * Why the gateway can't take part in a move, as a text; NULL: it can.  NO_FLUSH: it may be one that
 * cannot flush, whose replies count as durable (S23).
 */
const char *leg_unfit(const struct leg *l, bool no_flush);

#endif
