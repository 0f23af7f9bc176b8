/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The migration that is the way back of another: how it is set up (--revert, takeover.h). */
#ifndef EXEC_REVERT_H
#define EXEC_REVERT_H

#include "cmd/migrate-exec/move.h"

/*
 * BACK, which is released by the caller, becomes the way back of M, whose volume has ROUTE: its
 * names and size.  Its epoch is the route's.
 */
void revert_set(struct move *back, const struct move *m, const struct route *route);

/*
 * Opens the journal of BACK, the way back of OLD, whose journal is locked by us, so that nobody
 * else can.  GO, or an outcome with its message printed: another way back is open, say.
 */
enum outcome revert_open(struct move *back, const char *old);

#endif
