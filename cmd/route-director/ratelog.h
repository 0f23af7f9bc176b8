/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines that strangers can cause: one a second, and how many were left out. */
#ifndef DIRECTOR_RATELOG_H
#define DIRECTOR_RATELOG_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialise. */
struct ratelog {
    uint64_t last_us;     /* of the last line; 0: none yet */
    unsigned long missed; /* left out since */
    char note[64];        /* of the last one that was due */
};

/*
 * Is a line due at NOW_US (clock_mono_us())?  Then R->note is what to append to it: "", or
 * " (N more since the last line)".
 */
bool ratelog_due(struct ratelog *r, uint64_t now_us);

#endif
