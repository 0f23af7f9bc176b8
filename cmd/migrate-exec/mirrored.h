/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An old copy that goes on getting the writes (--keep-mirrored): the director's reverse mirror
 * (S16), asked for when nobody reads the copy as it was at the switch any more, and ended before
 * anybody else touches it.
 */
#ifndef EXEC_MIRRORED_H
#define EXEC_MIRRORED_H

#include "cmd/migrate-exec/move.h"

/* What the note of a copy that is to be mirrored ends in, in front of how long it is kept. */
#define MIRRORED_WORDS "; mirrored"

/* Was the copy to be mirrored, as the note E on it has it?  BEFORE: as those before it had. */
bool mirrored_get(const struct event *e, bool before);

/*
 * The journal says that the copy is to be mirrored: has the director do so.  If it can't the
 * journal says why, too, and nothing else is different; of a director that does not answer nobody
 * knows, and the journal is left as it is.  0, or -errno of the journal.
 */
int mirrored_begin(struct move *m);

/* A way back is to begin.  Whatever became of the mirror, the director knows what is equal. */
void mirrored_give_way(struct move *m);

/*
 * The copy is to be let go.  GO; *UNKNOWN is set, and the journal says so, if it may hold anything:
 * it was *MIRRORED, by the journal or the director, and that did not end in order.  *MIRRORED is
 * set if the director says so.  DEFERRED: it does not answer.
 */
enum outcome mirrored_end(struct move *m, bool *mirrored, bool *unknown);

#endif
