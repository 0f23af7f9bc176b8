/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the planner sees without a look at each target, on seeded random fleets, against the guards
 * asked about each.
 */
#include <math.h>

#include "common/plan/guards.h"
#include "tests/unit/fleetrandom.h"

enum { FLEETS = 2000, GATEWAYS_MAX = 6, VOLUMES_MAX = 8, NAME_ROOM = 24, DAY = 86400 };

static const double now = 1e6;

/* How often each answer was given. */
struct seen {
    size_t hopeless, passed, refused;
};

/* ---- making fleets ---- */

static void add_gateway(struct rng *r, struct plan_fleet *f, const char *name)
{
    const struct plan_gateway g = {
        .name = name,
        .state = chance(r, .8) ? GATEWAY_STATE_ACTIVE : (enum rec_gateway_state)rng_below(r, 4),
        .capacity_bytes = chance(r, .3) ? rng_below(r, 400) : 0,
        .iops_limit = chance(r, .3) ? (double)rng_below(r, 40) : 0,
        .storage = chance(r, .2) ? "shared" : "",
    };
    const struct plan_health h = {
        .time = now - (chance(r, .9) ? 0 : 1000 * (decimals(r) - .5)),
        .ghs = chance(r, .1)   ? (double)NAN
               : chance(r, .5) ? .9 + decimals(r) / 10
                               : decimals(r),
        .p_fail = decimals(r) * decimals(r) * decimals(r),
        .confidence = chance(r, .9) ? .9 : decimals(r),
        .reason = "",
    };
    CHECK(plan_fleet_gateway(f, &g) == 0);
    CHECK(chance(r, .05) || plan_fleet_health(f, name, &h) == 0);
}

static void add_volume(struct rng *r, struct plan_fleet *f, const char *name,
                       char names[][NAME_ROOM], size_t n)
{
    const struct plan_volume v = {
        .name = name,
        .owner_name = names[rng_below(r, n)],
        .state = chance(r, .7) ? ROUTE_STATE_STEADY : ROUTE_STATE_UNCOMMITTED,
        .epoch = 2,
        .size_bytes = 1 + rng_below(r, 100),
        .routed = now - 2 * DAY * decimals(r),
    };
    CHECK(plan_fleet_volume(f, &v, v.state ? names[rng_below(r, n)] : "", "") == 0);
    CHECK(chance(r, .8) || plan_fleet_changed(f, name, names[rng_below(r, n)], 0) == 0);
    if (chance(r, .3))
        CHECK(plan_history_event(&f->history, now - 10 * DAY * decimals(r), name, name,
                                 names[rng_below(r, n)], v.owner_name, EVENT_SWITCHED, "") == 0);
}

static void add_affinity(struct rng *r, struct plan_fleet *f, const char *name,
                         char names[][NAME_ROOM], size_t n)
{
    const struct plan_demand d = {
        .time = now - (chance(r, .9) ? 0 : DAY * decimals(r)),
        .confidence = chance(r, .9) ? .9 : decimals(r),
        .requests = (double)rng_below(r, 20000),
        .horizon_s = 3600,
    };
    const bool flat = chance(r, .3);
    for (size_t g = 0; g < n; g++)
        if (chance(r, .95))
            CHECK(plan_fleet_affinity(f, name, names[g], flat ? .5 : decimals(r), 0, &d) == 0);
}

static void make_fleet(struct rng *r, struct plan_fleet *f)
{
    char gateways[GATEWAYS_MAX][NAME_ROOM], volumes[VOLUMES_MAX][NAME_ROOM];
    const size_t n = 2 + rng_below(r, GATEWAYS_MAX - 1), n_volumes = 1 + rng_below(r, VOLUMES_MAX);
    f->with_affinity = chance(r, .7);
    f->with_history = chance(r, .8);
    for (size_t g = 0; g < n; g++) {
        snprintf(gateways[g], sizeof(*gateways), "g%zu", g);
        add_gateway(r, f, gateways[g]);
    }
    for (size_t v = 0; v < n_volumes; v++) {
        snprintf(volumes[v], sizeof(*volumes), "v%zu", v);
        add_volume(r, f, volumes[v], gateways, n);
    }
    for (size_t v = 0; f->with_affinity && v < n_volumes; v++)
        if (chance(r, .9))
            add_affinity(r, f, volumes[v], gateways, n);
    CHECK(plan_fleet_settle(f) == 0);
}

/* ---- asking ---- */

static size_t healthiest(const struct plan_fleet *f)
{
    size_t best = PLAN_NONE;
    for (size_t g = 0; g < f->gateway_names.n; g++) {
        const struct plan_gateway *w = &f->gateways[g];
        if (w->state == GATEWAY_STATE_ACTIVE && w->scored && !isnan(w->health.ghs) &&
            (best == PLAN_NONE || w->health.ghs > f->gateways[best].health.ghs))
            best = g;
    }
    return best;
}

static void check_volume(struct plan_case c, struct seen *seen)
{
    const size_t owner = plan_case_volume(&c)->owner, best = healthiest(c.fleet);
    if (plan_judge_volume(&c))
        return;
    c.target = best;
    if (best != PLAN_NONE)
        c.score = plan_score_most(c.fleet, c.volume, best);
    const bool hopeless = plan_judge_hopeless(&c);
    const double most = c.score.benefit;
    seen->hopeless += hopeless;
    for (size_t g = 0; g < c.fleet->gateway_names.n; g++) {
        if (g == owner)
            continue;
        c.target = g;
        c.score = plan_score(c.fleet, c.volume, g);
        const bool passes = plan_judge(&c) == PLAN_PASS;
        CHECK(plan_judge_passes(&c) == passes);
        CHECK(!passes || !hopeless);
        CHECK(!passes || isnan(c.score.benefit) || c.score.benefit <= most);
        seen->passed += passes;
        seen->refused += !passes && !hopeless;
    }
}

static void check_fleet(struct rng *r, struct seen *seen)
{
    struct plan_fleet f = {0};
    struct plan_projection p;
    struct plan_limits lim;
    make_fleet(r, &f);
    plan_limits_init(&lim);
    lim.max_moves = (unsigned)rng_below(r, 4);
    lim.force = chance(r, .3);
    lim.threshold = chance(r, .5) ? .5 : decimals(r);
    CHECK(plan_projection_init(&p, &f, &lim, now) == 0);
    if (chance(r, .5))
        plan_projection_start(&p, &f, &lim, rng_below(r, f.gateway_names.n),
                              rng_below(r, f.gateway_names.n), true);
    if (chance(r, .1))
        p.opens = INFINITY;
    for (size_t v = 0; v < f.volume_names.n; v++) {
        const struct plan_case c = {
            .fleet = &f,
            .limits = &lim,
            .projection = &p,
            .now = now,
            .volume = v,
            .target = PLAN_NONE,
            .cause = plan_cause(&f.gateways[f.volumes[v].owner], &lim),
            .together = 1,
        };
        check_volume(c, seen);
    }
    plan_projection_release(&p);
    plan_fleet_release(&f);
}

int main(void)
{
    struct seen seen = {0};
    char name[64];
    for (size_t seed = 1; seed <= FLEETS; seed++) {
        struct rng r;
        rng_init(&r, seed);
        snprintf(name, sizeof(name), "plan_shortcuts, seed %zu", seed);
        test_begin(name);
        check_fleet(&r, &seen);
    }
    test_begin("plan_shortcuts");
    CHECK(seen.hopeless > FLEETS / 2 && seen.passed > FLEETS / 2 && seen.refused > FLEETS / 2);
    return test_done();
}
