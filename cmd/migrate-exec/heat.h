/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In which order a volume is copied: what is expected to be written soon goes last. */
#ifndef EXEC_HEAT_H
#define EXEC_HEAT_H

#include <stddef.h>
#include <stdint.h>

struct heat_range {
    uint64_t from, to; /* bytes */
    double writes;     /* expected; of no meaning but to compare */
};

/* Zero-initialised it is empty. */
struct heat {
    struct heat_range *range;
    size_t n, cap;
};

void heat_release(struct heat *h);
/* Bytes [FROM, TO) will get so many WRITES; the same range may be added to again.  0 or -ENOMEM. */
int heat_add(struct heat *h, uint64_t from, uint64_t to, double writes);
/*
 * Makes of what was added a partition of [0, SIZE): sums up what is of the same range, clips what
 * overlaps an earlier range, fills gaps as never written, and sorts by writes, then by place.
 * 0 or -ENOMEM.
 */
int heat_settle(struct heat *h, uint64_t size);

/*
 * Adds the heat records of VOLUME in file PATH whose interval is not over at NOW and begins within
 * the next hour.  0; -errno, the reason in WHY.
 */
int heat_load(struct heat *h, const char *path, const char *volume, double now, char *why,
              size_t why_size);

#endif
