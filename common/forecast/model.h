/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model of one series: how much each method has to say in its forecast, with what parameters,
 * how much it listens to the global nets (nets.h), and how far off it has been.  Methods are
 * weighed by hours that their parameters were not fitted to; the mixture's errors there make the
 * interval.
 */
#ifndef GS_FORECAST_MODEL_H
#define GS_FORECAST_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/forecast/seasonal.h"
#include "common/forecast/series.h"

enum model_kind {
    MODEL_NONE,   /* no history: nothing is predicted */
    MODEL_LAST,   /* under 3 days: the last hour */
    MODEL_MEAN,   /* under 3 days: the mean */
    MODEL_DAILY,  /* under 3 weeks: seasonal, 24 hours */
    MODEL_WEEKLY, /* seasonal, 24 and 168 hours */
};

/* What the baseline is mixed from. */
enum model_method {
    MODEL_PLAIN,    /* seasonal smoothing of the values */
    MODEL_LOG,      /* … of their logarithms */
    MODEL_MEDIAN_3, /* the median of the same hour of the last 3 days */
    MODEL_MEDIAN_7,
    MODEL_MEDIAN_14,
    MODEL_METHODS
};

/* Leads of 1 … 6, 7 … 24 and more hours have intervals of their own. */
enum { MODEL_BANDS = 3 };

/* The nets forecast so many hours; from there on the baseline answers alone. */
enum { MODEL_NET_HOURS = 2 * HOURS_A_DAY };

/* Quantiles of log(1 + actual) − log(1 + forecast) on held-out hours. */
struct model_band {
    double lower, upper;
};

/* Copied by value; every field may be stored. */
struct model {
    enum model_kind kind;
    double weight[MODEL_METHODS]; /* they sum to 1; each 0 unless kind is MODEL_DAILY or _WEEKLY */
    double net;      /* 0 … 1: the nets' weight against the baseline; the gate's choice */
    double net_gain; /* 1 − the nets' error / the baseline's on held-out hours */
    struct seasonal_params plain, log;
    struct model_band band[MODEL_BANDS];
    double mase;    /* mean absolute error on held-out hours / that of the same hour yesterday */
    uint32_t hours; /* of history it was fitted to */
};

/* An hour's forecast: 0 ≤ lower ≤ requests ≤ upper; lower … upper should hold 80 % of the hours. */
struct model_point {
    double requests, lower, upper;
};

/*
 * Fits a model without nets to S.  Same S and SEED, same model.  Takes some 15 ms for 4 weeks of
 * history (two fits of 300 tries, on values and on logarithms each).  0 or -ENOMEM.
 */
int model_fit(struct series s, uint64_t seed, struct model *out);

/*
 * Forecasts the H hours behind S with M, which may have been fitted to an older S.  SAID: what
 * train_forecast() says of the first MODEL_NET_HOURS hours, needed if M.net > 0 (else it may be
 * NULL).  0 or -ENOMEM.
 */
int model_predict(const struct model *m, struct series s, const double *said, size_t h,
                  struct model_point *out);

/*
 * The kind that N hours of history make possible (MODEL_MEAN stands for MODEL_LAST too; the two
 * are told apart by model_fit()).
 */
enum model_kind model_kind_for(size_t n);

/*
 * "seasonal", "seasonal+lstm", "lstm", "seasonal-daily", "mean", …: what answers.  Static storage.
 */
const char *model_name(const struct model *m);

/* What a method is called. Static storage. */
const char *model_method_name(enum model_method method);

/*
 * How far to trust M, 0 … 1: grows with the history (under 3 days below 0.3, at 3 weeks 0.8, at 6
 * weeks 1) and shrinks, by at most 40 %, where the held-out error was above the naive one.
 */
double model_confidence(const struct model *m);

#endif
