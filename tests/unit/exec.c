/* links: cmd/migrate-exec */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* migrate-exec's pure parts: which rows are carried out, and how long the rest will take. */
#include <errno.h>
#include <signal.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/digests.h"
#include "cmd/migrate-exec/director.h"
#include "cmd/migrate-exec/heat.h"
#include "cmd/migrate-exec/lost.h"
#include "cmd/migrate-exec/pace.h"
#include "cmd/migrate-exec/passes.h"
#include "cmd/migrate-exec/progress.h"
#include "cmd/migrate-exec/rate.h"
#include "cmd/migrate-exec/slowdown.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/seal.h"
#include "cmd/migrate-exec/signals.h"
#include "tests/unit/tap.h"

enum { NOW = 1000000 };

static const struct plan_row good = {
    .time = NOW - 60,
    .volume = "v",
    .source = "gw-a",
    .target = "gw-b",
    .epoch = 7,
    .kind = PLAN_KIND_OPTIONAL,
};

static const struct route steady = {
    .volume = "v",
    .gateway = "gw-a",
    .epoch = 7,
    .state = ROUTE_STATE_STEADY,
};

/* The decision about ROW; *WHY is "" if it was admitted. */
static enum admission ask(const struct plan_row *row, const struct route *route, char why[128])
{
    why[0] = 0;
    return admit(row, route, NOW, 3600, why, 128);
}

static void test_admit(void)
{
    char why[128];
    struct plan_row row = good;
    CHECK(ask(&row, &steady, why) == ADMIT_NOW);
    CHECK_STR(why, "");
    CHECK(ask(&row, NULL, why) == ADMIT_NEVER);
    CHECK_STR(why, "the volume has no route");
    row.kind = PLAN_KIND_SHADOW;
    CHECK(ask(&row, NULL, why) == ADMIT_SKIP);
    row = good;
    row.time = NOW - 3600;
    CHECK(ask(&row, &steady, why) == ADMIT_NOW);
    row.time = NOW - 3601;
    CHECK(ask(&row, &steady, why) == ADMIT_NEVER);
    row = good;
    row.epoch = 6;
    CHECK(ask(&row, &steady, why) == ADMIT_NEVER);
    CHECK_STR(why, "the row is of epoch 6, the route at 7");
    row = good;
    memcpy(row.target, "gw-a", 5);
    CHECK(ask(&row, &steady, why) == ADMIT_NEVER);
    memcpy(row.source, "gw-c", 5);
    CHECK(ask(&row, &steady, why) == ADMIT_NEVER);
    CHECK_STR(why, "the volume is on gw-a, not on gw-c");
    row = good;
    row.not_before = NOW + 1;
    CHECK(ask(&row, &steady, why) == ADMIT_LATER);
    row.not_before = NOW;
    CHECK(ask(&row, &steady, why) == ADMIT_NOW);
}

static void test_states(void)
{
    char why[128];
    struct route route = steady;
    for (int s = ROUTE_STATE_MOVING; s <= ROUTE_STATE_MANUAL_RECOVERY; s++) {
        bool kept = s == ROUTE_STATE_UNCOMMITTED;
        bool none = s == ROUTE_STATE_MANUAL_RECOVERY;
        struct plan_row row = good;
        route.state = (enum rec_route_state)s;
        CHECK(ask(&row, &route, why) == (kept ? ADMIT_KEPT : none ? ADMIT_NEVER : ADMIT_OPEN));
        CHECK(kept == !why[0]);
        row.not_before = NOW + 1; /* what is open now may be a standby's, or over by then */
        CHECK(ask(&row, &route, why) == (none ? ADMIT_NEVER : ADMIT_LATER));
    }
}

static void test_pace(void)
{
    struct pace p = {0};
    const uint64_t mib = 1024 * 1024;
    /* Before any measurement: cautious, and never nothing for something. */
    CHECK(pace_predict(&p, 4096, 4096) >= 100);
    CHECK_EQ_U64(pace_predict(&p, 0, 4096), 0);
    /* 64 MiB in long extents in 64 ms: 1 GiB/s. */
    pace_learn(&p, 64 * mib, 64, 64000);
    CHECK(p.byte_us > 0.0008 && p.byte_us < 0.0011);
    /* 100 scattered pages in 10 ms: about 100 us each. */
    pace_learn(&p, 100 * 4096, 100, 10000);
    uint64_t hundred = pace_predict(&p, 100 * 4096, 4096);
    CHECK(hundred > 8000 && hundred < 12000);
    /* More is never predicted to be faster. */
    uint64_t before = 0;
    for (uint64_t bytes = 0; bytes < 16 * mib; bytes += 300000) {
        uint64_t t = pace_predict(&p, bytes, 65536);
        CHECK(t >= before);
        before = t;
    }
    /* An empty measurement changes nothing. */
    struct pace same = p;
    pace_learn(&p, 0, 0, 1000);
    CHECK(same.byte_us == p.byte_us && same.claim_us == p.claim_us);
}

static void test_rate(void)
{
    struct rate r = {.n = 0};
    CHECK(rate_per_second(&r) == 0);
    rate_add(&r, 1000000, 500);
    CHECK(rate_per_second(&r) == 0);
    rate_add(&r, 3000000, 1500);
    CHECK(rate_per_second(&r) == 500);
    /* What is long past no longer counts: ever 1000 a second from here. */
    for (uint64_t i = 0; i < 3 * RATE_READINGS; i++)
        rate_add(&r, 4000000 + i * 100000, 1500 + i * 100);
    CHECK(rate_per_second(&r) == 1000);
    /* A counter that goes back is no rate, nor are two readings at a time. */
    struct rate back = {.n = 0};
    rate_add(&back, 1, 100);
    rate_add(&back, 1, 200);
    CHECK(rate_per_second(&back) == 0);
    rate_add(&back, 2, 50);
    CHECK(rate_per_second(&back) == 0);
}

static void test_passes(void)
{
    struct passes p = {.n = 0};
    CHECK(!passes_done(&p, 100));
    passes_add(&p, 100);
    CHECK(!passes_done(&p, 100));
    CHECK(passes_done(&p, 101));
    /* It is halved: on. */
    passes_add(&p, 50);
    CHECK(!passes_done(&p, 10));
    passes_add(&p, 25);
    CHECK(!passes_done(&p, 10));
    CHECK(passes_done(&p, 26));
    /* Not quite: clients write too fast for passes. */
    passes_add(&p, 13);
    CHECK(passes_done(&p, 10));
    /* No less than before. */
    struct passes q = {.n = 0};
    passes_add(&q, 50);
    passes_add(&q, 50);
    CHECK(passes_done(&q, 10));
}

static void test_progress(void)
{
    char line[100];
    const uint64_t mib = 1024 * 1024;
    progress_line(line, sizeof(line), "v-2", "copy", 25 * mib, 100 * mib, 0);
    CHECK_STR(line, "v-2 copy [#####               ]  25%, 75.0 MiB left");
    progress_line(line, sizeof(line), "v-2", "proof", 100 * mib, 100 * mib, 1e6);
    CHECK_STR(line, "v-2 proof [####################] 100%, 0.0 MiB left, 1.0 MiB/s, 0:00:00");
    progress_line(line, sizeof(line), "v-2", "copy", 0, 3661 * mib, (double)mib);
    CHECK_STR(line, "v-2 copy [                    ]   0%, 3661.0 MiB left, 1.0 MiB/s, 1:01:01");
    /* More done than there is, a rate next to nothing, and a line too short for it. */
    progress_line(line, sizeof(line), "v-2", "copy", 2 * mib, mib, 1e-9);
    CHECK_STR(line, "v-2 copy [####################] 100%, 0.0 MiB left, 0.0 MiB/s, 0:00:00");
    progress_line(line, 10, "v-2", "copy", 0, UINT64_MAX, 1e-9);
    CHECK_STR(line, "v-2 copy ");
}

static bool same(const struct hash128 *a, const struct hash128 *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* The digest of a block of SIZE bytes, from its definition. */
static struct hash128 block_of(const unsigned char *data, uint64_t size)
{
    struct hash128 leaf[DIGEST_BLOCK / DIGEST_PAGE];
    size_t n = 0;
    for (uint64_t at = 0; at < size; at += DIGEST_PAGE, n++)
        leaf[n] = hash128(data + at, size - at < DIGEST_PAGE ? size - at : DIGEST_PAGE);
    return hash128(leaf, n * sizeof(*leaf));
}

/* The root of SIZE bytes. */
static struct hash128 root_of(const unsigned char *data, uint64_t size)
{
    struct hash128 leaf[3];
    size_t n = 0;
    for (uint64_t at = 0; at < size; at += DIGEST_BLOCK, n++)
        leaf[n] = block_of(data + at, size - at < DIGEST_BLOCK ? size - at : DIGEST_BLOCK);
    return hash128(leaf, n * sizeof(*leaf));
}

static void test_digests(void)
{
    enum { SIZE = 2 * DIGEST_BLOCK + 5000 };
    static unsigned char data[SIZE], old[SIZE];
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    struct digests *d = digests_new(SIZE);
    uint64_t at = 0, length = 0;
    CHECK(digests_open(d, &at, &length) && at == 0 && length == DIGEST_BLOCK);
    /* In any pieces that cover pages, the short last one too. */
    digests_take(d, 1, DIGEST_BLOCK - 8192, data + DIGEST_BLOCK - 8192, SIZE - DIGEST_BLOCK + 8192);
    CHECK(digests_open(d, &at, &length) && at == 0);
    digests_take(d, 2, 0, data, DIGEST_BLOCK - 12288);
    CHECK(digests_open(d, &at, &length) && at == 0);
    digests_take(d, 3, DIGEST_BLOCK - 12288, data + DIGEST_BLOCK - 12288, 4096);
    CHECK(!digests_open(d, &at, &length));
    struct hash128 want = root_of(data, SIZE), got = digests_root(d);
    CHECK(same(&want, &got));
    /* An older claim that comes late changes nothing. */
    digests_take(d, 5, 0, data, SIZE);
    digests_take(d, 4, 0, old, SIZE);
    got = digests_root(d);
    CHECK(same(&want, &got));
    /* Pages that were written and proved again, the tail among them. */
    memset(data + DIGEST_BLOCK + 4096, 0x5a, 8192);
    memset(data + 2 * DIGEST_BLOCK + 4096, 0x77, 904);
    digests_take(d, 6, DIGEST_BLOCK + 4096, data + DIGEST_BLOCK + 4096, 8192);
    digests_take(d, 7, 2 * DIGEST_BLOCK + 4096, data + 2 * DIGEST_BLOCK + 4096, 904);
    at = 0;
    CHECK(!digests_open(d, &at, &length));
    want = root_of(data, SIZE);
    got = digests_root(d);
    CHECK(same(&want, &got));
    /* Half a page leaves it open. */
    digests_take(d, 8, 2 * DIGEST_BLOCK + 4096, old, 100);
    CHECK(digests_open(d, &at, &length) && at == 2 * DIGEST_BLOCK && length == 5000);
    digests_close(d, at, data + at);
    CHECK(!digests_open(d, &at, &length));
    got = digests_root(d);
    CHECK(same(&want, &got));
    digests_free(d);
    digests_free(NULL);
}

/* Without page digests, a volume that is larger than its proofs ever come to. */
static void test_digests_of_large(void)
{
    static unsigned char data[DIGEST_BLOCK];
    uint64_t at = 0, length = 0;
    struct digests *d = digests_new((UINT64_C(64) << 30) + DIGEST_BLOCK);
    digests_take(d, 1, 0, data, DIGEST_BLOCK);
    CHECK(digests_open(d, &at, &length) && at == DIGEST_BLOCK);
    digests_take(d, 2, 4096, data + 4096, 4096);
    at = 0;
    CHECK(digests_open(d, &at, &length) && at == 0 && length == DIGEST_BLOCK);
    digests_close(d, 0, data);
    CHECK(digests_open(d, &at, &length) && at == DIGEST_BLOCK);
    digests_free(d);
}

static uint64_t step(struct slowdown *s, uint64_t read_us, uint64_t write_us, uint64_t rate)
{
    const uint64_t now[SLOWDOWN_OPS] = {read_us, write_us};
    return slowdown_step(s, now, rate);
}

static void test_slowdown(void)
{
    const uint64_t mib = 1024 * 1024;
    struct slowdown off = {.before_us = {100, 100}};
    CHECK_EQ_U64(step(&off, 9999, 9999, mib), 0);
    struct slowdown s = {.percent = 50, .before_us = {100, 0}};
    /* Up to 150 us is fine, and writes are unknown. */
    CHECK_EQ_U64(step(&s, 150, 9999, 100 * mib), 0);
    CHECK_EQ_U64(s.lowest, 0);
    /* It falls by three tenths of what was really copied, … */
    uint64_t first = step(&s, 151, 0, 100 * mib);
    CHECK(first > 69 * mib && first <= 70 * mib);
    uint64_t second = step(&s, 151, 0, 60 * mib);
    CHECK(second > 41 * mib && second <= 42 * mib);
    /* … never to nothing, … */
    for (int i = 0; i < 100; i++)
        step(&s, 1000, 0, s.limit);
    CHECK_EQ_U64(s.limit, SLOWDOWN_FLOOR);
    CHECK_EQ_U64(s.lowest, SLOWDOWN_FLOOR);
    /* … and rises evenly, until it is none. */
    uint64_t rise = step(&s, 100, 0, SLOWDOWN_FLOOR) - SLOWDOWN_FLOOR;
    CHECK(rise > 6 * mib && rise < 7 * mib);
    CHECK_EQ_U64(step(&s, 0, 0, 7 * mib), SLOWDOWN_FLOOR + 2 * rise);
    int steps = 0;
    while (step(&s, 100, 0, 50 * mib) && steps < 100)
        steps++;
    CHECK(steps > 20 && steps < 40);
}

static bool range_is(const struct heat *h, size_t i, uint64_t from, uint64_t to)
{
    return i < h->n && h->range[i].from == from && h->range[i].to == to;
}

static void test_heat(void)
{
    struct heat h = {.n = 0};
    CHECK_EQ_U64((uint64_t)heat_settle(&h, 100), 0);
    CHECK(h.n == 1 && range_is(&h, 0, 0, 100)); /* nothing known: from one end to the other */
    heat_release(&h);
    heat_add(&h, 40, 50, 3);
    heat_add(&h, 10, 20, 5);
    heat_add(&h, 40, 50, 3);         /* the same again: 6 */
    heat_add(&h, 45, 60, 1);         /* overlaps: [50, 60) */
    heat_add(&h, 90, UINT64_MAX, 2); /* longer than the volume */
    heat_add(&h, 200, 300, 9);       /* behind its end */
    heat_add(&h, 30, 30, 9);         /* nothing */
    CHECK_EQ_U64((uint64_t)heat_settle(&h, 100), 0);
    CHECK_EQ_U64(h.n, 7);
    CHECK(range_is(&h, 0, 0, 10) && range_is(&h, 1, 20, 40) && range_is(&h, 2, 60, 90));
    CHECK(range_is(&h, 3, 50, 60) && range_is(&h, 4, 90, 100));
    CHECK(range_is(&h, 5, 10, 20) && range_is(&h, 6, 40, 50));
    heat_release(&h);
}

static void test_lost(void)
{
    struct lost l = {.times = 0}, back = {.times = 0};
    struct event e = {.event = EVENT_STALLED};
    const double pauses[] = {0, 60, 120, 240, 480, 960, 1920, 3600, 3600};
    for (unsigned n = 0; n < 9; n++) {
        lost_add(&l, 86399, NOW);
        CHECK(l.times == n + 1 && l.until == NOW + pauses[n]);
        CHECK(lost_left_s(&l, NOW) == pauses[n] && lost_left_s(&l, NOW + pauses[n]) == 0);
    }
    l.times = UINT32_MAX - 1;
    lost_add(&l, -1, NOW);
    CHECK(l.until == NOW + 3600);
    lost_put(e.detail, sizeof(e.detail), &l, 12.4);
    CHECK_STR(e.detail, "lost its mirror (4294967295 in a row): stood by for 12 s; "
                        "not mirrored again before 1003600");
    CHECK(lost_get(&e, &back) && back.times == l.times && back.until == l.until);
    /* A clock that was set back, by years say. */
    CHECK(lost_left_s(&back, NOW - 1) == 0);
    e.event = EVENT_FAILED;
    CHECK(!lost_get(&e, &back));
    e.event = EVENT_STALLED;
    snprintf(e.detail, sizeof(e.detail),
             "lost its mirror (x in a row): ; not mirrored again before 1");
    CHECK(!lost_get(&e, &back));
    snprintf(e.detail, sizeof(e.detail), "lost its mirror");
    CHECK(!lost_get(&e, &back));
    lost_add(&l, 86400, NOW);
    CHECK(l.times == 1 && l.until == NOW);
    /* What is read back is no later: the first is made at once, the longest pause believed. */
    for (unsigned n = 1; n < 10; n++) {
        l = (struct lost){.times = n - 1};
        lost_add(&l, 0, NOW + 0.25);
        lost_put(e.detail, sizeof(e.detail), &l, 0);
        CHECK(lost_get(&e, &back) && (lost_left_s(&back, NOW + 0.25) > 0) == (n > 1));
    }
}

static void test_retain(void)
{
    struct event e = {.time = NOW,
                      .phase = PHASE_RETIRE,
                      .event = EVENT_SWITCHED,
                      .bytes_total = 4096,
                      .detail = "copy kept on gw-a, flushed"};
    double until = 0;
    CHECK(retain_get(&e, &until) == 0);
    retain_put(e.detail, sizeof(e.detail), NOW + 3600, false);
    CHECK(retain_get(&e, &until) == 1 && until == NOW + 3600);
    struct event same = e;
    retain_describe(&e, NOW + 60);
    CHECK_STR(e.detail, "copy kept on gw-a, flushed; retained until 1003600: 4096 bytes, 60 s old, "
                        "3540 s left");
    e = same;
    retain_describe(&e, NOW + 3600);
    CHECK(strstr(e.detail, ", to be committed") != NULL);
    /* A standby's time is the least. */
    e = same;
    CHECK(!retain_is_standby(&e, false) && !retain_is_standby(&e, true));
    snprintf(e.detail, sizeof(e.detail), "copy kept on gw-a, flushed");
    CHECK(retain_is_standby(&e, true) && !retain_is_standby(&e, false)); /* it does not say */
    retain_put(e.detail, sizeof(e.detail), NOW + 3600, true);
    CHECK(retain_get(&e, &until) == 1 && until == NOW + 3600 && retain_is_standby(&e, false));
    retain_describe(&e, NOW + 3600);
    CHECK(strstr(e.detail, ", kept as standby") != NULL);
    /* Only the note says it: not the event of the switch, and not one that was cut or changed. */
    e = same;
    e.phase = PHASE_HANDOVER;
    CHECK(retain_get(&e, &until) == 0);
    e = same;
    snprintf(e.detail, sizeof(e.detail), "; retained until 12x");
    CHECK(retain_get(&e, &until) == 0);
    /* A detail without room stays as it is. */
    char full[32] = "copy kept on gw-a, flushed";
    retain_put(full, sizeof(full), NOW, false);
    CHECK_STR(full, "copy kept on gw-a, flushed");
}

static void test_seal(void)
{
    char text[SEAL_TEXT] = "as it was";
    char detail[256];
    CHECK(!seal_of("epoch 2; kept on gw-a", text));
    CHECK(!seal_of("epoch 2; digest=00112233445566778899aabbccddee", text)); /* cut off */
    CHECK(!seal_of("epoch 2; digest=00112233445566778899aabbccddeeff0", text));
    CHECK_STR(text, "as it was");
    snprintf(detail, sizeof(detail), "epoch 2" SEAL_WORD "00112233445566778899aabbccddeeff");
    CHECK(seal_of(detail, text));
    CHECK_STR(text, "00112233445566778899aabbccddeeff");
    CHECK(seal_of("a" SEAL_WORD "ffeeddccbbaa99887766554433221100; b", text));
    CHECK_STR(text, "ffeeddccbbaa99887766554433221100");
}

static void test_begun(void)
{
    static const char *const wrong[] = {"",
                                        "65536",
                                        "65536 10",
                                        "65536 10 newer",
                                        "0 10 new",
                                        "x 10 new",
                                        "65536 -1 new",
                                        "65536 10 new source=a",
                                        "65536 10 new source= at /s",
                                        "65536 10 new at /s",
                                        "65536 10 new source=a at ",
                                        "65536 10 new target=b source=a at /s",
                                        "65536 10 new source=a other=b at /s"};
    struct director_begun b;
    CHECK(begun_parse("65536 1048577 new", &b) == 0);
    CHECK(b.block == 65536 && b.size == 1048577 && !b.attached);
    CHECK(!b.source[0] && !b.target[0] && !b.socket[0]);
    CHECK(begun_parse("65536 0 attached target=1-ab-target at /run/a b/c", &b) == 0);
    CHECK(b.attached && !b.source[0]);
    CHECK_STR(b.target, "1-ab-target");
    CHECK_STR(b.socket, "/run/a b/c");
    CHECK(begun_parse("4096 9 new source=s target=t at /x", &b) == 0);
    CHECK_STR(b.source, "s");
    CHECK_STR(b.target, "t");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK(begun_parse(wrong[i], &b) == -EINVAL);
    CHECK_STR(b.source, "s"); /* untouched */
}

/* Which was the first is told, and one who begins anew, as a child does, hears of each again. */
static void test_signals(void)
{
    static const int all[] = {SIGHUP, SIGINT, SIGTERM, SIGHUP};
    static const char *const names[] = {"SIGHUP", "SIGINT", "SIGTERM", "SIGHUP"};
    signal(SIGHUP, SIG_DFL); /* it may have been ignored by who began this */
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        signals_catch();
        CHECK(!signals_pending() && !signals_number());
        raise(all[i]);
        raise(SIGHUP);
        CHECK(signals_pending() && signals_number() == all[i]);
        CHECK_STR(signals_pending() ? signals_pending() : "none", names[i]);
        signals_release();
    }
    signal(SIGHUP, SIG_IGN);
    signals_catch();
    raise(SIGHUP);
    CHECK(!signals_pending());
    signals_release();
    signal(SIGHUP, SIG_DFL);
}

int main(void)
{
    test_begin("exec");
    test_begun();
    test_admit();
    test_states();
    test_pace();
    test_rate();
    test_passes();
    test_progress();
    test_digests();
    test_digests_of_large();
    test_slowdown();
    test_heat();
    test_lost();
    test_retain();
    test_seal();
    test_signals();
    return test_done();
}
