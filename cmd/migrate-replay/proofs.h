/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of a copy that stands by is not proved to be equal any more, since it was written: the more
 * that is, the longer a hand-over reads.  The director proves it anew all the time, a block after
 * the other, with pauses; each block is read on both sides.
 */
#ifndef GS_MIGRATE_REPLAY_PROOFS_H
#define GS_MIGRATE_REPLAY_PROOFS_H

#include "cmd/migrate-replay/run.h"

/* Bytes of V's copy that have to be proved before it can be handed over to. */
double proofs_missing(const struct run_volume *v);

/*
 * A step of DT_S seconds has passed with WRITES a second, spread evenly over V (which is more than
 * real ones touch), and blocks that took TOOK_US to be
 * read on one side, then on the other.  Returns how many blocks a second were
 * read on each side.
 */
double proofs_step(struct run_volume *v, double writes, double took_us, double dt_s);

#endif
