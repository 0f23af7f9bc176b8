/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of a plan for volumes whose last move has left a copy, which is kept: a volume that has just
 * moved can flee from a gateway that begins to fail.
 *
 *     to where the copy is    the revert of that move (--revert)
 *     to anywhere else        the copy is let go first (--commit), then the volume moves
 *
 * One that asks for a standby is content with a copy that is there as one (--standby); otherwise
 * the copy is let go first.
 *
 * Letting go gives up a copy, so it is only for a row that is mandatory, or a copy whose time is
 * over; and only if, as far as can be seen, both can be done.  A copy whose gateway is silent is
 * left behind by a mandatory row (behind.h), and by no other.  What a kill leaves is that of a
 * --commit, which --resume and the same row go on with, or a steady volume that was not moved.
 */
#ifndef EXEC_KEPT_H
#define EXEC_KEPT_H

#include "cmd/migrate-exec/rows.h"

/*
 * Carries ROW, which is admitted as ADMIT_KEPT, out as far as the copy is concerned.  GO: it was
 * let go, ROUTE is that of the steady volume, and the move can begin.  Else what became of the row,
 * with its message printed.
 */
enum outcome kept_carry_out(const struct exec *x, const struct plan_row *row, struct route *route);

/*
 * Ends a --commit of ROW's steady volume that was killed before it could say so: once the volume
 * has moved again nobody could tell.  GO; or an outcome with its message printed.
 */
enum outcome kept_finish(const struct exec *x, const struct plan_row *row);

#endif
