/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS_MIN = 8,
    CELL_BYTES = (CELLS_KINDS + 1) * PACK_UINT_MAX, /* the most that a cell takes packed */
    WORDS = CELLS_ROW / 64 + 1,
};

static bool is_packed(const struct row *r)
{
    return r->n && !r->nslots;
}

void row_release(struct row *r)
{
    if (r->nslots)
        free(r->slots);
    else
        free(r->packed);
    *r = (struct row){0};
}

/* ---- the table ---- */

/* The slot where SEGMENT is or belongs; a quarter of the table is kept free. */
static struct cell *slot_of(const struct row *r, uint32_t segment)
{
    size_t i = segment & (r->nslots - 1u);
    while (r->slots[i].segment1 && r->slots[i].segment1 != segment + 1)
        i = (i + 1) & (r->nslots - 1u);
    return &r->slots[i];
}

static int grow(struct row *r)
{
    struct row larger = *r;
    larger.nslots = (uint16_t)(r->nslots ? r->nslots * 2 : SLOTS_MIN);
    larger.slots = calloc(larger.nslots, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < r->nslots; i++)
        if (r->slots[i].segment1)
            *slot_of(&larger, r->slots[i].segment1 - 1) = r->slots[i];
    if (r->nslots)
        free(r->slots);
    *r = larger;
    return 0;
}

struct cell *row_cell_new(struct row *r, uint32_t segment)
{
    if (4 * (r->n + 1) > 3 * r->nslots && grow(r) < 0)
        return NULL;
    struct cell *c = slot_of(r, segment);
    if (!c->segment1) {
        c->segment1 = segment + 1;
        r->n++;
    }
    return c;
}

/* The open R's cells in use, ascending; their number. */
static size_t in_order(const struct row *r, const struct cell *out[CELLS_ROW])
{
    uint64_t used[WORDS] = {0};
    uint16_t slot[CELLS_ROW];
    size_t n = 0;
    for (size_t i = 0; i < r->nslots; i++) {
        uint32_t segment = r->slots[i].segment1 - 1;
        if (segment >= CELLS_ROW)
            continue; /* free */
        used[segment / 64] |= UINT64_C(1) << segment % 64;
        slot[segment] = (uint16_t)i;
    }
    for (size_t w = 0; w < WORDS; w++)
        for (uint64_t left = used[w]; left; left &= left - 1)
            /* cppcheck-suppress uninitvar ; a bit says that it is set */
            out[n++] = &r->slots[slot[w * 64 + (size_t)__builtin_ctzll(left)]];
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
    if (r->nslots || !spare->nslots)
        return;
    r->slots = memset(spare->slots, 0, spare->nslots * sizeof(*spare->slots));
    r->nslots = spare->nslots;
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
    if (spare->slots || r->nslots > 16 * (r->n + 1)) {
        free(r->slots);
        return;
    }
    *spare = (struct row_spare){r->slots, r->nslots};
}

void row_pack(struct row *r, struct row_spare *spare)
{
    const struct cell *cell[CELLS_ROW];
    unsigned char bytes[CELLS_ROW * CELL_BYTES];
    if (!r->nslots || r->reopened)
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
    r->nslots = 0;
}
