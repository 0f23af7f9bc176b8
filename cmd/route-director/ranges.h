/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The overlap lock of a volume: data-changing commands that overlap are never in flight together
 * (S4, S7).  Knows no sockets; entries are opaque numbers.
 */
#ifndef DIRECTOR_RANGES_H
#define DIRECTOR_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
    uint64_t start;
    uint64_t end; /* first byte behind */
};

/* The held ranges, disjoint and sorted.  Zero-initialise; ranges_release() frees. */
struct ranges {
    struct range *held;
    size_t n;
    size_t cap;
};

/* Is any byte of OFFSET … OFFSET + LENGTH - 1 held? */
bool ranges_busy(const struct ranges *r, uint64_t offset, uint64_t length);

/* Holds the range: 0; -EBUSY: a part is held; -ENOMEM.  LENGTH > 0, the sum must not wrap. */
int ranges_take(struct ranges *r, uint64_t offset, uint64_t length);

/* Lets go of a range exactly as it was taken. */
void ranges_drop(struct ranges *r, uint64_t offset, uint64_t length);

void ranges_release(struct ranges *r);

#endif
