/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The planner's choice against the best there is, found by trying every assignment of small seeded
 * fleets: healthy gateways with little room, so that volumes are in each other's way, of sizes much
 * alike or not at all.  Prints, for both orders, how much of the best benefit the first choice and
 * the improved one have, and how much of it is had early: a benefit weighs by the bytes, of all
 * volumes, that are still to be copied when its own are, one move after the other.
 */
#include <math.h>

#include "common/plan/choose.h"
#include "tests/unit/fleetrandom.h"

enum { FLEETS = 300, GATEWAYS = 4, VOLUMES = 6, STAYS = GATEWAYS };

static const double now = 1e6;

struct world {
    double ghs[GATEWAYS];
    uint64_t capacity[GATEWAYS];
    size_t owner[VOLUMES];
    uint64_t bytes[VOLUMES];
    uint64_t all_bytes;
    double das[VOLUMES][GATEWAYS];
    unsigned per_target;
};

static void make(struct rng *r, bool alike, struct world *w)
{
    *w = (struct world){0};
    w->per_target = 1 + (unsigned)rng_below(r, 2);
    for (size_t g = 0; g < GATEWAYS; g++) {
        w->ghs[g] = .9 + (double)rng_below(r, 1000) / 10000;
        w->capacity[g] = alike ? 20 + rng_below(r, 30) : 60 + rng_below(r, 120);
    }
    for (size_t v = 0; v < VOLUMES; v++) {
        w->owner[v] = rng_below(r, GATEWAYS);
        w->bytes[v] = alike ? 5 + rng_below(r, 11) : 1 + (UINT64_C(1) << rng_below(r, 7));
        w->all_bytes += w->bytes[v];
        for (size_t g = 0; g < GATEWAYS; g++)
            w->das[v][g] = decimals(r);
    }
}

static void name(char *text, size_t size, char kind, size_t i)
{
    snprintf(text, size, "%c%zu", kind, i);
}

static void fill_gateways(struct plan_fleet *f, const struct world *w)
{
    char text[16];
    for (size_t g = 0; g < GATEWAYS; g++) {
        name(text, sizeof(text), 'g', g);
        const struct plan_gateway row = {.name = text, .capacity_bytes = w->capacity[g]};
        const struct plan_health h = {.time = now, .ghs = w->ghs[g], .confidence = 1, .reason = ""};
        CHECK(plan_fleet_gateway(f, &row) == 0);
        CHECK(plan_fleet_health(f, text, &h) == 0);
    }
}

static void fill_volume(struct plan_fleet *f, const struct world *w, size_t v)
{
    char text[16], gateway[16];
    name(text, sizeof(text), 'v', v);
    name(gateway, sizeof(gateway), 'g', w->owner[v]);
    const struct plan_volume row = {
        .name = text, .owner_name = gateway, .epoch = 1, .size_bytes = w->bytes[v]};
    CHECK(plan_fleet_volume(f, &row, "", "") == 0);
}

static void fill_affinity(struct plan_fleet *f, const struct world *w, size_t v)
{
    static const struct plan_demand d = {.time = 1e6, .confidence = 1, .horizon_s = 3600};
    char text[16], gateway[16];
    name(text, sizeof(text), 'v', v);
    for (size_t g = 0; g < GATEWAYS; g++) {
        name(gateway, sizeof(gateway), 'g', g);
        CHECK(plan_fleet_affinity(f, text, gateway, w->das[v][g], 0, &d) == 0);
    }
}

/* ---- the best there is ---- */

static double benefit(const struct world *w, size_t v, size_t t)
{
    return w->ghs[t] - w->ghs[w->owner[v]] + w->das[v][t];
}

/* The guards that such a fleet can meet. */
static bool worth(const struct world *w, size_t v, size_t t)
{
    const size_t s = w->owner[v];
    const double back = w->ghs[s] - w->ghs[t] + w->das[v][s];
    return t != s && benefit(w, v, t) > .5 && benefit(w, v, t) - back > .3;
}

static bool fits(const struct world *w, const size_t *target)
{
    uint64_t bytes[GATEWAYS] = {0};
    unsigned arriving[GATEWAYS] = {0};
    for (size_t v = 0; v < VOLUMES; v++)
        bytes[w->owner[v]] += w->bytes[v];
    for (size_t v = 0; v < VOLUMES; v++) {
        if (target[v] == STAYS)
            continue;
        bytes[target[v]] += w->bytes[v];
        if (bytes[target[v]] > w->capacity[target[v]] || ++arriving[target[v]] > w->per_target)
            return false;
    }
    return true;
}

/* Of volumes V and on, those before are decided. */
static double best_from(const struct world *w, size_t *target, size_t v)
{
    if (v == VOLUMES)
        return fits(w, target) ? 0 : (double)-INFINITY;
    target[v] = STAYS;
    double best = best_from(w, target, v + 1);
    for (size_t t = 0; t < GATEWAYS; t++) {
        target[v] = t;
        if (worth(w, v, t))
            best = fmax(best, benefit(w, v, t) + best_from(w, target, v + 1));
    }
    target[v] = STAYS;
    return best;
}

/* ---- the planner's ---- */

struct sum {
    const struct world *w;
    size_t target[VOLUMES];
    uint64_t copied;
    double benefit;
    double early;
};

static int take_move(void *arg, const struct plan_move *m)
{
    struct sum *s = arg;
    const size_t v = row_of(plan_case_volume(m->c)->name);
    s->target[v] = row_of(plan_case_target(m->c)->name);
    CHECK(worth(s->w, v, s->target[v]));
    s->copied += s->w->bytes[v];
    const double b = benefit(s->w, v, s->target[v]);
    s->benefit += b;
    s->early += b * (double)(s->w->all_bytes - s->copied) / (double)s->w->all_bytes;
    return 0;
}

static struct sum planned(const struct world *w, enum plan_order order, unsigned improve)
{
    struct plan_fleet f = {.with_affinity = true, .with_history = true};
    struct plan_limits lim;
    struct sum sum = {.w = w};
    const struct plan_sink sink = {&sum, take_move, NULL};
    for (size_t v = 0; v < VOLUMES; v++)
        sum.target[v] = STAYS;
    plan_limits_init(&lim);
    lim.order = order;
    lim.improve = improve;
    lim.max_moves = lim.max_per_source = VOLUMES;
    lim.max_per_target = w->per_target;
    fill_gateways(&f, w);
    for (size_t v = 0; v < VOLUMES; v++)
        fill_volume(&f, w, v);
    for (size_t v = 0; v < VOLUMES; v++)
        fill_affinity(&f, w, v);
    CHECK(plan_fleet_settle(&f) == 0);
    CHECK(plan_choose(&f, &lim, now, &sink) == 0);
    CHECK(fits(w, sum.target));
    plan_fleet_release(&f);
    return sum;
}

/* ---- side by side ---- */

struct score {
    double first;
    double improved;
    double early;
    unsigned missed_first;
    unsigned missed;
};

static void compare(const struct world *w, enum plan_order order, double best, struct score *s)
{
    const struct sum first = planned(w, order, 0), improved = planned(w, order, 100000);
    CHECK(improved.benefit >= first.benefit - 1e-9);
    CHECK(best >= improved.benefit - 1e-9);
    s->first += first.benefit;
    s->improved += improved.benefit;
    s->early += improved.early;
    s->missed_first += best > first.benefit + 1e-9;
    s->missed += best > improved.benefit + 1e-9;
}

static void test_fleets(const char *sizes, bool alike)
{
    static const char *const names[] = {"benefit", "benefit per byte"};
    struct score s[2] = {{0}};
    double best = 0;
    for (size_t seed = 1; seed <= FLEETS; seed++) {
        char text[64];
        struct rng r;
        struct world w;
        size_t target[VOLUMES] = {0};
        snprintf(text, sizeof(text), "plan_optimum, sizes %s, seed %zu", sizes, seed);
        test_begin(text);
        rng_init(&r, seed);
        make(&r, alike, &w);
        const double b = best_from(&w, target, 0);
        best += b;
        for (unsigned o = PLAN_ORDER_BENEFIT; o <= PLAN_ORDER_PER_BYTE; o++)
            compare(&w, o, b, &s[o]);
    }
    test_begin(sizes);
    for (unsigned o = PLAN_ORDER_BENEFIT; o <= PLAN_ORDER_PER_BYTE; o++) {
        printf("plan_optimum: sizes %s, by %s: of the best benefit of %d fleets the first choice "
               "has %.2f%%, the improved one %.2f%%, early %.2f%%; short of it are %u and %u\n",
               sizes, names[o], FLEETS, 100 * s[o].first / best, 100 * s[o].improved / best,
               100 * s[o].early / best, s[o].missed_first, s[o].missed);
        CHECK(s[o].missed < s[o].missed_first);
        CHECK(s[o].improved > .98 * best);
    }
    CHECK(s[PLAN_ORDER_PER_BYTE].early > s[PLAN_ORDER_BENEFIT].early);
}

int main(void)
{
    test_fleets("alike", true);
    test_fleets("mixed", false);
    test_begin("plan_optimum");
    return test_done();
}
