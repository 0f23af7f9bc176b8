/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times that are longer than the load of their gateway explains. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/health/board.h"
#include "tests/unit/tap.h"

#define HOUR_S  3600.0
#define DAY_S   86400.0
#define START_S (20000 * DAY_S)
#define STEP_S  15.0

static const struct health_rules rules = {.horizon_s = DAY_S,
                                          .silent_after_s = 60,
                                          .max_series = 1000,
                                          .damping = SIGNAL_DAMPING_DEFAULT};

/* A gateway whose load, and with it its reads, go up and down each day. */
struct world {
    struct health_limits limits;
    struct health_board *board;
    struct rng rng;
    double time;
    double use;       /* added to the day's */
    double worse;     /* reads take so many times as long … */
    double worsening; /* … and so many times more each hour */
    const char *load; /* the metric; NULL: none */
    double load_unit;
    double load_sd; /* of what is told of it */
    double highest_p;
};

static void begin(struct world *w)
{
    *w = (struct world){
        .time = START_S, .worse = 1, .worsening = 1, .load = "cpu_busy", .load_sd = 0.02};
    w->load_unit = 1;
    rng_init(&w->rng, 3);
    if (health_limits_builtin(&w->limits) < 0)
        abort();
    w->board = health_board_new(&w->limits, &rules);
    if (!w->board)
        abort();
}

static void end(struct world *w)
{
    health_board_free(w->board);
    health_limits_release(&w->limits);
}

static void add(struct world *w, const char *metric, double value)
{
    CHECK(health_board_add(w->board, w->time, "gw", metric, value, NULL, NULL) == 0);
}

static struct health_score score(struct world *w)
{
    struct health_score s;
    CHECK(health_board_score(w->board, 0, health_board_newest(w->board), &s) == 0);
    return s;
}

static double use_of(const struct world *w)
{
    return 0.4 + w->use + 0.3 * sin(2 * M_PI * w->time / DAY_S);
}

/* Goes on for SPAN_S; highest_p is that of it. */
static void run(struct world *w, double span_s)
{
    w->highest_p = 0;
    for (const double till = w->time + span_s; w->time < till; w->time += STEP_S) {
        const double use = use_of(w);
        const double read_us = w->worse * 800 / (1 - use) * exp(0.4 * rng_normal(&w->rng));
        add(w, "nbd_error_ratio", 0);
        add(w, "nbd_read_us", read_us);
        if (w->load)
            add(w, w->load, w->load_unit * (use + w->load_sd * rng_normal(&w->rng)));
        w->worse *= pow(w->worsening, STEP_S / HOUR_S);
        if (fmod(w->time, 300) < STEP_S)
            w->highest_p = fmax(w->highest_p, score(w).p_fail);
    }
}

/* Hours until p_fail exceeds 0.5, at most MOST. */
static double hours_to_alarm(struct world *w, double most)
{
    double hours = 0;
    for (; hours < most && score(w).p_fail <= 0.5; hours += 1.0 / 12)
        run(w, 300);
    return hours;
}

/* In the quiet hours, far below what the busy ones are like. */
static void test_told_by_load(void)
{
    struct world w;
    begin(&w);
    run(&w, 2.6 * DAY_S); /* the afternoon's reads are 2.7 times as long as the night's */
    w.worsening = 1.41;
    CHECK(hours_to_alarm(&w, 4) < 2);
    CHECK(w.worse < 1.8);
    const struct health_score s = score(&w);
    CHECK(strstr(s.reason, "times as long as at this load before"));
    CHECK_STR(s.worst_metric, "nbd_read_us");
    w.worse = 1;
    w.worsening = 1;
    run(&w, 20 * 60);
    CHECK(score(&w).p_fail < 0.1);
    end(&w);
}

/* A repair ends it, also when reads took many times as long: what is left of that is the past. */
static void test_over(void)
{
    unsigned alarms = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world w;
        begin(&w);
        rng_init(&w.rng, seed);
        run(&w, 2.6 * DAY_S);
        w.worsening = 2;
        run(&w, 2.6 * HOUR_S);
        CHECK(score(&w).p_fail > 0.5);
        w.worsening = 1;
        w.worse = 1;
        run(&w, 10 * 60);
        for (int i = 0; i < 50; i++) {
            run(&w, 60);
            alarms += score(&w).p_fail > 0.5;
        }
        end(&w);
    }
    CHECK(alarms == 0);
}

/*
 * Of a gateway that is slow by its load alone that is said, not of one that is slow itself, too;
 * but where the load is more than ever nobody can tell, and beyond critical it may fail all the
 * same.
 */
static void test_unloaded(void)
{
    static const struct {
        double use, worse; /* the use that is added: 0.26 makes 0.95, more than ever */
    } worlds[] = {{0.26, 1}, {0.26, 8}, {0.18, 1}, {0.18, 8}};
    for (size_t i = 0; i < 4; i++) {
        struct world w;
        begin(&w);
        w.use = 0.2;
        run(&w, 2.25 * DAY_S);
        w.use = worlds[i].use;
        w.worse = worlds[i].worse;
        run(&w, HOUR_S / 4);
        const struct health_score s = score(&w);
        CHECK(s.ghs < 0.9 && s.unloaded >= s.ghs);
        CHECK(w.worse > 1 && w.use < 0.26 ? s.unloaded < 0.5 : s.unloaded > 0.9);
        CHECK((s.p_fail > 0.5) == (w.worse > 1));
        end(&w);
    }
}

/* More load than ever makes reads slower than ever, and is no failure; what is not told may be. */
static void test_more_than_ever(void)
{
    for (int with = 0; with < 2; with++) {
        struct world w;
        begin(&w);
        w.load = with ? "requests_rate" : NULL;
        w.load_unit = 5000;
        run(&w, 2.3 * DAY_S);
        w.use = 0.22;
        run(&w, 0.5 * HOUR_S);
        w.highest_p = 0;
        run(&w, HOUR_S);
        CHECK(with ? w.highest_p < 0.2 : w.highest_p > 0.5);
        end(&w);
    }
}

/* Before it is sure, new volumes are kept away; after that, it is left. */
static void test_steps(void)
{
    struct world w;
    bool doubted = false;
    begin(&w);
    run(&w, 2.6 * DAY_S);
    w.worsening = 1.41;
    for (int i = 0; i < 60 && score(&w).p_fail <= 0.5; i++) {
        run(&w, 120);
        const double p = score(&w).p_fail;
        doubted = doubted || (p > 0.1 && p < 0.5);
    }
    CHECK(doubted && score(&w).p_fail > 0.5);
    end(&w);
}

/* Load may rise and fall as it likes, within what was seen of it: the reads follow it. */
static void test_load_is_no_failure(void)
{
    struct world w;
    begin(&w);
    run(&w, 3.6 * DAY_S);
    w.use = 0.3;
    run(&w, 2 * HOUR_S);
    CHECK(w.highest_p < 0.3);
    w.use = 0;
    run(&w, 2 * HOUR_S);
    CHECK(w.highest_p < 0.3);
    end(&w);
}

/* Nor is it one that load, and the reads with it, climb higher and higher. */
static void test_rise_with_load(void)
{
    struct world w;
    double highest = 0;
    begin(&w);
    run(&w, 2.25 * DAY_S); /* the use is 0.7 */
    while (use_of(&w) < 0.95) {
        w.use += 0.012;
        run(&w, 300);
        highest = fmax(highest, w.highest_p);
    }
    CHECK(score(&w).current < 0.95);
    CHECK(highest < 0.4);
    end(&w);
}

/* Nor that it is at the edge of what was seen: where its measure is low, reads seem too long. */
static void test_edge_of_loads(void)
{
    double highest = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world w;
        begin(&w);
        rng_init(&w.rng, seed);
        w.load_sd = 0.08;
        w.use = -0.04;
        run(&w, 2.3 * DAY_S);
        for (int i = 0; i < 120; i++) {
            w.use += 0.76 - use_of(&w);
            run(&w, 60);
            highest = fmax(highest, score(&w).p_fail);
        }
        end(&w);
    }
    CHECK(highest < 0.5);
}

/* Nor that more than ever lasts, until it is known what it explains. */
static void test_more_than_ever_lasts(void)
{
    unsigned alarms = 0;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct world w;
        begin(&w);
        rng_init(&w.rng, seed);
        w.load_sd = 0.05;
        w.use = -0.25;
        run(&w, 2.3 * DAY_S);
        bool alarm = false;
        for (int i = 0; i < 200; i++) {
            w.use += 0.72 - use_of(&w);
            run(&w, 60);
            alarm = alarm || score(&w).p_fail > 0.5;
        }
        alarms += alarm;
        end(&w);
    }
    CHECK_EQ_U64(alarms, 0);
}

/* Ten minutes without an answer, and two slow ones, are none either. */
static void test_hiccups(void)
{
    struct world w;
    begin(&w);
    run(&w, 2.6 * DAY_S);
    w.worse = 8;
    run(&w, 120);
    CHECK(w.highest_p < 0.5);
    w.worse = 1;
    run(&w, 20 * 60);
    CHECK(w.highest_p < 0.3);
    w.time += 600;
    w.worse = 1.4;
    run(&w, 600); /* cold caches */
    CHECK(w.highest_p < 0.5);
    w.worse = 1;
    run(&w, HOUR_S);
    CHECK(score(&w).p_fail < 0.1);
    end(&w);
}

/* What each day brings at the same time is usual. */
static void test_daily_job(void)
{
    struct world w;
    begin(&w);
    for (int day = 0; day < 5; day++) {
        run(&w, 18 * HOUR_S);
        w.worse = 2.5;
        run(&w, HOUR_S / 2);
        CHECK(day == 0 || w.highest_p < 0.5);
        w.worse = 1;
        run(&w, 5.5 * HOUR_S);
        CHECK(w.highest_p < 0.5);
    }
    end(&w);
}

/* A third more is doubted, not left, and after two days it is what is usual. */
static void test_new_normal(void)
{
    struct world w;
    begin(&w);
    run(&w, 2.6 * DAY_S);
    w.worsening = 1.08;
    run(&w, 4 * HOUR_S);
    w.worsening = 1;
    run(&w, 1 * DAY_S);
    CHECK(w.highest_p > 0.1);
    run(&w, 2 * DAY_S);
    run(&w, 0.5 * DAY_S);
    CHECK(w.highest_p < 0.3);
    w.worsening = 1.41;
    CHECK(hours_to_alarm(&w, 6) < 4);
    end(&w);
}

/* Without load, or on the first day, nothing more is said than before. */
static void test_nothing_known(void)
{
    struct world w;
    begin(&w);
    run(&w, 0.6 * DAY_S);
    w.worse = 1.5;
    run(&w, HOUR_S);
    CHECK(w.highest_p < 0.2);
    end(&w);
    begin(&w);
    w.load = NULL;
    run(&w, 2.6 * DAY_S);
    w.worse = 1.6;
    run(&w, HOUR_S);
    CHECK(w.highest_p < 0.2);
    end(&w);
}

/* A rate is as good a measure; one that is torn for a moment spoils nothing. */
static void test_rate(void)
{
    struct world w;
    begin(&w);
    w.load = "requests_rate";
    w.load_unit = 5000;
    run(&w, DAY_S);
    add(&w, "requests_rate", 1e15);
    w.time += STEP_S;
    run(&w, 1.6 * DAY_S);
    w.worsening = 1.41;
    CHECK(hours_to_alarm(&w, 4) < 2);
    end(&w);
}

/* ---- the state ---- */

static void save(const struct world *w, struct buf *out)
{
    out->len = 0;
    CHECK(health_board_save(w->board, out) == 0);
}

static void reload(struct world *w)
{
    struct buf data = {0};
    const char *why;
    save(w, &data);
    health_board_free(w->board);
    w->board = health_board_new(&w->limits, &rules);
    CHECK(w->board && health_board_load(w->board, data.data, data.len, &why) == 0);
    buf_release(&data);
}

/* In one run or in many: the same bytes, before, while and after it is told. */
static void test_splitting(void)
{
    struct world whole, split;
    struct buf a = {0}, b = {0};
    begin(&whole);
    begin(&split);
    for (int i = 0; i < 260; i++) {
        whole.worsening = split.worsening = i > 230 ? 1.41 : 1;
        run(&whole, 1000);
        run(&split, 1000);
        reload(&split);
    }
    CHECK(score(&whole).p_fail > 0.5);
    save(&whole, &a);
    save(&split, &b);
    CHECK(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    buf_release(&a);
    buf_release(&b);
    end(&whole);
    end(&split);
}

/* After a clock that was an hour ahead has been put right, it goes on; nothing is told. */
static void test_rewind(void)
{
    struct world w;
    begin(&w);
    run(&w, 2.6 * DAY_S);
    const double now = w.time;
    w.time += HOUR_S;
    health_board_clock(w.board, now);
    run(&w, 600);
    w.time = now + 60;
    for (int i = 0; i < 120; i++) {
        health_board_clock(w.board, w.time);
        run(&w, 60);
        CHECK(w.highest_p < 0.3);
    }
    CHECK(health_board_rewound(w.board) > 0);
    health_board_clock(w.board, INFINITY);
    w.worsening = 1.41;
    CHECK(hours_to_alarm(&w, 4) < 2.5);
    end(&w);
}

int main(void)
{
    test_begin("excess");
    test_told_by_load();
    test_steps();
    test_load_is_no_failure();
    test_rise_with_load();
    test_edge_of_loads();
    test_more_than_ever_lasts();
    test_over();
    test_unloaded();
    test_more_than_ever();
    test_hiccups();
    test_daily_job();
    test_new_normal();
    test_nothing_known();
    test_rate();
    test_splitting();
    test_rewind();
    return test_done();
}
