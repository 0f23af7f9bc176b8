/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Things of one size, and how a board finds its own in whatever order they are asked for. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/health/board.h"
#include "common/health/pool.h"
#include "tests/unit/tap.h"

/* N things of SIZE: all zeroed, none over another. */
static void test_pool(size_t size, unsigned n)
{
    struct pool p = {.size = size};
    unsigned char **things = calloc(n, sizeof(*things));
    if (!things)
        abort();
    for (unsigned i = 0; i < n; i++) {
        things[i] = pool_new(&p);
        if (!things[i])
            abort();
        size_t set = 0;
        for (size_t k = 0; k < size; k++)
            set += things[i][k] != 0;
        CHECK(set == 0 && (size % 64 || (uintptr_t)things[i] % 64 == 0));
        memset(things[i], (int)(1 + i % 255), size);
    }
    for (unsigned i = 0; i < n; i++)
        CHECK(things[i][0] == 1 + i % 255 && things[i][size - 1] == 1 + i % 255);
    void *last = things[n - 1];
    pool_undo(&p);
    CHECK(pool_new(&p) == last && things[n - 1][0] == 0);
    free(things);
    pool_release(&p);
    CHECK(!p.chunks && p.n == 0);
}

enum { GATEWAYS = 7, METRICS = 5, SERIES = GATEWAYS * METRICS, ROUNDS = 40 };

static void shuffle(struct rng *rng, unsigned order[SERIES])
{
    for (unsigned i = SERIES - 1; i > 0; i--) {
        unsigned k = (unsigned)rng_below(rng, i + 1);
        unsigned was = order[i];
        order[i] = order[k];
        order[k] = was;
    }
}

static void check_view(void *arg, const struct health_view *v)
{
    unsigned gateway = *(unsigned *)arg;
    CHECK(v->signal->n == ROUNDS);
    CHECK(fabs(v->risk.value - (gateway * METRICS + (unsigned)(v->metric[1] - '0'))) < 1e-9);
}

/* Each round comes in an order of its own: every sample goes where it belongs. */
static void test_any_order(void)
{
    const struct health_rules rules = {.horizon_s = 86400,
                                       .silent_after_s = 60,
                                       .max_series = SERIES,
                                       .damping = SIGNAL_DAMPING_DEFAULT};
    struct health_limits limits = {0};
    struct health_board *b = health_board_new(&limits, &rules);
    unsigned order[SERIES];
    struct rng rng;
    if (!b)
        abort();
    rng_init(&rng, 12);
    for (unsigned i = 0; i < SERIES; i++)
        order[i] = i;
    for (unsigned r = 0; r < ROUNDS; r++) {
        /* Now and then twice the same, as it mostly is. */
        if (r % 3)
            shuffle(&rng, order);
        for (unsigned i = 0; i < SERIES; i++) {
            char gateway[16], metric[16];
            snprintf(gateway, sizeof(gateway), "gw-%u", order[i] / METRICS);
            snprintf(metric, sizeof(metric), "m%u", order[i] % METRICS);
            CHECK(health_board_add(b, 1000 + r, gateway, metric, order[i], NULL, NULL) == 0);
        }
    }
    CHECK(health_board_gateways(b) == GATEWAYS);
    for (size_t g = 0; g < GATEWAYS; g++) {
        unsigned number = (unsigned)(health_board_gateway(b, g)[3] - '0');
        health_board_views(b, g, 1000 + ROUNDS, check_view, &number);
    }
    health_board_free(b);
}

int main(void)
{
    test_begin("pool");
    test_pool(1, 50000);
    test_pool(24, 1000);
    test_pool(5504, 2000);
    test_pool(3 << 20, 3);
    test_any_order();
    return test_done();
}
