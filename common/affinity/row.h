/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cells of one hour: kept as bytes, which take about a fifth of what numbers do, and summed up
 * in a table of all segments.
 */
#ifndef GS_AFFINITY_ROW_H
#define GS_AFFINITY_ROW_H

#include <stddef.h>
#include <stdint.h>

#include "common/affinity/pack.h"
#include "common/base/saturate.h"

enum {
    CELLS_SEGMENTS = 1024,        /* a volume; then the place of the flushes, */
    CELLS_FLUSH = CELLS_SEGMENTS, /* which belong to no segment */
    CELLS_ROW = CELLS_SEGMENTS + 1,
};

enum cells_kind { CELLS_READS, CELLS_WRITES, CELLS_BYTES, CELLS_KINDS };

struct cell {
    uint32_t segment1;        /* + 1 */
    uint64_t of[CELLS_KINDS]; /* each saturates */
};

/* Zero-initialise; free(packed). */
struct row {
    unsigned char
        *packed;   /* owned; for each cell how many segments were left out, and its numbers */
    uint32_t size; /* bytes */
    uint32_t n;    /* cells */
};

/* Cells in use; what stands in the others says nothing. */
struct row_table {
    uint64_t used[CELLS_ROW / 64 + 1];
    uint64_t of[CELLS_ROW][CELLS_KINDS];
};

void row_table_clear(struct row_table *t);

/* The numbers of SEGMENT in T, 0 if it was not in use. */
static inline uint64_t *row_table_at(struct row_table *t, uint32_t segment)
{
    uint64_t bit = UINT64_C(1) << segment % 64, *used = &t->used[segment / 64];
    uint64_t *of = t->of[segment];
    if (!(*used & bit)) {
        *used |= bit;
        of[CELLS_READS] = of[CELLS_WRITES] = of[CELLS_BYTES] = 0;
    }
    return of;
}

/*
 * Adds COUNT of KIND (reads or writes) and BYTES to SEGMENT's numbers in T.  Whether it was in use
 * is not decided: of a busy hour nobody could guess it, and a wrong guess costs more than all this.
 */
static inline void row_table_add(struct row_table *t, uint32_t segment, size_t kind, uint64_t count,
                                 uint64_t bytes)
{
    uint64_t *used = &t->used[segment / 64], *of = t->of[segment];
    uint64_t keep = -(*used >> segment % 64 & 1); /* all bits, or none */
    *used |= UINT64_C(1) << segment % 64;
    of[kind] = saturate_sum(of[kind] & keep, count);
    of[kind ^ 1] &= keep;
    of[CELLS_BYTES] = saturate_sum(of[CELLS_BYTES] & keep, bytes);
}
_Static_assert((CELLS_READS ^ 1) == CELLS_WRITES, "reads and writes differ in one bit");

/* SEGMENT as one of those that are 2^BY times larger. */
static inline uint32_t row_coarser(uint32_t segment, unsigned by)
{
    return segment == CELLS_FLUSH ? segment : (uint32_t)((uint64_t)segment >> by);
}

/* Adds R's cells to T, whose segments are 2^BY times larger. */
void row_sum(const struct row *r, unsigned by, struct row_table *t);
/* Makes R's cells those of T.  0, or -ENOMEM: R is as it was. */
int row_set(struct row *r, const struct row_table *t);
/* Makes R's segments 2^BY (more than one) times larger.  0, or -ENOMEM: R is as it was. */
int row_coarsen(struct row *r, unsigned by);

/* The cells of R, ascending by segment; their number. */
size_t row_cells(const struct row *r, struct cell out[CELLS_ROW]);
/* Their number, and their bytes. */
void row_put(const struct row *r, struct packer *p);

#endif
