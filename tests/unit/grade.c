/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fitting on failures, and grading by them. */
#include <errno.h>
#include <math.h>

#include "common/base/rng.h"
#include "common/health/grade.h"
#include "common/health/model.h"
#include "tests/unit/tap.h"

enum { EXAMPLES = 5000 };

/* Examples drawn from a known model come back as that model, nearly, and are calibrated. */
static void test_fit(void)
{
    static struct health_example e[EXAMPLES];
    struct health_model m = {0};
    struct rng rng;
    double sum = 0;
    double failed = 0;
    rng_init(&rng, 1);
    for (int i = 0; i < EXAMPLES; i++) {
        for (int k = 0; k < HEALTH_FEATURES; k++)
            e[i].features[k] = rng_unit(&rng);
        double x = -2 + 3 * e[i].features[FEATURE_TREND] - 1 * e[i].features[FEATURE_DRIFT];
        e[i].failed = rng_unit(&rng) < 1 / (1 + exp(-x));
        failed += e[i].failed;
    }
    CHECK(health_model_fit(&m, e, EXAMPLES) == 0 && m.fitted);
    CHECK(fabs(m.weights[FEATURE_TREND] - 3) < 0.5 && fabs(m.weights[FEATURE_DRIFT] + 1) < 0.5);
    CHECK(fabs(m.weights[FEATURE_LEVEL]) < 0.4);
    for (int i = 0; i < EXAMPLES; i++)
        sum += health_model_p(&m, e[i].features);
    CHECK(fabs(sum - failed) < 1e-3);
}

/* What separates perfectly has a finite weight all the same; one kind alone is refused. */
static void test_fit_extremes(void)
{
    struct health_example e[20] = {0};
    struct health_model m = {.bias = 7};
    CHECK(health_model_fit(&m, e, 20) == -EDOM && !m.fitted && m.bias > 6);
    for (int i = 10; i < 20; i++) {
        e[i].features[FEATURE_LEVEL] = 1;
        e[i].failed = true;
    }
    CHECK(health_model_fit(&m, e, 20) == 0 && isfinite(m.weights[FEATURE_LEVEL]));
    CHECK(health_model_p(&m, e[19].features) > 0.7 && health_model_p(&m, e[0].features) < 0.3);
}

static void test_truth(void)
{
    const struct grade_failure f[] = {{0, 1000000}};
    const struct grade_failure o[] = {{1, 1000000}};
    const double end = 2000000;
    CHECK(grade_truth(f, 1, o, 1, 0, 1000000 - 86400, 86400, end) == GRADE_FAILS);
    CHECK(grade_truth(f, 1, o, 1, 0, 1000000 - 86401, 86400, end) == GRADE_HEALTHY);
    CHECK(grade_truth(f, 1, o, 1, 0, 1000000, 86400, end) == GRADE_UNKNOWN);
    CHECK(grade_truth(f, 1, o, 1, 0, 1004000, 86400, end) == GRADE_HEALTHY);
    CHECK(grade_truth(f, 1, o, 1, 1, 1000000 - 10, 86400, end) == GRADE_UNKNOWN);
    CHECK(grade_truth(f, 1, o, 1, 2, 1000000, 86400, end) == GRADE_HEALTHY);
    CHECK(grade_truth(f, 1, o, 1, 2, end - 10, 86400, end) == GRADE_UNKNOWN);
}

static void test_grade(void)
{
    const struct grade_failure f[] = {{0, 50000}, {1, 50000}};
    struct grade_point p[600];
    struct grade g;
    for (int i = 0; i < 600; i++) {
        size_t gateway = (size_t)i / 200;
        double time = 300.0 * (i % 200);
        /* Gateway 0 is alarmed two hours before its failure, 1 never, 2 once for nothing. */
        bool alarm = gateway == 0   ? time >= 50000 - 7200 && time < 50000
                     : gateway == 2 ? time > 3000 && time < 6000
                                    : false;
        p[i] = (struct grade_point){gateway, time, alarm, alarm,
                                    grade_truth(f, 2, NULL, 0, gateway, time, 10000, 100000)};
    }
    CHECK(grade_points(p, 600, f, 2, 10000, &g) == 0);
    CHECK(g.failures == 2 && g.met == 1 && g.moved == 1);
    CHECK(g.alarms == 2 && g.true_alarms == 1);
    CHECK(g.healthy == 1 && g.mismoved == 1);
    CHECK(g.lead_median_s > 6800 && g.lead_median_s <= 7200);
    CHECK(g.bins[9].failed == 24 && g.bins[9].n == 24 + 9);
    CHECK(g.brier > 0 && g.brier < 0.3);
}

int main(void)
{
    test_begin("grade");
    test_fit();
    test_fit_extremes();
    test_truth();
    test_grade();
    return test_done();
}
