/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Training for many series: their own models, the nets for all of them, and between the two the
 * gate.
 *
 * Each series' last days are held out.  Nets trained on what comes before them (the first leg)
 * forecast them; by that the gate sets each series' net weight, and the errors make the intervals.
 * Then parameters and nets (the second leg) learn from all hours.
 */
#ifndef GS_FORECAST_TRAIN_H
#define GS_FORECAST_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "common/forecast/model.h"
#include "common/forecast/nets.h"

/* One series; Y of S stays borrowed until the call returns. */
struct train_series {
    struct series s;
    struct model model;
};

enum train_stage { TRAIN_FITTING, TRAIN_REHEARSING, TRAIN_JUDGING, TRAIN_NETS };

struct train_how {
    uint64_t seed;
    /*
     * CPU seconds that fits and nets may take, turned into a number of steps by what they cost on a
     * slow machine: no clock is read.
     */
    double budget_s;
    size_t threads;
    /* Called now and then from the calling thread, DONE of ALL; or NULL. */
    void (*tell)(void *ctx, enum train_stage stage, uint64_t done, uint64_t all);
    void *ctx;
};

/*
 * Fits the models of the N series T and trains nets for them into OUT, which has no nets
 * (config.nets is 0) where the series are too few or too short, or the budget is 0.  Same series,
 * in the same order, and seed and budget, same result.  0, -ENOMEM, or -ELIBACC (blas.h).
 */
int train_all(struct train_series *t, size_t n, const struct train_how *how, struct nets *out);

/*
 * Goes on training NETS for an epoch, gently, on series with models made before (of others the nets
 * learn nothing); the models stay as they are.  0, -ENOMEM, -ELIBACC, or -EDOM: no series is long
 * enough.
 */
int train_on(const struct train_series *t, size_t n, const struct train_how *how,
             struct nets *nets);

/*
 * What baseline and nets together say of N series with their models, for model_predict():
 * MODEL_NET_HOURS hours each into OUT[series][hour]; 0 where the model does not ask for nets or the
 * series is too short.  0, -ENOMEM or -ELIBACC.
 */
int train_forecast(const struct nets *nets, const struct train_series *t, size_t n, size_t threads,
                   double *out);

#endif
