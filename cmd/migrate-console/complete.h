/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may stand where in a command that is being typed. */
#ifndef GS_CONSOLE_COMPLETE_H
#define GS_CONSOLE_COMPLETE_H

#include "cmd/migrate-console/console.h"

/*
 * Appends to OUT, sorted, what the word that begins at byte START of LINE may be, given what stands
 * before it; not sorted out by what was typed of it.  False: a file's name.
 */
bool complete(struct console *c, const char *line, size_t start, bool is_option, struct words *out);

#endif
