/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A copy that an earlier commit made cold on the target: most of what the move has to send. */
#ifndef EXEC_WARM_H
#define EXEC_WARM_H

#include "cmd/migrate-exec/move.h"

/*
 * If the journals know of such a copy, has the target's hook put it back into service, and says in
 * an event whether its label is the one that was given to it (S12).  Only while the target has no
 * export of the volume, and when the journal has it that what is there will be overwritten.  GO,
 * with *THERE telling if there is an export now; or that the move fails.
 */
enum outcome warm_cold_copy(struct move *m, bool *there);

#endif
