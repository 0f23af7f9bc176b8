/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A source that dies while the move is open: the director may make the target the owner (S17). */
#ifndef MIGRATE_EXEC_PROMOTED_H
#define MIGRATE_EXEC_PROMOTED_H

#include "cmd/migrate-exec/move.h"

/*
 * The drive of M ended in O.  SWITCHED if that was because the director has promoted the target, or
 * was about to: it is waited for.  A failure becomes a stall while the director keeps the move for
 * a source that is away.  Else O.
 */
enum outcome promoted(struct move *m, enum outcome o);

#endif
