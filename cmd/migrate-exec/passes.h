/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When pre-copy has done what it can: the last passes, by the time that the rest would take. */
#ifndef EXEC_PASSES_H
#define EXEC_PASSES_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised: none yet. */
struct passes {
    uint64_t left_us[3]; /* predicted after the last passes, the newest first */
    unsigned n;          /* how many there were */
};

/* A pass has ended; what it left would take LEFT_US in the hold. */
void passes_add(struct passes *p, uint64_t left_us);

/*
 * Is there no more to be gained by another pass?  What is left fits into WINDOW_US, or is no less
 * than before, or has not become an eighth less in two passes: clients write as fast as we copy.
 */
bool passes_done(const struct passes *p, uint64_t window_us);

#endif
