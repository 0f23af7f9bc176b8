/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner on small fleets: one volume, its gateway S and one other, T; then its limits. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/plan/choose.h"
#include "common/plan/words.h"
#include "tests/unit/tap.h"

static const double now = 1e6;
static const double hour = 3600;
enum { GIB = 1 << 30 };

/* One gateway; zeros stand for active, no risk, sure, fresh. */
struct side {
    double ghs; /* NaN: silent; below 0: no record */
    double p_fail;
    enum rec_gateway_state state;
    double unsure; /* 1 - confidence */
    double age_s;
    uint64_t capacity_bytes;
    double iops_limit;
};

/* A past move of the volume; zeros stand for none. */
struct past {
    double hours_ago;
    const char *from;
    const char *to;
    bool mandatory;
    double das_gain;
};

struct scenario {
    const char *name;
    struct side s;
    struct side t;
    double das_s; /* both 0: affinity is not given; below 0: no record */
    double das_t;
    double das_unsure;
    double das_age_s;
    struct past past[3];
    enum rec_policy policy;
    enum rec_route_state state;
    const char *allowed;
    bool force;
    enum rec_verdict verdict;
    const char *guard;
};

/* A scenario in two or three lines: one field a line would hide the table. */
/* clang-format off */
static const struct scenario scenarios[] = {
    /* ---- benefit and margin ---- */
    {.name = "an equal fleet without affinity stays", .s = {.ghs = .97}, .t = {.ghs = .97},
     .verdict = VERDICT_STAY, .guard = "3-benefit"},
    {.name = "an equal fleet with equal affinity stays", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .9, .das_t = .9, .verdict = VERDICT_STAY, .guard = "4-margin"},
    /* closeness 1 against (1 + 0) / (1 + 0.2) */
    {.name = "a volume 0.2 ms from its clients stays", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = 1 / 1.2, .das_t = 1, .verdict = VERDICT_STAY, .guard = "4-margin"},
    {.name = "a volume leaves a gateway at 0.8", .s = {.ghs = .8}, .t = {.ghs = .97}, .das_s = .5,
     .das_t = .5, .verdict = VERDICT_MOVE, .guard = ""},
    /* 2 * 0.15 is the margin, not more: rounding must not decide */
    {.name = "a volume stays at 0.8 beside 0.95", .s = {.ghs = .8}, .t = {.ghs = .95},
     .das_s = .5, .das_t = .5, .verdict = VERDICT_STAY, .guard = "4-margin"},
    {.name = "affinity alone moves a volume", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .2,
     .das_t = .9, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a far target stays unused", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .9,
     .das_t = .2, .verdict = VERDICT_STAY, .guard = "3-benefit"},

    /* ---- mandatory moves ---- */
    {.name = "strong affinity does not hold a volume on a failing gateway",
     .s = {.ghs = .2, .p_fail = .7}, .t = {.ghs = .97}, .das_s = 1, .das_t = .1,
     .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "strong affinity holds a volume on an ailing gateway", .s = {.ghs = .5},
     .t = {.ghs = .97}, .das_s = 1, .das_t = .05, .verdict = VERDICT_STAY, .guard = "4-margin"},
    {.name = "a critical gateway is left", .s = {.ghs = .39}, .t = {.ghs = .9}, .das_s = 1,
     .das_t = .1, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "at the critical value it is not yet", .s = {.ghs = .40}, .t = {.ghs = .9},
     .das_s = 1, .das_t = .1, .verdict = VERDICT_STAY, .guard = "4-margin"},
    {.name = "a gateway likely to fail is left", .s = {.ghs = .45, .p_fail = .51},
     .t = {.ghs = .9}, .das_s = 1, .das_t = .1, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a healthy gateway drains", .s = {.ghs = .98, .state = GATEWAY_STATE_DRAIN},
     .t = {.ghs = .7}, .das_s = 1, .das_t = .1, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a silent gateway drains", .s = {.ghs = NAN, .state = GATEWAY_STATE_DRAIN},
     .t = {.ghs = .7}, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "draining needs a target above the floor",
     .s = {.ghs = .98, .state = GATEWAY_STATE_DRAIN}, .t = {.ghs = .59},
     .verdict = VERDICT_REFUSED, .guard = "2-health"},
    {.name = "a mandatory move needs a clearly better target", .s = {.ghs = .48, .p_fail = .52},
     .t = {.ghs = .62}, .verdict = VERDICT_REFUSED, .guard = "2-health"},
    {.name = "a mandatory move ignores cooldown", .s = {.ghs = .2}, .t = {.ghs = .97},
     .past = {{.hours_ago = 1, .from = "T", .to = "S"}}, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a mandatory move ignores the source's confidence",
     .s = {.ghs = .2, .unsure = .9, .age_s = 999}, .t = {.ghs = .97}, .verdict = VERDICT_MOVE,
     .guard = ""},
    {.name = "a mandatory move ignores missing affinity", .s = {.ghs = .2}, .t = {.ghs = .97},
     .das_s = -1, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a mandatory move needs the target's confidence", .s = {.ghs = .2},
     .t = {.ghs = .97, .unsure = .6}, .verdict = VERDICT_REFUSED, .guard = "6-confidence"},

    /* ---- 1: placement ---- */
    {.name = "a cordoned gateway is no target", .s = {.ghs = .2},
     .t = {.ghs = .97, .state = GATEWAY_STATE_CORDONED}, .verdict = VERDICT_REFUSED,
     .guard = "1-placement"},
    {.name = "a draining gateway is no target", .s = {.ghs = .2},
     .t = {.ghs = .97, .state = GATEWAY_STATE_DRAIN}, .verdict = VERDICT_REFUSED,
     .guard = "1-placement"},
    {.name = "a silent gateway is no target", .s = {.ghs = .2}, .t = {.ghs = NAN},
     .verdict = VERDICT_REFUSED, .guard = "1-placement"},
    {.name = "a gateway without health is no target", .s = {.ghs = .2}, .t = {.ghs = -1},
     .verdict = VERDICT_REFUSED, .guard = "1-placement"},
    {.name = "a gateway not allowed is no target", .s = {.ghs = .2}, .t = {.ghs = .97},
     .allowed = "S", .verdict = VERDICT_REFUSED, .guard = "1-placement"},
    {.name = "an allowed gateway is one", .s = {.ghs = .2}, .t = {.ghs = .97}, .allowed = "S T",
     .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a full gateway is no target", .s = {.ghs = .2},
     .t = {.ghs = .97, .capacity_bytes = GIB - 1}, .verdict = VERDICT_REFUSED,
     .guard = "1-placement"},
    {.name = "a gateway with just the room is one", .s = {.ghs = .2},
     .t = {.ghs = .97, .capacity_bytes = GIB}, .verdict = VERDICT_MOVE, .guard = ""},
    /* the forecast below: 21,600 requests in 6 h, so 1 a second and 2 at peak */
    {.name = "a gateway too slow for the peak is no target", .s = {.ghs = .2},
     .t = {.ghs = .97, .iops_limit = 1.9}, .das_s = .5, .das_t = .5, .verdict = VERDICT_REFUSED,
     .guard = "1-placement"},
    {.name = "a gateway just fast enough is one", .s = {.ghs = .2},
     .t = {.ghs = .97, .iops_limit = 2}, .das_s = .5, .das_t = .5, .verdict = VERDICT_MOVE,
     .guard = ""},
    {.name = "a volume of a gateway that is down stays",
     .s = {.ghs = .2, .state = GATEWAY_STATE_DOWN}, .t = {.ghs = .97}, .verdict = VERDICT_REFUSED,
     .guard = "1-placement"},
    {.name = "a volume whose copy was kept for long may go", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .1, .das_t = .9, .state = ROUTE_STATE_UNCOMMITTED, .verdict = VERDICT_MOVE,
     .guard = ""},
    {.name = "and goes back if it must", .s = {.ghs = .2}, .t = {.ghs = .97},
     .state = ROUTE_STATE_UNCOMMITTED, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a moving volume stays", .s = {.ghs = .2}, .t = {.ghs = .97},
     .state = ROUTE_STATE_MOVING, .verdict = VERDICT_REFUSED, .guard = "1-placement"},
    {.name = "a volume in manual-recovery stays", .s = {.ghs = .2}, .t = {.ghs = .97},
     .state = ROUTE_STATE_MANUAL_RECOVERY, .verdict = VERDICT_REFUSED, .guard = "1-placement"},
    {.name = "a pinned volume stays", .s = {.ghs = .2}, .t = {.ghs = .97},
     .policy = POLICY_PINNED, .verdict = VERDICT_REFUSED, .guard = "1-placement"},
    {.name = "a pinned volume moves if it must and is forced", .s = {.ghs = .2},
     .t = {.ghs = .97}, .policy = POLICY_PINNED, .force = true, .verdict = VERDICT_MOVE,
     .guard = ""},
    {.name = "a pinned volume makes no optional move", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .1, .das_t = .9, .policy = POLICY_PINNED, .force = true, .verdict = VERDICT_REFUSED,
     .guard = "1-placement"},
    {.name = "a manual volume is planned as a shadow", .s = {.ghs = .2}, .t = {.ghs = .97},
     .policy = POLICY_MANUAL, .verdict = VERDICT_SHADOW, .guard = ""},

    /* ---- 2: health ---- */
    {.name = "a sicker target is refused", .s = {.ghs = .9}, .t = {.ghs = .7}, .das_s = 0,
     .das_t = 1, .verdict = VERDICT_REFUSED, .guard = "2-health"},
    {.name = "half the margin is no sicker", .s = {.ghs = .9}, .t = {.ghs = .76}, .das_s = 0,
     .das_t = 1, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a target below the floor is refused", .s = {.ghs = .7}, .t = {.ghs = .59},
     .das_s = 0, .das_t = 1, .verdict = VERDICT_REFUSED, .guard = "2-health"},
    {.name = "a silent source is not left", .s = {.ghs = NAN}, .t = {.ghs = .97}, .das_s = 0,
     .das_t = 1, .verdict = VERDICT_REFUSED, .guard = "2-health"},
    {.name = "nor is one without a record", .s = {.ghs = -1}, .t = {.ghs = .97}, .das_s = 0,
     .das_t = 1, .verdict = VERDICT_REFUSED, .guard = "2-health"},

    /* ---- 5: cooldown and returns ---- */
    {.name = "a volume rests after a move", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .1,
     .das_t = .9, .past = {{.hours_ago = 5.9, .from = "U", .to = "S"}},
     .verdict = VERDICT_REFUSED, .guard = "5-cooldown"},
    {.name = "and may move after the rest", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .1,
     .das_t = .9, .past = {{.hours_ago = 6.1, .from = "U", .to = "S"}}, .verdict = VERDICT_MOVE,
     .guard = ""},
    {.name = "a mandatory return doubles the rest", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .1, .das_t = .9,
     .past = {{.hours_ago = 20, .from = "S", .to = "U", .mandatory = true},
              {.hours_ago = 11, .from = "U", .to = "S", .mandatory = true}},
     .verdict = VERDICT_REFUSED, .guard = "5-cooldown"},
    {.name = "but not for ever", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .1, .das_t = .9,
     .past = {{.hours_ago = 20, .from = "S", .to = "U", .mandatory = true},
              {.hours_ago = 12.1, .from = "U", .to = "S", .mandatory = true}},
     .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "an optional return does not", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .1,
     .das_t = .9,
     .past = {{.hours_ago = 20, .from = "S", .to = "U"}, {.hours_ago = 11, .from = "U", .to = "S"}},
     .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a boomerang after the repair is refused", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .2, .das_t = .9,
     .past = {{.hours_ago = 48, .from = "T", .to = "S", .mandatory = true, .das_gain = -.7}},
     .verdict = VERDICT_REFUSED, .guard = "5-cooldown"},
    {.name = "but not after three days", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .2,
     .das_t = .9,
     .past = {{.hours_ago = 72.1, .from = "T", .to = "S", .mandatory = true, .das_gain = -.7}},
     .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "following the sun goes both ways", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .2, .das_t = .9,
     .past = {{.hours_ago = 36, .from = "S", .to = "T", .mandatory = false, .das_gain = .7},
              {.hours_ago = 24, .from = "T", .to = "S", .mandatory = false, .das_gain = .7}},
     .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "a way back for health is not following the sun", .s = {.ghs = .7},
     .t = {.ghs = .97}, .das_s = .5, .das_t = .7,
     .past = {{.hours_ago = 12, .from = "T", .to = "S", .mandatory = false, .das_gain = .7}},
     .verdict = VERDICT_REFUSED, .guard = "5-cooldown"},
    {.name = "a way there of unknown reason is not either", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .2, .das_t = .9,
     .past = {{.hours_ago = 12, .from = "T", .to = "S", .mandatory = false, .das_gain = NAN}},
     .verdict = VERDICT_REFUSED, .guard = "5-cooldown"},

    /* ---- 6: confidence ---- */
    {.name = "old health moves nothing", .s = {.ghs = .8, .age_s = 301}, .t = {.ghs = .97},
     .verdict = VERDICT_REFUSED, .guard = "6-confidence"},
    {.name = "nor does old health of the target", .s = {.ghs = .8},
     .t = {.ghs = .97, .age_s = 301}, .verdict = VERDICT_REFUSED, .guard = "6-confidence"},
    {.name = "nor health from the future", .s = {.ghs = .8}, .t = {.ghs = .97, .age_s = -61},
     .verdict = VERDICT_REFUSED, .guard = "6-confidence"},
    {.name = "five minutes are not old", .s = {.ghs = .8, .age_s = 300},
     .t = {.ghs = .97, .age_s = -60}, .verdict = VERDICT_MOVE, .guard = ""},
    {.name = "unsure health moves nothing", .s = {.ghs = .8, .unsure = .51}, .t = {.ghs = .97},
     .verdict = VERDICT_REFUSED, .guard = "6-confidence"},
    {.name = "unsure affinity moves nothing", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .1,
     .das_t = .9, .das_unsure = .51, .verdict = VERDICT_REFUSED, .guard = "6-confidence"},
    {.name = "old affinity moves nothing", .s = {.ghs = .97}, .t = {.ghs = .97}, .das_s = .1,
     .das_t = .9, .das_age_s = 10801, .verdict = VERDICT_REFUSED, .guard = "6-confidence"},
    {.name = "affinity from the future moves nothing", .s = {.ghs = .97}, .t = {.ghs = .97},
     .das_s = .1, .das_t = .9, .das_age_s = -61, .verdict = VERDICT_REFUSED,
     .guard = "6-confidence"},
    {.name = "a volume without affinity makes no optional move", .s = {.ghs = .7},
     .t = {.ghs = .97}, .das_s = -1, .das_t = .9, .verdict = VERDICT_REFUSED,
     .guard = "6-confidence"},
};
/* clang-format on */

/* ---- building fleets ---- */

static void add_gateway(struct plan_fleet *f, const char *name, const struct side *side)
{
    const struct plan_gateway g = {
        .name = name,
        .state = side->state,
        .capacity_bytes = side->capacity_bytes,
        .iops_limit = side->iops_limit,
    };
    const struct plan_health h = {
        .time = now - side->age_s,
        .ghs = side->ghs,
        .p_fail = side->p_fail,
        .confidence = 1 - side->unsure,
        .reason = "",
    };
    CHECK(plan_fleet_gateway(f, &g) == 0);
    if (!(side->ghs < 0))
        CHECK(plan_fleet_health(f, name, &h) == 0);
}

static void add_volume(struct plan_fleet *f, const char *name, const char *owner,
                       enum rec_route_state state, const char *other)
{
    const struct plan_volume v = {
        .name = name,
        .owner_name = owner,
        .state = state,
        .epoch = 1,
        .size_bytes = GIB,
        .routed = now - 100 * hour,
    };
    CHECK(plan_fleet_volume(f, &v, other, "") == 0);
}

static void add_affinity(struct plan_fleet *f, const struct scenario *sc, const char *gateway,
                         double das)
{
    const struct plan_demand d = {
        .time = now - sc->das_age_s,
        .confidence = 1 - sc->das_unsure,
        .requests = 21600,
        .horizon_s = 6 * hour,
    };
    if (das >= 0)
        CHECK(plan_fleet_affinity(f, "v", gateway, das, 0, &d) == 0);
}

static void add_past(struct plan_fleet *f, const struct past *p, size_t i)
{
    char id[16], detail[64] = "";
    snprintf(id, sizeof(id), "m%zu", i);
    if (!isnan(p->das_gain))
        snprintf(detail, sizeof(detail), "%s; affinity %.2f to %.2f",
                 p->mandatory ? "mandatory: x" : "optional: x", p->das_gain < 0 ? -p->das_gain : 0,
                 p->das_gain < 0 ? 0 : p->das_gain);
    const double time = now - p->hours_ago * hour;
    CHECK(plan_history_event(&f->history, time, id, "v", p->from, p->to, EVENT_SWITCHED, "") == 0);
    CHECK(plan_history_event(&f->history, time, id, "v", p->from, p->to, EVENT_BEGIN, detail) == 0);
}

static void build(struct plan_fleet *f, const struct scenario *sc)
{
    const struct plan_volume v = {
        .name = "v",
        .owner_name = "S",
        .state = sc->state,
        .epoch = 1,
        .size_bytes = GIB,
        .policy = sc->policy,
    };
    add_gateway(f, "S", &sc->s);
    add_gateway(f, "T", &sc->t);
    CHECK(plan_fleet_volume(f, &v, sc->state ? "T" : "", sc->allowed ? sc->allowed : "") == 0);
    f->with_affinity = sc->das_s != 0 || sc->das_t != 0;
    if (f->with_affinity) {
        add_affinity(f, sc, "S", sc->das_s);
        add_affinity(f, sc, "T", sc->das_t);
    }
    for (size_t i = 0; i < 3 && sc->past[i].from; i++)
        add_past(f, &sc->past[i], i);
    f->with_history = true;
    CHECK(plan_fleet_settle(f) == 0);
}

/* ---- deciding ---- */

/* What the planner said: the moves as "VOLUME>TARGET …", and its last verdict. */
struct heard {
    char moves[256];
    enum rec_verdict verdict;
    enum plan_refusal refusal;
    unsigned verdicts;
    struct buf words;
};

static int hear_move(void *arg, const struct plan_move *m)
{
    struct heard *h = arg;
    size_t used = strlen(h->moves);
    snprintf(h->moves + used, sizeof(h->moves) - used, "%s%s>%s", used ? " " : "",
             plan_case_volume(m->c)->name, plan_case_target(m->c)->name);
    return 0;
}

static int hear_verdict(void *arg, const struct plan_verdict *v)
{
    struct heard *h = arg;
    h->verdict = v->verdict;
    h->refusal = v->refusal;
    h->verdicts++;
    buf_clear(&h->words);
    CHECK((v->refusal ? plan_words_refusal(&h->words, v->c, v->refusal)
                      : plan_words_move(&h->words, v->c)) == 0);
    CHECK(h->words.len > 0);
    return 0;
}

static void decide(const struct plan_fleet *f, const struct plan_limits *lim, struct heard *h)
{
    const struct plan_sink sink = {h, hear_move, hear_verdict};
    CHECK(plan_choose(f, lim, now, &sink) == 0);
}

static void test_scenario(const struct scenario *sc)
{
    struct plan_fleet f = {0};
    struct plan_limits lim;
    struct heard h = {0};
    const bool planned = sc->verdict == VERDICT_MOVE || sc->verdict == VERDICT_SHADOW;
    test_begin(sc->name);
    plan_limits_init(&lim);
    lim.force = sc->force;
    build(&f, sc);
    decide(&f, &lim, &h);
    CHECK_EQ_U64(h.verdicts, 1);
    CHECK_STR(rec_verdict_words[h.verdict], rec_verdict_words[sc->verdict]);
    CHECK_STR(plan_guard_name(plan_guard_of(h.refusal)), sc->guard);
    CHECK_STR(h.moves, planned ? "v>T" : "");
    buf_release(&h.words);
    plan_fleet_release(&f);
}

/* ---- several volumes ---- */

static const struct side well = {.ghs = .97}, failing = {.ghs = .2, .p_fail = .7};

static void check_moves(struct plan_fleet *f, const struct plan_limits *lim, const char *want)
{
    struct heard h = {0};
    CHECK(plan_fleet_settle(f) == 0);
    decide(f, lim, &h);
    CHECK_STR(h.moves, want);
    buf_release(&h.words);
    plan_fleet_release(f);
}

static void test_at_once(void)
{
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("moves at once");
    plan_limits_init(&lim);
    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &well);
    add_gateway(&f, "c", &well);
    add_volume(&f, "v2", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "v1", "a", ROUTE_STATE_STEADY, "");
    check_moves(&f, &lim, "v1>b");

    lim.max_per_source = 2;
    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &well);
    add_gateway(&f, "c", &well);
    add_volume(&f, "v2", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "v1", "a", ROUTE_STATE_STEADY, "");
    check_moves(&f, &lim, "v1>b v2>c");

    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &well);
    add_volume(&f, "v2", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "v1", "a", ROUTE_STATE_MOVING, "b");
    check_moves(&f, &lim, "");
}

static void test_evacuation(void)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("a third of the gateways is evacuated at once");
    plan_limits_init(&lim);
    for (size_t i = 0; i < 6; i++)
        add_gateway(&f, names[i], i < 3 ? &failing : &well);
    add_volume(&f, "va", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "vb", "b", ROUTE_STATE_STEADY, "");
    add_volume(&f, "vc", "c", ROUTE_STATE_STEADY, "");
    check_moves(&f, &lim, "va>d vb>e");
}

static void test_room(void)
{
    const struct side small = {.ghs = .97, .capacity_bytes = 2ULL * GIB};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("kept copies and planned moves take room");
    plan_limits_init(&lim);
    lim.max_per_source = lim.max_per_target = 9;

    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &small);
    add_volume(&f, "v1", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "v2", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "v3", "a", ROUTE_STATE_STEADY, "");
    check_moves(&f, &lim, "v1>b v2>b");

    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &small);
    add_volume(&f, "kept", "a", ROUTE_STATE_UNCOMMITTED, "b");
    add_volume(&f, "v2", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "v3", "a", ROUTE_STATE_STEADY, "");
    check_moves(&f, &lim, "kept>b v2>b");
}

static void test_order(void)
{
    const struct side worse = {.ghs = .1, .p_fail = .9}, drain = {.98, .state = 2};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("the sickest gateway is left first");
    plan_limits_init(&lim);
    lim.max_evacuate = 1;
    lim.max_per_target = 9;
    add_gateway(&f, "a", &drain);
    add_gateway(&f, "b", &failing);
    add_gateway(&f, "c", &worse);
    add_gateway(&f, "d", &well);
    add_volume(&f, "va", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "vb", "b", ROUTE_STATE_STEADY, "");
    add_volume(&f, "vc", "c", ROUTE_STATE_STEADY, "");
    check_moves(&f, &lim, "vc>d vb>d va>d");
}

static void test_share_breaks_ties(void)
{
    const struct plan_demand d = {.time = now, .confidence = 1, .requests = 1, .horizon_s = hour};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("the share breaks ties");
    plan_limits_init(&lim);
    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &well);
    add_gateway(&f, "c", &well);
    add_volume(&f, "v", "a", ROUTE_STATE_STEADY, "");
    f.with_affinity = true;
    CHECK(plan_fleet_affinity(&f, "v", "a", .5, .5, &d) == 0);
    CHECK(plan_fleet_affinity(&f, "v", "b", .5, .1, &d) == 0);
    CHECK(plan_fleet_affinity(&f, "v", "c", .5, .4, &d) == 0);
    check_moves(&f, &lim, "v>c");
}

/* v left b ten hours ago, for whatever reason, and must leave a now; c is as well as b. */
static void check_return(double das_b, double das_c, enum rec_route_state state, double hours_ago,
                         const char *want)
{
    const struct plan_demand d = {.time = now, .confidence = 1, .requests = 1, .horizon_s = hour};
    const struct past left = {hours_ago, "b", "a", false, NAN};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    plan_limits_init(&lim);
    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &well);
    add_gateway(&f, "c", &well);
    add_volume(&f, "v", "a", state, state ? "b" : "");
    add_past(&f, &left, 0);
    f.with_history = true;
    f.with_affinity = true;
    CHECK(plan_fleet_affinity(&f, "v", "a", .5, 0, &d) == 0);
    CHECK(plan_fleet_affinity(&f, "v", "b", das_b, 0, &d) == 0);
    CHECK(plan_fleet_affinity(&f, "v", "c", das_c, 0, &d) == 0);
    check_moves(&f, &lim, want);
}

static void test_returns_last(void)
{
    test_begin("what must leave returns only for the margin, or to a kept copy");
    check_return(.5, .5, ROUTE_STATE_STEADY, 10, "v>c");
    check_return(.69, .4, ROUTE_STATE_STEADY, 10, "v>c");
    check_return(.7, .39, ROUTE_STATE_STEADY, 10, "v>b");
    check_return(.7, .4, ROUTE_STATE_STEADY, 72, "v>b");
    check_return(.5, .5, ROUTE_STATE_UNCOMMITTED, 10, "v>b");
}

/* Or every volume of a site would be on the gateway that comes first by name. */
static void test_load_breaks_ties(void)
{
    const struct plan_demand d = {.time = now, .confidence = 1, .requests = 1, .horizon_s = hour};
    static const char *const names[] = {"a", "b", "c"};
    static const char *const volumes[] = {"v", "there"};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("the load breaks ties");
    plan_limits_init(&lim);
    add_gateway(&f, "a", &failing);
    add_gateway(&f, "b", &well);
    add_gateway(&f, "c", &well);
    add_volume(&f, "v", "a", ROUTE_STATE_STEADY, "");
    add_volume(&f, "there", "b", ROUTE_STATE_STEADY, "");
    f.with_affinity = true;
    for (int i = 0; i < 6; i++)
        CHECK(plan_fleet_affinity(&f, volumes[i / 3], names[i % 3], .5, 0, &d) == 0);
    check_moves(&f, &lim, "v>c");
}

static void test_without_history(void)
{
    const struct plan_volume v = {
        .name = "v", .owner_name = "a", .epoch = 2, .size_bytes = 1, .routed = now - hour};
    const struct side ailing = {.ghs = .7};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    test_begin("without history the route's time counts");
    plan_limits_init(&lim);
    for (int known = 0; known < 2; known++) {
        add_gateway(&f, "a", &ailing);
        add_gateway(&f, "b", &well);
        CHECK(plan_fleet_volume(&f, &v, "", "") == 0);
        f.with_history = known;
        check_moves(&f, &lim, known ? "v>b" : "");
    }
}

/* ---- contradictions, words ---- */

static void test_contradictions(void)
{
    const struct plan_health well_now = {.time = now, .ghs = .9, .confidence = 1, .reason = ""};
    const struct plan_health ill_now = {.time = now, .ghs = .2, .confidence = 1, .reason = ""};
    const struct plan_health ill_then = {.time = now - 1, .ghs = .2, .confidence = 1, .reason = ""};
    const struct plan_gateway a = {.name = "a"};
    struct plan_fleet f = {0};
    test_begin("contradicting scores");
    CHECK(plan_fleet_gateway(&f, &a) == 0);
    CHECK(plan_fleet_gateway(&f, &a) == -EEXIST);
    CHECK(plan_fleet_health(&f, "a", &well_now) == 0);
    CHECK(plan_fleet_health(&f, "a", &well_now) == 0);
    CHECK(plan_fleet_health(&f, "a", &ill_now) == -EEXIST);
    CHECK(plan_fleet_health(&f, "a", &ill_then) == 0);
    CHECK(f.gateways[0].health.ghs == .9);
    CHECK(plan_fleet_health(&f, "b", &well_now) == -ENOENT);
    plan_fleet_release(&f);
}

static void test_recall(void)
{
    bool mandatory = false;
    double gain = NAN;
    test_begin("recall");
    plan_words_recall("", &mandatory, &gain);
    plan_words_recall("redirected; affinity strong to say the least", &mandatory, &gain);
    CHECK(!mandatory && isnan(gain));
    plan_words_recall("optional: a health 0.70, b healthy 0.97; affinity 0.25 to 0.75; benefit 1",
                      &mandatory, &gain);
    CHECK(!mandatory && gain == .5);
    plan_words_recall("mandatory: a drains, b healthy 0.97; affinity 0.75 to 0.50", &mandatory,
                      &gain);
    CHECK(mandatory && gain == -.25);
}

static void test_words(void)
{
    const struct plan_health h = {
        .time = now, .ghs = .15, .p_fail = .83, .confidence = 1, .reason = "nbd_read_us rising"};
    const struct plan_gateway a = {.name = "gw-a"};
    struct plan_fleet f = {0};
    struct plan_limits lim;
    struct heard heard = {0};
    test_begin("words");
    plan_limits_init(&lim);
    CHECK(plan_fleet_gateway(&f, &a) == 0);
    CHECK(plan_fleet_health(&f, "gw-a", &h) == 0);
    add_gateway(&f, "gw-b", &well);
    add_volume(&f, "v", "gw-a", ROUTE_STATE_STEADY, "");
    CHECK(plan_fleet_settle(&f) == 0);
    decide(&f, &lim, &heard);
    CHECK_STR(heard.words.data, "mandatory: gw-a p_fail 0.83 (nbd_read_us rising), gw-b healthy "
                                "0.97; affinity 0.50 to 0.50; benefit 1.32; copies 1.0 GiB "
                                "in about 10 s");
    buf_release(&heard.words);
    plan_fleet_release(&f);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        test_scenario(&scenarios[i]);
    test_at_once();
    test_evacuation();
    test_room();
    test_order();
    test_share_breaks_ties();
    test_load_breaks_ties();
    test_returns_last();
    test_without_history();
    test_contradictions();
    test_recall();
    test_words();
    test_begin("plan");
    return test_done();
}
