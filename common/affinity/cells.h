/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on a volume the accesses of one week fell: reads, writes and bytes per segment and hour of
 * the week, as whole numbers.
 *
 * Segments are as small as possible so that DEMAND_SEGMENTS of them reach the largest offset seen
 * and at most CELLS_MAX cells are in use.  Both only depend on which accesses there were, so the
 * order in which they come, or in which parts of them are merged, does not matter.
 *
 * Memory: 4 KiB, and in a log in order of time about 6 bytes for each cell in use and at most 72
 * for each of one hour; in any order, at most 72 for each, so at most 2.3 MiB.  An hour's cells lie
 * together: a log in order of time touches little of it at once.
 */
#ifndef GS_AFFINITY_CELLS_H
#define GS_AFFINITY_CELLS_H

#include <stddef.h>
#include <stdint.h>

#include "common/affinity/row.h"
#include "common/forecast/series.h"

enum {
    CELLS_MAX = 32768,
    CELLS_SHIFT_MIN = 16, /* segments of 64 KiB at first, doubled as needed */
    CELLS_SHIFT_MAX = 54,
};

/* cells_init(); cells_release() frees. */
struct cells {
    size_t n;       /* cells in use */
    unsigned shift; /* a segment is 2^shift bytes */
    unsigned hour;  /* whose row was last added to, and is open; HOURS_A_WEEK: none */
    struct row_spare spare;
    struct row row[HOURS_A_WEEK];
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

/* Adds a cell as it was saved, in segments of C's size.  0 or -ENOMEM. */
int cells_put(struct cells *c, unsigned hour, uint32_t segment, const uint64_t of[CELLS_KINDS]);

/* Makes C's segments at least 2^SHIFT bytes.  0 or -ENOMEM. */
int cells_coarsen(struct cells *c, unsigned shift);

/* Adds all of FROM, which may be emptied by that.  0 or -ENOMEM. */
int cells_merge(struct cells *c, struct cells *from);

/* The cells of HOUR in use, ascending by segment; their number. */
size_t cells_hour(const struct cells *c, unsigned hour, struct cell out[CELLS_ROW]);

/* A + B, or the largest number where it does not fit. */
static inline uint64_t cells_sum(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

#endif
