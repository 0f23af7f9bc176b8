/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Work that a board leaves out changes none of its scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/health/anomaly.h"
#include "common/health/board.h"
#include "tests/bench/health_sim.h"
#include "tests/unit/tap.h"

enum { SEEDS = 6, DAYS = 4, STEP_S = 60, ROUNDS = DAYS * 86400 / STEP_S };

static const struct health_rules full = {.horizon_s = 86400,
                                         .silent_after_s = 60,
                                         .max_series = 1000,
                                         .damping = SIGNAL_DAMPING_DEFAULT};

static bool same(const struct health_score *a, const struct health_score *b)
{
    return !strcmp(a->reason, b->reason) &&
           !memcmp(a->features, b->features, sizeof(a->features)) &&
           !memcmp(&(double[]){a->ghs, a->current, a->p_fail, a->confidence, a->anomaly, a->shift},
                   &(double[]){b->ghs, b->current, b->p_fail, b->confidence, b->anomaly, b->shift},
                   6 * sizeof(double));
}

/* A gateway that may degrade on its last day, told to three boards. */
struct watch {
    struct health_limits limits;
    struct health_rules lean;
    struct health_board *asked;   /* about every round */
    struct health_board *rarely;  /* now and then */
    struct health_board *leanest; /* as RARELY, and it keeps nothing for anomaly scores */
    unsigned ramps;               /* answers with a risk */
};

static struct health_board *board(struct watch *w, const struct health_rules *rules)
{
    struct health_board *b = health_board_new(&w->limits, rules);
    if (!b)
        abort();
    return b;
}

static struct health_score ask(struct health_board *b, double now)
{
    struct health_score s;
    CHECK(health_board_score(b, 0, now, &s) == 0);
    return s;
}

static void tell(struct watch *w, double time, const char *metric, double value)
{
    CHECK(health_board_add(w->asked, time, "gw", metric, value, NULL, NULL) == 0);
    CHECK(health_board_add(w->rarely, time, "gw", metric, value, NULL, NULL) == 0);
    double anomaly;
    CHECK(health_board_add(w->leanest, time, "gw", metric, value, NULL, &anomaly) == 0);
    CHECK(fabs(anomaly) <= 0);
}

static void watch(struct watch *w, uint64_t seed)
{
    struct sim sim;
    sim_init(&sim, seed, STEP_S);
    if (seed % 3)
        sim.ramp_at = sim.time + (DAYS - 1) * SIM_DAY_S;
    sim.ramp_s = SIM_DAY_S;
    sim.ramp_curved = seed % 2;
    for (unsigned i = 0; i < ROUNDS; i++, sim.time += STEP_S) {
        tell(w, sim.time, "nbd_read_us", sim_level_us(&sim) * exp(0.2 * rng_normal(&sim.rng)));
        tell(w, sim.time, "cpu_busy", 0.3 + 0.1 * rng_unit(&sim.rng));
        tell(w, sim.time, "nbd_error_ratio", rng_below(&sim.rng, 400) == 0);
        const struct health_score often = ask(w->asked, sim.time);
        if (i % 41)
            continue;
        const struct health_score a = ask(w->rarely, sim.time), b = ask(w->leanest, sim.time);
        CHECK(same(&often, &a));
        CHECK(same(&a, &b));
        w->ramps += a.p_fail > 0.1;
    }
}

static unsigned test_boards(uint64_t seed)
{
    struct watch w = {.lean = full};
    w.lean.no_anomalies = true;
    CHECK(health_limits_builtin(&w.limits) == 0);
    w.asked = board(&w, &full);
    w.rarely = board(&w, &full);
    w.leanest = board(&w, &w.lean);
    watch(&w, seed);
    health_board_free(w.asked);
    health_board_free(w.rarely);
    health_board_free(w.leanest);
    health_limits_release(&w.limits);
    return w.ramps;
}

static int by_size(const void *pa, const void *pb)
{
    const double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* The present value by sorting each time. */
static void test_present_value(const struct signal_damping *d)
{
    struct signal s = {0};
    struct rng rng;
    double all[2000] = {0}, held = 0;
    rng_init(&rng, d->n);
    for (unsigned i = 0; i < 2000; i++) {
        const unsigned n = i + 1 < d->n ? i + 1 : d->n, m = n < d->n ? n / 2 + 1 : d->m;
        double v[SIGNAL_RECENT] = {0};
        all[i] = (double)rng_below(&rng, 6) + (i > 1000 ? 3 * rng_unit(&rng) : 0);
        memcpy(v, &all[i + 1 - n], n * sizeof(*v));
        qsort(v, n, sizeof(*v), by_size);
        held = i ? fmin(fmax(held, v[n - m]), v[m - 1]) : all[0];
        CHECK(signal_add(&s, d, 1000 + i, all[i], NULL));
        CHECK(fabs(signal_now(&s) - held) <= 0);
    }
}

int main(void)
{
    static const struct signal_damping dampings[] = {
        SIGNAL_DAMPING_DEFAULT, {1, 1}, {2, 3}, {9, 16}, {16, 16}};
    unsigned ramps = 0;
    test_begin("health_lean");
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        ramps += test_boards(seed);
    CHECK(ramps > 20);
    for (unsigned i = 0; i < sizeof(dampings) / sizeof(*dampings); i++)
        test_present_value(&dampings[i]);
    return test_done();
}
