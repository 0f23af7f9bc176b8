/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Witnesses: by hand, and against a model that remembers every block's last durable content. */
#include "cmd/route-director/witness.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

/* Data whose every block is another, and another for each VERSION. */
static const unsigned char *data_of(unsigned version, size_t length)
{
    static unsigned char data[8 * WITNESS_BLOCK];
    for (size_t i = 0; i < length; i++)
        data[i] = (unsigned char)(version * 31 + i / WITNESS_BLOCK * 7 + i % 251);
    return data;
}

/* The place of the block at OFFSET; WITNESS_MAX: nothing is known of it. */
static unsigned find(const struct witness *w, uint64_t offset)
{
    unsigned i = 0;
    while (i < WITNESS_MAX && w->blocks[i].offset != offset)
        i++;
    return i;
}

static bool is_known(const struct witness *w, uint64_t offset)
{
    return find(w, offset) < WITNESS_MAX;
}

static unsigned count(const struct witness *w)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WITNESS_MAX; i++)
        n += w->blocks[i].offset != UINT64_MAX;
    return n;
}

static void test_none(void)
{
    struct witness w;
    witness_init(&w);
    CHECK_EQ_U64(w.n, 0);
    CHECK_EQ_U64(count(&w), 0);
    witness_changed(&w, 0, UINT64_MAX);
    CHECK_EQ_U64(w.n, 0);
    CHECK_EQ_U64(count(&w), 0);
}

static void test_holds(void)
{
    struct witness w;
    unsigned char other[WITNESS_BLOCK];
    witness_init(&w);
    witness_durable(&w, 8192, data_of(1, WITNESS_BLOCK), WITNESS_BLOCK);
    CHECK_EQ_U64(w.n, 1);
    unsigned i = find(&w, 8192);
    CHECK(i < WITNESS_MAX && witness_holds(&w, i, data_of(1, WITNESS_BLOCK)));
    memcpy(other, data_of(1, WITNESS_BLOCK), sizeof(other));
    other[WITNESS_BLOCK - 1] ^= 1;
    CHECK(i < WITNESS_MAX && !witness_holds(&w, i, other));
    memset(other, 0, sizeof(other));
    CHECK(i < WITNESS_MAX && !witness_holds(&w, i, other));
}

/* What is noted for LENGTH bytes at OFFSET: one block at WANT, or none (UINT64_MAX). */
static void check_one(uint64_t offset, size_t length, uint64_t want)
{
    struct witness w;
    const unsigned char *data = data_of(3, length);
    witness_init(&w);
    witness_durable(&w, offset, data, length);
    CHECK_EQ_U64(count(&w), want != UINT64_MAX);
    CHECK_EQ_U64(w.n, want != UINT64_MAX);
    if (want == UINT64_MAX)
        return;
    unsigned i = find(&w, want);
    CHECK(i < WITNESS_MAX && witness_holds(&w, i, data + (want - offset)));
}

static void test_whole_blocks_only(void)
{
    check_one(0, 4096, 0);
    check_one(0, 4095, UINT64_MAX);
    check_one(0, 0, UINT64_MAX);
    check_one(4096, 12288, 4096);
    check_one(1, 4096, UINT64_MAX);
    check_one(1, 4095 + 4095, UINT64_MAX);
    check_one(1, 4095 + 4096, 4096);
    check_one(4095, 4097, 4096);
    check_one(512, 8192, 4096);
    check_one(512, 100, UINT64_MAX);
    check_one(UINT64_MAX - 8191, 4096, UINT64_MAX - 8191);
    check_one(UINT64_MAX - 4000, 4000, UINT64_MAX);
    check_one(UINT64_MAX - 4000, 8192, UINT64_MAX);
}

static void test_not_twice(void)
{
    struct witness w;
    witness_init(&w);
    witness_durable(&w, 4096, data_of(1, WITNESS_BLOCK), WITNESS_BLOCK);
    witness_durable(&w, 4096, data_of(2, WITNESS_BLOCK), WITNESS_BLOCK);
    CHECK_EQ_U64(w.n, 1);
    CHECK_EQ_U64(count(&w), 1);
    unsigned i = find(&w, 4096);
    CHECK(i < WITNESS_MAX && witness_holds(&w, i, data_of(2, WITNESS_BLOCK)));
    CHECK(i < WITNESS_MAX && !witness_holds(&w, i, data_of(1, WITNESS_BLOCK)));
}

/* Does a change of LENGTH bytes at OFFSET forget the block at 8192, and no other? */
static bool forgets(uint64_t offset, uint64_t length)
{
    struct witness w;
    witness_init(&w);
    witness_durable(&w, 0, data_of(1, WITNESS_BLOCK), WITNESS_BLOCK);
    witness_durable(&w, 8192, data_of(1, WITNESS_BLOCK), WITNESS_BLOCK);
    witness_durable(&w, 16384, data_of(1, WITNESS_BLOCK), WITNESS_BLOCK);
    witness_changed(&w, offset, length);
    CHECK(is_known(&w, 0) && is_known(&w, 16384));
    CHECK_EQ_U64(w.n, count(&w));
    return !is_known(&w, 8192);
}

static void test_change_forgets(void)
{
    CHECK(forgets(8192, 4096));
    CHECK(forgets(8192, 1));
    CHECK(forgets(12287, 1));
    CHECK(forgets(8191, 2));
    CHECK(forgets(4096, 12288));
    CHECK(forgets(9000, 100));
    CHECK(!forgets(4096, 4096));
    CHECK(!forgets(12288, 1));
    CHECK(!forgets(12288, 4096));
    CHECK(!forgets(1 << 20, 1 << 20));
}

/* The last ones are all there; of those before them some are, back to long ago. */
static void test_recent_and_older(void)
{
    enum { ALL = 16 * 8 * 3 };
    struct witness w;
    unsigned old = 0;
    witness_init(&w);
    for (uint64_t i = 0; i < ALL; i++) {
        witness_durable(&w, i * WITNESS_BLOCK, data_of((unsigned)i, WITNESS_BLOCK), WITNESS_BLOCK);
        CHECK_EQ_U64(w.n, count(&w));
        if (i < WITNESS_RECENT)
            CHECK_EQ_U64(w.n, i + 1);
        for (uint64_t k = i < WITNESS_RECENT ? 0 : i - WITNESS_RECENT + 1; k <= i; k++)
            CHECK(is_known(&w, k * WITNESS_BLOCK));
    }
    CHECK_EQ_U64(w.n, WITNESS_MAX);
    for (uint64_t i = 0; i < ALL - WITNESS_RECENT; i++) {
        unsigned place = find(&w, i * WITNESS_BLOCK);
        old += place < WITNESS_MAX;
        if (place < WITNESS_MAX)
            CHECK(witness_holds(&w, place, data_of((unsigned)i, WITNESS_BLOCK)));
    }
    CHECK_EQ_U64(old, WITNESS_MAX - WITNESS_RECENT);
    /* Not just those that were recent a moment ago. */
    CHECK(!is_known(&w, (uint64_t)(ALL - WITNESS_RECENT - 1) * WITNESS_BLOCK) ||
          !is_known(&w, (uint64_t)(ALL - WITNESS_RECENT - 2) * WITNESS_BLOCK));
}

/* ---- the model ---- */

enum { BLOCKS = 60, STEPS = 20000 };

struct model {
    struct {
        bool durable; /* since it was noted nothing changed it */
        unsigned version;
        uint64_t noted; /* which note it was */
    } block[BLOCKS];
    uint64_t notes;
};

static void model_changed(struct model *m, uint64_t offset, uint64_t length)
{
    for (uint64_t i = 0; i < BLOCKS; i++)
        if (i * WITNESS_BLOCK < offset + length && offset < (i + 1) * WITNESS_BLOCK)
            m->block[i].durable = false;
}

/* Which bytes of data_of() are noted depends on where in the data the first whole block lies. */
static void durable(struct witness *w, struct model *m, struct rng *rng, unsigned version)
{
    uint64_t i = rng_below(rng, BLOCKS), before = rng_below(rng, 2) ? rng_below(rng, 4096) : 0;
    size_t length = (size_t)before + WITNESS_BLOCK + rng_below(rng, 5000);
    const unsigned char *data = data_of(version, length);
    if (before > i * WITNESS_BLOCK)
        return;
    witness_durable(w, i * WITNESS_BLOCK - before, data, length);
    m->block[i].durable = true;
    m->block[i].version = version * 4096 + (unsigned)before;
    m->block[i].noted = m->notes++;
}

static void changed(struct witness *w, struct model *m, struct rng *rng)
{
    uint64_t offset = rng_below(rng, BLOCKS * WITNESS_BLOCK), length = 1 + rng_below(rng, 9000);
    witness_changed(w, offset, length);
    model_changed(m, offset, length);
}

/* Whatever is known must be so still: a witness that lies stops a volume. */
static void check_truth(const struct witness *w, const struct model *m)
{
    CHECK_EQ_U64(w->n, count(w));
    for (unsigned k = 0; k < WITNESS_MAX; k++) {
        uint64_t i = w->blocks[k].offset / WITNESS_BLOCK;
        if (w->blocks[k].offset == UINT64_MAX)
            continue;
        CHECK(i < BLOCKS && w->blocks[k].offset % WITNESS_BLOCK == 0 && m->block[i].durable);
        CHECK_EQ_U64(find(w, w->blocks[k].offset), k);
        if (i < BLOCKS) {
            unsigned before = m->block[i].version % 4096, version = m->block[i].version / 4096;
            CHECK(witness_holds(w, k, data_of(version, before + WITNESS_BLOCK) + before));
        }
    }
}

static void check_recent(const struct witness *w, const struct model *m)
{
    for (uint64_t i = 0; i < BLOCKS; i++)
        if (m->block[i].durable && m->block[i].noted + WITNESS_RECENT >= m->notes)
            CHECK(is_known(w, i * WITNESS_BLOCK));
}

static void test_model(uint64_t seed)
{
    struct witness w;
    struct model m = {.notes = 0};
    struct rng rng;
    rng_init(&rng, seed);
    witness_init(&w);
    for (unsigned step = 0; step < STEPS && !test_state()->failed; step++) {
        if (rng_below(&rng, 4))
            durable(&w, &m, &rng, step);
        else
            changed(&w, &m, &rng);
        check_recent(&w, &m);
        if (step % 16 == 0)
            check_truth(&w, &m);
        if (test_state()->failed)
            fprintf(stderr, "seed %" PRIu64 ", step %u\n", seed, step);
    }
}

int main(void)
{
    test_begin("witness");
    test_none();
    test_holds();
    test_whole_blocks_only();
    test_not_twice();
    test_change_forgets();
    test_recent_and_older();
    test_model(1);
    test_model(2);
    return test_done();
}
