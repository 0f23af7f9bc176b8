/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live view of moves. */
#ifndef GS_CONSOLE_WATCH_H
#define GS_CONSOLE_WATCH_H

#include "cmd/migrate-console/console.h"

/* The verb: until q, Ctrl-C or the end of the input; where there is no terminal, one look. */
int watch(struct console *c, struct words *w);

/* The same until job number JOB has ended; on a dumb terminal this only waits. */
void watch_until(struct console *c, size_t job);

#endif
