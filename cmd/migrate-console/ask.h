/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The question before what cannot be taken back. */
#ifndef GS_CONSOLE_ASK_H
#define GS_CONSOLE_ASK_H

#include <stdbool.h>

#include "cmd/migrate-console/console.h"

/* Takes "--yes" out of W, if it is there. */
bool ask_take_yes(struct words *w);

/*
 * Says WHAT will happen (lines), and asks, unless YES or the console's --yes has answered.  0: go
 * on.  1: no, as the end of the input or an interrupt at the question is, too.  64: nobody is there
 * to be asked.  What is not 0 has been said.
 */
int ask(struct console *c, bool yes, const struct buf *what);

#endif
