/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/methods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/forecast/days.h"
#include "common/forecast/mixture.h"

/*
 * What the same hour usually was, the next H hours from the end of S: the median of so many days.
 * What lasts is in all of them; the fewer days, the sooner they know what has changed.
 */
static void predict_median(struct series s, size_t days, size_t h, double *out)
{
    double day[HOURS_A_DAY];
    days_quantile(s, days, 0.5, day);
    for (size_t i = 0; i < h; i += HOURS_A_DAY)
        memcpy(out + i, day, (h - i < HOURS_A_DAY ? h - i : HOURS_A_DAY) * sizeof(*out));
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
    static const size_t days[MODEL_METHODS] = {
        [MODEL_MEDIAN_3] = 3, [MODEL_MEDIAN_7] = 7, [MODEL_MEDIAN_14] = 14};
    double *plain = out + MODEL_PLAIN * n * h, *log = out + MODEL_LOG * n * h;
    int r = 0;
    if (weight[MODEL_PLAIN] > 0 && weight[MODEL_LOG] > 0)
        r = seasonal_rolling_two(s, &m->plain, &m->log, origin, n, h, plain, log);
    else if (weight[MODEL_PLAIN] > 0)
        r = seasonal_rolling(s, &m->plain, origin, n, h, plain);
    else if (weight[MODEL_LOG] > 0)
        r = seasonal_rolling(s, &m->log, origin, n, h, log);
    for (size_t k = 0; k < MODEL_METHODS; k++)
        for (size_t j = 0; days[k] && weight[k] > 0 && j < n; j++)
            predict_median(series_head(s, origin[j]), days[k], h, out + (k * n + j) * h);
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
        mixture_of(each, m->weight, MODEL_METHODS, n * h, out);
    free(each);
    return r;
}
