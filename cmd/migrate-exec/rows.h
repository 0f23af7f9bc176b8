/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A plan's rows: read, admitted, and carried out one by one. */
#ifndef EXEC_ROWS_H
#define EXEC_ROWS_H

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/move.h"
#include "common/record/schema.h"

/* The present record of R, a reader of plan records. */
void rows_read(const struct rec_reader *r, struct plan_row *row);

/* Is starting forbidden by STATE/frozen?  WHY gets the reason in the file. */
bool rows_frozen(const struct exec *x, char *why, size_t size);
/* The same, and says so. */
bool rows_say_frozen(const struct exec *x);

/* Sets M, to be released, to the move of ROW, whose volume has ROUTE. */
void rows_set_move(struct move *m, const struct exec *x, const struct plan_row *row,
                   const struct route *route);

/* Carries ROW out, or says why not. */
enum outcome rows_carry_out(const struct exec *x, const struct plan_row *row);

/*
 * The store's record once what was in ROW's way is ended.  GO, with *ROUTE, steady and as ROW has
 * it; FAILED, with the message printed.
 */
enum outcome rows_read_steady(const struct exec *x, const struct plan_row *row,
                              struct route *route);

#endif
