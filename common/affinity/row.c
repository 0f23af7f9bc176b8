/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/cells.h"
#include "common/base/saturate.h"

enum { CELL_BYTES = (CELLS_KINDS + 1) * PACK_UINT_MAX }; /* the most that a cell takes */

/* ---- the table ---- */

void row_table_clear(struct row_table *t)
{
    memset(t->used, 0, sizeof(t->used));
}

/* ---- bytes ---- */

enum { CELL_WIDE = 8 }; /* bytes that are written of a short one, for at most 7 */

/* GAP, READS and WRITES, below 2^7, and BYTES, below 2^28, as put_cell() writes them. */
static inline unsigned char *put_short(unsigned char *to, uint32_t gap, uint64_t reads,
                                       uint64_t writes, uint64_t bytes)
{
    uint32_t v = (uint32_t)bytes;
    /* Seven bits a byte, all but the last with the eighth. */
    v = (v & 0xfffc000) << 2 | (v & 0x3fff);
    v = (v & 0x3f803f80) << 1 | (v & 0x7f007f);
    uint32_t last = (31 - (uint32_t)__builtin_clz(v | 1)) & ~7u;
    v |= UINT32_C(0x80808080) & ((UINT32_C(1) << last) - 1);
    uint64_t all = gap | reads << 8 | writes << 16 | (uint64_t)v << 24;
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    all = __builtin_bswap64(all);
#endif
    memcpy(to, &all, CELL_WIDE);
    return to + 4 + last / 8;
}

/* The numbers of a cell, GAP segments behind the one before, to the bytes at TO; behind them. */
static inline unsigned char *put_cell(unsigned char *to, uint32_t gap, const uint64_t *of)
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

/* The next cell of R at *AT, the first of which begins behind segment *NEXT. */
static inline struct cell get_cell(const unsigned char **at, uint32_t *next)
{
    struct cell c = {.segment1 = *next + (uint32_t)get_uint(at) + 1};
    *next = c.segment1;
    for (size_t k = 0; k < CELLS_KINDS; k++)
        c.of[k] = get_uint(at);
    return c;
}

void row_sum(const struct row *r, unsigned by, struct row_table *t)
{
    const unsigned char *at = r->packed;
    uint32_t next = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        struct cell c = get_cell(&at, &next);
        uint64_t *of = row_table_at(t, row_coarser(c.segment1 - 1, by));
        for (size_t k = 0; k < CELLS_KINDS; k++)
            of[k] = saturate_sum(of[k], c.of[k]);
    }
}

int row_set(struct row *r, const struct row_table *t)
{
    unsigned char bytes[CELLS_ROW * CELL_BYTES];
    uint32_t n;
    size_t size = (size_t)(put_cells(t, bytes, &n) - bytes);
    unsigned char *packed = realloc(r->packed, size ? size : 1);
    if (!packed)
        return -ENOMEM;
    memcpy(packed, bytes, size);
    r->packed = packed;
    r->size = (uint32_t)size;
    r->n = n;
    return 0;
}

size_t row_cells(const struct row *r, struct cell out[CELLS_ROW])
{
    const unsigned char *at = r->packed;
    uint32_t next = 0;
    for (uint32_t i = 0; i < r->n; i++)
        out[i] = get_cell(&at, &next);
    return r->n;
}

void row_put(const struct row *r, struct packer *p)
{
    pack_uint(p, r->n);
    pack_bytes(p, r->packed, r->size);
}
