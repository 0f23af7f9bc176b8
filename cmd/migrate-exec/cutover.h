/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hand-over of a mirrored volume: converge, hold, last blocks, flush, proof, switch. */
#ifndef EXEC_CUTOVER_H
#define EXEC_CUTOVER_H

#include "cmd/migrate-exec/move.h"

/*
 * Tries until the owner has changed (SWITCHED), the attempts are used up and the policy says what
 * then, or something fails.  A hold is begun only when what is left is predicted to fit into the
 * window.
 */
enum outcome hand_over(struct move *m);

/*
 * Copies and proves what is left until that is little, or gets no smaller, as before a hold.  GO,
 * or a fault.
 */
enum outcome cutover_converge(struct move *m);

/*
 * Has the director switch, in the hold that it keeps: SWITCHED, GO (the attempt has failed: *WHY),
 * or a fault; DEFERRED also if the outcome is in doubt, so that nothing may be undone.
 */
enum outcome switch_owner(struct move *m, const char **why);

#endif
