/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    CAP_MIN = 4,
    CELL_BYTES = (CELLS_KINDS + 1) * PACK_UINT_MAX, /* the most that a cell takes packed */
    WORDS = CELLS_ROW / 64 + 1,
};

static bool is_packed(const struct row *r)
{
    return r->n && !r->cap;
}

void row_release(struct row *r)
{
    if (r->cap)
        free(r->cells);
    else
        free(r->packed);
    *r = (struct row){0};
}

/* ---- the table ---- */

/* Of CAP cells, in bytes: the cells, and their places. */
static size_t cells_size(size_t cap)
{
    return cap * sizeof(struct cell);
}

static size_t places_size(size_t cap)
{
    return 2 * cap * sizeof(uint16_t);
}

/* The place where SEGMENT is or belongs; half of them are kept free. */
static uint16_t *place_of(const struct row *r, uint32_t segment)
{
    uint16_t *first = row_place(r, 0), *at = row_place(r, segment), *end = first + 2 * r->cap;
    while (*at && r->cells[*at - 1].segment1 != segment + 1)
        if (++at == end)
            at = first;
    return at;
}

static int grow(struct row *r)
{
    uint16_t cap = (uint16_t)(r->cap ? r->cap * 2 : CAP_MIN);
    struct cell *cells = realloc(r->cap ? r->cells : NULL, cells_size(cap) + places_size(cap));
    if (!cells)
        return -ENOMEM;
    r->cells = cells;
    r->cap = cap;
    memset(row_place(r, 0), 0, places_size(cap));
    for (unsigned i = 0; i < r->n; i++)
        *place_of(r, cells[i].segment1 - 1) = (uint16_t)(i + 1);
    return 0;
}

struct cell *row_cell_new(struct row *r, uint32_t segment)
{
    if (!r->cap && grow(r) < 0)
        return NULL;
    uint16_t *place = place_of(r, segment);
    if (*place)
        return &r->cells[*place - 1];
    if (r->n == r->cap) {
        if (grow(r) < 0)
            return NULL;
        place = place_of(r, segment);
    }
    struct cell *c = &r->cells[r->n];
    *c = (struct cell){.segment1 = segment + 1};
    *place = ++r->n;
    return c;
}

/* The open R's cells, ascending; their number. */
static size_t in_order(const struct row *r, const struct cell *out[CELLS_ROW])
{
    uint64_t used[WORDS] = {0};
    uint16_t at[CELLS_ROW];
    size_t n = 0;
    for (unsigned i = 0; i < r->n; i++) {
        uint32_t segment = r->cells[i].segment1 - 1;
        used[segment / 64] |= UINT64_C(1) << segment % 64;
        at[segment] = (uint16_t)i;
    }
    for (size_t w = 0; w < WORDS; w++)
        for (uint64_t left = used[w]; left; left &= left - 1)
            /* cppcheck-suppress uninitvar ; a bit says that it is set */
            out[n++] = &r->cells[at[w * 64 + (size_t)__builtin_ctzll(left)]];
    return n;
}

/* ---- bytes ---- */

static unsigned char *put_cells(unsigned char *to, const struct cell *const *cell, size_t n)
{
    uint32_t next = 0;
    for (size_t i = 0; i < n; i++) {
        /* cppcheck-suppress uninitvar ; N are there */
        to = pack_uint_to(to, cell[i]->segment1 - 1 - next);
        next = cell[i]->segment1;
        for (size_t k = 0; k < CELLS_KINDS; k++)
            to = pack_uint_to(to, cell[i]->of[k]);
    }
    return to;
}

/* What put_cells() wrote of N cells. */
static void get_cells(const unsigned char *from, size_t size, size_t n, struct cell *out)
{
    struct unpacker u = {from, from + size, false};
    uint32_t next = 0;
    for (size_t i = 0; i < n; i++) {
        out[i].segment1 = next + (uint32_t)unpack_uint(&u, CELLS_ROW) + 1;
        next = out[i].segment1;
        for (size_t k = 0; k < CELLS_KINDS; k++)
            out[i].of[k] = unpack_uint(&u, UINT64_MAX);
    }
}

size_t row_cells(const struct row *r, struct cell out[CELLS_ROW])
{
    const struct cell *cell[CELLS_ROW];
    if (is_packed(r)) {
        get_cells(r->packed, r->size, r->n, out);
        return r->n;
    }
    size_t n = in_order(r, cell);
    for (size_t i = 0; i < n; i++)
        out[i] = *cell[i];
    return n;
}

void row_put(const struct row *r, struct packer *p)
{
    const struct cell *cell[CELLS_ROW];
    unsigned char bytes[CELLS_ROW * CELL_BYTES];
    pack_uint(p, r->n);
    if (is_packed(r))
        pack_bytes(p, r->packed, r->size);
    else if (r->n)
        /* cppcheck-suppress uninitvar ; in_order() fills it */
        pack_bytes(p, bytes, (size_t)(put_cells(bytes, cell, in_order(r, cell)) - bytes));
}

/* ---- from one to the other ---- */

static void take_spare(struct row *r, struct row_spare *spare)
{
    if (r->cap || !spare->cap)
        return;
    r->cells = spare->cells;
    r->cap = spare->cap;
    memset(row_place(r, 0), 0, places_size(r->cap));
    *spare = (struct row_spare){0};
}

int row_open(struct row *r, struct row_spare *spare)
{
    struct row open = {.reopened = r->reopened};
    struct cell cell[CELLS_ROW];
    if (!is_packed(r)) {
        take_spare(r, spare);
        return 0;
    }
    open.reopened = true;
    get_cells(r->packed, r->size, r->n, cell);
    for (size_t i = 0; i < r->n; i++) {
        struct cell *to = row_cell_new(&open, cell[i].segment1 - 1);
        if (!to) {
            row_release(&open);
            return -ENOMEM;
        }
        *to = cell[i];
    }
    row_release(r);
    *r = open;
    return 0;
}

/* A table that would be mostly empty is worth nothing. */
static void give_spare(struct row *r, struct row_spare *spare)
{
    if (spare->cells || r->cap > 8 * (r->n + 1)) {
        free(r->cells);
        return;
    }
    *spare = (struct row_spare){r->cells, r->cap};
}

void row_pack(struct row *r, struct row_spare *spare)
{
    const struct cell *cell[CELLS_ROW];
    unsigned char bytes[CELLS_ROW * CELL_BYTES];
    if (!r->cap || r->reopened)
        return;
    size_t size = r->n ? (size_t)(put_cells(bytes, cell, in_order(r, cell)) - bytes) : 0;
    unsigned char *packed = NULL;
    if (size) {
        packed = malloc(size);
        if (!packed)
            return;
        memcpy(packed, bytes, size);
    }
    give_spare(r, spare);
    r->packed = packed;
    r->size = (uint32_t)size;
    r->cap = 0;
}
