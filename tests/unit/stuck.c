/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Blocks that a standby does not get: which are left out, and until when. */
#include "cmd/route-director/stuck.h"

#include "cmd/route-director/blocks.h"
#include "tests/unit/tap.h"

static void test_one(void)
{
    struct stuck s = {.n = 0};
    bool full;
    CHECK(!stuck_is_time(&s, UINT64_MAX) && !stuck_drop(&s, 0) && !stuck_skips(&s, 0));
    CHECK(stuck_add(&s, 0, 4096, 1000, &full) && !full);
    CHECK(stuck_bytes(&s) == 4096 && stuck_skips(&s, 0) && !stuck_skips(&s, BLOCK_SIZE));
    CHECK(!stuck_is_time(&s, 1000 + STUCK_FIRST_US - 1));
    CHECK(stuck_is_time(&s, 1000 + STUCK_FIRST_US) && !stuck_skips(&s, 0));
    CHECK(!stuck_is_time(&s, 1000 + STUCK_FIRST_US));                      /* it is due once */
    CHECK(!stuck_add(&s, 0, 4096, 1000 + STUCK_FIRST_US, &full) && !full); /* no news */
    CHECK(s.n == 1 && stuck_skips(&s, 0));
    CHECK(stuck_drop(&s, 0) && s.n == 0 && stuck_bytes(&s) == 0);
    CHECK(!stuck_drop(&s, 0));
    CHECK(stuck_add(&s, 0, 4096, 7, &full)); /* news again, and the pause is the first */
    CHECK(s.next_us == 7 + STUCK_FIRST_US);
}

static void test_pauses(void)
{
    struct stuck s = {.n = 0};
    uint64_t now = 0, expected = STUCK_FIRST_US;
    bool full;
    stuck_add(&s, 0, BLOCK_SIZE, now, &full);
    for (int n = 0; n < 20; n++) {
        CHECK(!stuck_is_time(&s, now + expected - 1) && stuck_is_time(&s, now + expected));
        now += expected;
        expected = 2 * expected < STUCK_LONGEST_US ? 2 * expected : STUCK_LONGEST_US;
        stuck_add(&s, 0, BLOCK_SIZE, now, &full);
    }
    CHECK(expected == STUCK_LONGEST_US);
}

static void test_many(void)
{
    struct stuck s = {.n = 0};
    bool full;
    for (uint64_t i = 0; i < STUCK_MAX; i++)
        CHECK(stuck_add(&s, i * BLOCK_SIZE, BLOCK_SIZE, 0, &full) == (i == 0) && !full);
    CHECK(!stuck_add(&s, (uint64_t)STUCK_MAX * BLOCK_SIZE, BLOCK_SIZE, 0, &full) && full);
    CHECK(!stuck_skips(&s, (uint64_t)STUCK_MAX * BLOCK_SIZE));
    CHECK(!stuck_add(&s, 0, BLOCK_SIZE, 0, &full) && !full);
    CHECK(stuck_bytes(&s) == (uint64_t)STUCK_MAX * BLOCK_SIZE);
    for (uint64_t i = 0; i < STUCK_MAX; i++)
        CHECK(stuck_drop(&s, i * BLOCK_SIZE) == (i == STUCK_MAX - 1));
}

int main(void)
{
    test_begin("stuck");
    test_one();
    test_pauses();
    test_many();
    return test_done();
}
