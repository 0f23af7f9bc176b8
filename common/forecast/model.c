/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/forecast/judge.h"
#include "common/forecast/methods.h"
#include "common/forecast/model_private.h"

enum {
    SEARCH_TRIES = 300,
    SEARCH_HORIZON = 48,
    SEARCH_ORIGINS = 14,
    SEARCH_STEP = 24,
    SHORT_HOURS = 3 * HOURS_A_DAY,
    LONG_HOURS = 3 * HOURS_A_WEEK,
};

const double model_share = 0.86;

size_t model_band_of(size_t lead)
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

enum model_kind model_kind_of(struct series s)
{
    enum model_kind kind = model_kind_for(s.n);
    return kind == MODEL_MEAN ? last_or_mean(s) : kind;
}

int model_fit_seasonal(struct series s, uint64_t seed, struct model *m)
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

bool model_smooths(const struct model *m)
{
    return m->weight[MODEL_PLAIN] > 0 || m->weight[MODEL_LOG] > 0;
}

int model_fit(struct series s, uint64_t seed, struct model *out)
{
    struct judge j;
    s = series_tail(s, METHODS_HISTORY);
    int r = judge_begin(s, seed, &j);
    if (r < 0)
        return r;
    struct model m = j.early;
    r = judge_bands(&j, 0, model_share, &m);
    judge_release(&j);
    if (r == 0 && model_smooths(&m))
        r = model_fit_seasonal(s, seed, &m);
    if (r == 0)
        *out = m;
    return r;
}

static struct model_point point_from(double forecast, struct model_band b)
{
    double at = log1p(forecast);
    return (struct model_point){
        .requests = forecast,
        .lower = fmin(fmax(expm1(at + b.lower), 0), forecast),
        .upper = fmax(expm1(at + b.upper), forecast),
    };
}

void model_mix(const struct model *m, const double *net, double *base)
{
    for (size_t i = 0; i < MODEL_NET_HOURS; i++)
        base[i] += m->net * (net[i] - base[i]);
}

int model_predict(const struct model *m, struct series s, const double *said, size_t h,
                  struct model_point *out)
{
    s = series_tail(s, METHODS_HISTORY);
    const size_t known = m->net <= 0 ? 0 : h < MODEL_NET_HOURS ? h : MODEL_NET_HOURS;
    double *all = calloc(h + 1, sizeof(*all));
    int r = all ? 0 : -ENOMEM;
    if (r == 0 && known < h)
        r = methods_mixed(m, s, &s.n, 1, h, all);
    if (r == 0 && known)
        memcpy(all, said, known * sizeof(*all));
    for (size_t i = 0; r == 0 && i < h; i++)
        out[i] = point_from(all[i], m->band[model_band_of(i + 1)]);
    free(all);
    return r;
}

/* "", "+lstm" or all of it, by the nets' weight. */
static const char *one_of(const struct model *m, const char *base, const char *both)
{
    return m->net <= 0 ? base : m->net < 1 ? both : "lstm";
}

const char *model_name(const struct model *m)
{
    bool has_median = false;
    for (int k = MODEL_MEDIAN_3; k <= MODEL_MEDIAN_14; k++)
        has_median |= m->weight[k] > 0;
    if (m->kind >= MODEL_DAILY && !model_smooths(m))
        return one_of(m, "median-daily", "median-daily+lstm");
    switch (m->kind) {
    case MODEL_LAST:
        return "last";
    case MODEL_MEAN:
        return "mean";
    case MODEL_DAILY:
        return has_median ? "seasonal-daily+median" : "seasonal-daily";
    case MODEL_WEEKLY:
        if (has_median)
            return one_of(m, "seasonal+median", "seasonal+median+lstm");
        return one_of(m, "seasonal", "seasonal+lstm");
    default:
        return "none";
    }
}

const char *model_method_name(enum model_method method)
{
    static const char *const name[MODEL_METHODS] = {"smoothing", "smoothing of logarithms",
                                                    "median of 3 days", "median of 7 days",
                                                    "median of 14 days"};
    return name[method];
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
