/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The person's side: readline's prompt, completion and history. */
#ifndef GS_CONSOLE_PROMPT_H
#define GS_CONSOLE_PROMPT_H

#include "cmd/migrate-console/console.h"

/*
 * Reads and carries out commands until quit, the end of the input, or a signal that ends the
 * console.  The terminal is as it was afterwards, and after exit(), too.
 */
void prompt_loop(struct console *c);

#endif
