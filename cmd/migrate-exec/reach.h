/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a move reaches its two gateways.  One that does not promise that several connections see the
 * same data is connected to by the director alone (S9): nobody else is connected while it is, and
 * what is copied goes through a private export of the director's (route-director(8)).
 */
#ifndef EXEC_REACH_H
#define EXEC_REACH_H

#include "cmd/migrate-exec/move.h"

/*
 * Before begin: is the gateway good for the move?  GO, with m->from or m->to connected unless the
 * director has to have it alone; the size becomes the source's where none is known.  Or FAILED with
 * the reason.
 */
enum outcome reach_source(struct move *m);
enum outcome reach_target(struct move *m);

/*
 * After begin: m->from and m->to are connected, as its answer BEGUN says.  Or FAILED with the
 * reason.
 */
enum outcome reach_both(struct move *m, const struct director_begun *begun);

/*
 * m->from is a connection of our own, which nobody is in the way of: no director has the source
 * open, or has it for long any more.  GO, or FAILED with the reason.
 */
enum outcome reach_source_again(struct move *m);

/* Has the director that serves the volume the one connection that GATEWAY, the owner, takes? */
bool reach_is_held(struct director *d, const char *gateway);

#endif
