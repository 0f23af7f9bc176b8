/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Order statistics, and the trends made of them, against the plain way. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/health/order.h"
#include "common/health/trend.h"
#include "tests/unit/tap.h"

enum { MOST = 300 };

static bool equal(double a, double b)
{
    return a <= b && a >= b;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* N numbers of KINDS kinds, so that there are ties. */
static void draw(struct rng *rng, double *v, size_t n, uint64_t kinds)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (double)rng_below(rng, kinds) - (double)kinds / 2;
}

static void test_order(struct rng *rng, size_t n, uint64_t kinds)
{
    double v[MOST], sorted[MOST], found[MOST];
    draw(rng, v, n, kinds);
    memcpy(sorted, v, n * sizeof(*v));
    qsort(sorted, n, sizeof(*v), by_size);
    for (size_t k = 0; k < n; k++) {
        memcpy(found, v, n * sizeof(*v));
        CHECK(equal(order_nth(found, n, k), sorted[k]));
        bool split = true;
        for (size_t i = 0; i < n; i++)
            split = split && (i < k ? found[i] <= found[k] : found[i] >= found[k]);
        CHECK(split);
    }
    memcpy(found, v, n * sizeof(*v));
    CHECK(equal(order_median(found, n), (sorted[(n - 1) / 2] + sorted[n / 2]) / 2));
}

/* Against S and its spread by their definitions, and slopes that were sorted. */
static void test_trend(struct rng *rng, size_t n, uint64_t kinds)
{
    struct health_point p[TREND_POINTS_MAX];
    double v[TREND_POINTS_MAX] = {0}, slopes[MOST] = {0};
    struct health_trend t;
    size_t pairs = 0;
    double s = 0, variance = (double)(n * (n - 1) * (2 * n + 5));
    draw(rng, v, n, kinds);
    for (size_t i = 0; i < n; i++)
        p[i] = (struct health_point){(double)(10 * i + rng_below(rng, 9)), v[i] + (double)i / 4};
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            s += (p[k].value > p[i].value) - (p[k].value < p[i].value);
            slopes[pairs++] = (p[k].value - p[i].value) / (p[k].time - p[i].time);
        }
    for (size_t i = 0; i < n; i++) {
        double ties = 0;
        for (size_t k = 0; k < n; k++)
            ties += equal(p[k].value, p[i].value);
        variance -= (ties - 1) * (2 * ties + 5); /* each of the tied has its share */
    }
    qsort(slopes, pairs, sizeof(*slopes), by_size);
    double sd = sqrt(variance / 18);
    CHECK(health_trend_fit(p, n, 0, &t));
    CHECK(fabs(t.z - (sd > 0 ? (s - (s > 0) + (s < 0)) / sd : 0)) < 1e-9);
    CHECK(equal(t.slope, (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2));
    size_t off = (size_t)fmin(sd / 2, (double)(pairs - 1) / 2);
    CHECK(equal(t.slope_low, slopes[(pairs - 1) / 2 - off]));
    CHECK(equal(t.slope_high, slopes[pairs / 2 + off]));
}

int main(void)
{
    struct rng rng;
    test_begin("order");
    rng_init(&rng, 13);
    for (size_t n = 1; n < 60; n++) {
        test_order(&rng, n, 1000000);
        test_order(&rng, n, 5);
        test_order(&rng, n, 1);
    }
    test_order(&rng, MOST, 100);
    for (size_t n = 8; n <= TREND_POINTS_MAX; n++)
        for (int i = 0; i < 50; i++)
            test_trend(&rng, n, i % 2 ? 1000000 : 7);
    return test_done();
}
