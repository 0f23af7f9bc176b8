/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on a volume the accesses of one week fell: reads, writes and bytes per segment and hour of
 * the week, as whole numbers.
 *
 * Segments are as small as possible so that DEMAND_SEGMENTS of them reach the largest offset seen
 * and at most CELLS_MAX cells are in use.  Both only depend on which accesses there were, so the
 * order in which they come, or in which parts of them are merged, does not matter.
 *
 * Memory: 64 bytes a cell in use, so at most 2 MiB; a new one begins with 2 KiB.
 */
#ifndef GS_AFFINITY_CELLS_H
#define GS_AFFINITY_CELLS_H

#include <stddef.h>
#include <stdint.h>

enum {
    CELLS_MAX = 32768,
    CELLS_SEGMENTS = 1024,           /* a volume; then the place of the flushes, */
    CELLS_FLUSH = CELLS_SEGMENTS,    /* which belong to no segment */
    CELLS_HOUR = 2 * CELLS_SEGMENTS, /* the first cell of an hour is a multiple of it */
    CELLS_SHIFT_MIN = 16,            /* segments of 64 KiB at first, doubled as needed */
    CELLS_SHIFT_MAX = 54,
};

enum cells_kind { CELLS_READS, CELLS_WRITES, CELLS_BYTES, CELLS_KINDS };

struct cell {
    uint32_t key1;            /* hour of the week · CELLS_HOUR + segment, + 1; 0: a free place */
    uint64_t of[CELLS_KINDS]; /* each saturates */
};

/* cells_init(); cells_release() frees. */
struct cells {
    struct cell *slots; /* open addressing */
    size_t n, nslots;   /* nslots: 0 or a power of two */
    unsigned shift;     /* a segment is 2^shift bytes */
};

void cells_init(struct cells *c);
void cells_release(struct cells *c);

/*
 * COUNT accesses of KIND (CELLS_READS or _WRITES) in HOUR of the week, each of LENGTH bytes at
 * OFFSET; both together fit in 63 bits.  Bytes go to each segment they lie in, the access to the
 * first.  0 or -ENOMEM.
 */
int cells_add(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
              uint64_t length, uint64_t count);
int cells_add_flushes(struct cells *c, unsigned hour, uint64_t count);

/* Adds a cell as it was saved, KEY = key1 − 1, in segments of C's size.  0 or -ENOMEM. */
int cells_put(struct cells *c, uint32_t key, const uint64_t of[CELLS_KINDS]);

/* Makes C's segments at least 2^SHIFT bytes.  0 or -ENOMEM. */
int cells_coarsen(struct cells *c, unsigned shift);

/* Adds all of FROM.  0 or -ENOMEM. */
int cells_merge(struct cells *c, const struct cells *from);

/* The cells in use by key, in *OUT (owned, free()).  0 or -ENOMEM. */
int cells_sorted(const struct cells *c, struct cell **out);

/* A + B, or the largest number where it does not fit. */
uint64_t cells_sum(uint64_t a, uint64_t b);

#endif
