/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connections of a flow to its two gateways, several to each: the least busy one works. */
#ifndef EXEC_LANES_H
#define EXEC_LANES_H

#include <stdbool.h>

#include "common/nbd/export.h"

/* Connections to a side at most. */
enum { LANES_MAX = 4 };
enum lane_side { LANE_SOURCE, LANE_TARGET, LANE_SIDES };

/* The first of each side is somebody else's, the others are owned. */
struct lanes {
    struct nbd_export *conn[LANES_MAX];
    unsigned n;
};

/*
 * Frees a connection, and leaves its gateway some time: one that ends all of a move's connections
 * at once, with whatever threads it has for each, lets its clients wait.  NULL is fine.
 */
void lane_close(struct nbd_export *e);

/* Further connections, at most LANES_MAX in all: owned from now on. */
void lanes_add(struct lanes *l, struct nbd_export *const *more, unsigned n);
/* Frees what is owned. */
void lanes_free(struct lanes *l);
/* The connection with the least in flight. */
struct nbd_export *lanes_idlest(const struct lanes *l);
/* Is a reply outstanding? */
bool lanes_busy(const struct lanes *l);
/* Waits for replies on any connection of both SIDES, as nbd_export_wait(). */
int lanes_wait(const struct lanes sides[LANE_SIDES], int timeout_ms);

#endif
