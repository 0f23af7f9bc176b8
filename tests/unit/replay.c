/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The replay log: by hand, and against a plain array of what was added. */
#include "cmd/route-director/replay.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { STEPS = 20000, CHUNKS = 4, KEPT_MAX = 300, WIRE_LEN = NBD_REQUEST_LEN + 512 };

static struct nbd_request command(uint16_t type, uint64_t offset)
{
    return (struct nbd_request){
        .type = type, .cookie = offset + 1, .offset = offset, .length = 512};
}

/* A WRITE's header and payload, number I in chunk C. */
static struct slice wire(struct chunk *c, size_t i)
{
    return (struct slice){c, c->data + i * WIRE_LEN, WIRE_LEN};
}

static int add(struct replay *l, uint16_t type, uint64_t offset, struct slice w)
{
    struct nbd_request n = command(type, offset);
    return replay_add(l, &n, w);
}

/* What the log counts beside its entries. */
static size_t chunk_bytes(const struct replay *l)
{
    return replay_bytes(l) - l->n * sizeof(*l->items);
}

static void test_order(void)
{
    struct chunk_pool pool = {0};
    struct replay l = {0};
    struct chunk *c = chunk_get(&pool, CHUNK_SIZE);
    CHECK_EQ_U64(replay_mark(&l), 0);
    CHECK(add(&l, NBD_CMD_WRITE, 4096, wire(c, 0)) == 0);
    CHECK(add(&l, NBD_CMD_WRITE_ZEROES, 0, (struct slice){0}) == 0);
    CHECK(add(&l, NBD_CMD_TRIM, 8192, (struct slice){0}) == 0);
    CHECK(add(&l, NBD_CMD_WRITE, 4096, wire(c, 1)) == 0);
    CHECK_EQ_U64(replay_mark(&l), 4);
    CHECK_EQ_U64(replay_at(&l, 0)->nbd.type, NBD_CMD_WRITE);
    CHECK_EQ_U64(replay_at(&l, 1)->nbd.type, NBD_CMD_WRITE_ZEROES);
    CHECK_EQ_U64(replay_at(&l, 2)->nbd.offset, 8192);
    CHECK_EQ_U64(replay_at(&l, 2)->nbd.length, 512);
    CHECK(replay_at(&l, 0)->wire.data == wire(c, 0).data);
    CHECK(replay_at(&l, 3)->wire.data == wire(c, 1).data);
    CHECK_EQ_U64(replay_at(&l, 3)->wire.len, WIRE_LEN);
    replay_release(&l, &pool);
    CHECK_EQ_U64(c->refs, 1);
    chunk_put(&pool, c);
    chunk_pool_release(&pool);
}

/* The header of a TRIM lies in a chunk of its client's: the log keeps no hold of that. */
static void test_only_writes_keep_their_bytes(void)
{
    struct chunk_pool pool = {0};
    struct replay l = {0};
    struct chunk *c = chunk_get(&pool, CHUNK_SIZE);
    CHECK(add(&l, NBD_CMD_TRIM, 0, wire(c, 0)) == 0);
    CHECK(add(&l, NBD_CMD_WRITE_ZEROES, 0, wire(c, 1)) == 0);
    CHECK(!replay_at(&l, 0)->wire.chunk);
    CHECK(!replay_at(&l, 1)->wire.chunk);
    CHECK_EQ_U64(c->refs, 1);
    CHECK_EQ_U64(chunk_bytes(&l), 0);
    replay_release(&l, &pool);
    chunk_put(&pool, c);
    chunk_pool_release(&pool);
}

static void test_marks(void)
{
    struct chunk_pool pool = {0};
    struct replay l = {0};
    for (uint64_t i = 0; i < 5; i++)
        CHECK(add(&l, NBD_CMD_TRIM, i * 512, (struct slice){0}) == 0);
    uint64_t mark = replay_mark(&l);
    CHECK(add(&l, NBD_CMD_TRIM, 5 * 512, (struct slice){0}) == 0);
    /* A flush covers what was there when it was sent, not what came since. */
    replay_trim(&l, &pool, mark);
    CHECK_EQ_U64(l.n, 1);
    CHECK_EQ_U64(l.oldest, 5);
    CHECK_EQ_U64(replay_at(&l, 5)->nbd.offset, 5 * 512);
    /* Flushes may be answered in another order. */
    replay_trim(&l, &pool, 2);
    replay_trim(&l, &pool, mark);
    CHECK_EQ_U64(l.n, 1);
    replay_trim(&l, &pool, replay_mark(&l));
    CHECK_EQ_U64(l.n, 0);
    CHECK_EQ_U64(l.oldest, 6);
    CHECK_EQ_U64(replay_mark(&l), 6);
    CHECK(add(&l, NBD_CMD_TRIM, 77, (struct slice){0}) == 0);
    CHECK_EQ_U64(replay_at(&l, 6)->nbd.offset, 77);
    replay_trim(&l, &pool, UINT64_MAX);
    CHECK_EQ_U64(replay_mark(&l), 7);
    replay_release(&l, &pool);
}

static void test_shared_chunks_are_counted_once(void)
{
    struct chunk_pool pool = {0};
    struct replay l = {0};
    struct chunk *a = chunk_get(&pool, CHUNK_SIZE), *b = chunk_get(&pool, 2 * CHUNK_SIZE);
    CHECK(b->size > a->size);
    CHECK(add(&l, NBD_CMD_WRITE, 0, wire(a, 0)) == 0);
    CHECK_EQ_U64(chunk_bytes(&l), a->size);
    CHECK(add(&l, NBD_CMD_WRITE, 512, wire(b, 0)) == 0);
    CHECK(add(&l, NBD_CMD_WRITE, 1024, wire(a, 1)) == 0);
    CHECK_EQ_U64(chunk_bytes(&l), a->size + b->size);
    CHECK_EQ_U64(a->refs, 3);
    replay_trim(&l, &pool, 1);
    CHECK_EQ_U64(chunk_bytes(&l), a->size + b->size);
    replay_trim(&l, &pool, 2);
    CHECK_EQ_U64(chunk_bytes(&l), a->size);
    CHECK_EQ_U64(b->refs, 1);
    replay_trim(&l, &pool, 3);
    CHECK_EQ_U64(chunk_bytes(&l), 0);
    CHECK_EQ_U64(a->refs, 1);
    CHECK_EQ_U64(a->logged, 0);
    /* A chunk that comes back is counted again. */
    CHECK(add(&l, NBD_CMD_WRITE, 0, wire(a, 2)) == 0);
    CHECK_EQ_U64(chunk_bytes(&l), a->size);
    replay_release(&l, &pool);
    chunk_put(&pool, a);
    chunk_put(&pool, b);
    chunk_pool_release(&pool);
}

static void test_release(void)
{
    struct chunk_pool pool = {0};
    struct replay l = {0};
    struct chunk *c = chunk_get(&pool, CHUNK_SIZE);
    for (size_t i = 0; i < 100; i++)
        CHECK(add(&l, NBD_CMD_WRITE, i * 512, wire(c, i)) == 0);
    CHECK_EQ_U64(c->refs, 101);
    replay_release(&l, &pool);
    CHECK_EQ_U64(c->refs, 1);
    CHECK_EQ_U64(c->logged, 0);
    CHECK_EQ_U64(l.n, 0);
    CHECK_EQ_U64(replay_bytes(&l), 0);
    /* A flush of before must not trim what is added now: no number is given twice. */
    CHECK_EQ_U64(replay_mark(&l), 100);
    CHECK(add(&l, NBD_CMD_WRITE, 3, wire(c, 0)) == 0);
    replay_trim(&l, &pool, 100);
    CHECK_EQ_U64(l.n, 1);
    CHECK_EQ_U64(replay_at(&l, 100)->nbd.offset, 3);
    replay_release(&l, &pool);
    replay_release(&l, &pool);
    chunk_put(&pool, c);
    chunk_pool_release(&pool);
}

/* A log is full by what it holds, not by what it held once: an empty one must never be. */
static void test_burst(void)
{
    enum { BURST = 100000 };
    struct chunk_pool pool = {0};
    struct replay l = {0};
    CHECK_EQ_U64(replay_bytes(&l), 0);
    for (uint64_t i = 0; i < BURST; i++)
        CHECK(add(&l, NBD_CMD_TRIM, i, (struct slice){0}) == 0);
    CHECK(replay_bytes(&l) >= BURST * sizeof(struct nbd_request));
    replay_trim(&l, &pool, BURST);
    CHECK_EQ_U64(replay_bytes(&l), 0);
    CHECK(l.cap < BURST / 10);
    CHECK(add(&l, NBD_CMD_TRIM, 5, (struct slice){0}) == 0);
    CHECK_EQ_U64(replay_at(&l, BURST)->nbd.offset, 5);
    CHECK_EQ_U64(replay_mark(&l), BURST + 1);
    replay_release(&l, &pool);
}

/* ---- against all that was ever added ---- */

struct model {
    uint64_t offset[STEPS];
    struct chunk *chunk[STEPS]; /* NULL: not a WRITE */
    uint64_t oldest, mark;
};

static void add_one(struct replay *l, struct model *m, struct rng *rng, struct chunk **chunks)
{
    bool write = rng_below(rng, 3);
    struct chunk *c = write ? chunks[rng_below(rng, CHUNKS)] : NULL;
    struct slice w = write ? wire(c, rng_below(rng, 100)) : (struct slice){0};
    m->offset[m->mark] = rng_u64(rng) >> 1;
    m->chunk[m->mark] = c;
    CHECK(add(l, write ? NBD_CMD_WRITE : NBD_CMD_TRIM, m->offset[m->mark], w) == 0);
    m->mark++;
}

static void compare(const struct replay *l, const struct model *m, struct chunk **chunks)
{
    size_t bytes = 0;
    bool same = true;
    unsigned held[CHUNKS] = {0};
    CHECK_EQ_U64(l->oldest, m->oldest);
    CHECK_EQ_U64(replay_mark(l), m->mark);
    for (uint64_t i = m->oldest; i < m->mark; i++) {
        const struct replay_entry *e = replay_at(l, i);
        same &= e->nbd.offset == m->offset[i] && e->wire.chunk == m->chunk[i];
        for (size_t k = 0; k < CHUNKS; k++)
            held[k] += chunks[k] == m->chunk[i];
    }
    CHECK(same);
    for (size_t k = 0; k < CHUNKS; k++) {
        bytes += held[k] ? chunks[k]->size : 0;
        CHECK_EQ_U64(chunks[k]->refs, held[k] + 1);
    }
    CHECK_EQ_U64(chunk_bytes(l), bytes);
}

/* The ring wraps and grows at every place: it is trimmed to any length, and filled to any. */
static void test_model(uint64_t seed)
{
    static struct model m;
    struct chunk_pool pool = {0};
    struct chunk *chunks[CHUNKS];
    struct replay l = {0};
    struct rng rng;
    rng_init(&rng, seed);
    m.oldest = m.mark = 0;
    for (size_t k = 0; k < CHUNKS; k++)
        chunks[k] = chunk_get(&pool, (size_t)CHUNK_SIZE << (k & 1));
    while (m.mark < STEPS && !test_state()->failed) {
        if (m.mark - m.oldest > rng_below(&rng, KEPT_MAX)) {
            m.oldest += rng_below(&rng, m.mark - m.oldest + 1);
            replay_trim(&l, &pool, m.oldest);
        } else {
            add_one(&l, &m, &rng, chunks);
        }
        if (rng_below(&rng, 16) == 0)
            compare(&l, &m, chunks);
        if (test_state()->failed)
            fprintf(stderr, "seed %" PRIu64 ", mark %" PRIu64 "\n", seed, m.mark);
    }
    replay_release(&l, &pool);
    for (size_t k = 0; k < CHUNKS; k++)
        chunk_put(&pool, chunks[k]);
    chunk_pool_release(&pool);
}

int main(void)
{
    test_begin("replay");
    test_order();
    test_only_writes_keep_their_bytes();
    test_marks();
    test_shared_chunks_are_counted_once();
    test_release();
    test_burst();
    test_model(1);
    test_model(2);
    return test_done();
}
