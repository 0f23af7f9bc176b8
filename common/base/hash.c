/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/hash.h"

#include <string.h>
#include <xxhash.h>

uint64_t hash64(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

struct hash128 hash128(const void *data, size_t len)
{
    XXH128_canonical_t c;
    struct hash128 h;
    XXH128_canonicalFromHash(&c, XXH3_128bits(data, len));
    memcpy(h.bytes, c.digest, sizeof(h.bytes));
    return h;
}
