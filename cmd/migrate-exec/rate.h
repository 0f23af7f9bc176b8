/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rate over the last moments, from readings of a counter.  Pure arithmetic. */
#ifndef EXEC_RATE_H
#define EXEC_RATE_H

#include <stdint.h>

enum { RATE_READINGS = 16 };

/* Zero-initialised it has no readings. */
struct rate {
    struct {
        uint64_t us;
        uint64_t count;
    } reading[RATE_READINGS]; /* a ring */
    unsigned n;               /* readings ever taken in */
};

/* The counter stands at COUNT at US (of any clock that does not go back). */
void rate_add(struct rate *r, uint64_t us, uint64_t count);
/* Counts a second between the oldest and the newest reading kept; 0 if they tell nothing, or if the
 * counter went back. */
double rate_per_second(const struct rate *r);

#endif
