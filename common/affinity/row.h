/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cells of one hour: a table that can be added to, or, where nothing more is expected, the same
 * as bytes, which take about a tenth of it.
 */
#ifndef GS_AFFINITY_ROW_H
#define GS_AFFINITY_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/pack.h"

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

/* Zero-initialise; row_release() frees. */
struct row {
    union {
        /*
         * Owned: room for CAP cells in the order in which they came, of which N are used, then the
         * places of theirs, + 1: open addressing, twice as many as cells, 0 where free.
         */
        struct cell *cells;
        unsigned char *packed; /* or owned: SIZE bytes, if CAP is 0 */
    };
    uint32_t size;
    uint16_t n;    /* cells in use */
    uint16_t cap;  /* 0 or a power of two */
    bool reopened; /* was packed once, and will not be again */
};

/* A table to be used again.  Zero-initialise; free(cells). */
struct row_spare {
    struct cell *cells;
    uint16_t cap;
};

void row_release(struct row *r);

/* R's table, made of its bytes, of SPARE's memory if R has nothing yet.  0 or -ENOMEM. */
int row_open(struct row *r, struct row_spare *spare);
/* Packs R, unless it was once before; its table goes to SPARE.  Without memory R stays open. */
void row_pack(struct row *r, struct row_spare *spare);

/* Where the place of SEGMENT's cell stands, unless another's came first: R->cap is not 0. */
static inline uint16_t *row_place(const struct row *r, uint32_t segment)
{
    uint16_t *places = (uint16_t *)(void *)(r->cells + r->cap);
    return &places[segment & (2u * r->cap - 1)];
}

/* The cell of SEGMENT of the open R, added (R->n grows) if new.  NULL: out of memory.  Borrowed. */
struct cell *row_cell_new(struct row *r, uint32_t segment);
static inline struct cell *row_cell(struct row *r, uint32_t segment)
{
    /* Neighbours on the volume are neighbours here: no two of them meet. */
    if (r->cap) {
        unsigned place = *row_place(r, segment);
        if (place && r->cells[place - 1].segment1 == segment + 1)
            return &r->cells[place - 1];
    }
    return row_cell_new(r, segment);
}

/* The cells of R, open or not, ascending by segment; their number. */
size_t row_cells(const struct row *r, struct cell out[CELLS_ROW]);
/* Their number, and for each how many segments were left out before it, and its numbers. */
void row_put(const struct row *r, struct packer *p);

#endif
