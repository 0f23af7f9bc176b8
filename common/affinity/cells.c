/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/cells.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SLOTS_MIN = 8 };

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t p;
    return __builtin_mul_overflow(a, b, &p) ? UINT64_MAX : p;
}

void cells_init(struct cells *c)
{
    *c = (struct cells){.shift = CELLS_SHIFT_MIN};
}

void cells_release(struct cells *c)
{
    for (size_t h = 0; h < HOURS_A_WEEK; h++)
        free(c->row[h].slots);
    cells_init(c);
}

/* The slot where SEGMENT is or belongs; the table is kept half empty. */
static struct cell *slot_of(const struct cells_row *r, uint32_t segment)
{
    /* Neighbours on the volume are neighbours here: no two of them meet. */
    size_t i = segment & (r->nslots - 1u);
    while (r->slots[i].segment1 && r->slots[i].segment1 != segment + 1)
        i = (i + 1) & (r->nslots - 1u);
    return &r->slots[i];
}

static int grow(struct cells_row *r)
{
    struct cells_row larger = *r;
    larger.nslots = (uint16_t)(r->nslots ? r->nslots * 2 : SLOTS_MIN);
    larger.slots = calloc(larger.nslots, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < r->nslots; i++)
        if (r->slots[i].segment1)
            *slot_of(&larger, r->slots[i].segment1 - 1) = r->slots[i];
    free(r->slots);
    *r = larger;
    return 0;
}

/* The cell of SEGMENT, added if new.  NULL: out of memory. */
static struct cell *cell_at(struct cells *c, unsigned hour, uint32_t segment)
{
    struct cells_row *r = &c->row[hour];
    if (2 * (r->n + 1) > r->nslots && grow(r) < 0)
        return NULL;
    struct cell *s = slot_of(r, segment);
    if (!s->segment1) {
        s->segment1 = segment + 1;
        r->n++;
        c->n++;
    }
    return s;
}

static void add_to(struct cell *s, const uint64_t of[CELLS_KINDS])
{
    for (size_t k = 0; k < CELLS_KINDS; k++)
        s->of[k] = cells_sum(s->of[k], of[k]);
}

static uint32_t coarser(uint32_t segment, unsigned by)
{
    return segment == CELLS_FLUSH ? segment : segment >> by;
}

/* Adds the cells of FROM, whose segments are 2^BY times smaller, to HOUR of C. */
static int add_row(struct cells *c, unsigned hour, const struct cells_row *from, unsigned by)
{
    for (size_t i = 0; i < from->nslots; i++) {
        if (!from->slots[i].segment1)
            continue;
        struct cell *to = cell_at(c, hour, coarser(from->slots[i].segment1 - 1, by));
        if (!to)
            return -ENOMEM;
        add_to(to, from->slots[i].of);
    }
    return 0;
}

int cells_coarsen(struct cells *c, unsigned shift)
{
    if (shift <= c->shift)
        return 0;
    unsigned by = shift - c->shift;
    c->shift = shift;
    for (unsigned h = 0; h < HOURS_A_WEEK; h++) {
        struct cells_row old = c->row[h];
        c->row[h] = (struct cells_row){0};
        c->n -= old.n;
        int r = add_row(c, h, &old, by);
        free(old.slots);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Keeps within CELLS_MAX. */
static int bound(struct cells *c)
{
    int r = 0;
    while (r == 0 && c->n > CELLS_MAX)
        r = cells_coarsen(c, c->shift + 1);
    return r;
}

int cells_put(struct cells *c, unsigned hour, uint32_t segment, const uint64_t of[CELLS_KINDS])
{
    struct cell *s = cell_at(c, hour, segment);
    if (!s)
        return -ENOMEM;
    add_to(s, of);
    return bound(c);
}

int cells_add_flushes(struct cells *c, unsigned hour, uint64_t count)
{
    return cells_put(c, hour, CELLS_FLUSH, (const uint64_t[CELLS_KINDS]){0, count, 0});
}

/* Segments so large that the byte LAST lies within them. */
static int reach(struct cells *c, uint64_t last)
{
    unsigned shift = c->shift;
    while (last >> shift >= CELLS_SEGMENTS)
        shift++;
    return cells_coarsen(c, shift);
}

int cells_add(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
              uint64_t length, uint64_t count)
{
    uint64_t at = offset, left = length;
    int r = reach(c, offset + (length ? length - 1 : 0));
    for (bool first = true; r == 0 && (first || left); first = false) {
        uint64_t of[CELLS_KINDS] = {0};
        uint64_t in = (((at >> c->shift) + 1) << c->shift) - at;
        in = in < left ? in : left;
        of[kind] = first ? count : 0;
        of[CELLS_BYTES] = product(count, in);
        r = cells_put(c, hour, (uint32_t)(at >> c->shift), of);
        at += in;
        left -= in;
    }
    return r;
}

int cells_merge(struct cells *c, struct cells *from)
{
    if (c->n == 0 && c->shift <= from->shift) {
        struct cells empty = *c;
        *c = *from;
        *from = empty;
        return 0;
    }
    int r = cells_coarsen(c, from->shift);
    for (unsigned h = 0; r == 0 && h < HOURS_A_WEEK; h++)
        r = add_row(c, h, &from->row[h], c->shift - from->shift);
    return r == 0 ? bound(c) : r;
}

size_t cells_hour(const struct cells *c, unsigned hour, const struct cell *out[CELLS_ROW])
{
    const struct cell *at[CELLS_ROW] = {NULL};
    const struct cells_row *r = &c->row[hour];
    size_t n = 0;
    if (!r->n)
        return 0;
    for (size_t i = 0; i < r->nslots; i++)
        if (r->slots[i].segment1)
            at[r->slots[i].segment1 - 1] = &r->slots[i];
    for (size_t s = 0; s < CELLS_ROW; s++)
        if (at[s])
            out[n++] = at[s];
    return n;
}
