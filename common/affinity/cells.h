/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on a volume the accesses of one week fell: reads, writes and bytes per segment and hour of
 * the week, as whole numbers.
 *
 * Segments are as small as possible so that CELLS_SEGMENTS of them reach the largest offset seen
 * and at most CELLS_MAX cells are in use.  Both only depend on which accesses there were, so the
 * order in which they come, or in which parts of them are merged, does not matter.
 *
 * An access is first noted, one behind the other, and those noted are added to their hours' cells
 * when there are as many as these have: so each costs about the same in whatever order, and touches
 * no memory but the end of a list.
 *
 * Memory: 3 KiB, about 7 bytes for each cell in use (at most 40), and for what is noted 6 KiB, in a
 * log in order of time with many cells an hour 24, in any other at most 768; so at most 2.1 MiB.
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

/* Of one segment, and not yet in its row. */
struct cells_note {
    uint64_t count, bytes;
    uint16_t segment;
    unsigned char kind, hour;
    uint32_t next1; /* note of the same hour, + 1; see cells_settle() */
};

/* cells_init(); cells_release() frees. */
struct cells {
    size_t n;       /* cells in use */
    unsigned shift; /* a segment is 2^shift bytes */
    struct row row[HOURS_A_WEEK];
    struct cells_note *note; /* owned */
    uint32_t n_notes, cap_notes;
    uint32_t cost;                         /* cells of the hours that have notes */
    unsigned hour;                         /* that of the last note; HOURS_A_WEEK: there is none */
    uint64_t noted[HOURS_A_WEEK / 64 + 1]; /* hours that have notes, a bit each */
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

/* To be called when all was added, before C's cells are looked at.  0 or -ENOMEM. */
int cells_settle(struct cells *c);

/* Makes C's segments at least 2^SHIFT bytes.  0 or -ENOMEM. */
int cells_coarsen(struct cells *c, unsigned shift);

/* Adds all of FROM, which may be emptied by that; C is settled then.  0 or -ENOMEM. */
int cells_merge(struct cells *c, struct cells *from);

/* The cells of HOUR in use, ascending by segment; their number. */
size_t cells_hour(const struct cells *c, unsigned hour, struct cell out[CELLS_ROW]);

#endif
