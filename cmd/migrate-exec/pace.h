/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How fast extents are handled, and so how long the rest will take.  Pure arithmetic. */
#ifndef EXEC_PACE_H
#define EXEC_PACE_H

#include <stdint.h>

/*
 * A time of CLAIMS extents with BYTES in all is modelled as claims · claim_us + bytes · byte_us:
 * what dominates in the hold is the round trips of a few scattered pages, in a pass the bytes.
 */
struct pace {
    double byte_us;  /* 0: not measured yet */
    double claim_us; /* 0: not measured yet */
};

/* Takes in a measurement: BYTES in CLAIMS extents took US microseconds. */
void pace_learn(struct pace *p, uint64_t bytes, uint64_t claims, uint64_t us);

/*
 * Microseconds that BYTES will take when they lie as scattered as they can: in extents of GRAIN
 * bytes.  Before anything was measured: cautious defaults.
 */
uint64_t pace_predict(const struct pace *p, uint64_t bytes, uint64_t grain);

#endif
