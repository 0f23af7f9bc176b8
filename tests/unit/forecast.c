/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forecasts of one series: properties that any history must keep, and known series. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/rng.h"
#include "common/forecast/days.h"
#include "common/forecast/logs.h"
#include "common/forecast/model.h"
#include "tests/unit/tap.h"

enum { AHEAD = 48, LONGEST = 10 * HOURS_A_WEEK };

/* A daily wave, lower on two days of seven, with some noise. */
static void weekly_wave(double *y, size_t n, uint64_t seed, double noise)
{
    struct rng r;
    rng_init(&r, seed);
    for (size_t i = 0; i < n; i++) {
        double day = 1 + cos(2 * M_PI * (double)(i % HOURS_A_DAY) / HOURS_A_DAY);
        double factor = i / HOURS_A_DAY % 7 >= 5 ? 0.3 : 1;
        y[i] = fmax(0, 500 * day * factor * (1 + noise * rng_normal(&r)) + 20);
    }
}

static double mean_error(const double *actual, const struct model_point *p, size_t h)
{
    double sum = 0;
    for (size_t i = 0; i < h; i++)
        sum += fabs(actual[i] - p[i].requests);
    return sum / (double)h;
}

static void test_measures(void)
{
    double y[] = {4, 1, 3, 2};
    CHECK(series_mean(y, 4) == 2.5);
    CHECK(series_mean(y, 0) == 0);
    CHECK(series_naive_error((struct series){y, 4, 0}, 1) == 2);
    CHECK(series_naive_error((struct series){y, 4, 0}, 4) == 0);
    CHECK(series_median(y, 4) == 2.5);
    CHECK(series_quantile(y, 4, 0) == 1 && series_quantile(y, 4, 1) == 4);
    CHECK(series_smape(0, 0) == 0 && series_smape(5, 0) == 200 && series_smape(5, 5) == 0);
    const double falling[] = {3, 9, 1, 0, 4};
    CHECK(series_most(falling, 5) == 9 && series_most(falling + 2, 1) == 1);
    CHECK(series_most(falling, 0) == 0);
}

static void test_views(void)
{
    const double y[] = {0, 1, 2, 3, 4};
    struct series s = {y, 5, 22};
    CHECK_EQ_U64(series_head(s, 9).n, 5);
    CHECK(series_tail(s, 2).y[0] == 3 && series_tail(s, 2).start == 25);
    CHECK_EQ_U64(series_phase(s, 2, HOURS_A_DAY), 0);
    s.start = -1;
    CHECK_EQ_U64(series_phase(s, 0, HOURS_A_DAY), 23);
}

/* Every length around each change of method: finite, ordered, not negative. */
static void test_any_length(void)
{
    static const size_t lengths[] = {0,  1,  2,  3,   23,  24,  25,  47,  71,  72,  73,
                                     95, 96, 97, 167, 336, 503, 504, 505, 672, 1680};
    static double y[LONGEST];
    weekly_wave(y, LONGEST, 7, 0.2);
    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
        struct series s = {y, lengths[k], 490000};
        struct model m;
        struct model_point p[AHEAD] = {0};
        CHECK(model_fit(s, 1, &m) == 0);
        CHECK(model_predict(&m, s, NULL, AHEAD, p) == 0);
        for (size_t i = 0; i < AHEAD; i++) {
            CHECK(isfinite(p[i].upper) && p[i].lower >= 0);
            CHECK(p[i].lower <= p[i].requests && p[i].requests <= p[i].upper);
        }
        CHECK(model_confidence(&m) >= 0 && model_confidence(&m) <= 1);
        CHECK(m.kind == model_kind_for(s.n) ||
              (m.kind == MODEL_LAST && model_kind_for(s.n) == MODEL_MEAN));
    }
}

static void test_names(void)
{
    double y[LONGEST];
    struct model m;
    weekly_wave(y, LONGEST, 3, 0.02);
    CHECK(model_fit((struct series){y, 0, 0}, 1, &m) == 0);
    CHECK_STR(model_name(&m), "none");
    CHECK(model_confidence(&m) == 0);
    CHECK(model_fit((struct series){y, 1, 0}, 1, &m) == 0);
    CHECK_STR(model_name(&m), "last");
    CHECK(model_confidence(&m) < 0.1);
    CHECK(model_fit((struct series){y, LONGEST, 0}, 1, &m) == 0);
    CHECK_STR(model_name(&m), "seasonal");
    CHECK(model_confidence(&m) > 0.9);
}

/* The weekend is foreseen: a forecast that ends a Friday must not look like the Friday. */
static void test_learns_the_week(void)
{
    double y[LONGEST];
    weekly_wave(y, LONGEST, 11, 0.05);
    size_t friday = 6 * HOURS_A_WEEK + 5 * HOURS_A_DAY;
    struct series s = {y, friday, 0};
    struct model m;
    struct model_point p[AHEAD] = {0};
    CHECK(model_fit(s, 1, &m) == 0);
    CHECK(model_predict(&m, s, NULL, AHEAD, p) == 0);
    double naive = 0;
    for (size_t i = 0; i < AHEAD; i++)
        naive += fabs(y[friday + i] - y[friday - HOURS_A_DAY + i % HOURS_A_DAY]) / AHEAD;
    CHECK(mean_error(y + friday, p, AHEAD) < 0.2 * naive);
}

static void test_repeats(void)
{
    double y[LONGEST];
    weekly_wave(y, LONGEST, 5, 0.3);
    struct series s = {y, 5 * HOURS_A_WEEK, 100};
    struct model a, b;
    struct model_point p[AHEAD] = {0}, q[AHEAD] = {0};
    CHECK(model_fit(s, 42, &a) == 0 && model_fit(s, 42, &b) == 0);
    CHECK(model_predict(&a, s, NULL, AHEAD, p) == 0 && model_predict(&b, s, NULL, AHEAD, q) == 0);
    for (size_t i = 0; i < AHEAD; i++)
        CHECK(p[i].requests == q[i].requests && p[i].upper == q[i].upper);
}

/* The range that should hold 80 % of the hours, over many noisy series. */
static void test_interval(void)
{
    double y[LONGEST];
    size_t held = 0, hours = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct series s = {y, 5 * HOURS_A_WEEK, 0};
        struct model m;
        struct model_point p[AHEAD] = {0};
        weekly_wave(y, LONGEST, seed, 0.25);
        CHECK(model_fit(s, seed, &m) == 0 && model_predict(&m, s, NULL, AHEAD, p) == 0);
        for (size_t i = 0; i < AHEAD; i++, hours++)
            held += y[s.n + i] >= p[i].lower && y[s.n + i] <= p[i].upper;
    }
    double coverage = (double)held / (double)hours;
    CHECK(coverage > 0.7 && coverage < 0.95);
}

/* The same of a few days' history, whose errors are few: 4 to 12 days. */
static void test_interval_of_few_days(void)
{
    double y[LONGEST];
    size_t held = 0, hours = 0;
    for (uint64_t seed = 1; seed <= 36; seed++) {
        struct series s = {y, (4 + seed % 9) * HOURS_A_DAY, 0};
        struct model m;
        struct model_point p[HOURS_A_DAY] = {0};
        weekly_wave(y, s.n + HOURS_A_DAY, seed, 0.25);
        CHECK(model_fit(s, seed, &m) == 0 && model_predict(&m, s, NULL, HOURS_A_DAY, p) == 0);
        for (size_t i = 0; i < HOURS_A_DAY; i++, hours++)
            held += y[s.n + i] >= p[i].lower && y[s.n + i] <= p[i].upper;
    }
    double coverage = (double)held / (double)hours;
    CHECK(coverage > 0.72 && coverage < 0.88);
}

/*
 * Three days, of which one stands still: the next is not extrapolated beyond what any hour was, and
 * closer to the two others than nothing is.
 */
static void test_stands_still(void)
{
    double y[4 * HOURS_A_DAY], error = 0, sum = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct series s = {y, 3 * HOURS_A_DAY, 0};
        struct model m;
        struct model_point p[HOURS_A_DAY] = {0};
        struct rng r;
        double most = 0;
        rng_init(&r, seed);
        for (size_t i = 0; i < 4 * HOURS_A_DAY; i++) {
            bool still = i / HOURS_A_DAY == seed % 3;
            y[i] = still ? 0 : 8000 * exp(0.2 * rng_normal(&r));
            if (i < s.n)
                most = fmax(most, y[i]);
        }
        CHECK(model_fit(s, seed, &m) == 0 && model_predict(&m, s, NULL, HOURS_A_DAY, p) == 0);
        for (size_t i = 0; i < HOURS_A_DAY; i++) {
            CHECK(p[i].requests <= 1.25 * most * (1 + 1e-9));
            sum += y[s.n + i];
        }
        error += HOURS_A_DAY * mean_error(y + s.n, p, HOURS_A_DAY);
    }
    CHECK(error < 0.5 * sum);
}

static void test_silence(void)
{
    static const double zero[5 * HOURS_A_WEEK];
    struct series s = {zero, sizeof(zero) / sizeof(zero[0]), 0};
    struct model m;
    struct model_point p[AHEAD] = {0};
    CHECK(model_fit(s, 1, &m) == 0 && model_predict(&m, s, NULL, AHEAD, p) == 0);
    for (size_t i = 0; i < AHEAD; i++)
        CHECK(p[i].requests == 0);
}

/* Counts beyond any disk's must not become infinite. */
static void test_huge(void)
{
    static double y[4 * HOURS_A_WEEK];
    for (size_t i = 0; i < sizeof(y) / sizeof(y[0]); i++)
        y[i] = i % 7 ? 0 : 1.8e19;
    struct series s = {y, sizeof(y) / sizeof(y[0]), 0};
    struct model m;
    struct model_point p[AHEAD] = {0};
    CHECK(model_fit(s, 1, &m) == 0 && model_predict(&m, s, NULL, AHEAD, p) == 0);
    for (size_t i = 0; i < AHEAD; i++)
        CHECK(isfinite(p[i].requests) && isfinite(p[i].upper));
}

/* Forecasts from several points of one run are those of several runs. */
static void test_rolling(void)
{
    double y[LONGEST], all[3 * AHEAD], one[AHEAD];
    const size_t origin[] = {400, 401, 700};
    struct seasonal_search how = {
        .weekly = true, .seed = 1, .tries = 20, .horizon = AHEAD, .origins = 4, .step = 24};
    struct seasonal_params params;
    weekly_wave(y, LONGEST, 2, 0.1);
    struct series s = {y, 800, 0};
    CHECK(seasonal_fit(s, &how, &params) == 0);
    CHECK(seasonal_rolling(s, &params, origin, 3, AHEAD, all) == 0);
    s.n = 700;
    CHECK(seasonal_forecast(s, &params, AHEAD, one) == 0);
    for (size_t i = 0; i < AHEAD; i++)
        CHECK(all[2 * AHEAD + i] == one[i]);
    s.n = SEASONAL_WEEKLY_MIN - 1;
    CHECK(seasonal_forecast(s, &params, AHEAD, one) == -EDOM);
    CHECK(seasonal_fit(s, &how, &params) == -EDOM);
}

/* Days side by side say what the same hours, one by one, do; of a short history, what there is. */
static void test_days(void)
{
    static double y[LONGEST];
    static const size_t lengths[] = {0, 23, 24, 100, 7 * HOURS_A_DAY, LONGEST - 5};
    double upper[HOURS_A_DAY];
    weekly_wave(y, LONGEST, 9, 0.3);
    for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
        struct series s = {y, lengths[k], 0};
        size_t days = s.n / HOURS_A_DAY < DAYS_MAX ? s.n / HOURS_A_DAY : DAYS_MAX;
        days_quantile(s, DAYS_MAX, 0.7, upper);
        for (size_t i = 0; i < HOURS_A_DAY; i++) {
            double same[DAYS_MAX] = {0}, right;
            for (size_t d = 0; d < days; d++)
                same[d] = y[s.n - (d + 1) * HOURS_A_DAY + i];
            series_sort(same, days);
            right = days ? series_quantile(same, days, 0.7) : 0;
            CHECK(fabs(upper[i] - right) <= 1e-9 * right);
        }
    }
}

/* Two parameter sets in one run are those of two runs. */
static void test_rolling_two(void)
{
    double y[LONGEST], a[2 * AHEAD], b[2 * AHEAD], both[2][2 * AHEAD];
    const size_t origin[] = {500, 777};
    const struct seasonal_params p = {.level = 0.1, .trend = 0.01, .day = 0.2, .ar = 0.5};
    struct seasonal_params q = {
        .level = 0.3, .day = 0.1, .week = 0.2, .ar = 0.1, .keep_week = 0.7, .weekly = true};
    q.log = true;
    weekly_wave(y, LONGEST, 3, 0.2);
    struct series s = {y, 800, 5};
    CHECK(seasonal_rolling(s, &p, origin, 2, AHEAD, a) == 0);
    CHECK(seasonal_rolling(s, &q, origin, 2, AHEAD, b) == 0);
    CHECK(seasonal_rolling_two(s, &p, &q, origin, 2, AHEAD, both[0], both[1]) == 0);
    for (size_t i = 0; i < 2 * AHEAD; i++) {
        CHECK(fabs(both[0][i] - a[i]) <= 1e-9 * a[i]);
        CHECK(fabs(both[1][i] - b[i]) <= 1e-9 * b[i]);
    }
}

/* Logarithms of arrays against libm's, from nothing to beyond any count; and back again. */
static void test_logs(void)
{
    enum { N = 4099 };
    static double y[N], x[N];
    static float f[N];
    double wide = 0, narrow = 0, again = 0;
    struct rng r;
    rng_init(&r, 11);
    for (size_t i = 1; i < N; i++)
        y[i] = pow(10, -20 + 50 * rng_unit(&r));
    for (size_t i = 0; i < N; i++)
        f[i] = (float)(y[i] / 3);
    logs_of(y, N, 3, x);
    logs_floats(f, N);
    CHECK(x[0] == 0 && f[0] == 0);
    for (size_t i = 0; i < N; i++) {
        double right = log1p(y[i] / 3);
        wide = fmax(wide, fabs(x[i] - right) / fmax(right, 1));
        narrow = fmax(narrow, fabs((double)f[i] - right) / fmax(right, 1));
    }
    logs_back(x, N, 3);
    for (size_t i = 0; i < N; i++)
        again = fmax(again, fabs(x[i] - y[i]) / fmax(y[i], 3));
    CHECK(wide < 1e-15);
    CHECK(narrow < 3e-7);
    CHECK(again < 3e-14);
    x[0] = -4;
    x[1] = 1e6;
    logs_back(x, 2, 3);
    CHECK(x[0] == 0 && isfinite(x[1]) && x[1] > 1e100);
}

int main(void)
{
    test_begin("forecast");
    test_measures();
    test_views();
    test_any_length();
    test_names();
    test_learns_the_week();
    test_repeats();
    test_interval();
    test_interval_of_few_days();
    test_stands_still();
    test_silence();
    test_huge();
    test_rolling();
    test_days();
    test_rolling_two();
    test_logs();
    return test_done();
}
