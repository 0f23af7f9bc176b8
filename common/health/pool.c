/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/pool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, CHUNK_MIN = 16384, CHUNK_MAX = 2 << 20 };

/* In front of a chunk's things. */
struct pool_chunk {
    struct pool_chunk *next;
    size_t bytes;
};

static unsigned char *thing(const struct pool *p, size_t i)
{
    return (unsigned char *)p->chunks + LINE + i * p->size;
}

/* The next chunk's size: twice that of the newest one, up to CHUNK_MAX; one thing fits at least. */
static size_t next_bytes(const struct pool *p)
{
    size_t bytes = p->chunks ? 2 * p->chunks->bytes : CHUNK_MIN;
    bytes = bytes < CHUNK_MAX ? bytes : CHUNK_MAX;
    while (bytes < LINE + p->size)
        bytes *= 2;
    return bytes;
}

static int grow(struct pool *p)
{
    size_t bytes = next_bytes(p);
    struct pool_chunk *c = aligned_alloc(LINE, bytes);
    if (!c)
        return -1;
    *c = (struct pool_chunk){p->chunks, bytes};
    p->chunks = c;
    p->n = 0;
    p->cap = (bytes - LINE) / p->size;
    return 0;
}

void *pool_new(struct pool *p)
{
    assert(p->size > 0 && p->size <= SIZE_MAX / 4);
    if (p->n == p->cap && grow(p) < 0)
        return NULL;
    return memset(thing(p, p->n++), 0, p->size);
}

void pool_undo(struct pool *p)
{
    assert(p->n > 0);
    p->n--;
}

void pool_release(struct pool *p)
{
    struct pool_chunk *next;
    for (struct pool_chunk *c = p->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    *p = (struct pool){.size = p->size};
}
