/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The global model: a few LSTM nets (lstm.h) trained on all series together, whose mean forecast
 * corrects the baseline's.  Half of them correct the seasonal smoothing, half a plain seasonal
 * mean: nets that err for other reasons are worth more together.
 *
 * Deterministic: a net is trained by one thread, on batches that follow from the seed and the
 * number of the step, so neither the number of threads nor a save, load and resume changes a bit.
 */
#ifndef GS_FORECAST_NETS_H
#define GS_FORECAST_NETS_H

#include <stddef.h>
#include <stdint.h>

#include "common/forecast/adam.h"
#include "common/forecast/lstm.h"
#include "common/forecast/sample.h"

enum { NETS_MAX = 16, NETS_HIDDEN_MAX = 512, NETS_BATCH = 16 };

struct nets_config {
    uint32_t nets, hidden;
    uint64_t seed;
    double decay; /* of the weights, relative to the rate */
};

/* A stretch of training: the rate warms up to RATE and falls along a cosine to almost nothing. */
struct nets_leg {
    uint64_t number; /* of the legs so far: each has its own batches */
    uint64_t steps;
    double rate;
};

/* All there is to save.  Made by nets_init(), freed by nets_release(). */
struct nets {
    struct nets_config config;
    struct nets_leg leg;
    uint64_t done;    /* steps of the leg */
    uint64_t origin;  /* tells which models they were trained with; not 0 (train.h) */
    struct adam *net; /* [config.nets], owned; the optimiser holds the weights */
};

/* How a run goes about it; says nothing of the result. */
struct nets_run {
    size_t threads;
    /*
     * Called now and then from the calling thread: steps of all nets made and to be made; or NULL.
     */
    void (*tell)(void *ctx, uint64_t done, uint64_t all);
    void *ctx;
};

/* Untrained nets.  0 or -ENOMEM. */
int nets_init(struct nets *n, const struct nets_config *c);
void nets_release(struct nets *n);

struct lstm_shape nets_shape(const struct nets *n);

/* A digest of the averaged weights; never 0. */
uint64_t nets_digest(const struct nets *n);

/* Steps of one net to see each of the N series' days once at each hour of the day. */
uint64_t nets_epoch(const struct sample *s, size_t n);

/* Begins a leg, from the averaged weights of what was before. */
void nets_begin(struct nets *n, uint64_t steps, double rate);

/*
 * Goes on with the leg until UPTO of its steps are done.  S: N > 0 series made for training.
 * 0 or -ENOMEM.
 */
int nets_train(struct nets *n, const struct sample *s, size_t count, uint64_t upto,
               const struct nets_run *run);

/*
 * Forecasts SAMPLE_AHEAD hours behind each of COUNT series made for a forecast, into
 * OUT[series][hour], in requests.  0 or -ENOMEM.
 */
int nets_forecast(const struct nets *n, const struct sample *s, size_t count, double *out);

#endif
