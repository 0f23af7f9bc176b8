/* links: cmd/migrate-exec */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* migrate-exec's pure parts: which rows are carried out, and how long the rest will take. */
#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/pace.h"
#include "cmd/migrate-exec/retain.h"
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
        route.state = (enum rec_route_state)s;
        CHECK(ask(&good, &route, why) == ADMIT_NEVER);
        CHECK(why[0]);
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

static void test_retain(void)
{
    struct event e = {.time = NOW,
                      .phase = PHASE_RETIRE,
                      .event = EVENT_SWITCHED,
                      .bytes_total = 4096,
                      .detail = "copy kept on gw-a, flushed"};
    double until = 0;
    CHECK(retain_get(&e, &until) == 0);
    retain_put(e.detail, sizeof(e.detail), NOW + 3600);
    CHECK(retain_get(&e, &until) == 1 && until == NOW + 3600);
    struct event same = e;
    retain_describe(&e, NOW + 60);
    CHECK_STR(e.detail, "copy kept on gw-a, flushed; retained until 1003600: 4096 bytes, 60 s old, "
                        "3540 s left");
    e = same;
    retain_describe(&e, NOW + 3600);
    CHECK(strstr(e.detail, ", to be committed") != NULL);
    /* Only the note says it: not the event of the switch, and not one that was cut or changed. */
    e = same;
    e.phase = PHASE_HANDOVER;
    CHECK(retain_get(&e, &until) == 0);
    e = same;
    snprintf(e.detail, sizeof(e.detail), "; retained until 12x");
    CHECK(retain_get(&e, &until) == 0);
    /* A detail without room stays as it is. */
    char full[32] = "copy kept on gw-a, flushed";
    retain_put(full, sizeof(full), NOW);
    CHECK_STR(full, "copy kept on gw-a, flushed");
}

int main(void)
{
    test_begin("exec");
    test_admit();
    test_states();
    test_pace();
    test_retain();
    return test_done();
}
