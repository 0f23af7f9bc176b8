/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a migration that failed or was aborted has left on its target.  Its last event says so, and
 * migrate-plan counts its room; once the gateway's hook says that there is no such export any more,
 * as somebody has removed it, a further event says that, and the room is free again.  Nothing is
 * removed here.
 */
#ifndef EXEC_LEFT_H
#define EXEC_LEFT_H

#include "cmd/migrate-exec/story.h"

/*
 * Does the journal that says S end with something left that nobody uses, by the store?  Or with its
 * being gone, so lately that the history may not have it yet, as who noted it was killed?
 */
bool left_is_open(const struct exec *x, const struct story *s);

/*
 * Asks about what ID left, and notes if it is gone.  GO, also if it is there or can't be asked; or
 * an outcome with its message printed.
 */
enum outcome left_look(const struct exec *x, const char *id);

#endif
