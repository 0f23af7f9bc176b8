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
 * Memory: 3 KiB, about 7 bytes for each cell in use (at most 40), and for what is noted 8 KiB, in a
 * log in order of time at most 32, in any other at most 512, and as many while that is put in
 * order; so at most 2.3 MiB.
 */
#ifndef GS_AFFINITY_CELLS_H
#define GS_AFFINITY_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/row.h"
#include "common/forecast/series.h"

enum {
    CELLS_MAX = 32768,
    CELLS_SHIFT_MIN = 16, /* segments of 64 KiB at first, doubled as needed */
    CELLS_SHIFT_MAX = 54,
};

/*
 * Accesses of one kind to a segment in an hour of the week, not yet in its row: a word with bytes,
 * hour, segment, kind and count, from its lowest bits on; or, if bytes or count are too many, one
 * with CELLS_LONG as count, and two with the count and the bytes.
 */
enum {
    CELLS_HOUR_AT = 32,
    CELLS_SEGMENT_AT = 40,
    CELLS_KIND_AT = 51,
    CELLS_COUNT_AT = 52,
    CELLS_COUNT_BITS = 64 - CELLS_COUNT_AT,
    CELLS_LONG = (1 << CELLS_COUNT_BITS) - 1,
};

static inline bool cells_is_short(uint64_t count, uint64_t bytes)
{
    return count < CELLS_LONG && !(bytes >> CELLS_HOUR_AT);
}

/* Of what is short, or with CELLS_LONG and 0. */
static inline uint64_t cells_note(unsigned hour, uint32_t segment, enum cells_kind kind,
                                  uint64_t count, uint64_t bytes)
{
    return bytes | (uint64_t)hour << CELLS_HOUR_AT | (uint64_t)segment << CELLS_SEGMENT_AT |
           (uint64_t)kind << CELLS_KIND_AT | count << CELLS_COUNT_AT;
}

/* cells_init(); cells_release() frees. */
struct cells {
    size_t n;       /* cells in use */
    unsigned shift; /* a segment is 2^shift bytes */
    struct row row[HOURS_A_WEEK];
    uint64_t *note; /* owned */
    uint32_t n_words, cap_words;
    uint32_t cost;                         /* cells of the hours that have notes */
    unsigned hour;                         /* that of the last note; HOURS_A_WEEK: there is none */
    bool mixed;                            /* the notes do not ascend by hour */
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

/*
 * Lets the caller note accesses of HOUR, in segments of C's size: words (short ones) to *NEXT …
 * *END − 1, of which there is at least one.  Until cells_close(), with what is behind the last word
 * that was written, C is not to be used otherwise.  0 or -ENOMEM: it is not open.
 */
int cells_open(struct cells *c, unsigned hour, uint64_t **next, uint64_t **end);
void cells_close(struct cells *c, const uint64_t *next);

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
