/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records over time: those that were (--history), and those that will be (--watch). */
#ifndef ROUTE_SET_FOLLOW_H
#define ROUTE_SET_FOLLOW_H

#include <stdbool.h>

/*
 * Prints every record of VOLUME ("": of all) that the folder STATE still knows, oldest first.
 * False if there is none.
 */
bool follow_history(const char *state, const char *volume);

/* Prints the present records, and then each one that is written, until the program is ended. */
_Noreturn void follow_watch(const char *state, const char *volume);

#endif
