/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XXH3 digests (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). */
#ifndef GS_BASE_HASH_H
#define GS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A 128-bit digest in canonical (big-endian) form, so that it can be stored and compared. */
struct hash128 {
    unsigned char bytes[16];
};

uint64_t hash64(const void *data, size_t len);
struct hash128 hash128(const void *data, size_t len);

/* hash128() of what comes in pieces.  NULL: out of memory. */
struct hash_stream;
struct hash_stream *hash_stream_new(void);
void hash_stream_free(struct hash_stream *s);
void hash_stream_add(struct hash_stream *s, const void *data, size_t len);
/* Of all that was added so far. */
struct hash128 hash_stream_end(const struct hash_stream *s);

#endif
