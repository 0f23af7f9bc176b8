/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "chunk.h"

#include <stdlib.h>

/* What the pool keeps of memory that nobody uses. */
enum { KEEP_BYTES = 64 << 20 };

static size_t size_of(unsigned order)
{
    return ((size_t)CHUNK_SIZE << order) + CHUNK_SLACK;
}

static unsigned order_of(size_t size)
{
    unsigned o = 0;
    while (size_of(o) < size)
        o++;
    return o;
}

struct chunk *chunk_get(struct chunk_pool *p, size_t size)
{
    if (size > CHUNK_MAX)
        return NULL;
    unsigned o = order_of(size);
    struct chunk *c = p->free[o];
    if (c) {
        p->free[o] = c->next;
        p->kept_bytes -= c->size;
        c->refs = 1;
        return c;
    }
    c = malloc(sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct chunk){.refs = 1, .order = o, .size = size_of(o)};
    c->data = aligned_alloc(CHUNK_ALIGN, c->size);
    if (!c->data) {
        free(c);
        return NULL;
    }
    return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
    c->refs++;
    return c;
}

void chunk_put(struct chunk_pool *p, struct chunk *c)
{
    if (!c || --c->refs)
        return;
    if (p->kept_bytes + c->size > KEEP_BYTES) {
        free(c->data);
        free(c);
        return;
    }
    c->next = p->free[c->order];
    p->free[c->order] = c;
    p->kept_bytes += c->size;
}

void chunk_pool_release(struct chunk_pool *p)
{
    for (size_t o = 0; o < sizeof(p->free) / sizeof(p->free[0]); o++) {
        struct chunk *c;
        while ((c = p->free[o])) {
            p->free[o] = c->next;
            free(c->data);
            free(c);
        }
    }
    p->kept_bytes = 0;
}
