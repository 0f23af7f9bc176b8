/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of a migration that has switched: the old copy is let go. */
#ifndef EXEC_COMMIT_H
#define EXEC_COMMIT_H

#include "cmd/migrate-exec/story.h"

/*
 * Lets the copy that M's journal, S, tells of go as DISPOSAL says, once all of it is proved, and
 * settles ROUTE, the record as it is.  SWITCHED, or an outcome with its message printed.
 */
enum outcome commit_switched(struct move *m, struct story *s, struct route *route,
                             enum disposal disposal);

#endif
