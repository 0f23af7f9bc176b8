/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How near the cell comes to what the machine's sgemm can do: prints the peak (GFLOP/s, of square
 * products) and the part of it that training steps reach, in CPU time, measured in turn; and what a
 * forecast costs a series.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/forecast/blas.h"
#include "common/forecast/lstm.h"
#include "common/forecast/nets.h"
#include "common/forecast/train.h"

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

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof(*v), ascending);
    return v[ROUNDS / 2];
}

/*
 * SERIES of HOURS hours each, with nets on the double-seasonal smoothing; or, if
 * EVERYTHING, with all that a forecast can have besides.
 */
static struct train_series *fleet(bool everything)
{
    const struct model m = {
        .kind = MODEL_WEEKLY,
        .weight = {0.5, 0.5},
        .net = 0.5,
        .plain = {.level = 0.1, .day = 0.1, .week = 0.1, .weekly = true},
        .log = {.level = 0.1, .day = 0.1, .week = 0.1, .weekly = true, .log = true}};
    const double even[MODEL_METHODS] = {0.2, 0.2, 0.2, 0.2, 0.2};
    double *y = calloc((size_t)SERIES * HOURS, sizeof(*y));
    struct train_series *t = calloc(SERIES, sizeof(*t));
    struct rng r;
    if (!y || !t)
        exit(71);
    rng_init(&r, 2);
    for (size_t i = 0; i < (size_t)SERIES * HOURS; i++)
        y[i] = (double)(i * 7 % 24 + i % 168) * (0.5 + rng_unit(&r));
    for (size_t i = 0; i < SERIES; i++)
        t[i] = (struct train_series){{y + i * HOURS, HOURS, 0}, m};
    for (size_t i = 0; everything && i < SERIES; i++)
        memcpy(t[i].model.weight, even, sizeof(even));
    return t;
}

/* CPU seconds of forecasts from history to interval, in one thread as a command makes them. */
static double forecast_all(const struct nets *n, const struct train_series *t, double *said)
{
    struct model_point p[SAMPLE_AHEAD];
    double from = cpu_now();
    if (train_forecast(n, t, SERIES, 1, said) < 0)
        exit(71);
    for (size_t i = 0; i < SERIES; i++)
        if (model_predict(&t[i].model, t[i].s, said + i * SAMPLE_AHEAD, SAMPLE_AHEAD, p) < 0)
            exit(71);
    return cpu_now() - from;
}

/* … of which the nets, their input at hand, take so many. */
static double forecast_nets(const struct nets *n, const struct train_series *t, double *said)
{
    struct sample *s = calloc(SERIES, sizeof(*s));
    for (size_t i = 0; i < SERIES; i++)
        if (!s || sample_for_forecast(t[i].s, &t[i].model, &s[i]) < 0)
            exit(71);
    double from = cpu_now();
    if (nets_forecast(n, s, SERIES, said) < 0)
        exit(71);
    double took = cpu_now() - from;
    for (size_t i = 0; i < SERIES; i++)
        sample_release(&s[i]);
    free(s);
    return took;
}

static void measure_forecast(bool everything)
{
    const struct nets_config c = {.nets = 2, .hidden = 64, .seed = 1};
    double *said = calloc(SERIES * SAMPLE_AHEAD, sizeof(*said)), all[ROUNDS], nets[ROUNDS];
    struct train_series *t = fleet(everything);
    struct nets n;
    if (!said || nets_init(&n, &c) < 0)
        exit(71);
    for (int k = 0; k < ROUNDS; k++) {
        all[k] = 1e3 * forecast_all(&n, t, said) / SERIES;
        nets[k] = 1e3 * forecast_nets(&n, t, said) / SERIES;
    }
    double typical = median(all);
    printf("a forecast of 48 hours, 13 weeks known, by two nets of 64 units, double-seasonal "
           "smoothing%s, and interval: %.3f ms a series (median of %d; %.3f-%.3f), the nets alone "
           "%.3f\n",
           everything ? ", medians" : "", typical, ROUNDS, all[0], all[ROUNDS - 1], median(nets));
    nets_release(&n);
    free((double *)t[0].s.y);
    free(t);
    free(said);
}

int main(void)
{
    float *a = calloc(SQUARE * SQUARE, sizeof(*a)), *b = calloc(SQUARE * SQUARE, sizeof(*b));
    float *c = calloc(SQUARE * SQUARE, sizeof(*c));
    if (!a || !b || !c)
        return 71;
    for (size_t i = 0; i < SQUARE * SQUARE; i++)
        a[i] = b[i] = (float)(i % 17) / 17;
    if (blas_begin() < 0)
        return 71;
    measure(32, a, b, c);
    measure(64, a, b, c);
    measure(128, a, b, c);
    measure_forecast(false);
    measure_forecast(true);
    free(a);
    free(b);
    free(c);
    return 0;
}
