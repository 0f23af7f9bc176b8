/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of a migration that has switched: the old copy is let go. */
#ifndef EXEC_COMMIT_H
#define EXEC_COMMIT_H

#include "cmd/migrate-exec/letgo.h"
#include "cmd/migrate-exec/story.h"

/*
 * Lets the copy that M's journal, S, tells of go as DISPOSAL says, once all of it is proved, and
 * settles ROUTE, the record as it is.  SWITCHED, or an outcome with its message printed.
 */
enum outcome commit_switched(struct move *m, struct story *s, struct route *route,
                             enum disposal disposal);

/* All that --commit does with M, whose journal is locked and says S, as m->exec has it. */
enum outcome commit_asked(struct move *m, struct story *s);

/* ---- steps ---- */

/*
 * What is to be done with the copy, *L, in the journal before it is; *L gets its label: if an
 * interrupted commit is run again that which the copy may have already.  0 or -errno.
 */
int commit_note(struct move *m, const struct story *s, struct letgo *l);

/* ROUTE, the record as it is, becomes steady, and the director is told: GO, or DEFERRED, said. */
enum outcome commit_settle(struct move *m, struct route *route);

#endif
