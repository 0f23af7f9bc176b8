/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reference-counted I/O buffers, so that a byte is received once, kept as long as anybody needs it
 * and sent from where it lies.
 */
#ifndef DIRECTOR_CHUNK_H
#define DIRECTOR_CHUNK_H

#include <stddef.h>

/* Of the data's start: recv() into a buffer less aligned is several times slower. */
enum { CHUNK_ALIGN = 64 };
/*
 * The usual size, and the largest: a WRITE of 32 MiB with its header and room for alignment.  Of
 * each size class there is a bit more, so that a payload of a power of two needs no class more.
 */
enum { CHUNK_SIZE = 256 << 10, CHUNK_MAX = 64 << 20, CHUNK_SLACK = 4096 };

struct chunk {
    unsigned refs;
    unsigned order;  /* size class: (CHUNK_SIZE << order) + CHUNK_SLACK */
    unsigned logged; /* entries of a replay log that lie in it */
    size_t size;
    unsigned char *data;
    struct chunk *next; /* in the pool */
};

/* Free chunks kept for reuse, by size class; zero-initialise. */
struct chunk_pool {
    struct chunk *free[9];
    size_t kept_bytes;
};

/* A chunk of at least SIZE bytes with one reference, or NULL. */
struct chunk *chunk_get(struct chunk_pool *p, size_t size);
/* Takes a further reference. */
struct chunk *chunk_ref(struct chunk *c);
/* Gives one back; NULL is fine. */
void chunk_put(struct chunk_pool *p, struct chunk *c);
void chunk_pool_release(struct chunk_pool *p);

/* A part of a chunk.  Holding one means holding a reference. */
struct slice {
    struct chunk *chunk;
    unsigned char *data;
    size_t len;
};

#endif
