/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks that a standby lacks and does not get, as they can't be read at the owner or written at
 * the target.  They are left out while others are copied, and tried again all together, after a
 * pause that is doubled each time.  Of more than STUCK_MAX nothing is known, so whoever finds yet
 * another one rests.  Pure.
 */
#ifndef DIRECTOR_STUCK_H
#define DIRECTOR_STUCK_H

#include <stdbool.h>
#include <stdint.h>

enum { STUCK_MAX = 64, STUCK_FIRST_US = 200000, STUCK_LONGEST_US = 60000000 };

struct stuck_block {
    uint64_t offset, length; /* bytes */
    bool due;                /* it is to be tried again */
};

/* Zero-initialised: none. */
struct stuck {
    struct stuck_block block[STUCK_MAX];
    unsigned n;
    uint64_t pause_us; /* before the next try … */
    uint64_t next_us;  /* … which is then, by the clock of who calls */
};

/*
 * LENGTH bytes at OFFSET could not be copied, at NOW_US.  Is it the first?  *FULL: it could not be
 * remembered.
 */
bool stuck_add(struct stuck *s, uint64_t offset, uint64_t length, uint64_t now_us, bool *full);

/* Is what begins at OFFSET to be left out for now? */
bool stuck_skips(const struct stuck *s, uint64_t offset);

/* What begins at OFFSET has been copied, or is lacked no more.  Was it the last? */
bool stuck_drop(struct stuck *s, uint64_t offset);

/* Is it time for another try?  Then all are due, and the next pause is twice as long. */
bool stuck_is_time(struct stuck *s, uint64_t now_us);

uint64_t stuck_bytes(const struct stuck *s);

#endif
