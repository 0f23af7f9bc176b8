/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The process that copies a standby gives way to a plan's row that its volume needs at once.
 *
 * The row asks by the file STATE/migrations/ID.giveway, which says who it is, and which it keeps
 * locked for as long as it waits.  Who copies stops where that is safe, and leaves the migration
 * open, as stalled; the row then goes on with it, or gives it up.  Whoever dies:
 *
 *     the row, while it waits       its lock ends with it: what it asked for is not done
 *     or hangs, for a minute        nor is it then, or nobody could copy the standby
 *     who copies                    its journal is free, like that of any other that was killed
 *     the row, afterwards           a stalled standby, which --resume or the same row goes on with
 *
 * Who hands over does not give way, and says so by removing the file.  Files are made, looked at
 * for the last time and removed under the lock of their folder, so that nobody removes one that has
 * taken the place of another.
 */
#ifndef EXEC_GIVEWAY_H
#define EXEC_GIVEWAY_H

#include "cmd/migrate-exec/move.h"

/*
 * Sees to it that nobody drives the open standby ID any more.  GO, also if nobody did: whoever
 * takes its journal finds out what became of it.  DEFERRED, with the message printed: who drives it
 * hands over, or has not given way in time, or a signal has come.  If it takes long, whom it waits
 * for is told meanwhile.
 */
enum outcome giveway_ask(const struct exec *x, const char *id);

/* The driver's side, to be called now and then: is M to end?  Then m->gives_way says for whom. */
bool giveway_look(struct move *m);

#endif
