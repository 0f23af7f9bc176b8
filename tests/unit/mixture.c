/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Methods weighed by their errors, and forecasts mixed by these weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/forecast/days.h"
#include "common/forecast/mixture.h"
#include "common/forecast/model.h"
#include "tests/unit/tap.h"

enum { METHODS = 5, CELLS = 101 };

static double sum_of(const double *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

static void test_weights(void)
{
    const double error[METHODS] = {90, 80, 100, 80, 1e9};
    double a[METHODS], b[METHODS], other[METHODS];
    mixture_weigh(error, METHODS, 7, a);
    CHECK(fabs(sum_of(a, METHODS) - 1) < 1e-12);
    CHECK(a[1] == a[3] && a[1] > a[0] && a[0] > a[2] && a[4] == 0);
    /* In another unit the same; with fewer days to judge by, less sure. */
    for (size_t k = 0; k < METHODS; k++)
        other[k] = 1e6 * error[k];
    mixture_weigh(other, METHODS, 7, b);
    for (size_t k = 0; k < METHODS; k++)
        CHECK(fabs(a[k] - b[k]) < 1e-9);
    mixture_weigh(error, METHODS, 2, b);
    CHECK(b[0] / b[1] > a[0] / a[1] && b[0] < b[1]);
}

/* Who has never erred is all there is; if nobody has, all are the same. */
static void test_weights_without_error(void)
{
    const double one[METHODS] = {3, 0, 5, 1e-3, 8}, none[METHODS] = {0};
    double w[METHODS];
    mixture_weigh(one, METHODS, 7, w);
    CHECK(w[1] == 1 && sum_of(w, METHODS) == 1);
    mixture_weigh(none, METHODS, 0.5, w);
    for (size_t k = 0; k < METHODS; k++)
        CHECK(fabs(w[k] - 1.0 / METHODS) < 1e-12);
}

/* Half way between mean and median, worked out by hand. */
static void test_known(void)
{
    const double each[] = {1, 10, 100}, even[] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
    const double most[] = {0.6, 0.2, 0.2}, two[] = {0.5, 0, 0.5};
    double out;
    mixture_of(each, even, 3, 1, &out);
    CHECK(fabs(out - (37 + 10) / 2.0) < 1e-9);
    /* Middles of weights at 0.3, 0.7 and 0.9: one half is half way from the first to the second. */
    mixture_of(each, most, 3, 1, &out);
    CHECK(fabs(out - (22.6 + 5.5) / 2.0) < 1e-9);
    mixture_of(each, two, 3, 1, &out);
    CHECK(fabs(out - 50.5) < 1e-9);
}

static void draw(struct rng *r, double *each, double *weight)
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)METHODS * CELLS; i++)
        each[i] = 100 * rng_unit(r);
    for (size_t k = 0; k < METHODS; k++)
        sum += weight[k] = rng_below(r, 3) || k == 2 ? 0.05 + rng_unit(r) : 0;
    for (size_t k = 0; k < METHODS; k++)
        weight[k] /= sum;
}

/*
 * Of any forecasts: between the lowest and the highest, in any order of the methods, and whatever
 * one says that has no weight.
 */
static void test_any(void)
{
    static double each[METHODS * CELLS], turned[METHODS * CELLS];
    double weight[METHODS], turned_weight[METHODS], a[CELLS], b[CELLS];
    struct rng r;
    rng_init(&r, 5);
    for (int round = 0; round < 50; round++) {
        draw(&r, each, weight);
        for (size_t k = 0; k < METHODS; k++) {
            size_t to = (k + 2) % METHODS;
            turned_weight[to] = weight[k];
            for (size_t i = 0; i < CELLS; i++)
                turned[to * CELLS + i] = weight[k] > 0 ? each[k * CELLS + i] : 1e300;
        }
        mixture_of(each, weight, METHODS, CELLS, a);
        mixture_of(turned, turned_weight, METHODS, CELLS, b);
        for (size_t i = 0; i < CELLS; i++) {
            double low = INFINITY, high = 0;
            for (size_t k = 0; k < METHODS; k++)
                if (weight[k] > 0) {
                    low = fmin(low, each[k * CELLS + i]);
                    high = fmax(high, each[k * CELLS + i]);
                }
            CHECK(a[i] >= low - 1e-9 && a[i] <= high + 1e-9);
            CHECK(fabs(a[i] - b[i]) < 1e-9);
        }
    }
}

/* ---- what becomes of a series ---- */

enum { KNOWN = 6 * HOURS_A_WEEK, LATER = HOURS_A_WEEK };

/* An hour's own level, some noise, and every so often a burst that nothing announces. */
static void bursts(double *y, uint64_t seed)
{
    struct rng r;
    double level[HOURS_A_DAY];
    rng_init(&r, seed);
    for (size_t i = 0; i < HOURS_A_DAY; i++)
        level[i] = 1000 * rng_unit(&r);
    for (size_t i = 0; i < KNOWN + LATER; i++) {
        double burst = rng_below(&r, 12) ? 0 : 30000 * rng_unit(&r);
        y[i] = level[i % HOURS_A_DAY] * exp(0.3 * rng_normal(&r)) + burst;
    }
}

/* As much as on the day before, but for chance: only the last days tell. */
static void wander(double *y, uint64_t seed)
{
    struct rng r;
    double level = 0;
    rng_init(&r, seed);
    for (size_t i = 0; i < KNOWN + LATER; i++) {
        if (i % HOURS_A_DAY == 0)
            level = 0.9 * level + 0.5 * rng_normal(&r);
        y[i] = 1000 * exp(level + 0.3 * rng_normal(&r));
    }
}

/*
 * The model's mean absolute error of a week, day by day, over that of the median of the same hour
 * of DAYS days; over many series.
 */
static double beside_median(void (*make)(double *y, uint64_t seed), size_t days, bool *smooths)
{
    static double y[KNOWN + LATER];
    double ours = 0, plain = 0;
    *smooths = false;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct model m;
        struct model_point p[HOURS_A_DAY] = {0};
        double usual[HOURS_A_DAY];
        make(y, seed);
        CHECK(model_fit((struct series){y, KNOWN, 0}, seed, &m) == 0);
        *smooths |= m.weight[MODEL_PLAIN] > 0 || m.weight[MODEL_LOG] > 0;
        for (size_t at = KNOWN; at < KNOWN + LATER; at += HOURS_A_DAY) {
            struct series s = {y, at, 0};
            CHECK(model_predict(&m, s, NULL, HOURS_A_DAY, p) == 0);
            days_quantile(s, days, 0.5, usual);
            for (size_t i = 0; i < HOURS_A_DAY; i++) {
                ours += fabs(y[at + i] - p[i].requests);
                plain += fabs(y[at + i] - usual[i]);
            }
        }
    }
    return ours / plain;
}

/* Where a median of days is the best one can do, no mixture makes it worse. */
static void test_bursts(void)
{
    bool smooths;
    CHECK(beside_median(bursts, 7, &smooths) < 1.01);
}

/* … and where there is more to know, it is known. */
static void test_wander(void)
{
    bool smooths;
    CHECK(beside_median(wander, 7, &smooths) < 0.9 && smooths);
}

int main(void)
{
    test_begin("mixture");
    test_weights();
    test_weights_without_error();
    test_known();
    test_any();
    test_bursts();
    test_wander();
    return test_done();
}
