/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A gateway's clock that was ahead and is put right. */
#include <math.h>
#include <stdlib.h>

#include "common/health/board.h"
#include "common/health/rewind.h"
#include "tests/bench/health_sim.h"
#include "tests/unit/tap.h"

static const struct health_rules rules = {.horizon_s = 86400,
                                          .silent_after_s = 60,
                                          .max_series = 1000,
                                          .damping = SIGNAL_DAMPING_DEFAULT};

static struct health_limits limits;

static struct health_board *new_board(void)
{
    struct health_board *b = health_board_new(&limits, &rules);
    if (!b)
        abort();
    return b;
}

static void add(struct health_board *b, double time, const char *gateway, const char *metric)
{
    CHECK(health_board_add(b, time, gateway, metric, 400, NULL, NULL) == 0);
}

static struct health_score score_of(struct health_board *b, size_t gateway)
{
    struct health_score s;
    CHECK(health_board_score(b, gateway, health_board_newest(b), &s) == 0);
    return s;
}

/* Times grow on each level, none is later than NOW, and no sum is of points that are gone. */
static bool is_in_order(const struct signal *s, double now)
{
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++) {
        const struct signal_level *l = &s->levels[k];
        double sum = 0;
        for (unsigned i = 0; i < l->n; i++)
            if (l->points[i].time > now || (i && l->points[i].time <= l->points[i - 1].time))
                return false;
        for (unsigned i = l->n - l->folded; i < l->n; i++)
            sum += l->points[i].time;
        if (l->folded > l->n || fabs(sum - l->time_sum) > 1e-3)
            return false;
    }
    return s->n_days == 0 || s->days[0].number <= floor(now / SIM_DAY_S);
}

/* Whatever was seen, and however far ahead it was, what comes next is taken and stays in order. */
static void test_any_signal(struct rng *rng)
{
    const struct signal_damping damping = SIGNAL_DAMPING_DEFAULT;
    struct signal s = {0};
    double time = SIM_START_S;
    for (uint64_t i = 0, n = 1 + rng_below(rng, 600); i < n; i++) {
        time += 1 + 400 * rng_unit(rng);
        signal_add(&s, &damping, time, (double)i, NULL);
    }
    double now = SIM_START_S - 1000 + (time - SIM_START_S + 1000) * rng_unit(rng);
    signal_rewind(&s, now, now);
    CHECK(is_in_order(&s, now) && s.last <= now && s.first <= s.last);
    for (int i = 1; i < 100; i++) {
        CHECK(signal_add(&s, &damping, now + 10 * i, i, NULL));
        CHECK(is_in_order(&s, now + 10 * i));
    }
}

static struct health_board *reload(struct health_board *b)
{
    struct buf data = {0};
    const char *why = "";
    CHECK(health_board_save(b, &data) == 0);
    health_board_free(b);
    b = new_board();
    CHECK(health_board_load(b, data.data, data.len, &why) == 0);
    buf_release(&data);
    return b;
}

/* A gateway whose clock leaps three hours ahead is out, and all others are not; then it is back. */
static void test_leap(void)
{
    struct health_board *b = new_board();
    double now = SIM_START_S;
    for (int i = 0; i < 500; i++) {
        now = SIM_START_S + 10 * i;
        bool ahead = i >= 300 && i < 400;
        if (i == 450)
            b = reload(b);
        health_board_clock(b, now);
        add(b, now, "well", "nbd_read_us");
        add(b, now + (ahead ? 10800 : 0), "leaps", "nbd_read_us");
        add(b, now + (ahead ? 10800 : 0), "leaps", "x_total");
        CHECK(fabs(health_board_newest(b) - now) < 1e-6 && score_of(b, 0).known);
        CHECK(score_of(b, 1).known == !ahead);
        CHECK(health_board_rewound(b) == (i >= 400 && i < 450 ? 2 : 0));
    }
    health_board_free(b);
}

/* Where all that comes lies ahead, the clock is doubted: they are judged at their own time. */
static void test_slow_clock(void)
{
    struct health_board *b = new_board();
    for (int i = 0; i < 20; i++) {
        health_board_clock(b, SIM_START_S - 3600 + 10 * i);
        add(b, SIM_START_S + 10 * i, "gw", "nbd_read_us");
        if (i == 10)
            b = reload(b);
        CHECK(score_of(b, 0).known && health_board_rewound(b) == 0);
    }
    health_board_free(b);
}

/* This machine's own clock is set back while samples come: what they say of the time counts. */
static void test_set_back(void)
{
    struct health_board *b = new_board();
    for (int i = 0; i < 200; i++) {
        double now = SIM_START_S + 10 * i;
        health_board_clock(b, i < 100 ? now : now - 1000);
        add(b, now, "gw", "nbd_read_us");
        CHECK(fabs(health_board_newest(b) - now) < 1e-6 && score_of(b, 0).known);
        if (i == 150)
            b = reload(b);
    }
    health_board_free(b);
}

/* One that is ahead as far as is allowed, or further, and is heard first, silences nobody. */
static void test_skew(double ahead_s)
{
    struct health_board *b = new_board();
    for (int i = 0; i < 100; i++) {
        double now = SIM_START_S + 10 * i;
        health_board_clock(b, now);
        add(b, now + ahead_s, "ahead", "nbd_read_us");
        CHECK(i == 0 || score_of(b, 1).known);
        add(b, now, "right", "nbd_read_us");
        CHECK(score_of(b, 1).known);
        if (i % 10 == 5)
            b = reload(b);
    }
    health_board_free(b);
}

/* A clock that lost its battery is a reason to forget nothing, then or when it is right again. */
static void test_no_battery(void)
{
    const struct signal_damping damping = SIGNAL_DAMPING_DEFAULT;
    struct signal s = {0};
    for (int i = 0; i < 8 * 1440; i++)
        CHECK(signal_add(&s, &damping, SIM_START_S + 60 * i, i % 1440, NULL));
    struct signal before = s;
    double now = SIM_START_S - 5 * 365 * SIM_DAY_S;
    signal_rewind(&s, now, now);
    CHECK(is_in_order(&s, now) && s.n_days == before.n_days && s.last <= now);
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++)
        CHECK(s.levels[k].n == before.levels[k].n);
    CHECK(signal_add(&s, &damping, now, 1, NULL) && s.last >= now);
}

int main(void)
{
    struct rng rng;
    test_begin("rewind");
    if (health_limits_builtin(&limits) < 0)
        abort();
    rng_init(&rng, 11);
    for (int i = 0; i < 300; i++)
        test_any_signal(&rng);
    test_leap();
    test_slow_clock();
    test_set_back();
    test_skew(55);
    test_skew(300);
    test_no_battery();
    health_limits_release(&limits);
    return test_done();
}
