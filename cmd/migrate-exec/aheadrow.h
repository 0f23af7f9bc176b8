/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of a plan about standbys that are made ahead (ahead.h): those of the kind standby, and any
 * other for a volume that has one.
 *
 *     to where it stands by, a standby row    nothing is to be done
 *     to where it stands by, any other row    its --cutover
 *     to anywhere else                        it is given up (--abort), then the row is carried out
 *
 * A mandatory row does not wait for the copying of the standby: whoever copies it gives way
 * (giveway.h), and the cutover goes on with what has been copied.  Any other row is deferred then.
 *
 * The last gives up a copy, so it is done only if, as far as can be seen, what comes then can be.
 * What a kill leaves is an open standby, which the same row or --resume goes on with, or a steady
 * volume.
 */
#ifndef EXEC_AHEADROW_H
#define EXEC_AHEADROW_H

#include "cmd/migrate-exec/rows.h"

/*
 * Carries ROW, which is admitted, out as far as the volume's standby is concerned, if it has one;
 * otherwise OPEN, if not NULL, is why the row is refused.  GO: ROUTE is that of the steady volume,
 * and the migration can begin.  Else what became of the row, with its message printed.
 */
enum outcome aheadrow_carry_out(const struct exec *x, const struct plan_row *row,
                                struct route *route, const char *open);

/* Has ROW's volume, at the row's epoch, an open standby?  Then its ID and target are set. */
bool aheadrow_find(const struct exec *x, const struct plan_row *row, char id[NAME_LEN_MAX + 1],
                   char target[NAME_LEN_MAX + 1]);

#endif
