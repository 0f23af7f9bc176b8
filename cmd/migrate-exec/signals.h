/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT, SIGTERM and SIGHUP while a migration is driven: the first is remembered, and looked at
 * where stopping is safe; a second SIGINT or SIGTERM ends the program at once, with the status
 * 128 + its number.  These also where they were ignored, as in a job that a script put into the
 * background: whoever sends one to a move means it.
 */
#ifndef EXEC_SIGNALS_H
#define EXEC_SIGNALS_H

void signals_catch(void);
/* They have their default effect again.  Not when one has come: it would be forgotten. */
void signals_release(void);
/* "SIGINT", "SIGTERM" or "SIGHUP", the first that has come, else NULL. */
const char *signals_pending(void);
/* Its number, or 0. */
int signals_number(void);

#endif
