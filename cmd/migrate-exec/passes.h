/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When pre-copy has done what it can: the last passes, by the time that the rest would take. */
#ifndef EXEC_PASSES_H
#define EXEC_PASSES_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised: none yet. */
struct passes {
    uint64_t left_us;   /* predicted after the last pass … */
    uint64_t before_us; /* … and after the one before it */
    unsigned n;         /* how many there were */
};

/* A pass has ended; what it left would take LEFT_US in the hold. */
void passes_add(struct passes *p, uint64_t left_us);

/*
 * Is there no more to be gained by another pass?  What is left fits into WINDOW_US, or a pass has
 * not halved it: clients write at half the rate at which we copy, or faster, and each further pass
 * sends what the mirror would keep.
 */
bool passes_done(const struct passes *p, uint64_t window_us);

#endif
