/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The search for a seasonal model, several tries at once and given up as soon as they have lost,
 * against one try after the other, each to its end.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/forecast/seasonal.h"
#include "tests/unit/tap.h"

enum { HORIZON = 48, ORIGINS = 5, STEP = 24, HOURS_MAX = 1000, SERIES = 12 };

/* ---- one try after the other ---- */

static double loss(struct series s, const struct seasonal_params *p)
{
    static double all[ORIGINS * HORIZON];
    size_t origin[ORIGINS];
    const double scale = series_mean(s.y, s.n);
    double sum = 0;
    for (size_t j = 0; j < ORIGINS; j++)
        origin[j] = s.n - HORIZON - (ORIGINS - 1 - j) * STEP;
    CHECK(seasonal_rolling(s, p, origin, ORIGINS, HORIZON, all) == 0);
    for (size_t j = 0; j < ORIGINS; j++) {
        double by_scale = 0, smape = 0;
        for (size_t i = 0; i < HORIZON; i++) {
            const double y = s.y[origin[j] + i], x = all[j * HORIZON + i];
            by_scale += fabs(x - y);
            smape += series_smape(y, x);
        }
        sum += by_scale / (scale > 0 ? scale : 1) + smape / 200;
    }
    return sum;
}

static double draw_small(struct rng *r, double low, double high)
{
    return low * pow(high / low, rng_unit(r));
}

static struct seasonal_params draw(struct rng *r, const struct seasonal_search *how)
{
    struct seasonal_params p = {.log = how->log, .weekly = how->weekly};
    p.level = draw_small(r, 1e-4, 0.5);
    p.trend = rng_unit(r) < 0.5 ? 0 : draw_small(r, 1e-5, 0.02);
    p.day = draw_small(r, 1e-3, 0.6);
    p.ar = rng_unit(r);
    if (how->weekly) {
        p.week = draw_small(r, 1e-3, 0.6);
        p.keep_week = rng_unit(r);
    }
    return p;
}

static double nudge(struct rng *r, double v, double width, double max)
{
    v *= exp(width * rng_normal(r));
    return v < max ? v : max;
}

static struct seasonal_params disturb(struct rng *r, struct seasonal_params p, double width)
{
    p.level = nudge(r, p.level, 2 * width, 0.9);
    p.trend = nudge(r, p.trend, 2 * width, 0.1);
    p.day = nudge(r, p.day, 2 * width, 0.9);
    p.week = nudge(r, p.week, 2 * width, 0.9);
    p.ar = fmin(fmax(p.ar + 0.5 * width * rng_normal(r), 0), 0.999);
    if (p.weekly)
        p.keep_week = fmin(fmax(p.keep_week + 0.5 * width * rng_normal(r), 0), 1);
    return p;
}

static struct seasonal_params plainly(struct series s, const struct seasonal_search *how)
{
    struct rng r;
    rng_init(&r, how->seed);
    struct seasonal_params best = draw(&r, how);
    double least = loss(s, &best);
    for (unsigned i = 1; i < how->tries; i++) {
        const double width = 0.5 * (double)(how->tries - i) / (double)how->tries + 0.05;
        const struct seasonal_params p =
            i < how->tries / 2 ? draw(&r, how) : disturb(&r, best, width);
        const double l = loss(s, &p);
        if (l < least) {
            least = l;
            best = p;
        }
    }
    return best;
}

/* ---- both ---- */

/* One of several kinds: with a rhythm and noise, of wild peaks, or of nothing. */
static void fill(struct rng *r, unsigned kind, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double day = 2 + sin(2 * M_PI * (double)i / HOURS_A_DAY);
        const double week = 2 + sin(2 * M_PI * (double)i / HOURS_A_WEEK);
        const double rhythm = floor(100 * day * week * exp(0.3 * rng_normal(r)));
        y[i] = kind == 0 ? rhythm : kind == 1 && rng_below(r, 10) == 0 ? 1e5 * rng_unit(r) : 0;
    }
}

static bool same(const struct seasonal_params *a, const struct seasonal_params *b)
{
    const double x[] = {a->level, a->trend, a->day, a->week, a->ar, a->keep_week};
    const double y[] = {b->level, b->trend, b->day, b->week, b->ar, b->keep_week};
    return !memcmp(x, y, sizeof(x)) && a->log == b->log && a->weekly == b->weekly;
}

static void test_series(uint64_t seed, unsigned tries)
{
    static double y[HOURS_MAX];
    struct rng r;
    rng_init(&r, seed);
    const bool weekly = rng_below(&r, 2);
    const size_t least = weekly ? 3 * HOURS_A_WEEK : 8 * HOURS_A_DAY;
    const struct series s = {y, least + rng_below(&r, HOURS_MAX - least), (int64_t)(seed * 1001)};
    fill(&r, (unsigned)(seed % 3), y, s.n);
    for (int log = 0; log < 2; log++) {
        const struct seasonal_search how = {.log = log,
                                            .weekly = weekly,
                                            .seed = seed,
                                            .tries = tries,
                                            .horizon = HORIZON,
                                            .origins = ORIGINS,
                                            .step = STEP};
        const struct seasonal_params expected = plainly(s, &how);
        struct seasonal_params p;
        CHECK(seasonal_fit(s, &how, &p) == 0);
        CHECK(same(&p, &expected));
    }
}

int main(void)
{
    static const unsigned tries[] = {1, 2, 3, 7, 50, 101};
    char name[64];
    for (uint64_t seed = 1; seed <= SERIES; seed++) {
        snprintf(name, sizeof(name), "seasonal, seed %llu", (unsigned long long)seed);
        test_begin(name);
        for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++)
            test_series(seed, tries[i]);
    }
    return test_done();
}
