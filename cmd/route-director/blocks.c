/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

enum block_state { DIRTY, COPYING, SYNCED, HAUNTED, STATES };

/* So many proved pages between two that are not are no reason for two claims. */
enum { PROVED_GAP = 4 };

#define ALL_PAGES ((uint16_t)0xffff)

struct block {
    uint32_t claim;    /* of the live claim on it; 0: none, or voided by a write */
    uint16_t unproved; /* pages that are still to be proved */
    uint8_t state;
    bool exempt; /* pages of it count without having been proved */
};

struct claim {
    uint32_t id;
    enum claim_kind kind;
    bool equal;    /* on the target, as was said under the claim … */
    bool to_prove; /* … by the word of a mirror */
    const void *driver;
    uint64_t offset, length;
};

struct haunt {
    size_t first, n;
    uint64_t until_us;
};

struct blocks {
    uint64_t size;
    size_t n;
    enum rec_verify verify;
    struct block *block;
    uint64_t *todo[2]; /* by claim kind: one bit a block that may be claimed */
    size_t cursor[2];
    size_t count[STATES];
    uint64_t unproved_pages; /* of synced blocks */
    size_t exempt;           /* blocks, all synced */
    struct claim *claims;
    size_t n_claims, cap_claims;
    uint32_t next_claim;
    struct haunt *haunts;
    size_t n_haunts, cap_haunts;
};

/* ---- one block ---- */

static unsigned pages_of(const struct blocks *b, size_t i)
{
    uint64_t left = b->size - (uint64_t)i * BLOCK_SIZE;
    return left >= BLOCK_SIZE ? BLOCK_PAGES : (unsigned)((left + PAGE_SIZE - 1) / PAGE_SIZE);
}

static uint16_t valid_pages(const struct blocks *b, size_t i)
{
    return (uint16_t)(ALL_PAGES >> (BLOCK_PAGES - pages_of(b, i)));
}

static void bit_put(uint64_t *map, size_t i, bool on)
{
    if (on)
        map[i / 64] |= UINT64_C(1) << (i % 64);
    else
        map[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

/* Every change of a block goes through here: the counters and the to-do maps follow from it. */
static void block_set(struct blocks *b, size_t i, struct block now)
{
    struct block *old = &b->block[i];
    b->count[old->state]--;
    b->count[now.state]++;
    if (old->state == SYNCED) {
        b->unproved_pages -= (unsigned)__builtin_popcount(old->unproved);
        b->exempt -= old->exempt;
    }
    if (now.state == SYNCED) {
        b->unproved_pages += (unsigned)__builtin_popcount(now.unproved);
        b->exempt += now.exempt;
    }
    *old = now;
    bit_put(b->todo[CLAIM_COPY], i, now.state == DIRTY);
    bit_put(b->todo[CLAIM_PROVE], i, now.state == SYNCED && now.unproved && !now.claim);
}

static void block_state(struct blocks *b, size_t i, enum block_state state)
{
    struct block now = {.state = (uint8_t)state, .unproved = valid_pages(b, i)};
    if (state == SYNCED && b->verify == VERIFY_NONE)
        now = (struct block){.state = SYNCED, .exempt = true};
    block_set(b, i, now);
}

/* The pages of block I that [START, END) touches. */
static uint16_t page_mask(size_t i, uint64_t start, uint64_t end)
{
    uint64_t base = (uint64_t)i * BLOCK_SIZE;
    unsigned from = start <= base ? 0 : (unsigned)((start - base) / PAGE_SIZE);
    unsigned to = end >= base + BLOCK_SIZE ? BLOCK_PAGES
                                           : (unsigned)((end - base + PAGE_SIZE - 1) / PAGE_SIZE);
    return (uint16_t)((ALL_PAGES << from) & (ALL_PAGES >> (BLOCK_PAGES - to)));
}

/* ---- life ---- */

struct blocks *blocks_new(uint64_t size)
{
    struct blocks *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->size = size;
    b->n = (size_t)(size / BLOCK_SIZE + (size % BLOCK_SIZE != 0));
    b->block = calloc(b->n + 1, sizeof(*b->block));
    b->todo[CLAIM_COPY] = calloc(b->n / 64 + 1, sizeof(uint64_t));
    b->todo[CLAIM_PROVE] = calloc(b->n / 64 + 1, sizeof(uint64_t));
    if (!b->block || !b->todo[CLAIM_COPY] || !b->todo[CLAIM_PROVE]) {
        blocks_free(b);
        return NULL;
    }
    /* A zeroed block is DIRTY: the map of a large volume costs nothing until it is worked on. */
    b->count[DIRTY] = b->n;
    memset(b->todo[CLAIM_COPY], 0xff, b->n / 64 * sizeof(uint64_t));
    for (size_t i = b->n / 64 * 64; i < b->n; i++)
        bit_put(b->todo[CLAIM_COPY], i, true);
    return b;
}

void blocks_free(struct blocks *b)
{
    if (!b)
        return;
    free(b->block);
    free(b->todo[CLAIM_COPY]);
    free(b->todo[CLAIM_PROVE]);
    free(b->claims);
    free(b->haunts);
    free(b);
}

/* ---- claims ---- */

/* The first block at or behind FROM with its bit set, or N. */
static size_t next_todo(const struct blocks *b, enum claim_kind kind, size_t from)
{
    const uint64_t *map = b->todo[kind];
    for (size_t w = from / 64; w * 64 < b->n; w++) {
        uint64_t bits = map[w];
        if (w == from / 64)
            bits &= ~UINT64_C(0) << (from % 64);
        if (bits) {
            size_t i = w * 64 + (size_t)__builtin_ctzll(bits);
            return i < b->n ? i : b->n;
        }
    }
    return b->n;
}

static bool is_todo(const struct blocks *b, enum claim_kind kind, size_t i)
{
    return i < b->n && b->todo[kind][i / 64] >> (i % 64) & 1;
}

static uint64_t clip(const struct blocks *b, uint64_t end)
{
    return end < b->size ? end : b->size;
}

static void claim_copy_extent(struct blocks *b, struct claim *c, size_t i, uint64_t max)
{
    size_t first = i;
    size_t most = max < BLOCK_SIZE ? 1 : (size_t)(max / BLOCK_SIZE);
    for (; i - first < most && is_todo(b, CLAIM_COPY, i); i++)
        block_set(b, i,
                  (struct block){.claim = c->id, .state = COPYING, .unproved = valid_pages(b, i)});
    c->offset = (uint64_t)first * BLOCK_SIZE;
    c->length = clip(b, (uint64_t)i * BLOCK_SIZE) - c->offset;
    b->cursor[CLAIM_COPY] = i;
}

static void claim_block(struct blocks *b, size_t i, uint32_t claim)
{
    struct block now = b->block[i];
    now.claim = claim;
    block_set(b, i, now);
}

/*
 * Where a claim that begins with the unproved page FROM of a block ends, at most ROOM pages on: a
 * few proved pages are read once more rather than asked for in two requests.
 */
static unsigned prove_end(uint16_t unproved, unsigned from, uint64_t room)
{
    unsigned end = from;
    for (unsigned page = from; page < BLOCK_PAGES && page - from < room; page++)
        if (unproved >> page & 1)
            end = page + 1;
        else if (page - end == PROVED_GAP)
            break;
    return end;
}

/* From the first unproved page of block I on, into the next blocks if they go on with one. */
static void claim_prove_extent(struct blocks *b, struct claim *c, size_t i, uint64_t max)
{
    uint64_t room = max < PAGE_SIZE ? 1 : max / PAGE_SIZE;
    unsigned page = (unsigned)__builtin_ctz(b->block[i].unproved);
    uint64_t start = (uint64_t)i * BLOCK_SIZE + (uint64_t)page * PAGE_SIZE;
    uint64_t end = start;
    for (; room > 0 && is_todo(b, CLAIM_PROVE, i); i++, page = 0) {
        unsigned last = prove_end(b->block[i].unproved, page, room);
        if (!(b->block[i].unproved >> page & 1))
            break;
        room -= last - page;
        end += (uint64_t)(last - page) * PAGE_SIZE;
        claim_block(b, i, c->id);
        if (last < BLOCK_PAGES)
            break;
    }
    c->offset = start;
    c->length = clip(b, end) - start;
    b->cursor[CLAIM_PROVE] = (size_t)(end / BLOCK_SIZE);
}

/* Claims the extent that begins with block I. */
static int64_t claim_at(struct blocks *b, enum claim_kind kind, size_t i, uint64_t max,
                        const void *driver, uint64_t *offset, uint64_t *length)
{
    if (vec_room(&b->claims, b->n_claims, &b->cap_claims, sizeof(*b->claims)) < 0)
        return -ENOMEM;
    /* Numbers may wrap after 2^32 claims; 0 is "none", and one in use is not given again. */
    if (++b->next_claim == 0)
        b->next_claim = 1;
    struct claim *c = &b->claims[b->n_claims++];
    *c = (struct claim){.id = b->next_claim, .kind = kind, .driver = driver};
    if (kind == CLAIM_COPY)
        claim_copy_extent(b, c, i, max);
    else
        claim_prove_extent(b, c, i, max);
    *offset = c->offset;
    *length = c->length;
    return c->id;
}

int64_t blocks_claim(struct blocks *b, enum claim_kind kind, uint64_t max, const void *driver,
                     uint64_t *offset, uint64_t *length)
{
    size_t i = next_todo(b, kind, b->cursor[kind]);
    if (i == b->n)
        i = next_todo(b, kind, 0);
    return i == b->n ? 0 : claim_at(b, kind, i, max, driver, offset, length);
}

void blocks_pass_over(struct blocks *b, uint64_t offset)
{
    b->cursor[CLAIM_PROVE] = (size_t)(offset / BLOCK_SIZE) + 1;
}

int64_t blocks_claim_in(struct blocks *b, uint64_t from, uint64_t to, uint64_t max,
                        const void *driver, uint64_t *offset, uint64_t *length)
{
    uint64_t first = from / BLOCK_SIZE + (from % BLOCK_SIZE != 0);
    size_t i = first < b->n ? next_todo(b, CLAIM_COPY, (size_t)first) : b->n;
    if (i == b->n || (uint64_t)i * BLOCK_SIZE >= to)
        return 0;
    uint64_t room = to - (uint64_t)i * BLOCK_SIZE;
    room = room / BLOCK_SIZE + (room % BLOCK_SIZE != 0); /* blocks that begin before TO */
    if (max / BLOCK_SIZE > room)
        max = room * BLOCK_SIZE;
    return claim_at(b, CLAIM_COPY, i, max, driver, offset, length);
}

/* DRIVER's claim ID, or NULL.  A kind of -1 fits any. */
static struct claim *find_claim(const struct blocks *b, uint64_t id, int kind, const void *driver)
{
    for (size_t i = 0; i < b->n_claims; i++) {
        struct claim *c = &b->claims[i];
        if (c->id == id && c->driver == driver && (kind < 0 || (int)c->kind == kind))
            return c;
    }
    return NULL;
}

/* Takes it out of the list into *OUT. */
static int take_claim(struct blocks *b, uint64_t id, int kind, const void *driver,
                      struct claim *out)
{
    struct claim *c = find_claim(b, id, kind, driver);
    if (!c)
        return -ESTALE;
    *out = *c;
    *c = b->claims[--b->n_claims];
    return 0;
}

static void span(uint64_t offset, uint64_t length, size_t *first, size_t *end)
{
    *first = (size_t)(offset / BLOCK_SIZE);
    *end = (size_t)((offset + length + BLOCK_SIZE - 1) / BLOCK_SIZE);
}

static void prove_block(struct blocks *b, size_t i, const struct claim *c)
{
    struct block now = b->block[i];
    if (now.claim != c->id)
        return;
    now.claim = 0;
    now.unproved &= (uint16_t)~page_mask(i, c->offset, c->offset + c->length);
    block_set(b, i, now);
}

static void sync_block(struct blocks *b, size_t i, const struct claim *c, blocks_busy_fn *busy,
                       void *arg)
{
    bool untouched = b->block[i].claim == c->id && !busy(arg, (uint64_t)i * BLOCK_SIZE, BLOCK_SIZE);
    block_state(b, i, untouched ? SYNCED : DIRTY);
}

int blocks_done(struct blocks *b, uint64_t claim, enum claim_kind kind, const void *driver,
                blocks_busy_fn *busy, void *arg)
{
    struct claim c;
    size_t i, end;
    if (take_claim(b, claim, (int)kind, driver, &c) < 0)
        return -ESTALE;
    span(c.offset, c.length, &i, &end);
    for (; i < end; i++) {
        if (kind == CLAIM_PROVE)
            prove_block(b, i, &c);
        else
            sync_block(b, i, &c, busy, arg);
    }
    return 0;
}

int blocks_extent(const struct blocks *b, uint64_t claim, const void *driver, uint64_t *offset,
                  uint64_t *length)
{
    const struct claim *c = find_claim(b, claim, -1, driver);
    if (!c)
        return -ESTALE;
    *offset = c->offset;
    *length = c->length;
    return 0;
}

bool blocks_may_copy(const struct blocks *b, uint64_t offset, uint64_t length, const void *driver)
{
    for (size_t i = 0; i < b->n_claims; i++) {
        const struct claim *c = &b->claims[i];
        if (c->kind == CLAIM_COPY && c->driver == driver && offset >= c->offset &&
            offset - c->offset <= c->length && length <= c->length - (offset - c->offset))
            return true;
    }
    return false;
}

void blocks_cut(struct blocks *b, uint64_t claim, const void *driver, uint64_t length)
{
    size_t i, end;
    struct claim *c = find_claim(b, claim, CLAIM_COPY, driver);
    if (!c || length >= c->length)
        return;
    span(c->offset + length, c->length - length, &i, &end);
    b->cursor[CLAIM_COPY] = i;
    for (; i < end; i++)
        block_state(b, i, DIRTY);
    c->length = length;
}

void blocks_claim_equal(struct blocks *b, uint64_t claim, const void *driver)
{
    struct claim *c = find_claim(b, claim, CLAIM_COPY, driver);
    if (c)
        c->equal = true;
}

void blocks_claim_mirrored(struct blocks *b, uint64_t claim, const void *driver)
{
    struct claim *c = find_claim(b, claim, CLAIM_COPY, driver);
    if (c)
        c->equal = c->to_prove = true;
}

int blocks_adopt(struct blocks *b, uint64_t claim, const void *driver, blocks_busy_fn *busy,
                 void *arg)
{
    size_t i, end;
    const struct claim *found = find_claim(b, claim, CLAIM_COPY, driver);
    if (!found)
        return -ESTALE;
    if (!found->equal)
        return -EINVAL;
    if (found->to_prove)
        return blocks_done(b, claim, CLAIM_COPY, driver, busy, arg);
    span(found->offset, found->length, &i, &end);
    blocks_done(b, claim, CLAIM_COPY, driver, busy, arg);
    for (; b->verify != VERIFY_FULL && i < end; i++) {
        struct block now = b->block[i];
        now.exempt = now.state == SYNCED;
        now.unproved = now.exempt ? 0 : now.unproved;
        block_set(b, i, now);
    }
    return 0;
}

/* No block has the claim C any more. */
static void forget_claim(struct blocks *b, const struct claim *c)
{
    size_t i, end;
    span(c->offset, c->length, &i, &end);
    for (; i < end; i++)
        if (b->block[i].claim == c->id)
            claim_block(b, i, 0);
}

int blocks_release(struct blocks *b, uint64_t claim, const void *driver)
{
    struct claim c;
    size_t i, end;
    if (take_claim(b, claim, -1, driver, &c) < 0)
        return -ESTALE;
    if (c.kind == CLAIM_PROVE) {
        forget_claim(b, &c);
        return 1;
    }
    span(c.offset, c.length, &i, &end);
    for (; i < end; i++)
        block_state(b, i, DIRTY);
    return 0;
}

int blocks_differ(struct blocks *b, uint64_t claim, const void *driver, blocks_busy_fn *busy,
                  void *arg)
{
    struct claim c;
    size_t first, i, end;
    if (take_claim(b, claim, CLAIM_PROVE, driver, &c) < 0)
        return -ESTALE;
    span(c.offset, c.length, &first, &end);
    bool raced = busy(arg, c.offset, c.length);
    for (i = first; i < end; i++)
        raced |= b->block[i].claim != c.id;
    if (raced) {
        forget_claim(b, &c);
        return 1;
    }
    for (i = first; i < end; i++)
        block_state(b, i, DIRTY);
    return 0;
}

/* ---- a driver that died ---- */

static void haunt(struct blocks *b, const struct claim *c, uint64_t until_us)
{
    size_t i, end;
    span(c->offset, c->length, &i, &end);
    /* Without memory for the note they stay COPYING for ever: no progress, but no wrong data. */
    if (vec_room(&b->haunts, b->n_haunts, &b->cap_haunts, sizeof(*b->haunts)) < 0)
        return;
    b->haunts[b->n_haunts++] = (struct haunt){i, end - i, until_us};
    for (; i < end; i++)
        block_state(b, i, HAUNTED);
}

size_t blocks_driver_gone(struct blocks *b, const void *driver, uint64_t until_us)
{
    size_t before = b->count[HAUNTED];
    for (size_t k = 0; k < b->n_claims;) {
        struct claim c = b->claims[k];
        if (c.driver != driver) {
            k++;
            continue;
        }
        b->claims[k] = b->claims[--b->n_claims];
        if (c.kind == CLAIM_COPY)
            haunt(b, &c, until_us);
        else
            forget_claim(b, &c);
    }
    return b->count[HAUNTED] - before;
}

uint64_t blocks_exorcise(struct blocks *b, uint64_t now_us)
{
    uint64_t next = 0;
    for (size_t k = 0; k < b->n_haunts;) {
        struct haunt h = b->haunts[k];
        if (h.until_us > now_us) {
            next = !next || h.until_us < next ? h.until_us : next;
            k++;
            continue;
        }
        b->haunts[k] = b->haunts[--b->n_haunts];
        for (size_t i = h.first; i < h.first + h.n; i++)
            block_state(b, i, DIRTY);
    }
    return next;
}

/* ---- writes ---- */

bool blocks_all_synced(const struct blocks *b, uint64_t offset, uint64_t length)
{
    size_t i, end;
    span(offset, length, &i, &end);
    for (; i < end; i++)
        if (b->block[i].state != SYNCED)
            return false;
    return true;
}

void blocks_written(struct blocks *b, uint64_t offset, uint64_t length, bool mirrored)
{
    size_t i, end;
    span(offset, length, &i, &end);
    for (; i < end; i++) {
        struct block now = b->block[i];
        if (now.state == SYNCED && !mirrored) {
            block_state(b, i, DIRTY);
            continue;
        }
        now.claim = 0;
        if (now.state == SYNCED && b->verify != VERIFY_NONE)
            now.unproved |= page_mask(i, offset, offset + length);
        block_set(b, i, now);
    }
}

void blocks_void(struct blocks *b)
{
    for (size_t i = 0; i < b->n_claims; i++)
        forget_claim(b, &b->claims[i]);
}

void blocks_unprove(struct blocks *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->block[i].state == SYNCED)
            block_state(b, i, SYNCED);
}

void blocks_set_verify(struct blocks *b, enum rec_verify verify)
{
    if (b->verify == verify)
        return;
    b->verify = verify;
    blocks_unprove(b);
}

/* ---- books ---- */

static uint64_t bytes_of(const struct blocks *b, size_t n)
{
    uint64_t bytes = (uint64_t)n * BLOCK_SIZE;
    return bytes < b->size ? bytes : b->size;
}

struct blocks_counts blocks_counts(const struct blocks *b)
{
    uint64_t unproved = b->unproved_pages * PAGE_SIZE;
    return (struct blocks_counts){
        .dirty = bytes_of(b, b->count[DIRTY]),
        .copying = bytes_of(b, b->count[COPYING]),
        .haunted = bytes_of(b, b->count[HAUNTED]),
        .synced = bytes_of(b, b->count[SYNCED]),
        .unproved = unproved < b->size ? unproved : b->size,
        .exempt = bytes_of(b, b->exempt),
    };
}

bool blocks_complete(const struct blocks *b)
{
    return b->count[SYNCED] == b->n && b->unproved_pages == 0;
}

enum rec_verify blocks_proved(const struct blocks *b)
{
    if (b->count[SYNCED] != b->n || b->unproved_pages)
        return VERIFY_NONE;
    return b->exempt ? b->verify : VERIFY_FULL;
}

bool blocks_missing(const struct blocks *b, uint64_t from, uint64_t to, uint64_t *offset,
                    uint64_t *length)
{
    uint64_t stop = clip(b, to);
    size_t end = (size_t)(stop / BLOCK_SIZE + (stop % BLOCK_SIZE != 0));
    size_t i = from < b->size ? (size_t)(from / BLOCK_SIZE + (from % BLOCK_SIZE != 0)) : b->n;
    while (i < end && b->block[i].state == SYNCED)
        i++;
    if (i >= end)
        return false;
    size_t first = i;
    while (i < end && b->block[i].state != SYNCED)
        i++;
    *offset = (uint64_t)first * BLOCK_SIZE;
    *length = clip(b, (uint64_t)i * BLOCK_SIZE) - *offset;
    return true;
}
