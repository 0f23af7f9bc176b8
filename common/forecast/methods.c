/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/methods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/forecast/days.h"

enum { MEDIAN_DAYS = 7, MEAN_DAYS = 28 };

/* Of the same hour's mean in its median's forecast. */
static const double burst_part = 0.1;

/*
 * The same hour of the days before, H hours from the end of S: what it usually is (the median of 7
 * days), and a part of the mean of 28.  A nightly job that runs once a week is in no median, but
 * the quietest hour had better not be its.
 */
static void predict_median(struct series s, size_t h, double *out)
{
    double median[HOURS_A_DAY], mean[HOURS_A_DAY], day[HOURS_A_DAY];
    days_quantile(s, MEDIAN_DAYS, 0.5, median);
    days_mean(s, MEAN_DAYS, mean);
    for (size_t i = 0; i < HOURS_A_DAY; i++)
        day[i] = (1 - burst_part) * median[i] + burst_part * mean[i];
    for (size_t i = 0; i < h; i += HOURS_A_DAY)
        memcpy(out + i, day, (h - i < HOURS_A_DAY ? h - i : HOURS_A_DAY) * sizeof(*out));
}

void methods_high(struct series s, double out[HOURS_A_DAY])
{
    days_quantile(s, MEAN_DAYS, 0.75, out);
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

int methods_each(const struct model *m, const double *weight, struct series s, const size_t *origin,
                 size_t n, size_t h, double *out)
{
    double *plain = out + MODEL_PLAIN * n * h, *log = out + MODEL_LOG * n * h;
    int r = 0;
    if (weight[MODEL_PLAIN] > 0 && weight[MODEL_LOG] > 0)
        r = seasonal_rolling_two(s, &m->plain, &m->log, origin, n, h, plain, log);
    else if (weight[MODEL_PLAIN] > 0)
        r = seasonal_rolling(s, &m->plain, origin, n, h, plain);
    else if (weight[MODEL_LOG] > 0)
        r = seasonal_rolling(s, &m->log, origin, n, h, log);
    for (size_t j = 0; weight[MODEL_MEDIAN] > 0 && j < n; j++)
        predict_median(series_head(s, origin[j]), h, out + (MODEL_MEDIAN * n + j) * h);
    return r;
}

int methods_mixed(const struct model *m, struct series s, const size_t *origin, size_t n, size_t h,
                  double *out)
{
    if (m->kind < MODEL_DAILY) {
        for (size_t j = 0; j < n; j++)
            predict_flat(m->kind, series_head(s, origin[j]), h, out + j * h);
        return 0;
    }
    double *each = calloc(MODEL_METHODS * n * h + 1, sizeof(*each));
    int r = each ? methods_each(m, m->weight, s, origin, n, h, each) : -ENOMEM;
    if (r == 0)
        memset(out, 0, n * h * sizeof(*out));
    for (size_t k = 0; r == 0 && k < MODEL_METHODS; k++)
        if (m->weight[k] > 0)
            days_add(each + k * n * h, m->weight[k], n * h, out);
    free(each);
    return r;
}
