/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The overlap lock: by hand, and against an array with one flag a byte. */
#include <errno.h>

#include "cmd/route-director/ranges.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

static void test_edges(void)
{
    struct ranges r = {0};
    CHECK(!ranges_busy(&r, 0, UINT64_MAX));
    CHECK(ranges_take(&r, 100, 50) == 0);
    CHECK(!ranges_busy(&r, 0, 100));
    CHECK(!ranges_busy(&r, 150, 1));
    CHECK(ranges_busy(&r, 149, 1));
    CHECK(ranges_busy(&r, 0, 101));
    CHECK(ranges_busy(&r, 120, 1));
    CHECK(ranges_take(&r, 149, 1) == -EBUSY);
    CHECK(ranges_take(&r, 0, 1000) == -EBUSY);
    CHECK(ranges_take(&r, 150, 10) == 0);
    CHECK(ranges_take(&r, 0, 100) == 0);
    CHECK_EQ_U64(r.n, 3);
    ranges_drop(&r, 100, 50);
    CHECK(!ranges_busy(&r, 100, 50));
    CHECK(ranges_busy(&r, 99, 1));
    CHECK(ranges_busy(&r, 150, 1));
    ranges_release(&r);
    CHECK_EQ_U64(r.n, 0);
}

static void test_end_of_the_numbers(void)
{
    struct ranges r = {0};
    CHECK(ranges_take(&r, UINT64_MAX - 10, 10) == 0);
    CHECK(ranges_busy(&r, UINT64_MAX - 1, 1));
    CHECK(!ranges_busy(&r, UINT64_MAX - 20, 10));
    ranges_drop(&r, UINT64_MAX - 10, 10);
    ranges_release(&r);
}

enum { SPACE = 400, HELD_MAX = 64, STEPS = 20000 };

struct model {
    bool byte[SPACE];
    struct range held[HELD_MAX];
    size_t n;
};

static bool model_busy(const struct model *m, uint64_t offset, uint64_t length)
{
    for (uint64_t i = offset; i < offset + length; i++)
        if (m->byte[i])
            return true;
    return false;
}

static void model_put(struct model *m, struct range r, bool held)
{
    for (uint64_t i = r.start; i < r.end; i++)
        m->byte[i] = held;
}

static void take_one(struct ranges *r, struct model *m, uint64_t offset, uint64_t length)
{
    bool busy = model_busy(m, offset, length);
    CHECK(ranges_take(r, offset, length) == (busy ? -EBUSY : 0));
    if (busy)
        return;
    m->held[m->n] = (struct range){offset, offset + length};
    model_put(m, m->held[m->n++], true);
}

static void drop_one(struct ranges *r, struct model *m, size_t which)
{
    struct range gone = m->held[which];
    m->held[which] = m->held[--m->n];
    model_put(m, gone, false);
    ranges_drop(r, gone.start, gone.end - gone.start);
}

static void check_order(const struct ranges *r)
{
    bool sorted = true;
    for (size_t i = 1; i < r->n; i++)
        sorted &= r->held[i - 1].end <= r->held[i].start;
    CHECK(sorted);
}

static void test_model(uint64_t seed)
{
    struct rng rng;
    struct ranges r = {0};
    struct model m = {.n = 0};
    rng_init(&rng, seed);
    for (size_t step = 0; step < STEPS && !test_state()->failed; step++) {
        uint64_t offset = rng_below(&rng, SPACE - 1);
        uint64_t length = 1 + rng_below(&rng, SPACE - offset < 40 ? SPACE - offset : 40);
        CHECK(ranges_busy(&r, offset, length) == model_busy(&m, offset, length));
        if (m.n == HELD_MAX || (m.n && rng_below(&rng, 2)))
            drop_one(&r, &m, rng_below(&rng, m.n));
        else
            take_one(&r, &m, offset, length);
        CHECK_EQ_U64(r.n, m.n);
        check_order(&r);
        if (test_state()->failed)
            fprintf(stderr, "seed %" PRIu64 ", step %zu\n", seed, step);
    }
    ranges_release(&r);
}

int main(void)
{
    test_begin("ranges");
    test_edges();
    test_end_of_the_numbers();
    test_model(1);
    test_model(2);
    return test_done();
}
