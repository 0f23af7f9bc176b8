/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How near the cell comes to what the machine's sgemm can do: prints the peak (GFLOP/s, of square
 * products) and the part of it that training steps reach, in CPU time, measured in turn; and what a
 * forecast costs a series.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/forecast/blas.h"
#include "common/forecast/lstm.h"
#include "common/forecast/nets.h"

enum {
    ROUNDS = 7,
    SQUARE = 512,
    SEQUENCES = 16,
    STEPS = 26,
    SERIES = 512,
    HOURS = 13 * HOURS_A_WEEK
};

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak(const float *a, const float *b, float *c)
{
    const int times = 20;
    double from = cpu_now();
    for (int i = 0; i < times; i++)
        blas_multiply(SQUARE, SQUARE, SQUARE, (struct blas_matrix){a, SQUARE, false},
                      (struct blas_matrix){b, SQUARE, false}, 0, c);
    return 2.0 * SQUARE * SQUARE * SQUARE * times / (cpu_now() - from);
}

static double training(struct lstm_shape s, struct lstm *l, const float *w, const float *dy,
                       float *g)
{
    const int times = 40;
    double from = cpu_now();
    for (int i = 0; i < times; i++) {
        lstm_forward(l, w, SEQUENCES, STEPS);
        lstm_backward(l, w, dy, g);
    }
    return lstm_flops_training(s) * SEQUENCES * STEPS * times / (cpu_now() - from);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(size_t hidden, float *a, float *b, float *c)
{
    struct lstm_shape s = {128, hidden, 48};
    struct lstm *l = lstm_new(s, SEQUENCES, STEPS);
    float *w = calloc(lstm_weights(s), sizeof(*w)), *g = calloc(lstm_weights(s), sizeof(*g));
    float *dy = calloc(SEQUENCES * STEPS * s.out, sizeof(*dy));
    struct rng r;
    double peaks[ROUNDS], part[ROUNDS];
    if (!l || !w || !g || !dy)
        exit(71);
    rng_init(&r, 1);
    lstm_draw(s, &r, w);
    for (size_t i = 0; i < SEQUENCES * STEPS * s.in; i++)
        lstm_input(l)[i] = (float)rng_unit(&r) - 0.5f;
    for (size_t i = 0; i < SEQUENCES * STEPS * s.out; i++)
        dy[i] = (float)rng_unit(&r) - 0.5f;
    for (int i = 0; i < ROUNDS; i++) {
        peaks[i] = peak(a, b, c);
        part[i] = training(s, l, w, dy, g) / peaks[i];
    }
    qsort(peaks, ROUNDS, sizeof(peaks[0]), ascending);
    qsort(part, ROUNDS, sizeof(part[0]), ascending);
    printf("%zu units: sgemm peak %.1f GFLOP/s, training at %.2f of it (median of %d; %.2f-%.2f)\n",
           hidden, peaks[ROUNDS / 2] / 1e9, part[ROUNDS / 2], ROUNDS, part[0], part[ROUNDS - 1]);
    free(dy);
    free(g);
    free(w);
    lstm_free(l);
}

/* Forecasts of SERIES series of 13 weeks by two nets: all of it, and without their preparation. */
static void measure_forecast(void)
{
    const struct nets_config c = {.nets = 2, .hidden = 64, .seed = 1};
    const struct model m = {
        .kind = MODEL_WEEKLY,
        .weight = {0.5, 0.5, 0},
        .plain = {.level = 0.1, .day = 0.1, .week = 0.1, .weekly = true},
        .log = {.level = 0.1, .day = 0.1, .week = 0.1, .weekly = true, .log = true}};
    double *y = calloc(HOURS, sizeof(*y)), *out = calloc(SERIES * SAMPLE_AHEAD, sizeof(*out));
    struct sample *s = calloc(SERIES, sizeof(*s));
    double all[ROUNDS], nets[ROUNDS];
    struct nets n;
    if (!y || !out || !s || nets_init(&n, &c) < 0)
        exit(71);
    for (size_t i = 0; i < HOURS; i++)
        y[i] = (double)(i * 7 % 24 + i % 168);
    for (int k = 0; k < ROUNDS; k++) {
        double from = cpu_now();
        for (size_t i = 0; i < SERIES; i++)
            if (sample_for_forecast((struct series){y, HOURS, 0}, &m, &s[i]) < 0)
                exit(71);
        double ready = cpu_now();
        if (nets_forecast(&n, s, SERIES, out) < 0)
            exit(71);
        all[k] = 1e3 * (cpu_now() - from) / SERIES;
        nets[k] = 1e3 * (cpu_now() - ready) / SERIES;
        for (size_t i = 0; i < SERIES; i++)
            sample_release(&s[i]);
    }
    qsort(all, ROUNDS, sizeof(all[0]), ascending);
    qsort(nets, ROUNDS, sizeof(nets[0]), ascending);
    printf("a forecast by two nets of 64 units, 13 weeks known: %.3f ms a series (%.3f-%.3f), "
           "with the smoothing of its history %.3f ms\n",
           nets[ROUNDS / 2], nets[0], nets[ROUNDS - 1], all[ROUNDS / 2]);
    nets_release(&n);
    free(s);
    free(out);
    free(y);
}

int main(void)
{
    float *a = calloc(SQUARE * SQUARE, sizeof(*a)), *b = calloc(SQUARE * SQUARE, sizeof(*b));
    float *c = calloc(SQUARE * SQUARE, sizeof(*c));
    if (!a || !b || !c)
        return 71;
    for (size_t i = 0; i < SQUARE * SQUARE; i++)
        a[i] = b[i] = (float)(i % 17) / 17;
    blas_begin();
    measure(32, a, b, c);
    measure(64, a, b, c);
    measure(128, a, b, c);
    measure_forecast();
    free(a);
    free(b);
    free(c);
    return 0;
}
