/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does the gateway answer that has a volume's kept copy? */
#ifndef EXEC_SILENCE_H
#define EXEC_SILENCE_H

#include "cmd/migrate-exec/move.h"

enum silence {
    SILENCE_NONE, /* its hook does, or it has none: what is to be done with the copy can be tried */
    SILENCE_HOOK, /* its hook does not, its server does */
    SILENCE_ALL,  /* neither does */
};

/* How long a hook may take to say if it is there, and a server: an answer, not work. */
enum { SILENCE_HOOK_S = 30, SILENCE_SERVER_MS = 5000 };

/*
 * Asks GATEWAY about M's volume.  WHY: unless it is SILENCE_NONE, what its hook said.  One that is
 * silent is so for a while: with m->exec->silences it is not asked again for SILENCE_KNOWN_S.
 */
enum silence silence_of(const struct move *m, const char *gateway, char *why, size_t size);

/* Would that not be asked, as it is known? */
bool silence_is_known(const struct move *m, const char *gateway);

/*
 * What the processes of a run have found out, in memory that they share: a dead gateway may have
 * the copies of hundreds of volumes, and each look takes half a minute.  NULL: there is none.
 */
struct silences;
enum { SILENCE_KNOWN_S = 60 };
struct silences *silences_new(void);
void silences_free(struct silences *s);

#endif
