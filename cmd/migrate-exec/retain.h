/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How long an old copy is kept: a few words in the detail of the journal's note that it is kept.
 * Pure text.
 */
#ifndef EXEC_RETAIN_H
#define EXEC_RETAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/migrate-exec/journal.h"

/* Appends to DETAIL (SIZE bytes) that the copy is to be kept until TIME; as a STANDBY that is the
 * least. */
void retain_put(char *detail, size_t size, double time, bool standby);

/* Is E the note that a copy is kept?  1, with *UNTIL; 0: no, or it does not say until when. */
int retain_get(const struct event *e, double *until);
/* Is the copy a standby, as the note E on it has it?  BEFORE: as those before it had. */
bool retain_is_standby(const struct event *e, bool before);

/* Adds to the detail of E, if it is such a note, the copy's size, and its age and rest at NOW. */
void retain_describe(struct event *e, double now);

#endif
