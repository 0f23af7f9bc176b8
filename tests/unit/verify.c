/* links: cmd/migrate-exec */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is proved of a move, and how journals tell of it. */
#include "cmd/migrate-exec/verify.h"

#include <stdio.h>

#include "cmd/migrate-exec/lateproof.h"
#include "tests/unit/tap.h"

static void test_choose(void)
{
    struct exec x = {.verify = VERIFY_BY_KIND};
    CHECK(verify_choose(&x, false, false) == VERIFY_FULL);
    CHECK(verify_choose(&x, true, false) == VERIFY_DELTA);
    CHECK(verify_choose(&x, false, true) == VERIFY_DELTA);
    x.verify = VERIFY_FULL;
    CHECK(verify_choose(&x, true, true) == VERIFY_FULL);
    x.verify = VERIFY_NONE;
    CHECK(verify_choose(&x, false, false) == VERIFY_NONE);
}

static void test_ask(void)
{
    struct move m;
    struct exec x = {.verify = VERIFY_BY_KIND};
    move_init(&m, &x);
    m.terms.verify = VERIFY_DELTA;
    verify_ask(&m);
    CHECK(m.terms.verify == VERIFY_DELTA); /* as the journal has it */
    m.own.verify = VERIFY_NONE;
    verify_ask(&m);
    CHECK(m.terms.verify == VERIFY_NONE);
    m.terms = (struct terms){.verify = VERIFY_FULL, .cold = true};
    verify_ask(&m);
    CHECK(m.terms.verify == VERIFY_FULL);
}

static void test_notes(void)
{
    struct terms t = {.verify = VERIFY_NONE};
    static const char *const others[] = {"",
                                         "verify",
                                         "verify ",
                                         "verify deltas",
                                         "verify del",
                                         "verified delta",
                                         "optional: verify delta",
                                         "takes the export on the target"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(!verify_of_note(others[i], &t));
    CHECK(t.verify == VERIFY_NONE);
    CHECK(verify_of_note("verify delta", &t));
    CHECK(t.verify == VERIFY_DELTA && !t.cold && !t.no_flush[0] && !t.no_flush[1]);
    CHECK(verify_of_note("verify full, cold copy, no-flush target", &t));
    CHECK(t.verify == VERIFY_FULL && t.cold && !t.no_flush[0] && t.no_flush[1]);
    CHECK(verify_of_note("verify none, no-flush source, no-flush target", &t));
    CHECK(t.verify == VERIFY_NONE && !t.cold && t.no_flush[0] && t.no_flush[1]);
}

static void test_words(void)
{
    char text[VERIFY_FLUSH_TEXT];
    struct move m;
    struct exec x = {.verify = VERIFY_BY_KIND};
    move_init(&m, &x);
    snprintf(m.source, sizeof(m.source), "gw-a");
    snprintf(m.target, sizeof(m.target), "gw-b");
    verify_describe(VERIFY_FULL, text, sizeof(text));
    CHECK_STR(text, "");
    verify_describe(VERIFY_DELTA, text, sizeof(text));
    CHECK_STR(text, "; verify=delta");
    verify_describe_flush(&m, text, sizeof(text));
    CHECK_STR(text, "");
    CHECK(!verify_no_flush(&m));
    m.terms.no_flush[1] = true;
    verify_describe_flush(&m, text, sizeof(text));
    CHECK_STR(text, "; no-flush: gw-b");
    CHECK(verify_no_flush(&m));
    m.terms.no_flush[0] = true;
    verify_describe_flush(&m, text, sizeof(text));
    CHECK_STR(text, "; no-flush: gw-a, gw-b");
}

static bool takes(struct late_proof *p, enum rec_phase phase, enum rec_event event,
                  const char *detail)
{
    struct event e = {.phase = phase, .event = event};
    snprintf(e.detail, sizeof(e.detail), "%s", detail);
    return late_proof_take(&e, p);
}

static void test_late_proof(void)
{
    struct late_proof p = {.until = 0};
    CHECK(takes(&p, PHASE_RETIRE, EVENT_PASS, "proof until 4096 bytes, 7 changed since"));
    CHECK(p.until == 4096 && p.changed == 7 && !p.done);
    CHECK(takes(&p, PHASE_RETIRE, EVENT_STALLED, "proof: gw-a and gw-b differ at 0"));
    CHECK(p.until == 4096 && !p.done); /* what was compared stays so */
    CHECK(!takes(&p, PHASE_RETIRE, EVENT_PASS, "read, XXH3-128 00"));
    CHECK(!takes(&p, PHASE_RETIRE, EVENT_STALLED, "commit: hook of gw-a, cold: full"));
    CHECK(!takes(&p, PHASE_REPLICATE, EVENT_PASS, "proof of all 9 bytes, 0 changed"));
    CHECK(!takes(&p, PHASE_RETIRE, EVENT_SWITCHED, "proof of all 9 bytes, 0 changed"));
    /* Nothing is proved by what can't be read. */
    CHECK(takes(&p, PHASE_RETIRE, EVENT_PASS, "proof of all "));
    CHECK(takes(&p, PHASE_RETIRE, EVENT_PASS, "proof of all many bytes, 0 changed"));
    CHECK(takes(&p, PHASE_RETIRE, EVENT_PASS, "proof of all 99999999999999999999 bytes, 0 ch"));
    CHECK(p.until == 4096 && p.changed == 7 && !p.done);
    CHECK(takes(&p, PHASE_RETIRE, EVENT_PASS, "proof of all 8192 bytes, 10 changed since"));
    CHECK(p.until == 8192 && p.changed == 10 && p.done);
}

int main(void)
{
    test_begin("verify");
    test_choose();
    test_ask();
    test_notes();
    test_words();
    test_late_proof();
    return test_done();
}
