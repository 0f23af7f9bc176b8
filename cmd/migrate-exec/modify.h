/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an operator changes of a migration that is being driven.  It is handed over in the file
 * STATE/migrations/ID.modify, lines of "NAME VALUE" and, behind what somebody has changed, of "who
 * USER: COMMAND LINE"; the driver removes it when it has read it.
 */
#ifndef EXEC_MODIFY_H
#define EXEC_MODIFY_H

#include "cmd/migrate-exec/move.h"

/* Which of the values in a struct exec are meant. */
enum { MODIFY_ATTEMPTS = 1, MODIFY_BWLIMIT = 2, MODIFY_ON_FAIL = 4, MODIFY_WINDOW = 8 };

extern const char *const on_fail_words[]; /* of enum on_fail, NULL-terminated */

/*
 * Hands the values WHICH of X to the process that drives migration ID, and waits until it has
 * taken them.  SETTLED; FAILED: there is no such migration, or nobody drives it; DEFERRED: not
 * taken in time, but it will be.
 */
enum outcome modify(const struct exec *x, const char *id, unsigned which);

/*
 * The driver's side: looks for the file, now and then, and takes what is in it.  The event
 * "modified" says who changed what.
 */
void modify_look(struct move *m);
/* A file that a former driver did not read is not meant for this one. */
void modify_forget(const struct move *m);

#endif
