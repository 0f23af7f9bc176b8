/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "haunts.h"

#include <stdlib.h>

#include "common/base/buf.h"

int haunts_add(struct haunts *h, const struct haunt *t)
{
    int r = vec_room(&h->items, h->n, &h->cap, sizeof(*h->items));
    if (r == 0)
        h->items[h->n++] = *t;
    return r;
}

void haunts_fail(struct haunts *h, uint64_t offset, uint64_t length)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->items[i].start < offset + length && offset < h->items[i].end)
            h->items[i].failed = true;
}

void haunts_renew(struct haunts *h, uint64_t until_us)
{
    for (size_t i = 0; i < h->n; i++)
        h->items[i].until_us = until_us;
}

bool haunts_replay(const struct haunts *h)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->items[i].replay)
            return true;
    return false;
}

bool haunts_block(const struct haunts *h, uint64_t offset, uint64_t length, bool changes)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct haunt *t = &h->items[i];
        if ((changes || t->failed) && t->start < offset + length && offset < t->end)
            return true;
    }
    return false;
}

void haunts_lay(struct haunts *h, const void *ghost)
{
    for (size_t i = 0; i < h->n;)
        if (h->items[i].ghost == ghost)
            h->items[i] = h->items[--h->n];
        else
            i++;
}

uint64_t haunts_expire(struct haunts *h, uint64_t now_us)
{
    uint64_t next = 0;
    for (size_t i = 0; i < h->n;) {
        uint64_t until_us = h->items[i].until_us;
        if (until_us <= now_us) {
            h->items[i] = h->items[--h->n];
            continue;
        }
        next = !next || until_us < next ? until_us : next;
        i++;
    }
    return next;
}

uint64_t haunts_last_us(const struct haunts *h)
{
    uint64_t last = 0;
    for (size_t i = 0; i < h->n; i++)
        last = h->items[i].until_us > last ? h->items[i].until_us : last;
    return last;
}

void haunts_release(struct haunts *h)
{
    free(h->items);
    *h = (struct haunts){0};
}
