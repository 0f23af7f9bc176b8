/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/digests.h"

#include <stdlib.h>

enum { PAGES = DIGEST_BLOCK / DIGEST_PAGE };

/* Of larger volumes only whole blocks are known: their pages would take 1/256 of it in memory. */
static const uint64_t pages_volume_max = UINT64_C(64) << 30;

struct mark {
    uint32_t claim; /* the latest that touched the block; 0: none yet */
    uint16_t known; /* one bit a page; without page digests all or none */
};

struct digests {
    uint64_t size;
    uint64_t n;
    struct hash128 *block; /* without gaps: the root is of these bytes */
    struct hash128 *page;  /* PAGES for each block; NULL: not kept */
    struct mark *mark;
};

struct digests *digests_new(uint64_t size)
{
    struct digests *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->size = size;
    d->n = size / DIGEST_BLOCK + (size % DIGEST_BLOCK != 0);
    d->block = calloc(d->n + 1, sizeof(*d->block));
    d->mark = calloc(d->n + 1, sizeof(*d->mark));
    if (!d->block || !d->mark) {
        digests_free(d);
        return NULL;
    }
    if (size <= pages_volume_max)
        d->page = calloc(d->n + 1, PAGES * sizeof(*d->page));
    return d;
}

void digests_free(struct digests *d)
{
    if (!d)
        return;
    free(d->block);
    free(d->page);
    free(d->mark);
    free(d);
}

static uint64_t block_length(const struct digests *d, uint64_t i)
{
    uint64_t left = d->size - i * DIGEST_BLOCK;
    return left < DIGEST_BLOCK ? left : DIGEST_BLOCK;
}

static unsigned pages_of(const struct digests *d, uint64_t i)
{
    return (unsigned)((block_length(d, i) + DIGEST_PAGE - 1) / DIGEST_PAGE);
}

static uint16_t all_pages(const struct digests *d, uint64_t i)
{
    return (uint16_t)(0xffff >> (PAGES - pages_of(d, i)));
}

/* The digest of page P of block I, of which DATA begins with the block. */
static struct hash128 page_digest(const struct digests *d, uint64_t i, unsigned p,
                                  const unsigned char *data)
{
    uint64_t at = (uint64_t)p * DIGEST_PAGE;
    uint64_t left = block_length(d, i) - at;
    return hash128(data + at, left < DIGEST_PAGE ? left : DIGEST_PAGE);
}

/* All of block I is DATA. */
static void know_block(struct digests *d, uint64_t i, const unsigned char *data)
{
    struct hash128 pages[PAGES];
    unsigned n = pages_of(d, i);
    for (unsigned p = 0; p < n; p++)
        pages[p] = page_digest(d, i, p, data);
    for (unsigned p = 0; d->page && p < n; p++)
        d->page[i * PAGES + p] = pages[p];
    d->block[i] = hash128(pages, n * sizeof(*pages));
    d->mark[i].known = all_pages(d, i);
}

/* The pages of block I within [FROM, TO) of it, of which DATA begins with FROM. */
static void know_pages(struct digests *d, uint64_t i, uint64_t from, uint64_t to,
                       const unsigned char *data)
{
    struct mark *m = &d->mark[i];
    for (unsigned p = (unsigned)(from / DIGEST_PAGE); (uint64_t)p * DIGEST_PAGE < to; p++) {
        uint64_t at = (uint64_t)p * DIGEST_PAGE;
        uint64_t end = at + DIGEST_PAGE;
        if (end > block_length(d, i))
            end = block_length(d, i);
        m->known &= (uint16_t) ~(1U << p);
        if (at < from || end > to)
            continue;
        d->page[i * PAGES + p] = hash128(data + (at - from), end - at);
        m->known |= (uint16_t)(1U << p);
    }
    if (m->known == all_pages(d, i))
        d->block[i] = hash128(&d->page[i * PAGES], pages_of(d, i) * sizeof(*d->page));
}

static void take_block(struct digests *d, uint64_t i, uint32_t claim, uint64_t offset,
                       const unsigned char *data, uint64_t length)
{
    struct mark *m = &d->mark[i];
    uint64_t start = i * DIGEST_BLOCK;
    uint64_t end = start + block_length(d, i);
    if (m->claim && (int32_t)(claim - m->claim) < 0)
        return;
    m->claim = claim;
    if (offset <= start && end <= offset + length)
        know_block(d, i, data + (start - offset));
    else if (!d->page)
        m->known = 0;
    else if (offset >= start)
        know_pages(d, i, offset - start, (offset + length < end ? offset + length : end) - start,
                   data);
    else
        know_pages(d, i, 0, offset + length - start, data + (start - offset));
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
        if (d->mark[i].known == all_pages(d, i))
            continue;
        *offset = i * DIGEST_BLOCK;
        *length = block_length(d, i);
        return true;
    }
    return false;
}

void digests_close(struct digests *d, uint64_t offset, const void *data)
{
    know_block(d, offset / DIGEST_BLOCK, data);
}

struct hash128 digests_root(const struct digests *d)
{
    return hash128(d->block, d->n * sizeof(*d->block));
}
