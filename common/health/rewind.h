/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * After a clock that was ahead has been put right: what was told of times that have not come yet
 * is taken back, so that samples count again at once and not only when those times come.  What was
 * learnt from it (means, spreads, records) stays: a clock that was wrong is no reason to forget
 * what a metric is like.
 */
#ifndef GS_HEALTH_REWIND_H
#define GS_HEALTH_REWIND_H

#include "common/health/anomaly.h"
#include "common/health/consensus.h"
#include "common/health/signal.h"

/*
 * Drops what is later than NOW, so that a sample of TIME, hardly later than NOW, can be taken next:
 * it is late only if what is left is from after it.  Where nothing would be left, as when NOW is a
 * clock's that lost its battery, all is moved to end before TIME instead.
 */
void signal_rewind(struct signal *s, double now, double time);

/* No time in it is later than NOW. */
void anomaly_rewind(struct anomaly *a, double now);
void consensus_rewind(struct consensus *c, double now);

#endif
