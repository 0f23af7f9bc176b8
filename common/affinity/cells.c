/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/cells.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_MIN = 64 };

uint64_t cells_sum(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

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
    free(c->slots);
    cells_init(c);
}

/* The slot where KEY is or belongs; the table is kept half empty. */
static struct cell *slot_of(const struct cells *c, uint32_t key)
{
    /* Fibonacci hashing: neighbours in space and time scatter. */
    size_t i = (key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (c->nslots - 1);
    while (c->slots[i].key1 && c->slots[i].key1 != key + 1)
        i = (i + 1) & (c->nslots - 1);
    return &c->slots[i];
}

static int grow(struct cells *c)
{
    struct cells larger = *c;
    larger.nslots = c->nslots ? c->nslots * 2 : SLOTS_MIN;
    larger.slots = calloc(larger.nslots, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < c->nslots; i++)
        if (c->slots[i].key1)
            *slot_of(&larger, c->slots[i].key1 - 1) = c->slots[i];
    free(c->slots);
    *c = larger;
    return 0;
}

/* The cell KEY, added if new.  NULL: out of memory. */
static struct cell *cell_at(struct cells *c, uint32_t key)
{
    if (2 * (c->n + 1) > c->nslots && grow(c) < 0)
        return NULL;
    struct cell *s = slot_of(c, key);
    if (!s->key1) {
        s->key1 = key + 1;
        c->n++;
    }
    return s;
}

static void add_to(struct cell *s, const uint64_t of[CELLS_KINDS])
{
    for (size_t k = 0; k < CELLS_KINDS; k++)
        s->of[k] = cells_sum(s->of[k], of[k]);
}

static uint32_t coarser(uint32_t key, unsigned by)
{
    uint32_t segment = key % CELLS_HOUR;
    return segment == CELLS_FLUSH ? key : key - segment + (segment >> by);
}

int cells_coarsen(struct cells *c, unsigned shift)
{
    if (shift <= c->shift)
        return 0;
    struct cells fewer = {.shift = shift};
    unsigned by = shift - c->shift;
    for (size_t i = 0; i < c->nslots; i++) {
        if (!c->slots[i].key1)
            continue;
        struct cell *to = cell_at(&fewer, coarser(c->slots[i].key1 - 1, by));
        if (!to) {
            cells_release(&fewer);
            return -ENOMEM;
        }
        add_to(to, c->slots[i].of);
    }
    free(c->slots);
    *c = fewer;
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

int cells_put(struct cells *c, uint32_t key, const uint64_t of[CELLS_KINDS])
{
    struct cell *s = cell_at(c, key);
    if (!s)
        return -ENOMEM;
    add_to(s, of);
    return bound(c);
}

int cells_add_flushes(struct cells *c, unsigned hour, uint64_t count)
{
    return cells_put(c, hour * CELLS_HOUR + CELLS_FLUSH,
                     (const uint64_t[CELLS_KINDS]){0, count, 0});
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
        r = cells_put(c, hour * CELLS_HOUR + (uint32_t)(at >> c->shift), of);
        at += in;
        left -= in;
    }
    return r;
}

int cells_merge(struct cells *c, const struct cells *from)
{
    int r = cells_coarsen(c, from->shift);
    for (size_t i = 0; r == 0 && i < from->nslots; i++)
        if (from->slots[i].key1)
            r = cells_put(c, coarser(from->slots[i].key1 - 1, c->shift - from->shift),
                          from->slots[i].of);
    return r;
}

static int by_key(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    return (x->key1 > y->key1) - (x->key1 < y->key1);
}

int cells_sorted(const struct cells *c, struct cell **out)
{
    struct cell *all = malloc((c->n + 1) * sizeof(*all));
    size_t n = 0;
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < c->nslots; i++)
        if (c->slots[i].key1)
            all[n++] = c->slots[i];
    qsort(all, n, sizeof(*all), by_key);
    *out = all;
    return 0;
}
