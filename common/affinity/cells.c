/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/cells.h"
#include "common/base/saturate.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOTES_FIRST = 16,
    NOTES_MIN = 256, /* fewer are not worth being added to rows */
};

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
        free(c->row[h].packed);
    free(c->note);
    cells_init(c);
}

/* ---- rows ---- */

/* Makes HOUR's cells those of T: 0 or -ENOMEM. */
static int set_row(struct cells *c, unsigned hour, const struct row_table *t)
{
    size_t before = c->row[hour].n;
    int r = row_set(&c->row[hour], t);
    c->n = c->n - before + c->row[hour].n;
    return r;
}

int cells_coarsen(struct cells *c, unsigned shift)
{
    struct row_table t;
    if (shift <= c->shift)
        return 0;
    unsigned by = shift - c->shift;
    int r = 0;
    c->shift = shift;
    for (uint32_t i = 0; i < c->n_notes; i++)
        c->note[i].segment = (uint16_t)row_coarser(c->note[i].segment, by);
    for (unsigned h = 0; r == 0 && h < HOURS_A_WEEK; h++) {
        if (!c->row[h].n)
            continue;
        row_table_clear(&t);
        row_sum(&c->row[h], by, &t);
        r = set_row(c, h, &t);
    }
    return r;
}

/* Keeps within CELLS_MAX. */
static int bound(struct cells *c)
{
    int r = 0;
    while (r == 0 && c->n > CELLS_MAX)
        r = cells_coarsen(c, c->shift + 1);
    return r;
}

/* ---- notes ---- */

/* Adds the notes of HOUR, of which FIRST1 is the number of one, + 1, to its cells: 0 or -ENOMEM. */
static int add_notes(struct cells *c, unsigned hour, uint32_t first1)
{
    struct row_table t;
    row_table_clear(&t);
    row_sum(&c->row[hour], 0, &t);
    for (uint32_t i = first1; i; i = c->note[i - 1].next1) {
        const struct cells_note *n = &c->note[i - 1];
        uint64_t *of = row_table_at(&t, n->segment);
        of[n->kind] = saturate_sum(of[n->kind], n->count);
        of[CELLS_BYTES] = saturate_sum(of[CELLS_BYTES], n->bytes);
    }
    return set_row(c, hour, &t);
}

/* Adds all notes, and has none then. */
static int add_all_notes(struct cells *c)
{
    uint32_t first1[HOURS_A_WEEK] = {0};
    int r = 0;
    for (uint32_t i = 0; i < c->n_notes; i++) {
        c->note[i].next1 = first1[c->note[i].hour];
        first1[c->note[i].hour] = i + 1;
    }
    for (unsigned h = 0; r == 0 && h < HOURS_A_WEEK; h++)
        if (first1[h])
            r = add_notes(c, h, first1[h]);
    c->n_notes = c->cost = 0;
    c->hour = HOURS_A_WEEK;
    memset(c->noted, 0, sizeof(c->noted));
    return r == 0 ? bound(c) : r;
}

int cells_settle(struct cells *c)
{
    int r = c->n_notes ? add_all_notes(c) : 0;
    free(c->note);
    c->note = NULL;
    c->n_notes = c->cap_notes = 0;
    return r;
}

/* Room for a note: 0 or -ENOMEM. */
static int make_room(struct cells *c)
{
    if (c->n_notes >= NOTES_MIN && c->n_notes >= c->cost)
        return add_all_notes(c);
    uint32_t cap = c->cap_notes ? 2 * c->cap_notes : NOTES_FIRST;
    struct cells_note *note = realloc(c->note, cap * sizeof(*note));
    if (!note)
        return -ENOMEM;
    c->note = note;
    c->cap_notes = cap;
    return 0;
}

static void go_to(struct cells *c, unsigned hour)
{
    uint64_t bit = UINT64_C(1) << hour % 64, *noted = &c->noted[hour / 64];
    if (!(*noted & bit))
        c->cost += c->row[hour].n;
    *noted |= bit;
    c->hour = hour;
}

/* SEGMENT is one of C's when this is called. */
static inline int note(struct cells *c, unsigned hour, uint32_t segment, enum cells_kind kind,
                       uint64_t count, uint64_t bytes)
{
    unsigned shift = c->shift;
    if (c->n_notes == c->cap_notes && make_room(c) < 0)
        return -ENOMEM;
    segment = row_coarser(segment, c->shift - shift);
    if (c->hour != hour)
        go_to(c, hour);
    c->note[c->n_notes++] = (struct cells_note){
        count, bytes, (uint16_t)segment, (unsigned char)kind, (unsigned char)hour, 0};
    return 0;
}

/* ---- adding ---- */

int cells_put(struct cells *c, unsigned hour, uint32_t segment, const uint64_t of[CELLS_KINDS])
{
    unsigned shift = c->shift;
    int r = note(c, hour, segment, CELLS_READS, of[CELLS_READS], of[CELLS_BYTES]);
    segment = row_coarser(segment, c->shift - shift);
    if (r == 0 && of[CELLS_WRITES])
        r = note(c, hour, segment, CELLS_WRITES, of[CELLS_WRITES], 0);
    return r;
}

int cells_add_flushes(struct cells *c, unsigned hour, uint64_t count)
{
    return note(c, hour, CELLS_FLUSH, CELLS_WRITES, count, 0);
}

/* Segments so large that the byte LAST lies within them. */
static int reach(struct cells *c, uint64_t last)
{
    unsigned shift = c->shift;
    while (last >> shift >= CELLS_SEGMENTS)
        shift++;
    return cells_coarsen(c, shift);
}

/* Of more than one segment; they may become larger meanwhile. */
static int add_each(struct cells *c, unsigned hour, enum cells_kind kind, uint64_t offset,
                    uint64_t length, uint64_t count)
{
    uint64_t at = offset, left = length;
    int r = 0;
    for (bool first = true; r == 0 && left; first = false) {
        uint64_t in = (((at >> c->shift) + 1) << c->shift) - at;
        in = in < left ? in : left;
        r = note(c, hour, (uint32_t)(at >> c->shift), kind, first ? count : 0, product(count, in));
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
    return note(c, hour, (uint32_t)segment, kind, count, product(count, length));
}

/* ---- together ---- */

int cells_merge(struct cells *c, struct cells *from)
{
    struct row_table t;
    int r = cells_settle(c);
    if (r == 0)
        r = cells_settle(from);
    if (r == 0 && c->n == 0 && c->shift <= from->shift) {
        struct cells empty = *c;
        *c = *from;
        *from = empty;
        return 0;
    }
    if (r == 0)
        r = cells_coarsen(c, from->shift);
    for (unsigned h = 0; r == 0 && h < HOURS_A_WEEK; h++) {
        if (!from->row[h].n)
            continue;
        row_table_clear(&t);
        row_sum(&c->row[h], 0, &t);
        row_sum(&from->row[h], c->shift - from->shift, &t);
        r = set_row(c, h, &t);
    }
    return r == 0 ? bound(c) : r;
}

size_t cells_hour(const struct cells *c, unsigned hour, struct cell out[CELLS_ROW])
{
    assert(!c->n_notes); /* cells_settle() came before */
    return row_cells(&c->row[hour], out);
}
