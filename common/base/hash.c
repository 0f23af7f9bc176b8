/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/hash.h"

#include <string.h>
/* Short texts, as names are, cost less than the call into the library. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash64(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

static struct hash128 canonical(XXH128_hash_t hash)
{
    XXH128_canonical_t c;
    struct hash128 h;
    XXH128_canonicalFromHash(&c, hash);
    memcpy(h.bytes, c.digest, sizeof(h.bytes));
    return h;
}

struct hash128 hash128(const void *data, size_t len)
{
    return canonical(XXH3_128bits(data, len));
}

/* The library's own state, under our name. */
static XXH3_state_t *state_of(struct hash_stream *s)
{
    return (XXH3_state_t *)s;
}

struct hash_stream *hash_stream_new(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state)
        XXH3_128bits_reset(state);
    return (struct hash_stream *)state;
}

void hash_stream_free(struct hash_stream *s)
{
    XXH3_freeState(state_of(s));
}

void hash_stream_add(struct hash_stream *s, const void *data, size_t len)
{
    XXH3_128bits_update(state_of(s), data, len);
}

struct hash128 hash_stream_end(const struct hash_stream *s)
{
    return canonical(XXH3_128bits_digest((const XXH3_state_t *)s));
}
