/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Accesses into a demand, many of them: every volume has a spot, where those of one hour, through
 * one gateway, are counted and noted; so most of them ask for little memory and no table.
 */
#ifndef GS_AFFINITY_ADDING_H
#define GS_AFFINITY_ADDING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/affinity/demand.h"
#include "common/base/saturate.h"

/* Sites that are counted side by side: those whose numbers differ in the lowest bits. */
enum { SPOT_SITES = 8 };

/* Two cache lines. */
struct demand_spot {
    int64_t hour; /* −1: free */
    /* Where to note, and for how many words there is room, in the cells; NULL: not noted. */
    uint64_t *next, *end;
    uint32_t gateway;
    uint8_t shift, of_week;    /* of the cells, and the hour */
    uint16_t used;             /* a bit for each of SITE */
    uint32_t site[SPOT_SITES]; /* where it is not used: one that does not belong there */
    uint64_t count[SPOT_SITES];
};

/*
 * Adds R, whose range was checked: the same as demand_add(), but D says nothing of it before
 * demand_settle().  0 or -ENOMEM.
 */
int demand_add_later(struct demand *d, const struct demand_record *r);

/* Brings VOLUME's spot near, if there is one: demand_spot_takes() will soon be asked. */
static inline void demand_spot_fetch(const struct demand *d, uint32_t volume)
{
    if (volume >= d->n_spots)
        return;
    __builtin_prefetch(&d->spot[volume]);
    __builtin_prefetch(d->spot[volume].count);
}

/* The same for R of the volume whose spot S is; false: it is not that easy, nothing is done. */
__attribute__((always_inline)) static inline bool demand_spot_takes(struct demand_spot *s,
                                                                    const struct demand_record r)
{
    size_t k = r.site % SPOT_SITES;
    uint64_t segment = r.offset >> s->shift, last = r.offset + r.length - 1, sum;
    uint64_t bytes = r.length * r.count; /* … which is right where cells_is_short() says so: */
    uint64_t odd = r.length >> (64 - CELLS_COUNT_BITS);
    odd |= (last >> s->shift ^ segment) | segment / CELLS_SEGMENTS;
    if (s->hour != r.hour || s->gateway != r.gateway || s->site[k] != r.site)
        return false;
    if (odd || r.op > DEMAND_WRITE || !cells_is_short(r.count, bytes) || s->next == s->end ||
        __builtin_add_overflow(s->count[k], r.count, &sum))
        return false;
    s->count[k] = sum;
    *s->next++ = cells_note(s->of_week, (uint32_t)segment, (enum cells_kind)r.op, r.count, bytes);
    return true;
}
_Static_assert((int)DEMAND_READ == CELLS_READS && (int)DEMAND_WRITE == CELLS_WRITES,
               "reads and writes have the same number");

#endif
