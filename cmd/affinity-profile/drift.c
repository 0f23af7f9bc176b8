/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Are the kept models still as good as when they were trained?  Their forecasts, and what came. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/error.h"

/* So much worse than on the days held out in the training is worth a new one (and, where hardly
 * anything was wrong, by so much of the naive error at least). */
static const double worse = 1.2, worse_by = 0.05;

/* An error of more naive errors says no more than this. */
static const double error_most = 10;

struct looking {
    const struct profile *p;
    const struct learn *l;
    struct train_series *past; /* [l->n] what was known at an origin, and the models */
    double *net;               /* [l->n][MODEL_NET_HOURS] */
    double *error;             /* [l->n] sums of absolute errors */
    size_t *hours;             /* [l->n] of how many */
};

static void need(int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "training failed: %s", err_text(r));
}

/* Hours of series I since its model was fitted; 0: it has none that is in use. */
static size_t age_of(const struct looking *k, size_t i)
{
    const struct models_entry *e = models_find(&k->p->models, k->l->volume[i], k->l->site[i]);
    struct series s = k->l->of[i].s;
    if (!outlook_is_usable(e, s) || s.start + (int64_t)s.n <= e->hour)
        return 0;
    size_t age = (size_t)(s.start + (int64_t)s.n - e->hour);
    return age < s.n ? age : 0;
}

/* The forecasts of BACK hours ago, as far as they reach, against what came. */
static void look_back(struct looking *k, size_t back)
{
    struct model_point point[MODEL_NET_HOURS];
    size_t ahead = back < MODEL_NET_HOURS ? back : MODEL_NET_HOURS;
    for (size_t i = 0; i < k->l->n; i++) {
        struct series s = k->l->of[i].s;
        bool old = age_of(k, i) >= back;
        k->past[i] = (struct train_series){.s = series_head(s, old ? s.n - back : 0)};
        if (old)
            k->past[i].model = k->l->of[i].model;
    }
    need(train_forecast(&k->p->nets, k->past, k->l->n, k->p->threads, k->net));
    for (size_t i = 0; i < k->l->n; i++) {
        struct series past = k->past[i].s;
        if (!past.n)
            continue;
        need(model_predict(&k->past[i].model, past, k->net + i * MODEL_NET_HOURS, ahead, point));
        for (size_t h = 0; h < ahead; h++)
            k->error[i] += fabs(k->l->of[i].s.y[past.n + h] - point[h].requests);
        k->hours[i] += ahead;
    }
}

/* Means over the series of the error at the training and of that since. */
static struct drift sum_up(const struct looking *k)
{
    struct drift d = {0};
    for (size_t i = 0; i < k->l->n; i++) {
        struct series s = k->l->of[i].s;
        size_t age = age_of(k, i);
        double scale = k->hours[i] ? series_naive_error(series_head(s, s.n - age), HOURS_A_DAY) : 0;
        if (scale <= 0)
            continue;
        d.before += fmin(k->l->of[i].model.mase, error_most);
        d.since += fmin(k->error[i] / (double)k->hours[i] / scale, error_most);
        d.series++;
    }
    if (d.series) {
        d.before /= (double)d.series;
        d.since /= (double)d.series;
    }
    return d;
}

struct drift drift_since_training(const struct profile *p, const struct learn *l)
{
    struct looking k = {.p = p, .l = l};
    k.past = calloc(l->n + 1, sizeof(*k.past));
    k.net = calloc(l->n * MODEL_NET_HOURS + 1, sizeof(*k.net));
    k.error = calloc(l->n + 1, sizeof(*k.error));
    k.hours = calloc(l->n + 1, sizeof(*k.hours));
    need(k.past && k.net && k.error && k.hours ? 0 : -ENOMEM);
    for (size_t back = HOURS_A_DAY; back <= HOURS_A_WEEK; back += HOURS_A_DAY)
        look_back(&k, back);
    struct drift d = sum_up(&k);
    free(k.past);
    free(k.net);
    free(k.error);
    free(k.hours);
    return d;
}

bool drift_is_large(const struct drift *d)
{
    return d->series && d->since > worse * d->before && d->since > d->before + worse_by;
}
