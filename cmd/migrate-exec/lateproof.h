/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The proof of a whole volume after its switch, for a move that was not proved in full before.
 *
 * The kept copy is what the volume was at the switch: it was flushed then, and nobody writes to it.
 * It is compared with the owner.  Where they differ the director is asked, after the owner was
 * read: a block of its change map is marked before a write to it leaves and never unmarked, so a
 * block that is not marked was read as it was switched to, and must be equal.  What was equal once
 * need not be looked at again, so that the proof can go on after an interruption.
 */
#ifndef EXEC_LATEPROOF_H
#define EXEC_LATEPROOF_H

#include "cmd/migrate-exec/move.h"

/* How far it is, as the journal has it. */
struct late_proof {
    uint64_t until;   /* bytes from the beginning that were compared */
    uint64_t changed; /* of them, those that clients have written since the switch */
    bool done;
};

/* Is E an event of such a proof?  Then *P is brought up to it. */
bool late_proof_take(const struct event *e, struct late_proof *p);
/* Is it one for the journal alone? */
bool late_proof_is_note(const struct event *e);

/*
 * Goes on with it to the end.  GO, with an event; DEFERRED: a signal has come, and the journal has
 * how far it got; FAILED: it can't be made, or they differ, with the reason in m->why and an event.
 * The signals must be caught.
 */
enum outcome late_proof(struct move *m, struct late_proof *p);

#endif
