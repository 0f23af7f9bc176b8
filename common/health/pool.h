/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many things of one size that stay where they are and go all at once.  They lie side by side, in
 * chunks: what is used one after the other is in memory one after the other.
 */
#ifndef GS_HEALTH_POOL_H
#define GS_HEALTH_POOL_H

#include <stddef.h>

struct pool_chunk;

/* SIZE is set by the user; zero-initialise the rest.  pool_release() frees. */
struct pool {
    size_t size; /* of one thing: a multiple of its alignment */
    struct pool_chunk *chunks;
    size_t n; /* things in the newest chunk, which has room for … */
    size_t cap;
};

/* A new thing, zeroed, at a multiple of 64 bytes if its size is one; NULL: out of memory. */
void *pool_new(struct pool *p);
/* Takes back what pool_new() returned last. */
void pool_undo(struct pool *p);
void pool_release(struct pool *p);

#endif
