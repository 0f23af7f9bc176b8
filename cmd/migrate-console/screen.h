/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The terminal as a page: taken, drawn on, and given back as it was, however the program ends. */
#ifndef GS_CONSOLE_SCREEN_H
#define GS_CONSOLE_SCREEN_H

#include <stdbool.h>

#include "common/base/buf.h"

/* Can standard input and output be one?  Not if TERM is dumb or not set. */
bool screen_is_possible(void);

/*
 * Takes it: other page, no echo, keys at once, no cursor, no line breaks of its own.  0 or -errno.
 * exit() gives it back, too.
 */
int screen_enter(void);
void screen_leave(void);

/* Shows TEXT, lines, from the top; lines that do not fit are left out. */
void screen_draw(const struct buf *text);

#endif
