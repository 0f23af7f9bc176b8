/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks that a standby lacks and does not get, as they can't be read at the owner or written at
 * the target.  They are left out while others are copied, and tried again after a pause that is
 * doubled each time: in ascending order, until STUCK_TRIES have failed; those that are left have
 * their turn the next time.  Neighbours are kept as one range.  Of more than STUCK_MAX ranges
 * nothing is known, so whoever finds yet another one rests.  Pure.
 */
#ifndef DIRECTOR_STUCK_H
#define DIRECTOR_STUCK_H

#include <stdbool.h>
#include <stdint.h>

enum { STUCK_MAX = 64, STUCK_TRIES = 64, STUCK_FIRST_US = 200000, STUCK_LONGEST_US = 60000000 };

struct stuck_range {
    uint64_t start, end; /* bytes; end: the first behind */
};

/* Zero-initialised: none. */
struct stuck {
    struct stuck_range range[STUCK_MAX]; /* in order, apart */
    unsigned n;
    unsigned tries;    /* so many more may fail … */
    uint64_t from;     /* … of what begins here or behind, or at the next time, if none is left */
    uint64_t pause_us; /* before the next time … */
    uint64_t next_us;  /* … which is then, by the clock of who calls */
};

/*
 * LENGTH bytes at OFFSET could not be copied, at NOW_US.  Is it the first?  *FULL: it could not be
 * remembered.
 */
bool stuck_add(struct stuck *s, uint64_t offset, uint64_t length, uint64_t now_us, bool *full);

/* Up to where what begins at OFFSET is to be left out for now; OFFSET: it is not. */
uint64_t stuck_until(const struct stuck *s, uint64_t offset);

/*
 * LENGTH bytes at OFFSET have been copied, or are lacked no more.  Were they the last?  Where they
 * leave two ranges of one, and there is no room for both, the one behind is forgotten.
 */
bool stuck_drop(struct stuck *s, uint64_t offset, uint64_t length);

/* Is it time for another try?  Then it begins at s->from, and the next pause is twice as long. */
bool stuck_is_time(struct stuck *s, uint64_t now_us);

uint64_t stuck_bytes(const struct stuck *s);

#endif
