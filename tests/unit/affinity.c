/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scores, models, and which records were counted: mostly properties, on seeded random records. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/affinity/models.h"
#include "common/affinity/score.h"
#include "common/affinity/seen.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void test_closeness(void)
{
    const bool same_site[] = {false, true, false};
    double out[3];
    score_closeness((double[]){1000, 80000, NAN}, same_site, 3, 1000, out);
    CHECK(out[0] == 1 && out[1] == 2000.0 / 81000 && out[2] == out[1]);
    score_closeness((double[]){NAN, NAN, NAN}, same_site, 3, 1000, out);
    CHECK(out[0] == SCORE_NEUTRAL && out[1] == 1 && out[2] == SCORE_NEUTRAL);
    /* What a rack's cables differ by must not matter. */
    score_closeness((double[]){50, 250, 50}, same_site, 3, 1000, out);
    CHECK(out[1] > 0.8);
}

/* DAS does not depend on the unit of demand, lies within 0 … 1, and grows as a gateway nears. */
static void test_das(void)
{
    struct rng g;
    rng_init(&g, 8);
    for (unsigned k = 0; k < 200; k++) {
        double demand[4], scaled[4], close[4];
        for (size_t c = 0; c < 4; c++) {
            demand[c] = rng_unit(&g) * 1000;
            scaled[c] = demand[c] * 1024;
            close[c] = rng_unit(&g);
        }
        double das = score_das(demand, close, 4);
        CHECK(das >= 0 && das <= 1);
        CHECK(score_das(scaled, close, 4) == das);
        close[k % 4] = 1;
        CHECK(score_das(demand, close, 4) >= das);
    }
    CHECK(score_das((double[]){0, 0}, (double[]){1, 1}, 2) == SCORE_NEUTRAL);
    CHECK(score_das(NULL, NULL, 0) == SCORE_NEUTRAL);
}

static void test_window(void)
{
    const double hourly[] = {10, 20, 40};
    CHECK(score_window(hourly, 3, 0, 10800) == 70);
    CHECK(score_window(hourly, 3, 1800, 5400) == 15);
    CHECK(score_window(hourly, 3, 7200, 99999) == 40);
    CHECK(score_window(hourly, 3, 1800, 1800) == 0);
}

/* ---- exactly once ---- */

struct line {
    double time;
    uint64_t id;
};

/* Counts L with two threads' worth of runs, a line each in turn. */
static unsigned count_run(struct seen *s, const struct line *l, size_t n)
{
    struct seen_run run[2];
    unsigned counted = 0;
    seen_run_init(&run[0]);
    seen_run_init(&run[1]);
    for (size_t i = 0; i < n; i++) {
        enum seen_verdict verdict = seen_look(s, &run[i % 2], l[i].time);
        int r = verdict == SEEN_ASK ? seen_new(s, &run[i % 2], l[i].time, l[i].id)
                                    : verdict == SEEN_COUNT;
        CHECK(r >= 0);
        counted += (unsigned)r;
    }
    CHECK(seen_settle(s, run, 2) == 0);
    seen_run_release(&run[0]);
    seen_run_release(&run[1]);
    return counted;
}

static void test_seen_growing_log(void)
{
    enum { N = 2000 };
    static struct line l[N];
    struct rng g;
    struct seen s;
    rng_init(&g, 9);
    seen_init(&s, 30);
    /* Late by up to 20 s, many at the same time, some lines equal. */
    for (size_t i = 0; i < N; i++)
        l[i] = (struct line){floor((double)i / 10) + (double)rng_below(&g, 20), rng_below(&g, 50)};
    unsigned counted = 0;
    for (size_t end = 0; end <= N; end += 100) /* an ever longer log, always from its start */
        counted += count_run(&s, l, end);
    CHECK_EQ_U64(counted, N);
    CHECK_EQ_U64(count_run(&s, l + 1234, 500), 0);
    seen_release(&s);
}

static void test_seen_pieces(void)
{
    enum { N = 1000 };
    static struct line l[N];
    struct seen s;
    seen_init(&s, 5);
    for (size_t i = 0; i < N; i++)
        l[i] = (struct line){floor((double)i / 3), i};
    unsigned counted = 0;
    for (size_t at = 0; at < N; at += 100)
        counted += count_run(&s, l + at, 100);
    CHECK_EQ_U64(counted, N);
    CHECK(s.n_old <= 3 * 6);
    seen_release(&s);
}

/* Halves counted apart, and merged in any order, remember what one run does. */
static void test_seen_merge(void)
{
    enum { N = 1000 };
    static struct line l[N];
    struct seen whole, half[2], ab, ba;
    struct seen *all[] = {&whole, &half[0], &half[1], &ab, &ba};
    for (size_t i = 0; i < 5; i++)
        seen_init(all[i], 5);
    for (size_t i = 0; i < N; i++)
        l[i] = (struct line){floor((double)i / 3), i * 77 % 101};
    count_run(&whole, l, N);
    count_run(&half[0], l, 990);
    count_run(&half[1], l + 990, 10);
    CHECK(seen_merge(&ab, &half[0]) == 0 && seen_merge(&ab, &half[1]) == 0);
    CHECK(seen_merge(&ba, &half[1]) == 0 && seen_merge(&ba, &half[0]) == 0);
    CHECK(ab.n_old == whole.n_old && ba.n_old == whole.n_old);
    CHECK(ab.settled == whole.settled && ba.settled == whole.settled && ab.newest == whole.newest);
    for (size_t i = 0; i < whole.n_old; i++)
        CHECK(ab.old[i].digest == whole.old[i].digest && ba.old[i].digest == whole.old[i].digest);
    CHECK_EQ_U64(count_run(&ab, l, N), 0);
    for (size_t i = 0; i < 5; i++)
        seen_release(all[i]);
}

static void test_models(void)
{
    struct models m = {0}, back = {0};
    struct models_entry e = {.hour = 5};
    double y[30 * HOURS_A_DAY];
    for (size_t i = 0; i < sizeof(y) / sizeof(y[0]); i++)
        y[i] = (double)(i * i % 97);
    struct series s = {y, sizeof(y) / sizeof(y[0]), 0};
    CHECK(model_fit(s, 1, &e.model) == 0);
    CHECK(models_put(&m, "v", "east", &e) == 0 && models_put(&m, "v", "west", &e) == 0);
    struct buf a = {0}, b = {0};
    CHECK(models_pack(&m, &a) == 0 && models_unpack(&a, &back) == 0);
    CHECK(models_pack(&back, &b) == 0 && same(&a, &b));
    CHECK(models_find(&back, "v", "west") && !models_find(&back, "v", "north"));
    buf_release(&a);
    buf_release(&b);
    models_release(&m);
    models_release(&back);
}

int main(void)
{
    test_begin("affinity");
    test_closeness();
    test_das();
    test_window();
    test_seen_growing_log();
    test_seen_pieces();
    test_seen_merge();
    test_models();
    return test_done();
}
