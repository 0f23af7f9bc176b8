/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Haunted ranges: by hand, and against a list that is looked through byte by byte. */
#include "cmd/route-director/haunts.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

static const char ghost_a, ghost_b;

static int add(struct haunts *h, uint64_t offset, uint64_t length, uint64_t until_us,
               const void *ghost)
{
    const struct haunt t = {
        .start = offset, .end = offset + length, .until_us = until_us, .ghost = ghost};
    return haunts_add(h, &t);
}

static void test_edges(void)
{
    struct haunts h = {0};
    CHECK(!haunts_block(&h, 0, UINT64_MAX, true));
    CHECK(add(&h, 4096, 4096, 100, &ghost_a) == 0);
    CHECK(!haunts_block(&h, 0, 4096, true));
    CHECK(!haunts_block(&h, 8192, 1, true));
    CHECK(haunts_block(&h, 4095, 2, true));
    CHECK(haunts_block(&h, 8191, 1, true));
    CHECK(haunts_block(&h, 5000, 1, true));
    CHECK(haunts_block(&h, 0, 1 << 20, true));
    haunts_release(&h);
    CHECK(!haunts_block(&h, 4096, 4096, true));
}

/* Until its client is told that it failed, a write that may land changes nothing for reads. */
static void test_reads_wait_for_failed_ones_only(void)
{
    struct haunts h = {0};
    CHECK(add(&h, 0, 4096, 100, &ghost_a) == 0);
    CHECK(add(&h, 65536, 4096, 100, &ghost_a) == 0);
    CHECK(!haunts_block(&h, 0, 4096, false));
    haunts_fail(&h, 0, 4096);
    CHECK(haunts_block(&h, 0, 4096, false));
    CHECK(haunts_block(&h, 4095, 1, false));
    CHECK(!haunts_block(&h, 4096, 1, false));
    CHECK(haunts_block(&h, 0, 1, true));
    CHECK(!haunts_block(&h, 65536, 4096, false));
    CHECK(haunts_block(&h, 65536, 4096, true));
    haunts_release(&h);
}

/* A command that is carried out in steps failed: what was noted are the steps. */
static void test_steps_of_a_failed_one(void)
{
    struct haunts h = {0};
    for (uint64_t i = 0; i < 4; i++)
        CHECK(add(&h, i * 4096, 4096, 100, &ghost_a) == 0);
    haunts_fail(&h, 4096, 8192);
    CHECK(!haunts_block(&h, 0, 4096, false));
    CHECK(haunts_block(&h, 4096, 1, false));
    CHECK(haunts_block(&h, 12287, 1, false));
    CHECK(!haunts_block(&h, 12288, 4096, false));
    haunts_release(&h);
}

/* A write that was sent twice, on connections that both ended, haunts twice. */
static void test_two_connections(void)
{
    struct haunts h = {0};
    CHECK(add(&h, 0, 4096, 100, &ghost_a) == 0);
    CHECK(add(&h, 0, 4096, 200, &ghost_b) == 0);
    haunts_fail(&h, 0, 4096);
    haunts_lay(&h, &ghost_a);
    CHECK(haunts_block(&h, 0, 1, false));
    haunts_lay(&h, &ghost_b);
    CHECK(!haunts_block(&h, 0, 1, true));
    CHECK_EQ_U64(h.n, 0);
    haunts_release(&h);
}

static void test_ghosts(void)
{
    struct haunts h = {0};
    for (uint64_t i = 0; i < 30; i++)
        CHECK(add(&h, i * 512, 512, 100,
                  i % 3 == 0   ? NULL
                  : i % 3 == 1 ? &ghost_a
                               : &ghost_b) == 0);
    haunts_lay(&h, &ghost_a);
    CHECK_EQ_U64(h.n, 20);
    for (uint64_t i = 0; i < 30; i++)
        CHECK(haunts_block(&h, i * 512, 512, true) == (i % 3 != 1));
    haunts_lay(&h, &ghost_b);
    /* Of those without a ghost only time tells. */
    CHECK_EQ_U64(h.n, 10);
    CHECK_EQ_U64(haunts_expire(&h, 99), 100);
    CHECK_EQ_U64(h.n, 10);
    CHECK_EQ_U64(haunts_expire(&h, 100), 0);
    CHECK_EQ_U64(h.n, 0);
    haunts_release(&h);
}

static void test_expiry(void)
{
    struct haunts h = {0};
    CHECK_EQ_U64(haunts_expire(&h, 5), 0);
    CHECK_EQ_U64(haunts_last_us(&h), 0);
    CHECK(add(&h, 0, 512, 300, NULL) == 0);
    CHECK(add(&h, 512, 512, 100, NULL) == 0);
    CHECK(add(&h, 1024, 512, 200, &ghost_a) == 0);
    CHECK_EQ_U64(haunts_last_us(&h), 300);
    CHECK_EQ_U64(haunts_expire(&h, 99), 100);
    CHECK_EQ_U64(haunts_expire(&h, 100), 200);
    CHECK(!haunts_block(&h, 512, 512, true));
    CHECK(haunts_block(&h, 0, 512, true));
    CHECK(haunts_block(&h, 1024, 512, true));
    CHECK_EQ_U64(haunts_expire(&h, 250), 300);
    CHECK_EQ_U64(haunts_last_us(&h), 300);
    CHECK_EQ_U64(haunts_expire(&h, 1000), 0);
    CHECK_EQ_U64(haunts_last_us(&h), 0);
    haunts_release(&h);
}

/* While the gateway was frozen time told nothing. */
static void test_renew(void)
{
    struct haunts h = {0};
    haunts_renew(&h, 500);
    CHECK_EQ_U64(haunts_last_us(&h), 0);
    CHECK(add(&h, 0, 512, 100, NULL) == 0);
    CHECK(add(&h, 512, 512, 200, &ghost_a) == 0);
    haunts_renew(&h, 500);
    CHECK_EQ_U64(haunts_expire(&h, 499), 500);
    CHECK(haunts_block(&h, 0, 1024, true));
    CHECK_EQ_U64(h.n, 2);
    haunts_lay(&h, &ghost_a);
    CHECK_EQ_U64(h.n, 1);
    CHECK_EQ_U64(haunts_expire(&h, 500), 0);
    CHECK_EQ_U64(h.n, 0);
    haunts_release(&h);
}

static void test_replayed(void)
{
    struct haunts h = {0};
    const struct haunt again = {
        .start = 0, .end = 512, .until_us = 100, .ghost = &ghost_a, .replay = true};
    CHECK(!haunts_replay(&h));
    CHECK(add(&h, 0, 512, 200, &ghost_b) == 0);
    CHECK(!haunts_replay(&h));
    CHECK(haunts_add(&h, &again) == 0);
    CHECK(haunts_replay(&h));
    haunts_fail(&h, 0, 512);
    haunts_renew(&h, 300);
    CHECK(haunts_replay(&h));
    haunts_lay(&h, &ghost_b);
    CHECK(haunts_replay(&h));
    haunts_lay(&h, &ghost_a);
    CHECK(!haunts_replay(&h));
    CHECK(haunts_add(&h, &again) == 0);
    haunts_expire(&h, 100);
    CHECK(!haunts_replay(&h));
    haunts_release(&h);
}

/* ---- against a list with a flag for what is over ---- */

enum { SPACE = 300, LIST_MAX = 4000, STEPS = 10000, GHOSTS = 4 };

struct noted {
    uint64_t offset, length, until_us;
    const void *ghost;
    bool failed, over;
};

struct model {
    struct noted list[LIST_MAX];
    size_t n;
};

static bool model_blocks(const struct model *m, uint64_t offset, uint64_t length, bool changes)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct noted *t = &m->list[i];
        for (uint64_t b = offset; !t->over && b < offset + length; b++)
            if (b >= t->offset && b - t->offset < t->length && (changes || t->failed))
                return true;
    }
    return false;
}

static void model_ends(struct model *m, const void *ghost, uint64_t now_us)
{
    for (size_t i = 0; i < m->n; i++)
        m->list[i].over |= (ghost && m->list[i].ghost == ghost) || m->list[i].until_us <= now_us;
}

static void note_one(struct haunts *h, struct model *m, struct rng *rng, uint64_t now_us,
                     const char *ghosts)
{
    uint64_t which = rng_below(rng, GHOSTS + 1);
    struct noted t = {.offset = rng_below(rng, SPACE),
                      .length = 1 + rng_below(rng, 45),
                      .until_us = now_us + 1 + rng_below(rng, 50),
                      .ghost = which ? ghosts + which - 1 : NULL};
    if (m->n == LIST_MAX)
        return;
    m->list[m->n++] = t;
    CHECK(add(h, t.offset, t.length, t.until_us, t.ghost) == 0);
}

static void fail_one(struct haunts *h, struct model *m, struct rng *rng)
{
    const struct noted *one = &m->list[rng_below(rng, m->n)];
    uint64_t end = one->offset + one->length;
    haunts_fail(h, one->offset, one->length);
    for (size_t i = 0; i < m->n; i++)
        m->list[i].failed |= !m->list[i].over && m->list[i].offset < end &&
                             one->offset < m->list[i].offset + m->list[i].length;
}

static uint64_t model_next(const struct model *m)
{
    uint64_t next = 0;
    for (size_t i = 0; i < m->n; i++)
        if (!m->list[i].over && (!next || m->list[i].until_us < next))
            next = m->list[i].until_us;
    return next;
}

static void one_step(struct haunts *h, struct model *m, struct rng *rng, uint64_t now_us)
{
    static const char ghosts[GHOSTS];
    const void *laid = ghosts + rng_below(rng, GHOSTS);
    switch (rng_below(rng, 6)) {
    case 0:
        haunts_lay(h, laid);
        model_ends(m, laid, 0);
        break;
    case 1:
        model_ends(m, NULL, now_us);
        CHECK_EQ_U64(haunts_expire(h, now_us), model_next(m));
        break;
    case 2:
        if (m->n)
            fail_one(h, m, rng);
        break;
    default:
        note_one(h, m, rng, now_us, ghosts);
    }
}

static void test_model(uint64_t seed)
{
    static struct model m;
    struct haunts h = {0};
    struct rng rng;
    rng_init(&rng, seed);
    m.n = 0;
    for (uint64_t step = 1; step <= STEPS && !test_state()->failed; step++) {
        uint64_t offset = rng_below(&rng, SPACE), length = 1 + rng_below(&rng, 60);
        one_step(&h, &m, &rng, step);
        CHECK(haunts_block(&h, offset, length, true) == model_blocks(&m, offset, length, true));
        CHECK(haunts_block(&h, offset, length, false) == model_blocks(&m, offset, length, false));
        if (test_state()->failed)
            fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 "\n", seed, step);
    }
    haunts_release(&h);
}

int main(void)
{
    test_begin("haunts");
    test_edges();
    test_reads_wait_for_failed_ones_only();
    test_steps_of_a_failed_one();
    test_two_connections();
    test_ghosts();
    test_expiry();
    test_renew();
    test_replayed();
    test_model(1);
    test_model(2);
    return test_done();
}
