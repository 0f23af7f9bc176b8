/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signals, trends, risks and scores, without files and clocks. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/health/anomaly.h"
#include "common/health/board.h"
#include "common/health/doubt.h"
#include "common/health/shift.h"
#include "tests/bench/health_sim.h"
#include "tests/unit/tap.h"

static const struct health_rules rules = {.horizon_s = 86400,
                                          .silent_after_s = 60,
                                          .max_series = 1000,
                                          .damping = SIGNAL_DAMPING_DEFAULT};

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static struct health_board *new_board(struct health_limits *limits)
{
    if (health_limits_builtin(limits) < 0)
        abort();
    struct health_board *b = health_board_new(limits, &rules);
    if (!b)
        abort();
    return b;
}

static void add(struct health_board *b, double time, const char *metric, double value)
{
    CHECK(health_board_add(b, time, "gw", metric, value, NULL, NULL) == 0);
}

static struct health_score score_at(struct health_board *b, double now)
{
    struct health_score s;
    CHECK(health_board_score(b, 0, now, &s) == 0);
    return s;
}

/* ---- limits ---- */

static void test_subscores(void)
{
    struct health_limit high = {"m", 0, 1, 10, 50, false};
    struct health_limit low = {"m", 0, 1, 0.9, 0.5, false};
    CHECK(near(health_subscore(&high, 0), 1) && near(health_subscore(&high, 10), 1));
    CHECK(near(health_subscore(&high, 30), 0.525));
    CHECK(near(health_subscore(&high, 50), 0.05) && near(health_subscore(&high, 1e9), 0.05));
    CHECK(near(health_subscore(&low, 1), 1) && near(health_subscore(&low, 0.9), 1));
    CHECK(near(health_subscore(&low, 0.7), 0.525) && near(health_subscore(&low, 0), 0.05));
}

static void test_limits(void)
{
    struct health_limits l = {0};
    CHECK(health_limits_add(&l, "a", "g", 1, 1, 2, false) == 0);
    CHECK(health_limits_add(&l, "a", "g", 1, 1, 2, false) == -EEXIST);
    CHECK(health_limits_add(&l, "b", "g", 0, 1, 2, false) == -ERANGE);
    CHECK(health_limits_add(&l, "b", "g", 1, 2, 2, false) == -ERANGE);
    CHECK(health_limits_find(&l, "b") == NULL);
    health_limits_release(&l);
}

/* ---- trends ---- */

/* N points SLOPE apart with noise of NOISE; every fifth is wild if WILD. */
static bool fit(size_t n, double slope, double noise, bool wild, struct health_trend *t)
{
    struct health_point p[TREND_POINTS_MAX];
    struct rng rng;
    rng_init(&rng, 1);
    for (size_t i = 0; i < n; i++) {
        p[i] = (struct health_point){(double)i, slope * (double)i + noise * rng_normal(&rng)};
        if (wild && i % 5 == 2)
            p[i].value += 1000;
    }
    return health_trend_fit(p, n, 3, t);
}

static void test_trend(void)
{
    struct health_trend t;
    CHECK(fit(8, 2, 0, false, &t) && near(t.slope, 2) && near(t.end_value, 14));
    CHECK(near(t.span_s, 7) && near(t.end_time, 7) && t.z > 3);
    CHECK(fit(8, -2, 0, false, &t) && near(t.slope, -2) && t.z < -3);
    CHECK(fit(24, 2, 3, false, &t) && t.slope_low < t.slope && t.slope < t.slope_high);
    CHECK(t.slope_low > 1 && t.slope_high < 3);
    CHECK(fit(24, 2, 0, true, &t) && t.slope > 1.5 && t.slope < 2.5);
    CHECK(!fit(7, 2, 0, false, &t));
    CHECK(!fit(24, 0, 1, false, &t));
    CHECK(!fit(24, 0, 0, false, &t));
}

/* ---- signals ---- */

static void test_signal(void)
{
    struct signal s = {0};
    CHECK(signal_add(&s, &rules.damping, 100, 5, NULL) && near(signal_now(&s), 5));
    CHECK(!signal_add(&s, &rules.damping, 100, 9, NULL) &&
          !signal_add(&s, &rules.damping, 99, 9, NULL));
    CHECK_EQ_U64(s.n, 1);
    signal_add(&s, &rules.damping, 110, 7, NULL);
    CHECK(near(signal_now(&s), 5));
    signal_add(&s, &rules.damping, 120, 900, NULL);
    signal_add(&s, &rules.damping, 130, 6, NULL);
    signal_add(&s, &rules.damping, 140, 800, NULL);
    /* It was the median of 5, 7 and 900, and since then neither went most of them. */
    CHECK(near(signal_now(&s), 7));
    CHECK(near(s.interval_s, 10));
}

/* How often the present value changes while SAMPLES times 0 and 1 take turns, N_EACH at a time. */
static unsigned changes(const struct signal_damping *d, unsigned n_each, double last)
{
    struct signal s = {0};
    unsigned n = 0;
    for (unsigned i = 0; i < 100; i++) {
        double before = signal_now(&s);
        signal_add(&s, d, 1000 + i, i / n_each % 2, NULL);
        n += i > d->n && (signal_now(&s) > before || signal_now(&s) < before);
    }
    CHECK(near(signal_now(&s), last));
    return n;
}

static void test_damping(void)
{
    static const struct signal_damping majority = {3, 5};
    static const struct signal_damping strict = {4, 5};
    static const struct signal_damping long_one = {9, 16};
    /* What takes turns neither enters nor leaves; a mere majority follows each sample. */
    CHECK_EQ_U64(changes(&strict, 1, 0), 0);
    CHECK(changes(&majority, 1, 1) > 90);
    /* What lasts does, after four samples and not before. */
    CHECK_EQ_U64(changes(&strict, 10, 1), 9);
    CHECK_EQ_U64(changes(&strict, 3, 0), 0);
    CHECK(changes(&majority, 3, 0) > 30);
    CHECK_EQ_U64(changes(&long_one, 8, 0), 0);
    struct signal s = {0};
    for (unsigned i = 0; i < 9; i++) {
        signal_add(&s, &strict, 1000 + i, i >= 5 ? 10 + i : 0, NULL);
        CHECK(near(signal_now(&s), i < 8 ? 0 : 15));
    }
}

static void test_signal_is_bounded(void)
{
    struct signal s = {0};
    double low, high;
    for (int i = 0; i < 100000; i++)
        signal_add(&s, &rules.damping, SIM_START_S + 10 * i, i % 17, NULL);
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++)
        CHECK(s.levels[k].n == TREND_POINTS_MAX && s.levels[k].folded < SIGNAL_FOLD);
    CHECK_EQ_U64(s.n_days, SIGNAL_DAYS);
    CHECK(signal_usual(&s, &low, &high) && low >= 0 && high <= 16 && low < 8 && high > 8);
    CHECK(fabs(s.mean - 8) < 0.5);
}

static void test_one_bad_day_is_not_usual(void)
{
    struct signal s = {0};
    double low, high;
    CHECK(!signal_usual(&s, &low, &high));
    for (int i = 0; i < 7 * 1440; i++)
        signal_add(&s, &rules.damping, 20000 * SIM_DAY_S + 60 * i, i / 1440 == 4 ? 500 : 10, NULL);
    CHECK(signal_usual(&s, &low, &high) && near(low, 10) && high < 500);
}

static void test_doubt(void)
{
    static const struct health_limit time_us = {"x_us", 0, 1, 10000, 50000, false};
    static const struct health_limit share = {"x_used", 0, 1, 0.9, 1, false};
    struct signal s = {0};
    CHECK(health_impossible("x_us", -1) && !health_impossible("x_us", 0));
    CHECK(health_impossible("errors_total", -1e-9) && !health_impossible("us", -1));
    CHECK(!health_impossible("celsius", -40) && !health_impossible("_us_", -1));
    for (int i = 0; i < 3000; i++) {
        /* On the first day nothing is doubted. */
        double value = i % 1440 < 1420 ? 4000 : 4;
        signal_add(&s, &rules.damping, 20000 * SIM_DAY_S + 60 * i, i < 1440 ? value : 4000, NULL);
        CHECK(!health_doubtful(&s, &time_us));
    }
    /* What was so on a day before is not doubted: the lowest of one day is the usual one. */
    for (int i = 0; i < 10; i++)
        signal_add(&s, &rules.damping, 20000 * SIM_DAY_S + 60 * (3000 + i), 4, NULL);
    CHECK(!health_doubtful(&s, &time_us));
    s = (struct signal){0};
    for (int i = 0; i < 3010; i++)
        signal_add(&s, &rules.damping, 20000 * SIM_DAY_S + 60 * i, i < 3000 ? 4000 : 4, NULL);
    CHECK(health_doubtful(&s, &time_us) && !health_doubtful(&s, &share));
}

/* N samples, ten seconds apart, of LEVEL times GROWTH a sample, with noise of NOISE. */
static void wander(struct signal *s, struct rng *rng, int n, double level, double growth,
                   double noise)
{
    for (int i = 0; i < n; i++, level *= growth) {
        double time = s->n ? s->last + 10 : 20000 * SIM_DAY_S;
        signal_add(s, &rules.damping, time, level * exp(noise * rng_normal(rng)), NULL);
    }
}

static void test_shift(void)
{
    static const struct health_limit read_us = {"nbd_read_us", 0, 1, 10000, 50000, false};
    static const struct health_limit used = {"mem_used", 0, 1, 10000, 50000, false};
    struct signal s = {0};
    struct rng rng;
    rng_init(&rng, 5);
    for (int i = 0; i < 500; i++) {
        wander(&s, &rng, 1, 4000, 1, 0.1);
        CHECK(anomaly_of_sds(health_shift_find(&s, &read_us).sds) < ANOMALY_THRESHOLD);
    }
    struct signal quiet = s;
    /* It doubles in 25 minutes: that is told before. */
    double told = 1;
    for (int i = 0; i < 150 && told <= 1; i++) {
        wander(&s, &rng, 1, 4000 * exp(log(2) * i / 150), 1, 0.1);
        if (health_shift_find(&s, &read_us).sds > 4)
            told = exp(log(2) * i / 150);
    }
    struct health_shift found = health_shift_find(&s, &read_us);
    CHECK(told > 1.1 && told < 1.9 && found.from < found.to && found.since < s.last);
    CHECK(near(health_shift_find(&s, &used).sds, 0));
    /* It is no shift that one is for three minutes, nor to be faster. */
    s = quiet;
    wander(&s, &rng, 18, 8000, 1, 0.1);
    CHECK(health_shift_find(&s, &read_us).sds < 4);
    s = quiet;
    wander(&s, &rng, 60, 1000, 1, 0.1);
    CHECK(health_shift_find(&s, &read_us).sds < 4);
    s = quiet;
    wander(&s, &rng, 60, 8000, 1, 0.1);
    CHECK(health_shift_find(&s, &read_us).sds > 4);
}

/* What was so on the days before is no shift, in whatever hour. */
static void test_shift_knows_days(void)
{
    static const struct health_limit read_us = {"nbd_read_us", 0, 1, 10000, 50000, false};
    struct signal s = {0};
    struct rng rng;
    rng_init(&rng, 6);
    for (int day = 0; day < 4; day++) {
        wander(&s, &rng, 4000, 1000, 1, 0.1);
        wander(&s, &rng, 180, 4000, 1, 0.1);
        CHECK((health_shift_find(&s, &read_us).sds > 4) == (day == 0));
        wander(&s, &rng, 8640 - 4180, 1000, 1, 0.1);
    }
    wander(&s, &rng, 180, 8000, 1, 0.1);
    CHECK(health_shift_find(&s, &read_us).sds > 4);
}

static void test_anomaly(void)
{
    struct anomaly s = {0};
    struct rng rng;
    rng_init(&rng, 3);
    for (int i = 0; i < 500; i++) {
        double a = anomaly_add(&s, 300.0 * i, 100 + rng_normal(&rng));
        CHECK(a >= 0 && a <= 1 && (i >= 30 || a <= 0));
    }
    s.rest_samples = 0;
    CHECK(anomaly_add(&s, 300.0 * 500, 150) > 0.8);
    /* An event is told once. */
    CHECK(anomaly_add(&s, 300.0 * 501, 150) <= 0.5);
}

/* ---- scores ---- */

static void test_groups_and_cap(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    for (int i = 0; i < 20; i++) {
        add(b, 1000 + i, "nbd_connect_us", 400);
        add(b, 1000 + i, "nbd_error_ratio", 0);
        add(b, 1000 + i, "nbd_read_us", 30000);
        add(b, 1000 + i, "unheard_of", 1e9);
    }
    struct health_score s = score_at(b, 1019);
    /* (1 + 1 + 0.525) / 3; the limit-less metric has no say. */
    CHECK(s.known && fabs(s.current - 2.525 / 3) < 1e-6);
    CHECK(near(s.ghs, s.current * (1 - s.p_fail)));
    CHECK(s.confidence >= 0.5 && s.confidence < 0.7);
    CHECK_STR(s.worst_metric, "nbd_read_us");
    CHECK_STR(s.reason, "nbd_read_us 30 ms, warning level is 10 ms");
    /* The vital one caps all. */
    for (int i = 0; i < 5; i++)
        add(b, 1020 + i, "nbd_error_ratio", 1);
    s = score_at(b, 1024);
    CHECK(s.current < 0.051 && s.ghs < 0.01 && s.p_fail > 0.9);
    CHECK_STR(s.reason, "nbd_error_ratio 1, critical is 0.5");
    health_board_free(b);
    health_limits_release(&limits);
}

static void test_confidence_grows(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    double before = 0;
    for (int i = 0; i < 15; i++) {
        add(b, i, "nbd_connect_us", 400);
        struct health_score s = score_at(b, i);
        CHECK(s.confidence > before);
        before = s.confidence;
    }
    CHECK(before >= 0.5);
    add(b, 15, "disk_await_us", 400);
    CHECK(score_at(b, 15).confidence > before);
    health_board_free(b);
    health_limits_release(&limits);
}

static void test_silence(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    add(b, 1000, "nbd_connect_us", 400);
    add(b, 1010, "nbd_connect_us", 400);
    CHECK(score_at(b, 1070).known);
    struct health_score s = score_at(b, 1105);
    CHECK(!s.known);
    CHECK_STR(s.reason, "silent for 95 s");
    health_board_free(b);
    b = health_board_new(&limits, &rules);
    /* A metric that comes every five minutes is not silent after one. */
    for (int i = 0; i < 5; i++)
        add(b, 300 * i, "nbd_connect_us", 400);
    CHECK(score_at(b, 2000).known && !score_at(b, 2200).known);
    health_board_free(b);
    health_limits_release(&limits);
}

static void test_low_is_bad(void)
{
    struct health_limits limits = {0};
    CHECK(health_limits_add(&limits, "free", "disk", 1, 0.2, 0.05, false) == 0);
    struct health_board *b = health_board_new(&limits, &rules);
    for (int i = 0; i < 24; i++)
        add(b, 60 * i, "free", 0.9 - 0.02 * i);
    struct health_score s = score_at(b, 60 * 23);
    CHECK(near(s.current, 1) && s.p_fail > 0.5);
    CHECK_STR(s.reason, "free 0.9 -> 0.5 since 00:00Z, reaches 0.05 in about 20 min");
    health_board_free(b);
    health_limits_release(&limits);
}

/* A counter's growth, over a reset, but not over a gap. */
static void test_counter(void)
{
    static const double values[] = {100, 120, 140, 10};
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    for (int i = 0; i < 4; i++)
        add(b, 1000 + 10 * i, "disk_error_total", values[i]);
    struct health_score s = score_at(b, 1030);
    CHECK(s.known && s.p_fail > 0.9);
    CHECK_STR(s.worst_metric, "disk_error_rate");
    /* Late, twice, and not a number that grows. */
    add(b, 1030, "disk_error_total", 50);
    add(b, 1020, "disk_error_total", 50);
    add(b, 1040, "disk_error_total", -5);
    CHECK(score_at(b, 1040).known);
    health_board_free(b);
    health_limits_release(&limits);
}

static void test_series_are_bounded(void)
{
    static const struct health_rules few = {.horizon_s = 86400,
                                            .silent_after_s = 60,
                                            .max_series = 2,
                                            .damping = SIGNAL_DAMPING_DEFAULT};
    struct health_limits limits = {0};
    struct health_board *b = health_board_new(&limits, &few);
    CHECK(health_board_add(b, 1, "a", "m", 1, NULL, NULL) == 0);
    CHECK(health_board_add(b, 1, "a", "n", 1, NULL, NULL) == 0);
    CHECK(health_board_add(b, 1, "a", "o", 1, NULL, NULL) == -ENOSPC);
    CHECK(health_board_add(b, 1, "b", "m", 1, NULL, NULL) == -ENOSPC);
    CHECK(health_board_gateways(b) == 1);
    CHECK(health_board_add(b, 2, "a", "m", 1, NULL, NULL) == 0);
    health_board_free(b);
}

/* ---- long runs ---- */

/* A week of a healthy gateway: rhythm, noise, spikes, backups, a change of load, a restart. */
static void test_healthy_week(uint64_t seed)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct sim sim;
    sim_init(&sim, seed, 60);
    double least = 1;
    for (int i = 0; i < 7 * 1440; i++) {
        double now = sim.time;
        CHECK(sim_round(&sim, b) == 0);
        if (i % 5 == 0)
            least = fmin(least, score_at(b, now).ghs);
    }
    /* When the load changes, its cpu_busy rises, which counts for a fifth at most. */
    CHECK(least >= 0.8);
    if (least < 0.8)
        fprintf(stderr, "seed %u: least ghs %g\n", (unsigned)seed, least);
    health_board_free(b);
    health_limits_release(&limits);
}

/* Samples every ten seconds of reads that take US, from *T on for SPAN_S. */
static void read_for(struct health_board *b, struct rng *rng, double *t, double span_s, double us)
{
    for (const double end = *t + span_s; *t < end; *t += 10) {
        add(b, *t, "nbd_error_ratio", 0);
        add(b, *t, "nbd_read_us", us * exp(0.4 * rng_normal(rng)));
    }
}

/* Far below warn, but more than twice as slow as ever: so it is left, until it is as it was. */
static void test_slow(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct rng rng;
    double t = 20000 * SIM_DAY_S;
    rng_init(&rng, 7);
    read_for(b, &rng, &t, 600, 800);
    read_for(b, &rng, &t, 600, 3000);
    CHECK(score_at(b, t).p_fail < 0.2); /* the first day: it may be the morning */
    read_for(b, &rng, &t, 1.5 * SIM_DAY_S, 800);
    CHECK(score_at(b, t).p_fail < 0.1);
    read_for(b, &rng, &t, 600, 1100);
    CHECK(score_at(b, t).p_fail < 0.1);
    read_for(b, &rng, &t, 360, 8000);
    const struct health_score s = score_at(b, t);
    CHECK(s.p_fail > 0.5 && s.current >= 0.99);
    CHECK(strstr(s.reason, "slower than on the days before"));
    read_for(b, &rng, &t, 120, 800);
    CHECK(score_at(b, t).p_fail < 0.1);
    health_board_free(b);
    health_limits_release(&limits);
}

/* An outage of an hour that is over is no reason to leave; one every two minutes is. */
static void test_repair(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct rng rng;
    double t = 20000 * SIM_DAY_S;
    rng_init(&rng, 8);
    read_for(b, &rng, &t, 2 * SIM_DAY_S, 800);
    read_for(b, &rng, &t, 2 * 3600, 20000);
    read_for(b, &rng, &t, 1800, 48000);
    CHECK(score_at(b, t).p_fail > 0.5);
    for (const double end = t + 3600; t < end; t += 10)
        add(b, t, "nbd_error_ratio", 1);
    CHECK(score_at(b, t).p_fail > 0.5);
    read_for(b, &rng, &t, 240, 800);
    CHECK(score_at(b, t).p_fail < 0.15);
    for (const double end = t + 2 * 3600; t < end; t += 10)
        add(b, t, "nbd_error_ratio", (int)(t / 10) % 12 < 6);
    read_for(b, &rng, &t, 60, 800);
    CHECK(score_at(b, t).p_fail > 0.4);
    health_board_free(b);
    health_limits_release(&limits);
}

/* A straight ramp of four hours after two days: seen below warn, certain before critical. */
static void test_ramp(uint64_t seed)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct sim sim;
    sim_init(&sim, seed, 30);
    sim.restart_at = INFINITY;
    sim.ramp_at = sim.time + 2 * SIM_DAY_S;
    sim.ramp_s = 4 * 3600;
    double seen_at_us = INFINITY;
    double alarm_at = INFINITY;
    while (sim.time < sim.ramp_at + sim.ramp_s) {
        double now = sim.time;
        double level = sim_level_us(&sim);
        CHECK(sim_round(&sim, b) == 0);
        if (now < sim.ramp_at)
            continue;
        struct health_score s = score_at(b, now);
        if (s.p_fail > 0.1 && isinf(seen_at_us))
            seen_at_us = level;
        if ((s.p_fail > 0.5 || s.ghs < 0.4) && isinf(alarm_at))
            alarm_at = now;
    }
    CHECK(seen_at_us < 10000);
    CHECK(sim.ramp_at + sim.ramp_s - alarm_at > 3600);
    health_board_free(b);
    health_limits_release(&limits);
}

/* Samples a second apart: a quarter of a minute of health, then steps; the neighbour stays well. */
static void test_steps(double step_s)
{
    static const double levels[] = {2000, 5000, 10000, 20000, 40000, 80000};
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct rng rng;
    rng_init(&rng, 5);
    double broken_at = 15 + 5 * step_s;
    double alarm_at = INFINITY;
    for (int t = 0; t < broken_at; t++) {
        int k = t < 15 ? -1 : (int)((t - 15) / step_s);
        double level = (k < 0 ? 300 : levels[k]) * exp(0.3 * rng_normal(&rng));
        double other = 400 * exp(0.6 * rng_normal(&rng));
        struct health_score s = {0};
        struct health_score well = {0};
        CHECK(health_board_add(b, t, "gw", "nbd_read_us", level, NULL, NULL) == 0);
        CHECK(health_board_add(b, t, "gw", "nbd_error_ratio", 0, NULL, NULL) == 0);
        CHECK(health_board_add(b, t, "well", "nbd_read_us", other, NULL, NULL) == 0);
        CHECK(health_board_add(b, t, "well", "nbd_error_ratio", 0, NULL, NULL) == 0);
        CHECK(health_board_score(b, 0, t, &s) == 0 && health_board_score(b, 1, t, &well) == 0);
        if ((s.p_fail > 0.5 || s.ghs < 0.4) && isinf(alarm_at))
            alarm_at = t;
        CHECK(well.ghs >= 0.9 && (t < 15 || well.confidence >= 0.5));
    }
    CHECK(alarm_at > 15 && alarm_at < broken_at);
    health_board_free(b);
    health_limits_release(&limits);
}

/* Three samples of a new gateway are no alarm unless they are at critical; many of the same are. */
static void test_little_evidence(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct health_score s;
    for (int t = 0; t < 60; t++) {
        add(b, t, "nbd_read_us", t % 2 ? 45000 : 46000);
        s = score_at(b, t);
        CHECK(s.p_fail > 0 && (t >= 3 || s.p_fail < 0.25));
    }
    CHECK(s.p_fail > 0.5);
    health_board_free(b);
    b = health_board_new(&limits, &rules);
    add(b, 0, "nbd_read_us", 50000);
    CHECK(score_at(b, 0).p_fail > 0.9);
    health_board_free(b);
    health_limits_release(&limits);
}

/* ---- the state ---- */

static struct health_board *reload(struct health_board *b, const struct health_limits *limits)
{
    struct buf data = {0};
    const char *why = "";
    CHECK(health_board_save(b, &data) == 0);
    health_board_free(b);
    b = health_board_new(limits, &rules);
    CHECK(health_board_load(b, data.data, data.len, &why) == 0);
    buf_release(&data);
    return b;
}

/* Saved and loaded now and then, a board ends with the very bytes of one that never was. */
static void test_splitting(void)
{
    struct health_limits limits = {0};
    struct health_limits same = {0};
    struct health_board *whole = new_board(&limits);
    struct health_board *split = new_board(&same);
    struct sim a, b;
    sim_init(&a, 9, 60);
    sim_init(&b, 9, 60);
    for (int i = 0; i < 3000; i++) {
        CHECK(sim_round(&a, whole) == 0 && sim_round(&b, split) == 0);
        if (i % 37 == 0)
            split = reload(split, &same);
    }
    struct buf x = {0};
    struct buf y = {0};
    CHECK(health_board_save(whole, &x) == 0 && health_board_save(split, &y) == 0);
    CHECK(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
    struct health_score sx = score_at(whole, a.time);
    struct health_score sy = score_at(split, a.time);
    CHECK(!(sx.ghs < sy.ghs) && !(sx.ghs > sy.ghs));
    CHECK_STR(sx.reason, sy.reason);
    buf_release(&x);
    buf_release(&y);
    health_board_free(whole);
    health_board_free(split);
    health_limits_release(&limits);
    health_limits_release(&same);
}

/* A metric that has all that can be remembered fits 8 KiB. */
static void test_state_is_small(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct buf data = {0};
    for (int i = 0; i < 100000; i++)
        add(b, SIM_START_S + 60 * i, "nbd_read_us", 1000 + i % 17);
    CHECK(health_board_save(b, &data) == 0);
    CHECK(data.len <= 8192);
    buf_release(&data);
    health_board_free(b);
    health_limits_release(&limits);
}

static void test_damage(void)
{
    struct health_limits limits = {0};
    struct health_board *b = new_board(&limits);
    struct buf data = {0};
    const char *why;
    for (int i = 0; i < 30; i++)
        add(b, i, "nbd_read_us", i);
    CHECK(health_board_save(b, &data) == 0);
    for (size_t i = 0; i < data.len; i++) {
        struct health_board *c = health_board_new(&limits, &rules);
        data.data[i] ^= 1;
        int r = health_board_load(c, data.data, data.len, &why);
        CHECK(r == -EBADMSG || r == -EPROTONOSUPPORT);
        data.data[i] ^= 1;
        health_board_free(c);
        c = health_board_new(&limits, &rules);
        CHECK(health_board_load(c, data.data, i, &why) == -EBADMSG);
        health_board_free(c);
    }
    buf_release(&data);
    health_board_free(b);
    health_limits_release(&limits);
}

int main(void)
{
    test_begin("health");
    test_subscores();
    test_limits();
    test_trend();
    test_signal();
    test_damping();
    test_signal_is_bounded();
    test_one_bad_day_is_not_usual();
    test_doubt();
    test_shift();
    test_shift_knows_days();
    test_anomaly();
    test_groups_and_cap();
    test_confidence_grows();
    test_silence();
    test_low_is_bad();
    test_counter();
    test_series_are_bounded();
    test_healthy_week(1);
    test_healthy_week(2);
    test_slow();
    test_repair();
    test_ramp(3);
    test_little_evidence();
    test_steps(3);
    test_steps(5);
    test_steps(8);
    test_splitting();
    test_state_is_small();
    test_damage();
    return test_done();
}
