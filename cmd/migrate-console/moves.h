/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs on a migration, and how migrate-exec is driven for them. */
#ifndef GS_CONSOLE_MOVES_H
#define GS_CONSOLE_MOVES_H

#include "cmd/migrate-console/console.h"
#include "cmd/migrate-console/run.h"

int moves_cutover(struct console *c, struct words *w);
int moves_commit(struct console *c, struct words *w);
int moves_revert(struct console *c, struct words *w);
int moves_abort(struct console *c, struct words *w);
int moves_resume(struct console *c, struct words *w);

/* Is EVENT, the latest of a migration, its end? */
bool moves_is_over(const char *event);

/*
 * Do the options in W leave migrate-exec's action alone?  One that stands for another action is
 * refused, which is said: each is a verb of its own, with its own question.
 */
bool moves_options_fit(const struct words *w);

/*
 * Runs P, a migrate-exec that may take long, and releases it; LABEL is the verb.  Where a person
 * is there it is a job, and the view is shown until it ends or is left; its events and what it says
 * are shown at its end.  Else it is waited for.  The status; 0 if the view was left before the end.
 */
int moves_drive(struct console *c, struct pipeline *p, const char *label);

/* Says how jobs ended that nobody has waited for. */
void moves_tell_ended(struct console *c);

#endif
