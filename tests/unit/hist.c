/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The latency histogram against sorted samples. */
#include "cmd/route-director/hist.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { SAMPLES = 2000, ROUNDS = 200 };

static const double percents[] = {0, 1, 25, 50, 90, 95, 99, 99.9, 100};
enum { N_PERCENTS = sizeof(percents) / sizeof(percents[0]) };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The PERCENT-th percentile of the sorted VALUES by nearest rank. */
static uint64_t exact(const uint64_t *values, size_t n, double percent)
{
    size_t rank = (size_t)ceil(percent / 100 * (double)n);
    return values[rank ? rank - 1 : 0];
}

static bool close_to(uint64_t got, uint64_t want)
{
    double off = fabs((double)got - (double)want);
    return off <= (double)want / 32;
}

/* Any magnitude is as likely as any other. */
static uint64_t some_latency(struct rng *r)
{
    return rng_u64(r) >> (32 + rng_below(r, 32));
}

static void test_percentiles(uint64_t seed)
{
    static uint64_t values[SAMPLES];
    struct rng r;
    rng_init(&r, seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct hist h = {0};
        size_t n = 1 + rng_below(&r, SAMPLES);
        for (size_t i = 0; i < n; i++) {
            values[i] = some_latency(&r);
            hist_add(&h, values[i]);
        }
        qsort(values, n, sizeof(values[0]), by_value);
        CHECK_EQ_U64(h.n, n);
        for (size_t i = 0; i < N_PERCENTS; i++) {
            uint64_t want = exact(values, n, percents[i]);
            uint64_t got = hist_percentile(&h, percents[i]);
            CHECK(close_to(got, want));
            if (!close_to(got, want))
                fprintf(stderr, "seed %" PRIu64 ": p%g is %" PRIu64 ", not %" PRIu64 "\n", seed,
                        percents[i], got, want);
        }
    }
}

static void test_limits(void)
{
    struct hist h = {0};
    CHECK_EQ_U64(hist_percentile(&h, 50), 0);
    for (uint64_t v = 0; v < 32; v++) {
        struct hist one = {0};
        hist_add(&one, v);
        CHECK_EQ_U64(hist_percentile(&one, 50), v);
    }
    hist_add(&h, UINT64_MAX);
    CHECK(close_to(hist_percentile(&h, 50), UINT32_MAX));
    hist_add(&h, UINT32_MAX);
    CHECK_EQ_U64(h.count[HIST_BUCKETS - 1], 2);
}

/* Every border between two powers of two. */
static void test_borders(void)
{
    for (unsigned bit = 0; bit < 32; bit++)
        for (int64_t off = -2; off <= 2; off++) {
            int64_t v = ((int64_t)1 << bit) + off;
            struct hist h = {0};
            if (v < 0)
                continue;
            hist_add(&h, (uint64_t)v);
            CHECK(close_to(hist_percentile(&h, 50), (uint64_t)v));
        }
}

/* The order of adding and merging does not matter: the sum of the parts is the whole. */
static void test_merge(uint64_t seed)
{
    struct hist whole = {0}, parts[3] = {{0}}, sum = {0};
    struct rng r;
    rng_init(&r, seed);
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t v = some_latency(&r);
        hist_add(&whole, v);
        hist_add(&parts[rng_below(&r, 3)], v);
    }
    for (int i = 2; i >= 0; i--)
        hist_merge(&sum, &parts[i]);
    CHECK(memcmp(&sum, &whole, sizeof(sum)) == 0);
}

static uint64_t known(const struct hist_window *w, uint64_t now_us)
{
    struct hist sum = {0};
    hist_window_sum(w, now_us, &sum);
    return sum.n;
}

/* What a window knows is all of the last turn, and nothing older than two. */
static void test_window(uint64_t seed)
{
    static uint64_t at[SAMPLES];
    struct hist_window w = {.now = 0};
    struct rng r;
    uint64_t now = 1;
    rng_init(&r, seed);
    for (size_t n = 0; n < SAMPLES; n++) {
        /* Mostly a little later, now and then much. */
        now += rng_below(&r, rng_below(&r, 50) ? 2000000 : 5 * (uint64_t)HIST_TURN_US);
        uint64_t fresh = 0, old = 0;
        for (size_t i = 0; i < n; i++) {
            fresh += now - at[i] < HIST_TURN_US;
            old += now - at[i] < 2 * (uint64_t)HIST_TURN_US;
        }
        uint64_t got = known(&w, now);
        CHECK(got >= fresh && got <= old);
        if (got < fresh || got > old)
            fprintf(stderr, "seed %" PRIu64 ", step %zu\n", seed, n);
        at[n] = now;
        hist_window_add(&w, 5, now);
    }
    CHECK(known(&w, now) > 0);
    CHECK_EQ_U64(known(&w, now + 2 * (uint64_t)HIST_TURN_US), 0);
}

int main(void)
{
    test_begin("hist");
    test_percentiles(1);
    test_limits();
    test_borders();
    test_merge(2);
    test_window(3);
    return test_done();
}
