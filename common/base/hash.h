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

#endif
