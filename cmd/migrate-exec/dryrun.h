/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a move would take, without making it. */
#ifndef EXEC_DRYRUN_H
#define EXEC_DRYRUN_H

#include "cmd/migrate-exec/move.h"

/*
 * Checks the source of the migration whose names, epoch and size are set, reads a few MiB of it
 * to measure, and prints an event record whose detail begins with "dry run" and then has FIRST,
 * what would be done before, or instead.  Nothing is written to a gateway, the store, a journal or
 * the history.  SETTLED, or FAILED with a message.
 */
enum outcome dry_run(struct move *m, const char *first);

#endif
