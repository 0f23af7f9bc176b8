/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/cells.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t p;
    return __builtin_mul_overflow(a, b, &p) ? UINT64_MAX : p;
}

void cells_init(struct cells *c)
{
    *c = (struct cells){.hour = HOURS_A_WEEK, .shift = CELLS_SHIFT_MIN};
}

void cells_release(struct cells *c)
{
    for (size_t h = 0; h < HOURS_A_WEEK; h++)
        row_release(&c->row[h]);
    free(c->spare.cells);
    cells_init(c);
}

/* Has HOUR's row open, and of the others as few as need be. */
static int go_to(struct cells *c, unsigned hour)
{
    if (c->hour == hour)
        return 0;
    if (c->hour < HOURS_A_WEEK)
        row_pack(&c->row[c->hour], &c->spare);
    int r = row_open(&c->row[hour], &c->spare);
    c->hour = r < 0 ? HOURS_A_WEEK : hour;
    return r;
}

/* The cell of SEGMENT, added if new.  NULL: out of memory. */
static inline struct cell *cell_at(struct cells *c, unsigned hour, uint32_t segment)
{
    struct row *r = &c->row[hour];
    size_t before = r->n;
    struct cell *s = row_cell(r, segment);
    c->n += r->n - before;
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

/* Adds the cells of FROM, whose segments are 2^BY times smaller, to the open row HOUR of C. */
static int add_row(struct cells *c, unsigned hour, const struct row *from, unsigned by)
{
    struct cell cell[CELLS_ROW];
    size_t n = row_cells(from, cell);
    for (size_t i = 0; i < n; i++) {
        struct cell *to = cell_at(c, hour, coarser(cell[i].segment1 - 1, by));
        if (!to)
            return -ENOMEM;
        add_to(to, cell[i].of);
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
        struct row old = c->row[h];
        c->row[h] = (struct row){.reopened = old.reopened};
        c->n -= old.n;
        int r = old.n ? row_open(&c->row[h], &c->spare) : 0; /* which is empty */
        r = r == 0 ? add_row(c, h, &old, by) : r;
        row_release(&old);
        if (r < 0)
            return r;
        if (h != c->hour)
            row_pack(&c->row[h], &c->spare);
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
    struct cell *s = go_to(c, hour) < 0 ? NULL : cell_at(c, hour, segment);
    if (!s)
        return -ENOMEM;
    add_to(s, of);
    return c->n > CELLS_MAX ? bound(c) : 0;
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

/* Of more than one segment. */
static int add_each(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
                    uint64_t length, uint64_t count)
{
    uint64_t at = offset, left = length;
    int r = 0;
    for (bool first = true; r == 0 && left; first = false) {
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

int cells_add(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
              uint64_t length, uint64_t count)
{
    uint64_t last = offset + (length ? length - 1 : 0);
    if (last >> c->shift >= CELLS_SEGMENTS && reach(c, last) < 0)
        return -ENOMEM;
    uint64_t segment = offset >> c->shift;
    if (last >> c->shift != segment)
        return add_each(c, hour, kind, offset, length, count);
    struct cell *s = go_to(c, hour) < 0 ? NULL : cell_at(c, hour, (uint32_t)segment);
    if (!s)
        return -ENOMEM;
    s->of[kind] = cells_sum(s->of[kind], count);
    s->of[CELLS_BYTES] = cells_sum(s->of[CELLS_BYTES], product(count, length));
    return c->n > CELLS_MAX ? bound(c) : 0;
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
        if (from->row[h].n && (r = go_to(c, h)) == 0)
            r = add_row(c, h, &from->row[h], c->shift - from->shift);
    return r == 0 ? bound(c) : r;
}

size_t cells_hour(const struct cells *c, unsigned hour, struct cell out[CELLS_ROW])
{
    return row_cells(&c->row[hour], out);
}
