/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signals that the console is told of where it waits; none of them ends it in mid-sentence. */
#ifndef GS_CONSOLE_SIGNALS_H
#define GS_CONSOLE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/*
 * Catches SIGCHLD, SIGINT, SIGTERM, SIGHUP and, if a person is there, SIGQUIT, SIGTSTP, SIGCONT and
 * SIGWINCH.
 */
void signals_catch(bool interactive);

/* The mask under which a wait (ppoll) lets them in; elsewhere they are blocked. */
const sigset_t *signals_mask(void);

/* Has it come since the last call?  (signals_take() forgets it, signals_seen() does not.) */
bool signals_take(int sig);
bool signals_seen(int sig);

/* The signal that asks the console to end, SIGTERM, SIGHUP or SIGQUIT, if one came; else 0. */
int signals_ending(void);

/*
 * Stops the program as SIGTSTP does by default, if it has come: until it is continued, or not at
 * all where nobody could continue it.  True: it has come.
 */
bool signals_stop(void);

/* In a child, before exec: as the console was started. */
void signals_restore(void);
/* Ends the program by SIG, as if it had never been caught. */
_Noreturn void signals_die(int sig);

#endif
