/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Could moves be made here?  Configuration, rights, director, hooks and gateways, looked at apart
 * from any move; nothing is changed.
 */
#ifndef EXEC_CHECK_H
#define EXEC_CHECK_H

#include "cmd/migrate-exec/move.h"

/*
 * Prints a line for each thing that was looked at to standard output: "ok", "warn" or "fail", what
 * it was, and why.  WORDS (N of them) are plans ("-", or the name of a file) and volumes: of a
 * plan's row source and target are looked at, of a volume its owner and every gateway that could
 * take it; without words the owners of all volumes, and all gateways.
 *
 * The exit status: 0; 1 if a move would fail; 78 if there is no good configuration; 65 and 66 for
 * a plan that cannot be read.
 */
int check_environment(struct exec *x, char *const *words, size_t n);

#endif
