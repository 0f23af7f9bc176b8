/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    SEARCH_TRIES = 300,
    SEARCH_HORIZON = 48,
    SEARCH_ORIGINS = 14,
    SEARCH_STEP = 24,
    HOLD_STEP = 12,                  /* hours between the origins of the held-out forecasts */
    HISTORY_MAX = 13 * HOURS_A_WEEK, /* older hours cost time and say nothing of the next days */
    MEDIAN_DAYS = 7,
    SHORT_HOURS = 3 * HOURS_A_DAY,
    LONG_HOURS = 3 * HOURS_A_WEEK,
};

/*
 * The interval is to hold 80 %, but a week's errors are correlated: the range that holds 80 % of one
 * week's held only 68 to 73 % of the next days' (M4 hourly, Bitbrains).  The range of 89 % does.
 */
static const double interval = 0.89;

/* The median takes over only where it is this much better: a week's errors are a small sample. */
static const double gate_margin = 0.95;

/* Errors of a model where it was not fitted. */
struct held_out {
    double *ratio[MODEL_BANDS]; /* log(1 + actual) − log(1 + forecast) */
    size_t n[MODEL_BANDS];
    double abs_sum;
    size_t hours;
};

static size_t band_of(size_t lead)
{
    return lead <= 6 ? 0 : lead <= HOURS_A_DAY ? 1 : 2;
}

enum model_kind model_kind_for(size_t n)
{
    if (n == 0)
        return MODEL_NONE;
    if (n < SHORT_HOURS)
        return MODEL_MEAN;
    return n < LONG_HOURS ? MODEL_DAILY : MODEL_WEEKLY;
}

/* ---- the methods ---- */

/* The median of the same hour of the last 7 days, H hours from the end of S. */
static void predict_median(struct series s, size_t h, double *out)
{
    for (size_t i = 0; i < h; i++) {
        double same[MEDIAN_DAYS];
        size_t n = 0;
        size_t back = HOURS_A_DAY - i % HOURS_A_DAY;
        for (; n < MEDIAN_DAYS && back <= s.n; back += HOURS_A_DAY)
            same[n++] = s.y[s.n - back];
        out[i] = series_median(same, n);
    }
}

static int predict_seasonal(const struct model *m, struct series s, size_t h, double *out)
{
    double *log = malloc((h ? h : 1) * sizeof(*log));
    if (!log)
        return -ENOMEM;
    int r = seasonal_forecast(s, &m->plain, h, out);
    if (r == 0)
        r = seasonal_forecast(s, &m->log, h, log);
    for (size_t i = 0; r == 0 && i < h; i++)
        out[i] = 0.5 * (out[i] + log[i]);
    free(log);
    return r;
}

static void predict_flat(enum model_kind kind, struct series s, size_t h, double *out)
{
    double v = 0;
    if (kind == MODEL_LAST && s.n)
        v = s.y[s.n - 1];
    else if (kind == MODEL_MEAN)
        v = series_mean(s.y, s.n);
    for (size_t i = 0; i < h; i++)
        out[i] = v;
}

/* The two forecasts a model mixes: its own, and the median of days. */
static int predict_both(const struct model *m, struct series s, size_t h, double *own,
                        double *median)
{
    int r = 0;
    if (m->kind >= MODEL_DAILY)
        r = predict_seasonal(m, s, h, own);
    else
        predict_flat(m->kind, s, h, own);
    if (r == 0)
        predict_median(s, h, median);
    return r;
}

static double mix(double own, double median, double weight)
{
    return (1 - weight) * own + weight * median;
}

static int fit_seasonal(struct series s, uint64_t seed, struct model *m)
{
    struct seasonal_search how = {
        .weekly = m->kind == MODEL_WEEKLY,
        .seed = seed,
        .tries = SEARCH_TRIES,
        .horizon = SEARCH_HORIZON,
        .origins = SEARCH_ORIGINS,
        .step = SEARCH_STEP,
    };
    int r = seasonal_fit(s, &how, &m->plain);
    how.log = true;
    return r < 0 ? r : seasonal_fit(s, &how, &m->log);
}

/* ---- judging them ---- */

/* Forecasts of one method and the other from the origins of the held-out part. */
struct trial {
    struct series s;
    size_t first;   /* hours before the held-out part */
    size_t origins; /* each forecasts up to SEARCH_HORIZON hours, as far as S reaches */
    double *own, *median;
};

static size_t held_hours(size_t n)
{
    size_t third = n / 3;
    return third < HOURS_A_WEEK ? third : HOURS_A_WEEK;
}

static int trial_run(struct trial *t, const struct model *m)
{
    for (size_t j = 0; j < t->origins; j++) {
        struct series past = series_head(t->s, t->first + j * HOLD_STEP);
        int r = predict_both(m, past, SEARCH_HORIZON, t->own + j * SEARCH_HORIZON,
                             t->median + j * SEARCH_HORIZON);
        if (r < 0)
            return r;
    }
    return 0;
}

static size_t trial_leads(const struct trial *t, size_t j)
{
    size_t left = t->s.n - t->first - j * HOLD_STEP;
    return left < SEARCH_HORIZON ? left : SEARCH_HORIZON;
}

static double trial_error(const struct trial *t, double weight)
{
    double sum = 0;
    size_t n = 0;
    for (size_t j = 0; j < t->origins; j++)
        for (size_t i = 0; i < trial_leads(t, j); i++, n++) {
            size_t at = j * SEARCH_HORIZON + i;
            double f = mix(t->own[at], t->median[at], weight);
            sum += fabs(t->s.y[t->first + j * HOLD_STEP + i] - f);
        }
    return n ? sum / (double)n : 0;
}

/* Band B's quantiles from the errors in RATIO, which are put in order. */
static struct model_band band_from(double *ratio, size_t n)
{
    if (n == 0)
        return (struct model_band){-log(4), log(4)};
    series_sort(ratio, n);
    double lower = series_quantile(ratio, n, (1 - interval) / 2);
    double upper = series_quantile(ratio, n, (1 + interval) / 2);
    return (struct model_band){fmin(lower, 0), fmax(upper, 0)};
}

static int trial_bands(const struct trial *t, struct model *m)
{
    double *ratio = malloc((t->origins * SEARCH_HORIZON + 1) * sizeof(*ratio));
    if (!ratio)
        return -ENOMEM;
    for (size_t b = 0; b < MODEL_BANDS; b++) {
        size_t n = 0;
        for (size_t j = 0; j < t->origins; j++)
            for (size_t i = 0; i < trial_leads(t, j); i++) {
                size_t at = j * SEARCH_HORIZON + i;
                double f = mix(t->own[at], t->median[at], m->median);
                double y = t->s.y[t->first + j * HOLD_STEP + i];
                if (band_of(i + 1) == b)
                    ratio[n++] = log1p(y) - log1p(f);
            }
        m->band[b] = n || b == 0 ? band_from(ratio, n) : m->band[b - 1];
    }
    free(ratio);
    return 0;
}

/* The weight of the median: each step away from the seasonal model has to earn it. */
static double best_weight(const struct trial *t)
{
    static const double weights[] = {0, 0.5, 1};
    double best = 0, least = INFINITY;
    for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
        double e = trial_error(t, weights[i]);
        if (i == 0 || e < gate_margin * least) {
            least = e;
            best = weights[i];
        }
    }
    return best;
}

static double mase_of(struct series s, double error)
{
    double scale = series_naive_error(s, s.n > HOURS_A_DAY ? HOURS_A_DAY : 1);
    return scale > 0 ? error / scale : error > 0 ? 10 : 0;
}

/* Compares the methods on the last hours of S, with parameters from the hours before. */
static int judge(struct series s, uint64_t seed, struct model *m)
{
    struct trial t = {.s = s, .first = s.n - held_hours(s.n)};
    t.origins = (s.n - t.first + HOLD_STEP - 1) / HOLD_STEP;
    t.own = calloc(2 * t.origins * SEARCH_HORIZON + 1, sizeof(*t.own));
    if (!t.own)
        return -ENOMEM;
    t.median = t.own + t.origins * SEARCH_HORIZON;
    struct model early = *m;
    int r = 0;
    if (m->kind >= MODEL_DAILY)
        r = fit_seasonal(series_head(s, t.first), seed, &early);
    if (r == 0)
        r = trial_run(&t, &early);
    if (r == 0) {
        m->median = m->kind >= MODEL_DAILY ? best_weight(&t) : 0;
        m->mase = mase_of(s, trial_error(&t, m->median));
        r = trial_bands(&t, m);
    }
    free(t.own);
    return r;
}

/* Of a short series: is the next hour more like the last one or like the mean so far? */
static enum model_kind last_or_mean(struct series s)
{
    double by_last = 0, by_mean = 0, sum = 0;
    for (size_t i = 1; i < s.n; i++) {
        sum += s.y[i - 1];
        by_last += fabs(s.y[i] - s.y[i - 1]);
        by_mean += fabs(s.y[i] - sum / (double)i);
    }
    return by_last < by_mean || s.n == 1 ? MODEL_LAST : MODEL_MEAN;
}

int model_fit(struct series s, uint64_t seed, struct model *out)
{
    s = series_tail(s, HISTORY_MAX);
    struct model m = {.kind = model_kind_for(s.n), .hours = (uint32_t)s.n};
    int r = 0;
    if (m.kind == MODEL_MEAN)
        m.kind = last_or_mean(s);
    if (m.kind != MODEL_NONE)
        r = judge(s, seed, &m);
    if (r == 0 && m.kind >= MODEL_DAILY && m.median < 1)
        r = fit_seasonal(s, seed, &m);
    if (r == 0)
        *out = m;
    return r;
}

int model_predict(const struct model *m, struct series s, size_t h, struct model_point *out)
{
    s = series_tail(s, HISTORY_MAX);
    double *own = calloc(2 * h + 1, sizeof(*own));
    if (!own)
        return -ENOMEM;
    double *median = own + h;
    struct model own_only = *m;
    if (m->median >= 1)
        own_only.kind = MODEL_NONE;
    int r = predict_both(&own_only, s, h, own, median);
    for (size_t i = 0; r == 0 && i < h; i++) {
        struct model_band b = m->band[band_of(i + 1)];
        double f = mix(own[i], median[i], m->median);
        out[i].requests = f;
        out[i].lower = fmin(fmax(expm1(log1p(f) + b.lower), 0), f);
        out[i].upper = fmax(expm1(log1p(f) + b.upper), f);
    }
    free(own);
    return r;
}

const char *model_name(const struct model *m)
{
    if (m->kind >= MODEL_DAILY && m->median >= 1)
        return "median-daily";
    switch (m->kind) {
    case MODEL_LAST:
        return "last";
    case MODEL_MEAN:
        return "mean";
    case MODEL_DAILY:
        return m->median > 0 ? "seasonal-daily+median" : "seasonal-daily";
    case MODEL_WEEKLY:
        return m->median > 0 ? "seasonal+median" : "seasonal";
    default:
        return "none";
    }
}

double model_confidence(const struct model *m)
{
    double days = (double)m->hours / HOURS_A_DAY, weeks = days / 7;
    double history = 0.8 + (weeks - 3) / 15;
    if (days < 3)
        history = 0.1 * days;
    else if (weeks < 3)
        history = 0.3 + 0.5 * (days - 3) / 18;
    double quality = m->mase > 1 ? 0.6 + 0.4 / m->mase : 1;
    return m->kind == MODEL_NONE ? 0 : fmin(history, 1) * quality;
}
