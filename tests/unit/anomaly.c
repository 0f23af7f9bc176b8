/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is unusual: one metric by itself, and all of a gateway together. */
#include <math.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/health/anomaly.h"
#include "common/health/consensus.h"
#include "tests/unit/tap.h"

#define START_S 1760000000.0
#define STEP_S  300.0

enum { DAY = 288, WEEK = 7 * DAY };

/* A metric with a day and a weekend, as sample I. */
static double rhythmic(int i, struct rng *rng)
{
    double time = START_S + STEP_S * i;
    bool weekend = (long)(time / 86400) % 7 >= 5;
    return 100 + 40 * sin(2 * M_PI * time / 86400) + (weekend ? 50 : 0) + 3 * rng_normal(rng);
}

/* Feeds A with samples FROM … TO - 1 of KIND; the highest score. */
static double feed(struct anomaly *a, struct rng *rng, int from, int to,
                   double (*value)(int, struct rng *))
{
    double most = 0;
    for (int i = from; i < to; i++) {
        double score = anomaly_add(a, START_S + STEP_S * i, value(i, rng));
        CHECK(score >= 0 && score <= 1);
        most = fmax(most, score);
    }
    return most;
}

static void test_rhythm(void)
{
    struct rhythm r = {0};
    struct rng rng;
    rng_init(&rng, 1);
    for (int i = 0; i < 6 * WEEK; i++)
        rhythm_add(&r, START_S + STEP_S * i, rhythmic(i, &rng), i ? STEP_S : 0);
    /* What comes in the seventh week is known to a fifth of what the weekend differs in. */
    double off = 0;
    for (int i = 6 * WEEK; i < 7 * WEEK; i++) {
        double time = START_S + STEP_S * i;
        off += fabs(rhythm_expected(&r, time) - rhythmic(i, &rng)) / WEEK;
        CHECK(rhythm_sd(&r, time) > 3);
    }
    CHECK(off < 10);
}

/* The samples after a healthy month, of which the first 40 are told. */
static double after_a_month(double (*value)(int, struct rng *))
{
    struct anomaly a = {0};
    struct rng rng;
    rng_init(&rng, 2);
    feed(&a, &rng, 0, 4 * WEEK, rhythmic);
    a.rest_samples = 0;
    return feed(&a, &rng, 4 * WEEK, 4 * WEEK + 60, value);
}

static double spike(int i, struct rng *rng)
{
    return rhythmic(i, rng) + (i % 30 == 15 ? 200 : 0);
}

static double shifted(int i, struct rng *rng)
{
    return rhythmic(i, rng) + 120;
}

static double frozen(int i, struct rng *rng)
{
    (void)i;
    (void)rng;
    return 77;
}

static double restless(int i, struct rng *rng)
{
    return rhythmic(i, rng) + 40 * rng_normal(rng);
}

static void test_kinds(void)
{
    CHECK(after_a_month(rhythmic) <= ANOMALY_THRESHOLD);
    CHECK(after_a_month(spike) > ANOMALY_THRESHOLD);
    CHECK(after_a_month(shifted) > ANOMALY_THRESHOLD);
    CHECK(after_a_month(frozen) > ANOMALY_THRESHOLD);
    CHECK(after_a_month(restless) > ANOMALY_THRESHOLD);
}

static double normal(int i, struct rng *rng)
{
    (void)i;
    return 1e6 + rng_normal(rng);
}

static double lognormal(int i, struct rng *rng)
{
    (void)i;
    return exp(rng_normal(rng));
}

static double uniform(int i, struct rng *rng)
{
    (void)i;
    return rng_unit(rng);
}

/* One threshold means much the same on every metric, whatever its unit and its tails. */
static void test_calibration(void)
{
    static double (*const kinds[])(int, struct rng *) = {normal, lognormal, uniform};
    for (unsigned k = 0; k < 3; k++) {
        struct rng rng;
        rng_init(&rng, 11 + k);
        int told = 0;
        for (int run = 0; run < 10; run++) {
            struct anomaly a = {0};
            feed(&a, &rng, 0, WEEK, kinds[k]);
            for (int i = WEEK; i < 5 * WEEK; i++)
                told +=
                    anomaly_add(&a, START_S + STEP_S * i, kinds[k](i, &rng)) > ANOMALY_THRESHOLD;
        }
        /* Of 80,640 samples in which nothing happens. */
        CHECK(told <= 100);
        if (told > 100)
            fprintf(stderr, "kind %u: %d told\n", k, told);
    }
}

static void test_consensus(void)
{
    struct consensus c = {0};
    struct rng rng;
    rng_init(&rng, 4);
    for (int i = 0; i < 2 * WEEK; i++) {
        consensus_add(&c, START_S + STEP_S * i, 0.8 + 0.1 * rng_unit(&rng));
        CHECK(consensus_score(&c) >= 0 && consensus_score(&c) < ANOMALY_THRESHOLD);
    }
    consensus_add(&c, START_S + STEP_S * 2 * WEEK, 5);
    CHECK(consensus_score(&c) > 0.8 && consensus_steady(&c) < ANOMALY_THRESHOLD);
    for (int i = 1; i < 3; i++)
        consensus_add(&c, START_S + STEP_S * (2 * WEEK + i), 5);
    CHECK(consensus_steady(&c) > 0.8);
    struct consensus young = {0};
    consensus_add(&young, START_S, 0.1);
    consensus_add(&young, START_S + 60, 8);
    CHECK(consensus_score(&young) <= 0);
}

int main(void)
{
    test_begin("anomaly");
    test_rhythm();
    test_kinds();
    test_calibration();
    test_consensus();
    return test_done();
}
