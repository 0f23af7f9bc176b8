/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>

enum { KEEP_CAP = 4096 };

static int grow(struct replay *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct replay_entry *items = malloc(cap * sizeof(*items));
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++)
        items[i] = l->items[(l->head + i) & (l->cap - 1)];
    free(l->items);
    l->items = items;
    l->head = 0;
    l->cap = cap;
    return 0;
}

int replay_add(struct replay *l, const struct nbd_request *n, struct slice wire)
{
    if (l->n == l->cap && grow(l) < 0)
        return -ENOMEM;
    struct replay_entry *e = &l->items[(l->head + l->n++) & (l->cap - 1)];
    *e = (struct replay_entry){.nbd = *n};
    if (n->type != NBD_CMD_WRITE)
        return 0;
    e->wire = wire;
    if (!chunk_ref(wire.chunk)->logged++)
        l->kept += wire.chunk->size;
    return 0;
}

size_t replay_bytes(const struct replay *l)
{
    return l->kept + l->n * sizeof(*l->items);
}

uint64_t replay_mark(const struct replay *l)
{
    return l->oldest + l->n;
}

const struct replay_entry *replay_at(const struct replay *l, uint64_t number)
{
    return &l->items[(l->head + (size_t)(number - l->oldest)) & (l->cap - 1)];
}

void replay_trim(struct replay *l, struct chunk_pool *pool, uint64_t mark)
{
    while (l->n && l->oldest < mark) {
        struct chunk *c = l->items[l->head].wire.chunk;
        if (c && !--c->logged)
            l->kept -= c->size;
        chunk_put(pool, c);
        l->head = (l->head + 1) & (l->cap - 1);
        l->oldest++;
        l->n--;
    }
    /* What a burst of small entries needed is not kept for ever. */
    if (!l->n && l->cap > KEEP_CAP) {
        free(l->items);
        l->items = NULL;
        l->head = l->cap = 0;
    }
}

void replay_release(struct replay *l, struct chunk_pool *pool)
{
    replay_trim(l, pool, UINT64_MAX);
    free(l->items);
    *l = (struct replay){.oldest = l->oldest};
}
