/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/row.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/cells.h"
#include "common/base/saturate.h"

enum { CELL_BYTES = (CELLS_KINDS + 1) * PACK_UINT_MAX }; /* the most that a cell takes */

/* Of what is done for each cell, a call would cost half. */
#define ALWAYS __attribute__((always_inline))

/* ---- the table ---- */

void row_table_clear(struct row_table *t)
{
    memset(t->used, 0, sizeof(t->used));
}

/* ---- bytes ---- */

enum { CELL_WIDE = 8 }; /* bytes that are written of a short one, for at most 7 */

/* The CELL_WIDE bytes at AT as a number, first byte lowest, … */
ALWAYS static inline uint64_t load_wide(const unsigned char *at)
{
    uint64_t all;
    memcpy(&all, at, CELL_WIDE);
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    all = __builtin_bswap64(all);
#endif
    return all;
}

/* … and back. */
ALWAYS static inline void store_wide(unsigned char *at, uint64_t all)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    all = __builtin_bswap64(all);
#endif
    memcpy(at, &all, CELL_WIDE);
}

/* GAP, READS and WRITES, below 2^7, and BYTES, below 2^28, as put_cell() writes them. */
ALWAYS static inline unsigned char *put_short(unsigned char *to, uint32_t gap, uint64_t reads,
                                              uint64_t writes, uint64_t bytes)
{
    uint32_t v = (uint32_t)bytes;
    /* Seven bits a byte, all but the last with the eighth. */
    v = (v & 0xfffc000) << 2 | (v & 0x3fff);
    v = (v & 0x3f803f80) << 1 | (v & 0x7f007f);
    uint32_t last = (31 - (uint32_t)__builtin_clz(v | 1)) & ~7u;
    v |= UINT32_C(0x80808080) & ((UINT32_C(1) << last) - 1);
    store_wide(to, gap | reads << 8 | writes << 16 | (uint64_t)v << 24);
    return to + 4 + last / 8;
}

/* The numbers of a cell, GAP segments behind the one before, to the bytes at TO; behind them. */
ALWAYS static inline unsigned char *put_cell(unsigned char *to, uint32_t gap, const uint64_t *of)
{
    uint64_t reads = of[CELLS_READS], writes = of[CELLS_WRITES], bytes = of[CELLS_BYTES];
    if (((gap | reads | writes) < 0x80) & !(bytes >> 28))
        return put_short(to, gap, reads, writes, bytes);
    to = pack_uint_to(to, gap);
    for (size_t k = 0; k < CELLS_KINDS; k++)
        to = pack_uint_to(to, of[k]);
    return to;
}

/* T's cells to the bytes at TO; behind the last of them.  *N cells. */
static unsigned char *put_cells(const struct row_table *t, unsigned char *to, uint32_t *n)
{
    uint32_t next = 0, cells = 0;
    for (uint32_t w = 0; w < sizeof(t->used) / sizeof(*t->used); w++)
        for (uint64_t left = t->used[w]; left; left &= left - 1) {
            uint32_t segment = w * 64 + (uint32_t)__builtin_ctzll(left);
            to = put_cell(to, segment - next, t->of[segment]);
            next = segment + 1;
            cells++;
        }
    *n = cells;
    return to;
}

/* What pack_uint_to() wrote to *AT, which goes behind it. */
static inline uint64_t get_uint(const unsigned char **at)
{
    uint64_t v = *(*at)++;
    if (v < 0x80)
        return v;
    v &= 0x7f;
    for (unsigned shift = 7;; shift += 7) {
        uint64_t byte = *(*at)++;
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
}

/* Where the cells of a row are read. */
struct cursor {
    const unsigned char *at, *end;
    uint32_t next; /* the first segment that the next cell can have */
};

static struct cursor begin(const struct row *r)
{
    return (struct cursor){r->packed, r->n ? r->packed + r->size : r->packed, 0};
}

/* The last bytes of numbers among those of ALL that hold a short cell's bytes, as eighth bits. */
ALWAYS static inline uint32_t ends_of(uint64_t all)
{
    return ~(uint32_t)(all >> 24) & UINT32_C(0x80808080);
}

/* The bytes that the cell at the beginning of ALL takes; 0: it is not one of put_short()'s. */
ALWAYS static inline size_t short_size(uint64_t all)
{
    uint32_t ends = ends_of(all);
    return all & 0x808080 || !ends ? 0 : 4 + (size_t)__builtin_ctz(ends) / 8;
}

/* What put_short() wrote at AT, into C: its bytes; 0 if it was not put_short(). */
ALWAYS static inline size_t get_short(const unsigned char *at, struct cell *c)
{
    uint64_t all = load_wide(at);
    size_t size = short_size(all);
    uint32_t v = (uint32_t)(all >> 24), ends = ends_of(all);
    /* The lowest of the ends, and what is below it, without the eighth bits. */
    v &= (ends ^ (ends - 1)) & UINT32_C(0x7f7f7f7f);
    v = (v & 0x7f007f) | (v & 0x7f007f00) >> 1;
    c->segment1 = (uint32_t)(all & 0x7f);
    c->of[CELLS_READS] = all >> 8 & 0x7f;
    c->of[CELLS_WRITES] = all >> 16 & 0x7f;
    c->of[CELLS_BYTES] = (v & 0x3fff) | (v & 0x3fff0000) >> 2;
    return size;
}

/* The next cell, of which there is one. */
ALWAYS static inline struct cell get_cell(struct cursor *from)
{
    struct cell c;
    size_t bytes = from->end - from->at >= CELL_WIDE ? get_short(from->at, &c) : 0;
    from->at += bytes;
    if (!bytes) {
        c.segment1 = (uint32_t)get_uint(&from->at);
#pragma GCC unroll 3
        for (size_t k = 0; k < CELLS_KINDS; k++)
            c.of[k] = get_uint(&from->at);
    }
    c.segment1 += from->next + 1;
    from->next = c.segment1;
    return c;
}

void row_sum(const struct row *r, unsigned by, struct row_table *t)
{
    struct cursor from = begin(r);
    for (uint32_t i = 0; i < r->n; i++) {
        struct cell c = get_cell(&from);
        uint64_t *of = row_table_at(t, row_coarser(c.segment1 - 1, by));
        for (size_t k = 0; k < CELLS_KINDS; k++)
            of[k] = saturate_sum(of[k], c.of[k]);
    }
}

/* Makes R's cells the N of these BYTES: 0 or -ENOMEM. */
static int set_bytes(struct row *r, const unsigned char *bytes, size_t size, uint32_t n)
{
    unsigned char *packed = realloc(r->packed, size ? size : 1);
    if (!packed)
        return -ENOMEM;
    memcpy(packed, bytes, size);
    r->packed = packed;
    r->size = (uint32_t)size;
    r->n = n;
    return 0;
}

int row_set(struct row *r, const struct row_table *t)
{
    unsigned char bytes[CELLS_ROW * CELL_BYTES];
    uint32_t n;
    size_t size = (size_t)(put_cells(t, bytes, &n) - bytes);
    return set_bytes(r, bytes, size, n);
}

/* Cells on their way out, ascending, from the bytes at LAST on. */
struct cells_out {
    unsigned char *last, *to; /* the last cell, and behind it */
    uint32_t segment;         /* the last one's; UINT32_MAX: there is none */
    uint32_t before;          /* the first that it could have */
    uint32_t n;
};

/* Makes C, of SEGMENT, the last cell. */
static void put_next(struct cells_out *out, uint32_t segment, const struct cell *c)
{
    out->before = out->segment + 1;
    out->last = out->to;
    out->to = put_cell(out->to, segment - out->before, c->of);
    out->segment = segment;
    out->n++;
}

/* Adds C to the last cell. */
static void add_to_last(struct cells_out *out, const struct cell *c)
{
    struct cursor last = {out->last, out->to, out->before};
    struct cell sum = get_cell(&last);
    for (size_t k = 0; k < CELLS_KINDS; k++)
        sum.of[k] = saturate_sum(sum.of[k], c->of[k]);
    out->to = put_cell(out->last, out->segment - out->before, sum.of);
}

/*
 * The next cell of FROM, if it is a short one that falls into a segment of its own, 2^BY times
 * larger: nothing of it changes but the gap, and it need not be read.
 */
ALWAYS static inline bool pass_on(struct cursor *from, unsigned by, struct cells_out *out)
{
    if (from->end - from->at < CELL_WIDE)
        return false;
    uint64_t all = load_wide(from->at);
    size_t size = short_size(all);
    uint32_t segment = from->next + (uint32_t)(all & 0x7f), into = row_coarser(segment, by);
    if (!size || into == out->segment || into - (out->segment + 1) >= 0x80)
        return false;
    out->before = out->segment + 1;
    store_wide(out->to, (all & ~UINT64_C(0x7f)) | (into - out->before));
    out->last = out->to;
    out->to += size;
    out->segment = into;
    out->n++;
    from->at += size;
    from->next = segment + 1;
    return true;
}

int row_coarsen(struct row *r, unsigned by)
{
    unsigned char bytes[CELLS_ROW * CELL_BYTES + CELL_WIDE];
    struct cursor from = begin(r);
    struct cells_out out = {.last = bytes, .to = bytes, .segment = UINT32_MAX};
    while (from.at < from.end) {
        if (pass_on(&from, by, &out))
            continue;
        struct cell c = get_cell(&from);
        uint32_t into = row_coarser(c.segment1 - 1, by);
        if (into == out.segment)
            add_to_last(&out, &c);
        else
            put_next(&out, into, &c);
    }
    return set_bytes(r, bytes, (size_t)(out.to - bytes), out.n);
}

size_t row_cells(const struct row *r, struct cell out[CELLS_ROW])
{
    struct cursor from = begin(r);
    for (uint32_t i = 0; i < r->n; i++)
        out[i] = get_cell(&from);
    return r->n;
}

void row_put(const struct row *r, struct packer *p)
{
    pack_uint(p, r->n);
    pack_bytes(p, r->packed, r->size);
}
