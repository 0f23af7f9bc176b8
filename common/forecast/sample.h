/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the nets see of a series: logarithms of 1 + y / unit, and the baseline's forecasts from
 * points a day (training: an hour) apart.  A net goes from point to point, a day a step, and
 * forecasts two days from each as a correction of the baseline.
 */
#ifndef GS_FORECAST_SAMPLE_H
#define GS_FORECAST_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/forecast/model.h"
#include "common/forecast/series.h"

enum {
    SAMPLE_IN = 128,
    SAMPLE_AHEAD = 2 * HOURS_A_DAY,
    SAMPLE_STEPS = 26, /* days that a net goes through at most as it is trained */
    /*
     * … and to forecast.  With 26 the error was the same, by 0.0001 of OWA: tests/bench/forecast.sh
     * with the last 48 and the last 168 hours held out.
     */
    SAMPLE_BACK = 16,
    SAMPLE_FIRST = 2 * HOURS_A_WEEK, /* no point lies before it */
};

/*
 * Changes whenever a row's meaning does: a net is of use with the features it was trained on only.
 */
enum { SAMPLE_VERSION = 2 };

/* The baseline that a net corrects. */
enum sample_base {
    SAMPLE_MODEL, /* the series' model's (methods.h) */
    SAMPLE_WEEKS, /* the mean of the same hour of the last two weeks */
};

struct sample {
    size_t n;      /* hours of the series */
    double unit;   /* requests */
    float scaled;  /* loss_scaled() */
    float *x;      /* [n] logarithms, from SAMPLE_FIRST hours before the first point on; owned */
    float *y;      /* [n] in units, as far; owned */
    size_t origin; /* the first point: hours of the series before it */
    size_t step;   /* hours from one point to the next */
    size_t points;
    float *base;               /* [points][SAMPLE_AHEAD] logarithms, owned */
    double last[SAMPLE_AHEAD]; /* what the baseline says from the last point, in requests */
};

/*
 * Prepares S for training: a point each hour from SAMPLE_FIRST on, as long as a day follows it.
 * M, of kind MODEL_WEEKLY, gives the baseline.  0, -ENOMEM, or -EDOM: S is too short.
 */
int sample_for_training(struct series s, const struct model *m, struct sample *out);

/* … for a forecast from its end: a point a day back from there, at most SAMPLE_BACK. */
int sample_for_forecast(struct series s, const struct model *m, struct sample *out);

void sample_release(struct sample *s);

/*
 * The input of a net at POINT of S into IN (SAMPLE_IN floats), and what its output is added to into
 * BASE (SAMPLE_AHEAD floats).
 */
void sample_row(const struct sample *s, size_t point, enum sample_base kind, float *in,
                float *base);

/* As sample_row(), in less time, where IN holds the same point's input with another baseline. */
void sample_row_as(const struct sample *s, size_t point, enum sample_base kind, float *in,
                   float *base);

/* Points of S that a net goes through to forecast from its last one. */
size_t sample_steps(const struct sample *s);

#endif
