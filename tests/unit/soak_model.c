/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The soak test's model: each rule of what a read may return, by hand. */
#include "tests/soak/model.c"
#include "tests/unit/tap.h"

enum { VOLUME_BYTES = 64 * UNIT_BYTES + 100, MARGIN = 50 };

/* One unit, number 5, is enough for most rules. */
static void asked(struct model *m, uint64_t op)
{
    model_asked(m, 5, 1, op, false);
}

static void acked(struct model *m, uint64_t op)
{
    model_acked(m, 5, 1, op, false);
}

static bool returned(struct model *m, const struct model_read *r, uint64_t value)
{
    unsigned char data[UNIT_BYTES];
    struct finding f;
    model_pattern(m, 5, 1, value, data);
    return model_check(m, r, model_offset(m, 5), data, sizeof(data), &f);
}

/* May a read asked now return VALUE? */
static bool reads(struct model *m, uint64_t value)
{
    struct model_read r;
    model_read_asked(m, &r);
    bool ok = returned(m, &r, value);
    model_read_over(m, &r);
    return ok;
}

static struct model *fresh(bool keep)
{
    struct model *m = model_new(3, VOLUME_BYTES, MARGIN, keep);
    if (!m)
        abort();
    return m;
}

static void test_writes(void)
{
    struct model *m = fresh(false);
    CHECK(reads(m, 0));
    CHECK(!reads(m, 1));
    asked(m, 1);
    CHECK(reads(m, 0));
    acked(m, 1);
    CHECK(reads(m, 1));
    CHECK(!reads(m, 0));
    model_asked(m, 5, 1, 2, true);
    CHECK(reads(m, 1));
    acked(m, 2);
    CHECK(reads(m, 0));
    CHECK(!reads(m, 1));
    model_free(m);
}

static void test_read_during_writes(void)
{
    struct model *m = fresh(false);
    struct model_read r;
    asked(m, 1);
    acked(m, 1);
    model_read_asked(m, &r);
    asked(m, 2);
    acked(m, 2);
    asked(m, 3);
    CHECK(returned(m, &r, 1));
    CHECK(returned(m, &r, 2));
    CHECK(returned(m, &r, 3));
    CHECK(!returned(m, &r, 0));
    model_read_over(m, &r);
    CHECK(!reads(m, 1));
    model_free(m);
}

/* Two that overlapped in time: either, until a read has told which. */
static void test_order_is_settled(void)
{
    struct model *m = fresh(false);
    asked(m, 1);
    asked(m, 2);
    acked(m, 2);
    acked(m, 1);
    CHECK(!reads(m, 0));
    CHECK(reads(m, 2));
    CHECK(reads(m, 2));
    CHECK(!reads(m, 1));
    model_free(m);
}

/* What was seen of a write under way is not taken back, unless the write fails. */
static void test_seen_while_flying(void)
{
    struct model *m = fresh(false);
    asked(m, 1);
    acked(m, 1);
    asked(m, 2);
    CHECK(reads(m, 1));
    CHECK(reads(m, 2));
    CHECK(!reads(m, 1));
    model_doubtful(m, 5, 1, 2, true);
    CHECK(reads(m, 1));
    CHECK(reads(m, 2));
    model_free(m);
}

static void test_zeros_of_an_older_write_settle_nothing(void)
{
    struct model *m = fresh(false);
    struct model_read r;
    model_read_asked(m, &r); /* may return the zeros of the beginning */
    asked(m, 1);
    acked(m, 1);
    model_asked(m, 5, 1, 2, true);
    CHECK(returned(m, &r, 0));
    model_read_over(m, &r);
    CHECK(reads(m, 1));
    model_free(m);
}

static void test_doubt(void)
{
    struct model *m = fresh(false);
    asked(m, 1);
    acked(m, 1);
    asked(m, 2);
    asked(m, 3);
    model_doubtful(m, 5, 1, 2, true);
    acked(m, 3); /* was asked before the other failed */
    CHECK(reads(m, 3));
    CHECK(reads(m, 2));
    CHECK(reads(m, 3));
    CHECK(!reads(m, 1));
    asked(m, 4);
    acked(m, 4);
    CHECK(!reads(m, 2));
    model_free(m);
}

static void test_doubt_that_is_not_over(void)
{
    struct model *m = fresh(false);
    asked(m, 1);
    model_doubtful(m, 5, 1, 1, false);
    asked(m, 2);
    acked(m, 2);
    CHECK(reads(m, 1));
    model_over(m, 5, 1, 1);
    CHECK(reads(m, 1));
    asked(m, 3);
    acked(m, 3);
    CHECK(!reads(m, 1));
    model_free(m);
}

static void test_crash(void)
{
    struct model *m = fresh(true);
    for (uint64_t op = 1; op <= 4; op++) {
        asked(m, op);
        acked(m, op);
        if (op == 2)
            model_flushed(m, model_flush_asked(m));
    }
    CHECK(!reads(m, 3));
    model_crash(m);
    CHECK(!reads(m, 1));
    CHECK(reads(m, 2));
    CHECK(reads(m, 3));
    CHECK(reads(m, 4));
    asked(m, 5);
    model_acked(m, 5, 1, 5, true); /* with FUA */
    model_crash(m);
    CHECK(reads(m, 5));
    CHECK(!reads(m, 4));
    model_free(m);
}

/* A flush vouches for what had ended when it was asked. */
static void test_flush_that_was_asked_too_early(void)
{
    struct model *m = fresh(true);
    asked(m, 1);
    uint64_t flush = model_flush_asked(m);
    acked(m, 1);
    model_flushed(m, flush);
    model_crash(m);
    CHECK(reads(m, 0));
    CHECK(reads(m, 1));
    model_free(m);
}

/* A mixture of two within a unit: only while one of them is executed. */
static void test_torn(void)
{
    struct model *m = fresh(false);
    unsigned char data[UNIT_BYTES], newer[UNIT_BYTES];
    struct finding f;
    struct model_read r;
    asked(m, 1);
    acked(m, 1);
    model_pattern(m, 5, 1, 1, data);
    model_pattern(m, 5, 1, 2, newer);
    memcpy(data + 100, newer + 100, sizeof(data) - 100);
    asked(m, 2);
    model_read_asked(m, &r);
    CHECK(model_check(m, &r, model_offset(m, 5), data, sizeof(data), &f));
    model_read_over(m, &r);
    acked(m, 2);
    model_read_asked(m, &r);
    CHECK(!model_check(m, &r, model_offset(m, 5), data, sizeof(data), &f));
    CHECK_EQ_U64(f.unit, 5);
    /* A part of a unit counts as well. */
    CHECK(!model_check(m, &r, model_offset(m, 5), data, 200, &f));
    CHECK(model_check(m, &r, model_offset(m, 5) + 100, data + 100, 200, &f));
    model_read_over(m, &r);
    model_free(m);
}

static void test_edges(void)
{
    struct model *m = fresh(false);
    unsigned char data[VOLUME_BYTES] = {0};
    struct finding f;
    struct model_read r;
    CHECK_EQ_U64(model_units(m), 64);
    model_asked(m, 0, 64, 1, false);
    model_acked(m, 0, 64, 1, false);
    model_pattern(m, 0, 64, 1, data + MARGIN);
    model_read_asked(m, &r);
    CHECK(model_check(m, &r, 0, data, sizeof(data), &f));
    data[MARGIN - 1] = 1;
    CHECK(!model_check(m, &r, 0, data, sizeof(data), &f));
    CHECK_EQ_U64(f.offset, MARGIN - 1);
    data[MARGIN - 1] = 0;
    data[sizeof(data) - 1] = 1;
    CHECK(!model_check(m, &r, 0, data, sizeof(data), &f));
    data[sizeof(data) - 1] = 0;
    data[MARGIN + 63 * UNIT_BYTES + 77] ^= 1;
    CHECK(!model_check(m, &r, 0, data, sizeof(data), &f));
    CHECK_EQ_U64(f.unit, 63);
    model_read_over(m, &r);
    model_free(m);
}

static void test_block_status(void)
{
    struct model *m = fresh(false);
    struct finding f;
    struct model_read r;
    asked(m, 1);
    model_read_asked(m, &r);
    CHECK(model_check_zero(m, &r, 0, VOLUME_BYTES, &f));
    model_read_over(m, &r);
    acked(m, 1);
    model_read_asked(m, &r);
    CHECK(!model_check_zero(m, &r, 0, VOLUME_BYTES, &f));
    CHECK_EQ_U64(f.unit, 5);
    CHECK(model_check_zero(m, &r, 0, model_offset(m, 5), &f));
    model_read_over(m, &r);
    model_free(m);
}

static bool disk(struct model *m, uint64_t value)
{
    unsigned char data[UNIT_BYTES];
    struct finding f;
    model_pattern(m, 5, 1, value, data);
    return model_check_disk(m, model_offset(m, 5), data, sizeof(data), &f);
}

/* Below a cache: what is durable, or anything newer, be it acknowledged or on its way. */
static void test_disk(void)
{
    struct model *m = fresh(true);
    CHECK(disk(m, 0));
    CHECK(!disk(m, 1));
    asked(m, 1);
    acked(m, 1);
    CHECK(disk(m, 0));
    CHECK(disk(m, 1));
    model_flushed(m, model_flush_asked(m));
    CHECK(!disk(m, 0));
    asked(m, 2);
    CHECK(disk(m, 1));
    CHECK(disk(m, 2));
    acked(m, 2);
    asked(m, 3);
    model_acked(m, 5, 1, 3, true); /* with FUA */
    CHECK(!disk(m, 1));
    CHECK(!disk(m, 2));
    CHECK(disk(m, 3));
    asked(m, 4);
    unsigned char data[UNIT_BYTES], new[UNIT_BYTES];
    struct finding f;
    model_pattern(m, 5, 1, 3, data);
    model_pattern(m, 5, 1, 4, new);
    memcpy(data + 100, new + 100, 200);
    CHECK(model_check_disk(m, model_offset(m, 5), data, sizeof(data), &f));
    data[7] ^= 1;
    CHECK(!model_check_disk(m, model_offset(m, 5), data, sizeof(data), &f) && f.unit == 5);
    data[0] = 1;
    CHECK(!model_check_disk(m, 0, data, 1, &f) && f.unit == UINT64_MAX);
    model_free(m);
}

int main(void)
{
    test_begin("soak_model");
    test_writes();
    test_read_during_writes();
    test_order_is_settled();
    test_seen_while_flying();
    test_zeros_of_an_older_write_settle_nothing();
    test_doubt();
    test_doubt_that_is_not_over();
    test_crash();
    test_flush_that_was_asked_too_early();
    test_torn();
    test_edges();
    test_block_status();
    test_disk();
    return test_done();
}
