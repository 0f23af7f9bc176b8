/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hist.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static_assert(sizeof(struct hist) <= 2048, "one for each volume, gateway and kind of request");

void hist_merge(struct hist *h, const struct hist *from)
{
    h->n += from->n;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        h->count[i] += from->count[i];
}

/* The middle of bucket I, rounded down. */
static uint64_t middle(unsigned i)
{
    unsigned shift = i >> HIST_SUB_BITS;
    if (shift < 2)
        return i; /* a bucket a value */
    shift--;
    uint64_t low = (uint64_t)(i - (shift << HIST_SUB_BITS)) << shift;
    return low + (1u << shift) / 2;
}

uint64_t hist_percentile(const struct hist *h, double percent)
{
    double rank = ceil(percent / 100 * (double)h->n);
    uint64_t seen = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        if (!h->count[i])
            continue;
        last = i;
        seen += h->count[i];
        if ((double)seen >= rank)
            break;
    }
    return middle(last);
}

void hist_window_turn(struct hist_window *w, uint64_t now_us)
{
    uint64_t age = now_us - w->began_us;
    if (age < HIST_TURN_US)
        return;
    bool idle = age >= 2 * (uint64_t)HIST_TURN_US;
    if (idle)
        memset(&w->half[w->now], 0, sizeof(w->half[0]));
    w->now ^= 1;
    memset(&w->half[w->now], 0, sizeof(w->half[0]));
    w->began_us = idle ? now_us : w->began_us + HIST_TURN_US;
}

void hist_window_sum(const struct hist_window *w, uint64_t now_us, struct hist *sum)
{
    uint64_t age = now_us - w->began_us;
    if (age < 2 * (uint64_t)HIST_TURN_US)
        hist_merge(sum, &w->half[w->now]);
    if (age < HIST_TURN_US)
        hist_merge(sum, &w->half[w->now ^ 1]);
}
