/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks that a standby does not get: which are left out, and until when. */
#include "cmd/route-director/stuck.h"

#include <stdlib.h>

#include "cmd/route-director/blocks.h"
#include "tests/unit/tap.h"

static uint64_t at(uint64_t block)
{
    return block * BLOCK_SIZE;
}

static bool add(struct stuck *s, uint64_t block, bool *full)
{
    return stuck_add(s, at(block), BLOCK_SIZE, 0, full);
}

static bool skips(const struct stuck *s, uint64_t block)
{
    return stuck_until(s, at(block)) > at(block);
}

static void test_one(void)
{
    struct stuck s = {.n = 0};
    bool full;
    CHECK(!stuck_is_time(&s, UINT64_MAX) && !stuck_drop(&s, 0, 4096) && !skips(&s, 0));
    CHECK(stuck_add(&s, 0, 4096, 1000, &full) && !full);
    CHECK(stuck_bytes(&s) == 4096 && stuck_until(&s, 0) == 4096 && !skips(&s, 1));
    CHECK(!stuck_is_time(&s, 1000 + STUCK_FIRST_US - 1));
    CHECK(stuck_is_time(&s, 1000 + STUCK_FIRST_US) && !skips(&s, 0));
    CHECK(!stuck_is_time(&s, 1000 + STUCK_FIRST_US));                      /* it is due once */
    CHECK(!stuck_add(&s, 0, 4096, 1000 + STUCK_FIRST_US, &full) && !full); /* no news */
    CHECK(s.n == 1 && skips(&s, 0));
    CHECK(stuck_drop(&s, 0, 4096) && s.n == 0 && stuck_bytes(&s) == 0);
    CHECK(!stuck_drop(&s, 0, 4096));
    CHECK(stuck_add(&s, 0, 4096, 7, &full)); /* news again, and the pause is the first */
    CHECK(s.next_us == 7 + STUCK_FIRST_US);
}

static void test_pauses(void)
{
    struct stuck s = {.n = 0};
    uint64_t now = 0, expected = STUCK_FIRST_US;
    bool full;
    add(&s, 0, &full);
    for (int n = 0; n < 20; n++) {
        CHECK(!stuck_is_time(&s, now + expected - 1) && stuck_is_time(&s, now + expected));
        now += expected;
        expected = 2 * expected < STUCK_LONGEST_US ? 2 * expected : STUCK_LONGEST_US;
        add(&s, 0, &full);
    }
    CHECK(expected == STUCK_LONGEST_US);
}

static void test_many(void)
{
    struct stuck s = {.n = 0};
    bool full;
    for (uint64_t i = 0; i < STUCK_MAX; i++)
        CHECK(add(&s, 2 * i, &full) == (i == 0) && !full);
    CHECK(!add(&s, 2 * STUCK_MAX + 1, &full) && full && !skips(&s, 2 * STUCK_MAX + 1));
    CHECK(!add(&s, 0, &full) && !full);
    CHECK(!add(&s, 1, &full) && !full); /* it joins two */
    CHECK(s.n == STUCK_MAX - 1 && stuck_bytes(&s) == (STUCK_MAX + 1ull) * BLOCK_SIZE);
    CHECK(!add(&s, 2 * STUCK_MAX + 1, &full) && !full);
    /* There is no room for what is behind. */
    CHECK(!stuck_drop(&s, at(1), BLOCK_SIZE) && skips(&s, 0) && !skips(&s, 1) && !skips(&s, 2));
    CHECK(s.n == STUCK_MAX && stuck_until(&s, at(4)) == at(5));
}

static void test_neighbours(void)
{
    struct stuck s = {.n = 0};
    bool full;
    for (uint64_t i = 1000; i-- > 0;)
        add(&s, i, &full);
    CHECK(s.n == 1 && stuck_bytes(&s) == at(1000) && stuck_until(&s, 0) == at(1000));
    CHECK(!stuck_drop(&s, at(500), BLOCK_SIZE) && s.n == 2);
    CHECK(stuck_until(&s, at(5)) == at(500) && !skips(&s, 500) && skips(&s, 501));
    CHECK(!stuck_drop(&s, at(501), at(499)) && stuck_drop(&s, 0, at(500)));
}

/* The blocks below N that are due, tried in ascending order until none is, all of which fail. */
static unsigned round_of(struct stuck *s, uint64_t n, unsigned *tried)
{
    unsigned times = 0;
    bool full;
    for (uint64_t i = s->from / BLOCK_SIZE; i < n; i++) {
        if (skips(s, i))
            continue;
        tried[i]++;
        times++;
        add(s, i, &full);
    }
    return times;
}

static void test_turns(void)
{
    enum { N = 5 * STUCK_TRIES / 2 };
    struct stuck s = {.n = 0};
    unsigned tried[N] = {0};
    bool full;
    for (uint64_t i = 0; i < N; i++)
        add(&s, i, &full);
    CHECK(round_of(&s, N, tried) == 0);
    for (unsigned turn = 1; turn <= 6; turn++) {
        CHECK(stuck_is_time(&s, s.next_us));
        CHECK(round_of(&s, N, tried) == (turn % 3 ? STUCK_TRIES : STUCK_TRIES / 2));
    }
    for (unsigned i = 0; i < N; i++)
        CHECK(tried[i] == 2);
}

/* Against a table of blocks. */
static void test_random(void)
{
    enum { N = 100 };
    struct stuck s = {.n = 0};
    bool is[N] = {false};
    bool full;
    srand(1);
    for (int step = 0; step < 100000; step++) {
        const unsigned i = (unsigned)rand() % N;
        if (rand() % 2) {
            add(&s, i, &full);
            is[i] = true;
            CHECK(!full); /* N / 2 ranges have room */
        } else {
            stuck_drop(&s, at(i), BLOCK_SIZE);
            is[i] = false;
        }
        uint64_t bytes = 0;
        for (unsigned k = 0; k < N; k++) {
            bytes += is[k] ? BLOCK_SIZE : 0;
            if (skips(&s, k) != is[k])
                CHECK(skips(&s, k) == is[k]);
        }
        CHECK(stuck_bytes(&s) == bytes && (s.n == 0) == (bytes == 0));
    }
}

int main(void)
{
    test_begin("stuck");
    test_one();
    test_pauses();
    test_many();
    test_neighbours();
    test_turns();
    test_random();
    return test_done();
}
