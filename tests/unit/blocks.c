/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The block states of a move: each rule by hand.  blocks_random.c does it at random. */
#include <errno.h>

#include "cmd/route-director/blocks.h"
#include "tests/unit/tap.h"

enum { K64 = BLOCK_SIZE, K4 = PAGE_SIZE };

static const int us, them; /* two drivers: only their addresses count */

struct extent {
    int64_t id;
    uint64_t offset, length;
};

static struct extent claim_of(struct blocks *b, enum claim_kind kind, uint64_t max, const int *who)
{
    struct extent e = {0, 0, 0};
    e.id = blocks_claim(b, kind, max, who, &e.offset, &e.length);
    return e;
}

static struct extent claim(struct blocks *b, enum claim_kind kind, uint64_t max)
{
    return claim_of(b, kind, max, &us);
}

static bool busy_never(void *arg, uint64_t offset, uint64_t length)
{
    (void)arg, (void)offset, (void)length;
    return false;
}

static bool busy_always(void *arg, uint64_t offset, uint64_t length)
{
    (void)arg, (void)offset, (void)length;
    return true;
}

static int done(struct blocks *b, struct extent e, enum claim_kind kind)
{
    return blocks_done(b, (uint64_t)e.id, kind, &us, busy_never, NULL);
}

/* N blocks, all synced; nothing proved. */
static struct blocks *synced_volume(uint64_t size)
{
    struct blocks *b = blocks_new(size);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK(done(b, e, CLAIM_COPY) == 0);
    CHECK_EQ_U64(blocks_counts(b).dirty, 0);
    return b;
}

static struct blocks *complete_volume(uint64_t size)
{
    struct blocks *b = synced_volume(size);
    CHECK(!blocks_complete(b));
    CHECK(done(b, claim(b, CLAIM_PROVE, UINT64_MAX), CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b));
    return b;
}

static void expect_counts(const struct blocks *b, struct blocks_counts want)
{
    struct blocks_counts n = blocks_counts(b);
    CHECK_EQ_U64(n.dirty, want.dirty);
    CHECK_EQ_U64(n.copying, want.copying);
    CHECK_EQ_U64(n.haunted, want.haunted);
    CHECK_EQ_U64(n.synced, want.synced);
    CHECK_EQ_U64(n.unproved, want.unproved);
    CHECK_EQ_U64(n.exempt, want.exempt);
}

/* ---- claims ---- */

static void test_copy_goes_round(void)
{
    struct blocks *b = blocks_new(4 * K64);
    expect_counts(b, (struct blocks_counts){.dirty = 4 * K64});
    struct extent first = claim(b, CLAIM_COPY, 2 * K64 + 1);
    CHECK_EQ_U64(first.offset, 0);
    CHECK_EQ_U64(first.length, 2 * K64);
    struct extent second = claim(b, CLAIM_COPY, 1);
    CHECK_EQ_U64(second.offset, 2 * K64);
    CHECK_EQ_U64(second.length, K64);
    CHECK(second.id != first.id);
    CHECK(blocks_release(b, (uint64_t)first.id, &us) == 0);
    struct extent third = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK_EQ_U64(third.offset, 3 * K64);
    CHECK_EQ_U64(third.length, K64);
    struct extent fourth = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK_EQ_U64(fourth.offset, 0);
    CHECK_EQ_U64(fourth.length, 2 * K64);
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).id == 0);
    CHECK(claim(b, CLAIM_PROVE, UINT64_MAX).id == 0);
    blocks_free(b);
}

static void test_a_proof_that_is_given_up_leaves_its_blocks(void)
{
    struct blocks *b = blocks_new(2 * K64);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK(done(b, e, CLAIM_COPY) == 0);
    e = claim(b, CLAIM_PROVE, K64);
    CHECK(blocks_release(b, (uint64_t)e.id, &them) == -ESTALE);
    CHECK(blocks_release(b, (uint64_t)e.id, &us) == 1);
    CHECK(blocks_release(b, (uint64_t)e.id, &us) == -ESTALE);
    expect_counts(b, (struct blocks_counts){.synced = 2 * K64, .unproved = 2 * K64});
    claim(b, CLAIM_PROVE, K64);
    e = claim(b, CLAIM_PROVE, K64); /* goes round: the first block can be claimed again */
    CHECK_EQ_U64(e.offset, 0);
    blocks_free(b);
}

static void test_claims_are_their_drivers(void)
{
    struct blocks *b = blocks_new(2 * K64);
    struct extent e = claim(b, CLAIM_COPY, K64);
    CHECK(blocks_done(b, (uint64_t)e.id, CLAIM_COPY, &them, busy_never, NULL) == -ESTALE);
    CHECK(blocks_done(b, (uint64_t)e.id, CLAIM_PROVE, &us, busy_never, NULL) == -ESTALE);
    CHECK(blocks_done(b, (uint64_t)e.id + 1, CLAIM_COPY, &us, busy_never, NULL) == -ESTALE);
    CHECK(blocks_release(b, (uint64_t)e.id, &them) == -ESTALE);
    CHECK(blocks_differ(b, (uint64_t)e.id, &us, busy_never, NULL) == -ESTALE);
    CHECK(done(b, e, CLAIM_COPY) == 0);
    CHECK(done(b, e, CLAIM_COPY) == -ESTALE);
    expect_counts(b, (struct blocks_counts){.dirty = K64, .synced = K64, .unproved = K64});
    blocks_free(b);
}

static void test_tail(void)
{
    /* 2 blocks, a page and a byte: the tail of the tail is one page too. */
    const uint64_t size = 2 * K64 + K4 + 1;
    struct blocks *b = blocks_new(size);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK_EQ_U64(e.length, size);
    CHECK(done(b, e, CLAIM_COPY) == 0);
    CHECK(done(b, claim(b, CLAIM_PROVE, 2 * K64), CLAIM_PROVE) == 0);
    CHECK(!blocks_complete(b));
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.offset, 2 * K64);
    CHECK_EQ_U64(e.length, K4 + 1);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b));
    blocks_written(b, size - 1, 1, true);
    CHECK(!blocks_complete(b));
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.offset, 2 * K64 + K4);
    CHECK_EQ_U64(e.length, 1);
    blocks_free(b);
}

static void test_empty(void)
{
    struct blocks *b = blocks_new(0);
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).id == 0);
    CHECK(blocks_complete(b));
    blocks_free(b);
}

static void test_proof_is_by_pages(void)
{
    struct blocks *b = complete_volume(3 * K64);
    blocks_written(b, K64 + 3 * K4 + 5, K4, true);
    expect_counts(b, (struct blocks_counts){.synced = 3 * K64, .unproved = 2 * K4});
    struct extent e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.offset, K64 + 3 * K4);
    CHECK_EQ_U64(e.length, 2 * K4);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b));
    blocks_written(b, 2 * K64 - 1, 2, true);
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.offset, 2 * K64 - K4);
    CHECK_EQ_U64(e.length, 2 * K4);
    blocks_free(b);
}

static void write_page(struct blocks *b, unsigned page)
{
    blocks_written(b, page * K4, 1, true);
}

/* One claim for pages of a block that lie close, and for no more. */
static void test_proof_takes_in_what_lies_between(void)
{
    struct blocks *b = complete_volume(3 * K64);
    write_page(b, 1);
    write_page(b, 6);
    write_page(b, 12);
    write_page(b, 16 + 4); /* the next block's first page is proved: not with it */
    struct extent e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.offset, K4);
    CHECK_EQ_U64(e.length, 6 * K4);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.offset, 12 * K4);
    CHECK_EQ_U64(e.length, K4);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    write_page(b, 0);
    write_page(b, 4);
    expect_counts(b, (struct blocks_counts){.synced = 3 * K64, .unproved = 3 * K4});
    e = claim(b, CLAIM_PROVE, 3 * K4);
    CHECK_EQ_U64(e.offset, 0);
    CHECK_EQ_U64(e.length, K4);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    CHECK_EQ_U64(claim(b, CLAIM_PROVE, UINT64_MAX).offset, 4 * K4);
    CHECK_EQ_U64(claim(b, CLAIM_PROVE, UINT64_MAX).offset, 20 * K4);
    blocks_free(b);
}

/* ---- S6, S8: what a write does to claims ---- */

static void test_write_voids_copy(bool mirrored)
{
    struct blocks *b = blocks_new(4 * K64);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    blocks_written(b, K64 + 100, 1, mirrored);
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).id == 0); /* S7: not before the copier answered */
    CHECK(done(b, e, CLAIM_COPY) == 0);
    expect_counts(b, (struct blocks_counts){.dirty = K64, .synced = 3 * K64, .unproved = 3 * K64});
    e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK_EQ_U64(e.offset, K64);
    CHECK_EQ_U64(e.length, K64);
    blocks_free(b);
}

static void test_write_voids_proof(void)
{
    struct blocks *b = synced_volume(2 * K64);
    struct extent e = claim(b, CLAIM_PROVE, UINT64_MAX);
    blocks_written(b, K64, 1, true);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    CHECK_EQ_U64(blocks_counts(b).unproved, K64);
    CHECK(!blocks_complete(b));
    blocks_free(b);
}

static void test_write_ends_after_the_claim(void)
{
    struct blocks *b = complete_volume(2 * K64);
    blocks_written(b, 0, K4, true); /* arrives */
    struct extent e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b));
    blocks_written(b, 0, K4, true); /* ends: what the proof read may be older */
    CHECK(!blocks_complete(b));
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    blocks_written(b, 0, K4, false); /* ends with an error on a leg */
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    expect_counts(b, (struct blocks_counts){.dirty = K64, .synced = K64});
    CHECK(!blocks_complete(b));
    blocks_free(b);
}

static void test_mirrors_only_synced_blocks(void)
{
    struct blocks *b = blocks_new(3 * K64);
    CHECK(!blocks_all_synced(b, 0, 1));
    CHECK(done(b, claim(b, CLAIM_COPY, 2 * K64), CLAIM_COPY) == 0);
    CHECK(blocks_all_synced(b, 0, 2 * K64));
    CHECK(blocks_all_synced(b, 2 * K64 - 1, 1));
    CHECK(!blocks_all_synced(b, 2 * K64 - 1, 2));
    struct extent e = claim(b, CLAIM_COPY, K64);
    CHECK(!blocks_all_synced(b, e.offset, 1));
    blocks_written(b, K64, 1, false);
    CHECK(!blocks_all_synced(b, 0, 2 * K64));
    blocks_free(b);
}

/* A mirrored write may reach the target before the copier does, and end after it. */
static void test_copy_under_a_mirrored_write(void)
{
    struct blocks *b = synced_volume(2 * K64);
    blocks_written(b, 0, 1, true);   /* arrives */
    blocks_written(b, K4, 1, false); /* another one makes the block dirty */
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK(blocks_done(b, (uint64_t)e.id, CLAIM_COPY, &us, busy_always, NULL) == 0);
    expect_counts(b, (struct blocks_counts){.dirty = K64, .synced = K64, .unproved = K64});
    blocks_free(b);
}

static void test_stale_claim_of_a_block_claimed_anew(void)
{
    struct blocks *b = synced_volume(K64);
    struct extent proof = claim(b, CLAIM_PROVE, K64);
    blocks_written(b, 0, 1, false);
    struct extent copy = claim(b, CLAIM_COPY, K64);
    CHECK(done(b, proof, CLAIM_PROVE) == 0);
    expect_counts(b, (struct blocks_counts){.copying = K64});
    CHECK(done(b, copy, CLAIM_COPY) == 0);
    expect_counts(b, (struct blocks_counts){.synced = K64, .unproved = K64});
    blocks_free(b);
}

static void test_differ(void)
{
    struct blocks *b = synced_volume(2 * K64);
    struct extent e = claim(b, CLAIM_PROVE, UINT64_MAX);
    blocks_written(b, 0, 1, true);
    CHECK(blocks_differ(b, (uint64_t)e.id, &us, busy_never, NULL) == 1);
    CHECK_EQ_U64(blocks_counts(b).synced, 2 * K64);
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK_EQ_U64(e.length, 2 * K64); /* what was not touched may be claimed again too */
    CHECK(blocks_differ(b, (uint64_t)e.id, &us, busy_always, NULL) == 1);
    e = claim(b, CLAIM_PROVE, UINT64_MAX);
    CHECK(blocks_differ(b, (uint64_t)e.id, &them, busy_never, NULL) == -ESTALE);
    CHECK(blocks_differ(b, (uint64_t)e.id, &us, busy_never, NULL) == 0);
    expect_counts(b, (struct blocks_counts){.dirty = 2 * K64});
    blocks_free(b);
}

static void test_unprove(void)
{
    struct blocks *b = complete_volume(2 * K64);
    blocks_written(b, 0, 1, true);
    struct extent e = claim(b, CLAIM_PROVE, UINT64_MAX);
    blocks_unprove(b);
    CHECK(done(b, e, CLAIM_PROVE) == 0);
    expect_counts(b, (struct blocks_counts){.synced = 2 * K64, .unproved = 2 * K64});
    blocks_free(b);
}

static void test_void(void)
{
    struct blocks *b = synced_volume(4 * K64);
    blocks_written(b, 0, 2 * K64, false);
    struct extent copy = claim(b, CLAIM_COPY, UINT64_MAX);
    struct extent proof = claim(b, CLAIM_PROVE, UINT64_MAX);
    blocks_void(b);
    expect_counts(
        b, (struct blocks_counts){.copying = 2 * K64, .synced = 2 * K64, .unproved = 2 * K64});
    CHECK_EQ_U64((uint64_t)claim(b, CLAIM_COPY, UINT64_MAX).id, 0);
    CHECK(done(b, proof, CLAIM_PROVE) == 0);
    CHECK(done(b, copy, CLAIM_COPY) == 0);
    expect_counts(b,
                  (struct blocks_counts){.dirty = 2 * K64, .synced = 2 * K64, .unproved = 2 * K64});
    blocks_free(b);
}

/* ---- S2: a copier that died ---- */

static void test_haunted(void)
{
    struct blocks *b = blocks_new(4 * K64);
    CHECK(done(b, claim(b, CLAIM_COPY, K64), CLAIM_COPY) == 0);
    claim(b, CLAIM_COPY, K64);
    claim(b, CLAIM_PROVE, K64);
    struct extent other = claim_of(b, CLAIM_COPY, K64, &them);
    CHECK_EQ_U64(blocks_driver_gone(b, &us, 1000), 1);
    expect_counts(
        b, (struct blocks_counts){
               .dirty = K64, .copying = K64, .haunted = K64, .synced = K64, .unproved = K64});
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).offset == 3 * K64);
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).id == 0);
    CHECK(claim(b, CLAIM_PROVE, UINT64_MAX).length == K64); /* a proof writes nothing */
    blocks_written(b, K64, K64, true);                      /* nor does a client's write help */
    CHECK_EQ_U64(blocks_counts(b).haunted, K64);
    CHECK(!blocks_all_synced(b, K64, 1));
    CHECK_EQ_U64(blocks_exorcise(b, 999), 1000);
    CHECK_EQ_U64(blocks_counts(b).haunted, K64);
    CHECK_EQ_U64(blocks_exorcise(b, 1000), 0);
    CHECK_EQ_U64(blocks_counts(b).haunted, 0);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK_EQ_U64(e.offset, K64);
    CHECK(blocks_done(b, (uint64_t)other.id, CLAIM_COPY, &them, busy_never, NULL) == 0);
    blocks_free(b);
}

static void test_haunted_by_two(void)
{
    struct blocks *b = blocks_new(2 * K64);
    claim_of(b, CLAIM_COPY, K64, &them);
    claim(b, CLAIM_COPY, K64);
    CHECK_EQ_U64(blocks_driver_gone(b, &us, 2000), 1);
    CHECK_EQ_U64(blocks_driver_gone(b, &them, 1000), 1);
    CHECK_EQ_U64(blocks_exorcise(b, 0), 1000);
    CHECK_EQ_U64(blocks_exorcise(b, 1500), 2000);
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).offset == 0);
    CHECK_EQ_U64(blocks_exorcise(b, 2000), 0);
    CHECK(claim(b, CLAIM_COPY, UINT64_MAX).offset == K64);
    blocks_free(b);
}

/* ---- what is equal already ---- */

static void test_cut(void)
{
    struct blocks *b = blocks_new(4 * K64 + 10);
    uint64_t offset, length;
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    blocks_cut(b, (uint64_t)e.id, &them, K64); /* not theirs */
    CHECK_EQ_U64(blocks_counts(b).copying, 4 * K64 + 10);
    blocks_cut(b, (uint64_t)e.id, &us, K64);
    CHECK(blocks_extent(b, (uint64_t)e.id, &us, &offset, &length) == 0);
    CHECK(offset == 0 && length == K64);
    CHECK(blocks_extent(b, (uint64_t)e.id, &them, &offset, &length) == -ESTALE);
    CHECK_EQ_U64(blocks_counts(b).copying, K64);
    struct extent rest = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK(rest.offset == K64 && rest.length == 3 * K64 + 10);
    CHECK(done(b, e, CLAIM_COPY) == 0);
    expect_counts(b, (struct blocks_counts){.copying = 4 * K64, .synced = K64, .unproved = K64});
    blocks_free(b);
}

static int adopt(struct blocks *b, struct extent e, blocks_busy_fn *busy)
{
    return blocks_adopt(b, (uint64_t)e.id, &us, busy, NULL);
}

static void test_adopt(void)
{
    struct blocks *b = blocks_new(4 * K64 + 10);
    blocks_set_verify(b, VERIFY_DELTA);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK(adopt(b, e, busy_never) == -EINVAL); /* nobody said that it is equal */
    blocks_claim_equal(b, (uint64_t)e.id, &them);
    CHECK(adopt(b, e, busy_never) == -EINVAL);
    blocks_claim_equal(b, (uint64_t)e.id, &us);
    CHECK(blocks_adopt(b, (uint64_t)e.id, &them, busy_never, NULL) == -ESTALE);
    blocks_written(b, K64, 1, false);
    CHECK(adopt(b, e, busy_never) == 0);
    expect_counts(b, (struct blocks_counts){.dirty = K64, .synced = 4 * K64, .exempt = 4 * K64});
    CHECK(!blocks_complete(b));
    CHECK(adopt(b, e, busy_never) == -ESTALE);
    /* Claimed anew nothing of it is equal, until that is said again. */
    e = claim(b, CLAIM_COPY, UINT64_MAX);
    CHECK(adopt(b, e, busy_never) == -EINVAL);
    blocks_claim_equal(b, (uint64_t)e.id, &us);
    CHECK(adopt(b, e, busy_always) == 0);
    CHECK_EQ_U64(blocks_counts(b).dirty, K64);
    CHECK(done(b, claim(b, CLAIM_COPY, UINT64_MAX), CLAIM_COPY) == 0);
    CHECK_EQ_U64(blocks_counts(b).unproved, K64);
    CHECK(done(b, claim(b, CLAIM_PROVE, UINT64_MAX), CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b));
    CHECK(blocks_proved(b) == VERIFY_DELTA);
    /* What was adopted is proved no longer by a write, nor for another driver. */
    blocks_written(b, 2 * K64, 1, true);
    CHECK_EQ_U64(blocks_counts(b).unproved, K4);
    blocks_unprove(b);
    CHECK(!blocks_complete(b));
    expect_counts(b, (struct blocks_counts){.synced = 4 * K64 + 10, .unproved = 4 * K64 + 10});
    blocks_free(b);
}

/* All of a volume claimed, and adopted as equal. */
static void adopt_all(struct blocks *b)
{
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    blocks_claim_equal(b, (uint64_t)e.id, &us);
    CHECK(adopt(b, e, busy_never) == 0);
}

/* ---- S8: so much is to be proved ---- */

static void test_verify_full(void)
{
    struct blocks *b = blocks_new(2 * K64);
    adopt_all(b);
    expect_counts(b, (struct blocks_counts){.synced = 2 * K64, .unproved = 2 * K64});
    CHECK(!blocks_complete(b) && blocks_proved(b) == VERIFY_NONE);
    CHECK(done(b, claim(b, CLAIM_PROVE, UINT64_MAX), CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b) && blocks_proved(b) == VERIFY_FULL);
    blocks_free(b);
}

static void test_verify_delta(void)
{
    struct blocks *b = blocks_new(3 * K64);
    blocks_set_verify(b, VERIFY_DELTA);
    CHECK(done(b, claim(b, CLAIM_COPY, K64), CLAIM_COPY) == 0); /* sent */
    adopt_all(b);
    expect_counts(b, (struct blocks_counts){.synced = 3 * K64, .unproved = K64, .exempt = 2 * K64});
    CHECK(!blocks_complete(b));
    CHECK(done(b, claim(b, CLAIM_PROVE, UINT64_MAX), CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b) && blocks_proved(b) == VERIFY_DELTA);
    /* What is written later is proved, and makes nothing else of its block so. */
    blocks_written(b, K64, 1, true);
    expect_counts(b, (struct blocks_counts){.synced = 3 * K64, .unproved = K4, .exempt = 2 * K64});
    CHECK(done(b, claim(b, CLAIM_PROVE, UINT64_MAX), CLAIM_PROVE) == 0);
    CHECK(blocks_proved(b) == VERIFY_DELTA);
    /* What is sent after all is proved like the rest. */
    blocks_written(b, K64, 2 * K64, false);
    CHECK_EQ_U64(blocks_counts(b).exempt, 0);
    CHECK(blocks_proved(b) == VERIFY_NONE);
    CHECK(done(b, claim(b, CLAIM_COPY, UINT64_MAX), CLAIM_COPY) == 0);
    CHECK(done(b, claim(b, CLAIM_PROVE, UINT64_MAX), CLAIM_PROVE) == 0);
    CHECK(blocks_complete(b) && blocks_proved(b) == VERIFY_FULL);
    blocks_free(b);
}

static void test_verify_none(void)
{
    struct blocks *b = blocks_new(2 * K64 + 1);
    blocks_set_verify(b, VERIFY_NONE);
    CHECK(done(b, claim(b, CLAIM_COPY, 2 * K64), CLAIM_COPY) == 0);
    CHECK(claim(b, CLAIM_PROVE, UINT64_MAX).id == 0);
    CHECK(!blocks_complete(b)); /* the tail is dirty */
    CHECK(done(b, claim(b, CLAIM_COPY, UINT64_MAX), CLAIM_COPY) == 0);
    blocks_written(b, 0, 1, true);
    blocks_unprove(b);
    CHECK(blocks_complete(b) && blocks_proved(b) == VERIFY_NONE);
    expect_counts(b, (struct blocks_counts){.synced = 2 * K64 + 1, .exempt = 2 * K64 + 1});
    blocks_written(b, 0, 1, false);
    CHECK(!blocks_complete(b));
    blocks_free(b);
}

/* More is asked for: nothing that was exempt, or is being proved, counts. */
static void test_verify_changes(void)
{
    struct blocks *b = blocks_new(2 * K64);
    blocks_set_verify(b, VERIFY_DELTA);
    CHECK(done(b, claim(b, CLAIM_COPY, K64), CLAIM_COPY) == 0);
    adopt_all(b);
    struct extent proof = claim(b, CLAIM_PROVE, UINT64_MAX);
    blocks_set_verify(b, VERIFY_DELTA); /* as before: it says nothing */
    CHECK_EQ_U64(blocks_counts(b).exempt, K64);
    blocks_set_verify(b, VERIFY_FULL);
    CHECK(done(b, proof, CLAIM_PROVE) == 0);
    expect_counts(b, (struct blocks_counts){.synced = 2 * K64, .unproved = 2 * K64});
    blocks_set_verify(b, VERIFY_NONE);
    CHECK(blocks_complete(b));
    blocks_free(b);
}

/* S8: what a mirror keeps equal is not copied, but compared all the same. */
static void test_adopt_what_was_mirrored(void)
{
    struct blocks *b = blocks_new(4 * K64 + 10);
    struct extent e = claim(b, CLAIM_COPY, UINT64_MAX);
    blocks_claim_mirrored(b, (uint64_t)e.id, &them);
    CHECK(adopt(b, e, busy_never) == -EINVAL);
    blocks_claim_mirrored(b, (uint64_t)e.id, &us);
    blocks_written(b, K64, 1, false);
    CHECK(adopt(b, e, busy_never) == 0);
    expect_counts(
        b, (struct blocks_counts){.dirty = K64, .synced = 4 * K64, .unproved = 3 * K64 + K4});
    blocks_free(b);
}

static void test_copy_within(void)
{
    struct blocks *b = blocks_new(5 * K64 + 100);
    struct extent e = {0, 0, 0};
    /* Blocks that begin in the range, no others; a part of one at its end counts as the block. */
    e.id = blocks_claim_in(b, K64 + 1, 3 * K64 + 1, UINT64_MAX, &us, &e.offset, &e.length);
    CHECK(e.id > 0 && e.offset == 2 * K64 && e.length == 2 * K64);
    CHECK(blocks_claim_in(b, K64 + 1, 4 * K64, UINT64_MAX, &us, &e.offset, &e.length) == 0);
    CHECK(blocks_claim_in(b, 6 * K64, UINT64_MAX, K64, &us, &e.offset, &e.length) == 0);
    CHECK(blocks_claim_in(b, 2 * K64, K64, K64, &us, &e.offset, &e.length) == 0);
    e.id = blocks_claim_in(b, 5 * K64, UINT64_MAX, 1, &us, &e.offset, &e.length);
    CHECK(e.id > 0 && e.offset == 5 * K64 && e.length == 100);
    e.id = blocks_claim_in(b, 0, K64, 8 * K64, &us, &e.offset, &e.length);
    CHECK(e.id > 0 && e.offset == 0 && e.length == K64);
    blocks_free(b);
}

static void test_missing(void)
{
    uint64_t offset, length, claim_offset, claim_length;
    int driver;
    struct blocks *b = blocks_new(5 * BLOCK_SIZE + 100);
    CHECK(blocks_missing(b, 0, UINT64_MAX, &offset, &length));
    CHECK_EQ_U64(offset, 0);
    CHECK_EQ_U64(length, 5 * BLOCK_SIZE + 100);
    CHECK(!blocks_missing(b, 5 * BLOCK_SIZE + 100, UINT64_MAX, &offset, &length));
    CHECK(!blocks_missing(b, UINT64_MAX, UINT64_MAX, &offset, &length));
    CHECK(!blocks_missing(b, BLOCK_SIZE, BLOCK_SIZE, &offset, &length));
    int64_t id = blocks_claim_in(b, BLOCK_SIZE, 3 * BLOCK_SIZE, UINT64_MAX, &driver, &claim_offset,
                                 &claim_length);
    CHECK(id > 0 && claim_length == 2 * BLOCK_SIZE);
    /* What is being copied is not there yet. */
    CHECK(blocks_missing(b, BLOCK_SIZE, UINT64_MAX, &offset, &length) && offset == BLOCK_SIZE);
    CHECK(blocks_done(b, (uint64_t)id, CLAIM_COPY, &driver, busy_never, NULL) == 0);
    CHECK(blocks_missing(b, 0, UINT64_MAX, &offset, &length));
    CHECK(offset == 0 && length == BLOCK_SIZE);
    CHECK(blocks_missing(b, BLOCK_SIZE, UINT64_MAX, &offset, &length));
    CHECK(offset == 3 * BLOCK_SIZE && length == 2 * BLOCK_SIZE + 100);
    /* An extent is cut at the end of what is looked at. */
    CHECK(blocks_missing(b, 0, 4 * BLOCK_SIZE, &offset, &length) && length == BLOCK_SIZE);
    CHECK(blocks_missing(b, BLOCK_SIZE, 4 * BLOCK_SIZE, &offset, &length));
    CHECK(offset == 3 * BLOCK_SIZE && length == BLOCK_SIZE);
    CHECK(!blocks_missing(b, BLOCK_SIZE, 3 * BLOCK_SIZE, &offset, &length));
    blocks_free(b);
}

/* Who may write to the target: the driver, within one of its copy claims. */
static void test_may_copy(void)
{
    struct blocks *b = blocks_new(8 * K64 + 100);
    CHECK(!blocks_may_copy(b, 0, K64, &us));
    struct extent e = claim(b, CLAIM_COPY, 2 * K64);
    struct extent next = claim(b, CLAIM_COPY, K64);
    CHECK(blocks_may_copy(b, 0, 2 * K64, &us));
    CHECK(blocks_may_copy(b, K4, 1, &us));
    CHECK(blocks_may_copy(b, 2 * K64, K64, &us));
    CHECK(!blocks_may_copy(b, K64, 2 * K64, &us)); /* two claims */
    CHECK(!blocks_may_copy(b, 3 * K64 - 1, 2, &us));
    CHECK(!blocks_may_copy(b, 0, 2 * K64, &them));
    CHECK(!blocks_may_copy(b, UINT64_MAX, 1, &us));
    CHECK(!blocks_may_copy(b, 1, UINT64_MAX, &us));
    /* A write of a client voids the claim; the copier has to end it all the same. */
    blocks_written(b, 0, K4, false);
    CHECK(blocks_may_copy(b, 0, K64, &us));
    CHECK(blocks_done(b, (uint64_t)e.id, CLAIM_COPY, &us, busy_never, NULL) == 0);
    CHECK(!blocks_may_copy(b, 0, K64, &us));
    CHECK(blocks_release(b, (uint64_t)next.id, &us) == 0);
    CHECK(!blocks_may_copy(b, 2 * K64, K64, &us));
    e = claim(b, CLAIM_PROVE, K64);
    CHECK(e.id > 0 && !blocks_may_copy(b, e.offset, e.length, &us));
    /* The last block is as long as the volume. */
    uint64_t tail = 8 * K64;
    e.id = blocks_claim_in(b, tail, tail + 1, K64, &us, &e.offset, &e.length);
    CHECK(blocks_may_copy(b, tail, 100, &us));
    CHECK(!blocks_may_copy(b, tail, 101, &us));
    CHECK(blocks_driver_gone(b, &us, 1) == 1);
    CHECK(!blocks_may_copy(b, tail, 100, &us));
    blocks_free(b);
}

int main(void)
{
    test_begin("blocks");
    test_may_copy();
    test_cut();
    test_adopt();
    test_verify_full();
    test_verify_delta();
    test_verify_none();
    test_verify_changes();
    test_adopt_what_was_mirrored();
    test_copy_goes_round();
    test_copy_within();
    test_claims_are_their_drivers();
    test_a_proof_that_is_given_up_leaves_its_blocks();
    test_tail();
    test_empty();
    test_proof_is_by_pages();
    test_proof_takes_in_what_lies_between();
    test_write_voids_copy(true);
    test_write_voids_copy(false);
    test_write_voids_proof();
    test_write_ends_after_the_claim();
    test_mirrors_only_synced_blocks();
    test_copy_under_a_mirrored_write();
    test_stale_claim_of_a_block_claimed_anew();
    test_differ();
    test_unprove();
    test_void();
    test_haunted();
    test_haunted_by_two();
    test_missing();
    return test_done();
}
