/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health_speed GATEWAYS METRICS ROUNDS: what health-score does beside reading: CPU time a sample
 * taken, a metric judged (with all its trends to be fitted, as after a load), a metric saved and
 * loaded, and the bytes of its state.  The samples are of a random walk with a daily rhythm, a
 * minute apart.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "common/base/rng.h"
#include "common/health/board.h"

#define STEP_S  60.0
#define START_S 1760000000.0

static const struct health_rules rules = {.horizon_s = 86400,
                                          .silent_after_s = 600,
                                          .max_series = 10000000,
                                          .damping = SIGNAL_DAMPING_DEFAULT};

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(bool ok)
{
    if (!ok)
        err_die(EX_OSERR, "out of memory");
}

/* One value for each of N series at TIME, made outside what is measured. */
static void make_values(struct rng *rng, double time, double *v, size_t n)
{
    double day = sin(2 * M_PI * time / 86400);
    for (size_t i = 0; i < n; i++)
        v[i] = 800 * exp(0.5 * day + 0.3 * rng_normal(rng));
}

/* ROUNDS rounds into B; the CPU seconds that this took. */
static double feed(struct health_board *b, uint64_t gateways, uint64_t metrics, uint64_t rounds)
{
    static const char *const names[] = {"nbd_read_us", "nbd_connect_us", "disk_await_us",
                                        "client_latency_us"};
    double *values = calloc(gateways * metrics, sizeof(*values));
    char(*gates)[32] = calloc(gateways, sizeof(*gates));
    double spent = 0;
    struct rng rng;
    check(values && gates);
    rng_init(&rng, 1);
    for (uint64_t g = 0; g < gateways; g++)
        snprintf(gates[g], sizeof(gates[g]), "gw-%llu", (unsigned long long)g);
    for (uint64_t t = 0; t < rounds; t++) {
        double time = START_S + STEP_S * (double)t;
        make_values(&rng, time, values, gateways * metrics);
        double began = cpu_s();
        for (uint64_t g = 0; g < gateways; g++)
            for (uint64_t m = 0; m < metrics; m++)
                check(health_board_add(b, time, gates[g], names[m], values[g * metrics + m], NULL,
                                       NULL) == 0);
        spent += cpu_s() - began;
    }
    free(values);
    free(gates);
    return spent;
}

static double judge(struct health_board *b)
{
    struct health_score s;
    double began = cpu_s();
    for (size_t g = 0; g < health_board_gateways(b); g++)
        check(health_board_score(b, g, health_board_newest(b), &s) == 0);
    return cpu_s() - began;
}

static void measure(uint64_t gateways, uint64_t metrics, uint64_t rounds)
{
    struct health_limits limits = {0};
    struct buf state = {0};
    const char *why;
    check(health_limits_builtin(&limits) == 0);
    struct health_board *b = health_board_new(&limits, &rules);
    check(b != NULL);
    double n = (double)(gateways * metrics);
    double add = feed(b, gateways, metrics, rounds);
    double began = cpu_s();
    check(health_board_save(b, &state) == 0);
    double save = cpu_s() - began;
    health_board_free(b);
    b = health_board_new(&limits, &rules);
    began = cpu_s();
    check(b != NULL && health_board_load(b, state.data, state.len, &why) == 0);
    double load = cpu_s() - began;
    printf(
        "%.0f metrics, %llu samples each: a sample %.2f us; a metric judged %.1f us, saved %.1f, "
        "loaded %.1f; state %.0f bytes a metric\n",
        n, (unsigned long long)rounds, add / n / (double)rounds * 1e6, judge(b) / n * 1e6,
        save / n * 1e6, load / n * 1e6, (double)state.len / n);
    buf_release(&state);
    health_board_free(b);
    health_limits_release(&limits);
}

int main(int argc, char **argv)
{
    uint64_t gateways, metrics, rounds;
    if (argc != 4 || parse_u64(argv[1], &gateways) < 0 || parse_u64(argv[2], &metrics) < 0 ||
        parse_u64(argv[3], &rounds) < 0 || gateways < 1 || metrics < 1 || metrics > 4 ||
        rounds < 1 || gateways > 1000000)
        err_die(EX_USAGE, "usage: health_speed GATEWAYS METRICS(1-4) ROUNDS");
    measure(gateways, metrics, rounds);
    return 0;
}
