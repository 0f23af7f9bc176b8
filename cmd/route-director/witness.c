/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "witness.h"

#include <string.h>

/* Every so many blocks that leave the recent ones, one is kept among the older. */
enum { KEEP_EVERY = 8 };

void witness_init(struct witness *w)
{
    *w = (struct witness){0};
    for (unsigned i = 0; i < WITNESS_MAX; i++)
        w->blocks[i].offset = UINT64_MAX;
}

void witness_changed(struct witness *w, uint64_t offset, uint64_t length)
{
    if (!w->n)
        return;
    /* Without branches in the loop: it is run for every write. */
    uint64_t first = offset & ~(uint64_t)(WITNESS_BLOCK - 1);
    uint64_t span = offset + length - first;
    unsigned hits = 0;
    for (unsigned i = 0; i < WITNESS_MAX; i++)
        hits += w->blocks[i].offset - first < span;
    if (!hits)
        return;
    for (unsigned i = 0; i < WITNESS_MAX; i++)
        if (w->blocks[i].offset - first < span)
            w->blocks[i].offset = UINT64_MAX, w->n--;
}

static void keep_older(struct witness *w, const struct witness_block *b)
{
    if (b->offset == UINT64_MAX || w->recent % KEEP_EVERY)
        return;
    struct witness_block *place = &w->blocks[WITNESS_RECENT + w->older];
    w->older = (w->older + 1) % (WITNESS_MAX - WITNESS_RECENT);
    w->n += place->offset == UINT64_MAX;
    *place = *b;
}

void witness_durable(struct witness *w, uint64_t offset, const void *data, size_t length)
{
    uint64_t start = (offset + WITNESS_BLOCK - 1) & ~(uint64_t)(WITNESS_BLOCK - 1);
    if (start < offset || start - offset > length || length - (start - offset) < WITNESS_BLOCK)
        return;
    witness_changed(w, start, WITNESS_BLOCK); /* not twice */
    struct witness_block *place = &w->blocks[w->recent];
    keep_older(w, place);
    w->recent = (w->recent + 1) % WITNESS_RECENT;
    w->n += place->offset == UINT64_MAX;
    place->offset = start;
    place->digest = hash128((const unsigned char *)data + (start - offset), WITNESS_BLOCK);
}

bool witness_holds(const struct witness *w, unsigned i, const void *data)
{
    struct hash128 d = hash128(data, WITNESS_BLOCK);
    return memcmp(d.bytes, w->blocks[i].digest.bytes, sizeof(d.bytes)) == 0;
}
