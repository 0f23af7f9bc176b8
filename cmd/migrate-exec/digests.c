/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/digests.h"

#include <stdlib.h>

struct mark {
    uint32_t claim; /* the latest that touched the block; 0: none yet */
    bool known;
};

struct digests {
    uint64_t size;
    uint64_t n;
    struct hash128 *digest; /* without gaps: the root is of these bytes */
    struct mark *mark;
};

struct digests *digests_new(uint64_t size)
{
    struct digests *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->size = size;
    d->n = size / DIGEST_BLOCK + (size % DIGEST_BLOCK != 0);
    d->digest = calloc(d->n + 1, sizeof(*d->digest));
    d->mark = calloc(d->n + 1, sizeof(*d->mark));
    if (!d->digest || !d->mark) {
        digests_free(d);
        return NULL;
    }
    return d;
}

void digests_free(struct digests *d)
{
    if (!d)
        return;
    free(d->digest);
    free(d->mark);
    free(d);
}

static uint64_t block_length(const struct digests *d, uint64_t i)
{
    uint64_t left = d->size - i * DIGEST_BLOCK;
    return left < DIGEST_BLOCK ? left : DIGEST_BLOCK;
}

static void take_block(struct digests *d, uint64_t i, uint32_t claim, uint64_t offset,
                       const unsigned char *data, uint64_t length)
{
    struct mark *m = &d->mark[i];
    uint64_t start = i * DIGEST_BLOCK;
    if (m->claim && (int32_t)(claim - m->claim) < 0)
        return;
    m->claim = claim;
    m->known = offset <= start && start + block_length(d, i) <= offset + length;
    if (m->known)
        d->digest[i] = hash128(data + (start - offset), block_length(d, i));
}

void digests_take(struct digests *d, uint32_t claim, uint64_t offset, const void *data,
                  uint64_t length)
{
    for (uint64_t i = offset / DIGEST_BLOCK; i < d->n && i * DIGEST_BLOCK < offset + length; i++)
        take_block(d, i, claim, offset, data, length);
}

bool digests_open(const struct digests *d, uint64_t *offset, uint64_t *length)
{
    for (uint64_t i = *offset / DIGEST_BLOCK + (*offset % DIGEST_BLOCK != 0); i < d->n; i++) {
        if (d->mark[i].known)
            continue;
        *offset = i * DIGEST_BLOCK;
        *length = block_length(d, i);
        return true;
    }
    return false;
}

void digests_close(struct digests *d, uint64_t offset, const void *data, uint64_t length)
{
    uint64_t i = offset / DIGEST_BLOCK;
    d->digest[i] = hash128(data, length);
    d->mark[i].known = true;
}

struct hash128 digests_root(const struct digests *d)
{
    return hash128(d->digest, d->n * sizeof(*d->digest));
}
