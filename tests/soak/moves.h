/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Moves while the clients go on: migrate-exec with random verbs and options, on volumes with
 * several gateways, several at a time.  What it did is told by the history as it grows; what a
 * volume's state is, by the route store and the journals.  After each end, and at the end of the
 * run: one owner that the journal names, whose disk has what is durable, an epoch that only grew,
 * and copies that were let go and not written to.
 */
#ifndef SOAK_MOVES_H
#define SOAK_MOVES_H

#include "soak.h"

/* Does any volume have somewhere to go? */
bool moves_possible(const struct world *w);

void moves_setup(struct world *w);
void moves_release(struct world *w);

/* Takes what came of those that run, and strikes where that was planned.  NEW: also begins some;
 * else only what brings open ones to an end. */
void moves_tick(struct world *w, bool new);

/* Does nothing run, and is nothing open? */
bool moves_calm(const struct world *w);

/* The owner of V, as the store has it now, into V->owner. */
void moves_look(struct world *w, struct volume *v);

/* Is migrate-exec at work on V, and not stopped? */
bool moves_runs(const struct world *w, const struct volume *v);
/* What may happen to it then: kill -9; SIGSTOP until CONT_US; SIGINT or SIGTERM. */
void moves_kill(struct world *w, const struct volume *v);
void moves_stop(struct world *w, const struct volume *v, uint64_t cont_us);
void moves_interrupt(struct world *w, const struct volume *v);

/* Prints what is known of V's moves (NULL: of all) and the last words of who drove them. */
void moves_explain(const struct world *w, const struct volume *v);
/* The summary's words. */
void moves_summary(const struct world *w);

#endif
