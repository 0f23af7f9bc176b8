/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counting, scoring, spreading and saving of demand: mostly properties, on seeded random records.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/affinity/heat.h"
#include "common/affinity/models.h"
#include "common/affinity/score.h"
#include "common/affinity/seen.h"
#include "common/affinity/state.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { KEEP = 5 * HOURS_A_WEEK, RECORDS = 3000 };

static const char *const volumes[] = {"db", "logs", "mail"};
static const char *const sites[] = {"east", "west", "north"};
static const char *const gateways[] = {"gw-a", "gw-b", ""};

/* Records over seven weeks, in random order: some older than what is kept. */
static void make_records(struct demand_record *r, size_t n, uint64_t seed)
{
    struct rng g;
    rng_init(&g, seed);
    for (size_t i = 0; i < n; i++)
        r[i] = (struct demand_record){
            .time = 1.6e9 + floor(rng_unit(&g) * 7 * HOURS_A_WEEK * 3600),
            .volume = volumes[rng_below(&g, 3)],
            .site = sites[rng_below(&g, 3)],
            .gateway = gateways[rng_below(&g, 3)],
            .op = (enum demand_op)rng_below(&g, 4),
            .offset = rng_below(&g, UINT64_C(1) << (20 + rng_below(&g, 14))),
            .length = rng_below(&g, 1 << 20),
            .count = 1 + rng_below(&g, 50),
        };
}

static void shuffle(struct demand_record *r, size_t n, uint64_t seed)
{
    struct rng g;
    rng_init(&g, seed);
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(&g, i);
        struct demand_record t = r[i - 1];
        r[i - 1] = r[j];
        r[j] = t;
    }
}

static void add_all(struct demand *d, const struct demand_record *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK(demand_add(d, &r[i]) == 0);
}

static struct buf saved(const struct demand *d)
{
    struct seen s;
    struct buf b = {0};
    seen_init(&s, 60);
    CHECK(state_pack(d, &s, &b) == 0);
    seen_release(&s);
    return b;
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static void test_order(void)
{
    static struct demand_record r[RECORDS];
    struct demand a, b;
    demand_init(&a, KEEP);
    demand_init(&b, KEEP);
    make_records(r, RECORDS, 1);
    add_all(&a, r, RECORDS);
    shuffle(r, RECORDS, 2);
    add_all(&b, r, RECORDS);
    struct buf x = saved(&a), y = saved(&b);
    CHECK(same(&x, &y));
    buf_release(&x);
    buf_release(&y);
    demand_release(&a);
    demand_release(&b);
}

/* Saving in the middle changes nothing. */
static void test_save_and_load(void)
{
    static struct demand_record r[RECORDS];
    struct demand whole, half, rest;
    struct seen s;
    demand_init(&whole, KEEP);
    demand_init(&half, KEEP);
    demand_init(&rest, KEEP);
    seen_init(&s, 60);
    make_records(r, RECORDS, 3);
    add_all(&whole, r, RECORDS);
    add_all(&half, r, RECORDS / 2);
    struct buf middle = saved(&half);
    CHECK(state_unpack(&middle, &rest, &s) == 0);
    add_all(&rest, r + RECORDS / 2, RECORDS - RECORDS / 2);
    struct buf x = saved(&whole), y = saved(&rest);
    CHECK(same(&x, &y));
    buf_release(&middle);
    buf_release(&x);
    buf_release(&y);
    demand_release(&whole);
    demand_release(&half);
    demand_release(&rest);
    seen_release(&s);
}

/* Any single changed byte is noticed, and any shortened file. */
static void test_damage(void)
{
    static struct demand_record r[50];
    struct demand d;
    demand_init(&d, KEEP);
    make_records(r, 50, 4);
    add_all(&d, r, 50);
    struct buf file = saved(&d);
    demand_release(&d);
    for (size_t i = 0; i < file.len; i += 7) {
        struct seen s;
        seen_init(&s, 60);
        file.data[i] ^= 0x20;
        CHECK(state_unpack(&file, &d, &s) == (i < 8 ? -EPROTO : -EBADMSG));
        file.data[i] ^= 0x20;
        demand_release(&d);
        seen_release(&s);
    }
    struct seen s;
    seen_init(&s, 60);
    file.len--;
    CHECK(state_unpack(&file, &d, &s) == -EBADMSG);
    demand_release(&d);
    seen_release(&s);
    buf_release(&file);
}

/* Segments stay few however large the volume turns out, and no byte is lost on the way. */
static void test_segments(void)
{
    struct demand d;
    demand_init(&d, KEEP);
    double bytes = 0, requests = 0;
    for (unsigned shift = 0; shift < 62; shift++) {
        struct demand_record r = {1.6e9, "v", "s", "g", DEMAND_WRITE, UINT64_C(1) << shift, 3, 2};
        CHECK(demand_add(&d, &r) == 0);
        bytes += 6;
        requests += 2;
    }
    struct demand_volume *v = demand_volume(&d, "v");
    CHECK(v->n_segments <= DEMAND_SEGMENTS);
    for (size_t i = 0; i < v->n_segments; i++) {
        CHECK(v->segments[i]->index < DEMAND_SEGMENTS);
        for (size_t h = 0; h < HOURS_A_DAY; h++) {
            bytes -= v->segments[i]->heat[h][DEMAND_BYTES];
            requests -= v->segments[i]->heat[h][DEMAND_WRITES];
        }
    }
    CHECK(bytes == 0 && requests == 0);
    struct demand_record beyond = {1.6e9, "v", "s", "g", DEMAND_READ, INT64_MAX, 1, 1};
    CHECK(demand_add(&d, &beyond) == -ERANGE);
    demand_release(&d);
}

static void test_bounds(void)
{
    struct demand d;
    char name[16];
    demand_init(&d, KEEP);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        struct demand_record r = {1.6e9 + i * 7e6, "v", name, name, DEMAND_READ, 0, 1, 1};
        CHECK(demand_add(&d, &r) == 0);
    }
    struct demand_volume *v = demand_volume(&d, "v");
    CHECK_EQ_U64(v->n_sites, DEMAND_SITES);
    CHECK_STR(v->sites[DEMAND_SITES - 1].site, "other");
    CHECK_EQ_U64(v->n_served, DEMAND_GATEWAYS);
    for (size_t i = 0; i < v->n_sites; i++)
        CHECK(v->sites[i].n <= KEEP);
    demand_release(&d);
}

static void test_series(void)
{
    struct demand d;
    demand_init(&d, KEEP);
    const double at[] = {100, 3, 101, 100, 104};
    for (size_t i = 0; i < 5; i++) {
        struct demand_record r = {at[i] * 3600 + 5, "v", "s", "", DEMAND_FLUSH, 0, 0, i + 1};
        CHECK(demand_add(&d, &r) == 0);
    }
    struct demand_site *s = demand_site(demand_volume(&d, "v"), "s");
    double *y;
    struct series out;
    CHECK(demand_series(&d, s, 107, &y, &out) == 0);
    CHECK(out.start == 3 && out.n == 104 && out.y == y);
    CHECK(y[0] == 2 && y[97] == 5 && y[98] == 3 && y[101] == 5 && y[103] == 0);
    free(y);
    CHECK(demand_series(&d, s, 3, &y, &out) == 0);
    CHECK(out.n == 0 && !y);
    demand_release(&d);
}

static void test_share(void)
{
    static struct demand_record r[RECORDS];
    struct demand d;
    demand_init(&d, KEEP);
    make_records(r, RECORDS, 5);
    add_all(&d, r, RECORDS);
    for (size_t i = 0; i < 3; i++) {
        struct demand_volume *v = demand_volume(&d, volumes[i]);
        double sum = demand_share(v, "gw-a") + demand_share(v, "gw-b");
        CHECK(fabs(sum - 1) < 1e-12);
        CHECK(demand_share(v, "elsewhere") == 0);
    }
    demand_release(&d);
}

static void test_heat_sums_up(void)
{
    static struct demand_record r[RECORDS];
    struct demand d;
    demand_init(&d, KEEP);
    make_records(r, RECORDS, 6);
    for (size_t i = 0; i < RECORDS; i++)
        r[i].op = (enum demand_op)(i % 3); /* no flushes */
    add_all(&d, r, RECORDS);
    struct demand_volume *v = demand_volume(&d, "db");
    struct heat_cell *cell = calloc(v->n_segments, sizeof(*cell));
    for (int64_t hour = 470000; hour < 470030; hour++) {
        double sum = 0;
        heat_spread(v, hour, 1000, cell);
        for (size_t i = 0; i < v->n_segments; i++)
            sum += cell[i].of[DEMAND_READS] + cell[i].of[DEMAND_WRITES];
        CHECK(fabs(sum - 1000) < 1e-6);
    }
    free(cell);
    demand_release(&d);
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

static unsigned count_run(struct seen *s, const struct line *l, size_t n)
{
    unsigned counted = 0;
    for (size_t i = 0; i < n; i++) {
        int r = seen_new(s, l[i].time, l[i].id);
        CHECK(r >= 0);
        counted += (unsigned)r;
    }
    CHECK(seen_settle(s) == 0);
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
    test_order();
    test_save_and_load();
    test_damage();
    test_segments();
    test_bounds();
    test_series();
    test_share();
    test_heat_sums_up();
    test_closeness();
    test_das();
    test_window();
    test_seen_growing_log();
    test_seen_pieces();
    test_models();
    return test_done();
}
