/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/train.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/forecast/blas.h"
#include "common/forecast/judge.h"
#include "common/forecast/methods.h"
#include "common/forecast/model_private.h"
#include "common/forecast/workers.h"

enum {
    SLICE = 64,           /* jobs from one word about it to the next */
    CHUNK = 32,           /* series that are forecast together */
    POINTS_MAX = 1 << 20, /* of training: 192 bytes each */
    HOLD_MIN = 4 * HOURS_A_DAY,
    HOLD_MAX = 2 * HOURS_A_WEEK,
    HOLD_PART = 6,          /* of the mean history is held out */
    SHARE_SERIES_MIN = 5,   /* fewer say nothing of how errors are correlated */
    SHARE_SERIES_MAX = 512, /* more say nothing new */
    WEEKS_MIN = 4,          /* of all series together: with less, nets are not even tried */
};

/* Multiplications and additions a second, features and optimiser included, on a slow machine. */
static const double flops_a_second = 25e9;

/* CPU seconds of a series' two fits: so much an hour of history, and so many hours for nothing. */
static const double fit_seconds_an_hour = 1.2e-5;
static const double fit_hours = 700;

static const double rate_wide = 3e-3, rate_narrow = 1e-3, rate_gentle = 3e-4;
static const double decay_wide = 1e-2, decay_narrow = 3e-2;

/* An epoch more says little then; of these, the first leg gets its part. */
static const double epochs_most = 16;
static const double first_leg = 0.4;

struct fleet_training {
    struct train_series *t;
    size_t n;
    const struct train_how *how;
    struct judge *judge;   /* [n] */
    struct sample *sample; /* [chosen], all or a part of the series */
    size_t *chosen;        /* their numbers */
    size_t n_chosen;
    size_t hold;  /* hours held out of the first leg */
    double share; /* that bands hold */
    bool whole;   /* samples are of whole series */
    struct nets *nets;
    struct nets_run run;
    enum train_stage stage;
};

static void tell(void *ctx, uint64_t done, uint64_t all)
{
    struct fleet_training *f = ctx;
    if (f->how->tell)
        f->how->tell(f->how->ctx, f->stage, done, all);
}

struct slice {
    struct fleet_training *f;
    int (*job)(void *ctx, size_t i);
    size_t from;
};

static int do_slice(void *ctx, size_t i)
{
    const struct slice *s = ctx;
    return s->job(s->f, s->from + i);
}

/* Calls JOB for each of JOBS, and tells between a slice of them and the next. */
static int for_each(struct fleet_training *f, size_t jobs, int (*job)(void *ctx, size_t i))
{
    int r = 0;
    for (size_t from = 0; r == 0 && from < jobs; from += SLICE) {
        struct slice s = {f, job, from};
        size_t n = jobs - from < SLICE ? jobs - from : SLICE;
        r = workers_run(n, f->run.threads, do_slice, &s);
        tell(f, from + n, jobs);
    }
    return r;
}

/* ---- the series' own models ---- */

static int begin_one(void *ctx, size_t i)
{
    struct fleet_training *f = ctx;
    struct train_series *t = &f->t[i];
    int r = judge_begin(series_tail(t->s, METHODS_HISTORY), f->how->seed, &f->judge[i]);
    if (r < 0)
        return r;
    struct model m = f->judge[i].early;
    if (model_smooths(&m))
        r = model_fit_seasonal(f->judge[i].s, f->how->seed, &m);
    t->model = m;
    return r;
}

/* ---- what the nets learn from ---- */

static bool is_long_enough(const struct fleet_training *f, size_t i, size_t hold)
{
    size_t n = f->judge[i].s.n;
    return f->judge[i].early.kind == MODEL_WEEKLY && n >= SAMPLE_FIRST + hold + 2 * HOURS_A_DAY;
}

/* Which series the nets learn from: as many as memory allows, in an order of the seed's. */
static void choose_series(struct fleet_training *f)
{
    struct rng r;
    size_t points = 0, kept = 0;
    rng_init(&r, f->how->seed);
    f->n_chosen = 0;
    for (size_t i = 0; i < f->n; i++)
        if (is_long_enough(f, i, HOLD_MIN))
            f->chosen[f->n_chosen++] = i;
    for (size_t i = f->n_chosen; i > 1; i--) {
        size_t j = (size_t)rng_below(&r, i), t = f->chosen[i - 1];
        f->chosen[i - 1] = f->chosen[j];
        f->chosen[j] = t;
    }
    while (kept < f->n_chosen && points < POINTS_MAX)
        points += f->judge[f->chosen[kept++]].s.n;
    f->n_chosen = kept;
}

static void choose_hold(struct fleet_training *f)
{
    double hours = 0;
    for (size_t i = 0; i < f->n_chosen; i++)
        hours += (double)f->judge[f->chosen[i]].s.n / (double)f->n_chosen;
    size_t hold = (size_t)(hours / HOLD_PART) / JUDGE_STEP * JUDGE_STEP;
    f->hold = hold < HOLD_MIN ? HOLD_MIN : hold > HOLD_MAX ? HOLD_MAX : hold;
    size_t kept = 0;
    for (size_t i = 0; i < f->n_chosen; i++)
        if (is_long_enough(f, f->chosen[i], f->hold))
            f->chosen[kept++] = f->chosen[i];
    f->n_chosen = kept;
}

/* Of whole series for the last leg, else of what comes before the held-out hours. */
static int sample_one(void *ctx, size_t k)
{
    struct fleet_training *f = ctx;
    size_t i = f->chosen[k];
    struct series s = f->judge[i].s;
    if (f->whole)
        return sample_for_training(s, &f->t[i].model, &f->sample[k]);
    return sample_for_training(series_head(s, s.n - f->hold), &f->judge[i].early, &f->sample[k]);
}

static void release_samples(struct fleet_training *f)
{
    for (size_t k = 0; k < f->n_chosen; k++)
        sample_release(&f->sample[k]);
}

/* ---- what the budget is spent on ---- */

static double rows_an_epoch(const struct fleet_training *f)
{
    double rows = 0;
    for (size_t k = 0; k < f->n_chosen; k++)
        rows += (double)f->sample[k].points;
    return rows;
}

static double net_budget(const struct fleet_training *f)
{
    double fits = 0;
    for (size_t i = 0; i < f->n; i++)
        fits += fit_seconds_an_hour * ((double)f->judge[i].s.n + fit_hours);
    return fmax(f->how->budget_s - fits, f->how->budget_s / 2);
}

/* Seconds of an epoch of one net of so many units. */
static double epoch_seconds(const struct fleet_training *f, size_t hidden)
{
    struct lstm_shape s = {SAMPLE_IN, hidden, SAMPLE_AHEAD};
    return rows_an_epoch(f) * lstm_flops_training(s) / flops_a_second;
}

/*
 * Few hours are learnt by heart by a wide net.  A wide one, where there is history enough, is worth
 * its time if two of them get most of their epochs; then more of them are worth more than longer
 * training.
 */
static struct nets_config choose_nets(const struct fleet_training *f, double *epochs)
{
    double hours = rows_an_epoch(f), budget = net_budget(f);
    struct nets_config c = {.nets = 2, .hidden = 32, .seed = f->how->seed};
    if (hours > 6e4)
        c.hidden = 64;
    if (hours > 1.2e5 && 2 * 0.8 * epochs_most * epoch_seconds(f, 128) < budget)
        c.hidden = 128;
    double one = epochs_most * epoch_seconds(f, c.hidden);
    double fit = floor(budget / (2 * one));
    c.nets = (uint32_t)fmin(fmax(2 * fit, 2), NETS_MAX);
    c.decay = c.hidden > 32 ? decay_wide : decay_narrow;
    *epochs = fmin(budget / (c.nets * epoch_seconds(f, c.hidden)), epochs_most);
    return c;
}

static int train_leg(struct fleet_training *f, double epochs, enum train_stage stage)
{
    double rate = f->nets->config.hidden > 32 ? rate_wide : rate_narrow;
    uint64_t epoch = nets_epoch(f->sample, f->n_chosen);
    uint64_t steps = (uint64_t)ceil(epochs * (double)epoch);
    f->stage = stage;
    nets_begin(f->nets, steps, rate);
    return nets_train(f->nets, f->sample, f->n_chosen, steps, &f->run);
}

/* ---- the gate ---- */

/* The nets' forecasts of the held-out hours of the series I. */
static int rehearse_one(void *ctx, size_t i)
{
    struct fleet_training *f = ctx;
    struct judge *j = &f->judge[i];
    if (!is_long_enough(f, i, f->hold))
        return 0;
    int r = judge_expect_net(j, f->hold);
    size_t n = j->points - j->net_first, made = 0;
    struct sample *s = calloc(n + 1, sizeof(*s));
    if (r == 0 && !s)
        r = -ENOMEM;
    for (; r == 0 && made < n; made++) {
        struct series past = series_head(j->s, judge_origin(j, j->net_first + made));
        r = sample_for_forecast(past, &j->early, &s[made]);
    }
    if (r == 0)
        r = nets_forecast(f->nets, s, n, j->net + j->net_first * JUDGE_AHEAD);
    for (size_t k = 0; s && k < made; k++)
        sample_release(&s[k]);
    free(s);
    return r;
}

/* No single series is to decide for all. */
static double bounded(double gain)
{
    return fmin(fmax(gain, -0.5), 0.5);
}

static void open_gates(struct fleet_training *f)
{
    double pool[JUDGE_CHOICES] = {0}, gain[JUDGE_CHOICES];
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (!f->judge[i].net)
            continue;
        judge_gain(&f->judge[i], gain);
        for (int k = 0; k < JUDGE_CHOICES; k++)
            pool[k] += bounded(gain[k]);
        n++;
    }
    for (int k = 0; n && k < JUDGE_CHOICES; k++)
        pool[k] /= (double)n;
    for (size_t i = 0; i < f->n; i++) {
        if (!f->judge[i].net)
            continue;
        judge_gain(&f->judge[i], gain);
        f->t[i].model.net = judge_weight(judge_choose(&f->judge[i], gain, pool));
        f->t[i].model.net_gain = 1 - exp(bounded(gain[JUDGE_ALL]));
    }
}

/* ---- the interval ---- */

/*
 * The share of errors that a band has to hold for 80 % of the hours that it was not made from to
 * lie in it.  The baseline tells it, whose errors go back further than the nets'.
 */
static int calibrate(struct fleet_training *f)
{
    struct judge_tally t = {0};
    size_t n = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < f->n && n < SHARE_SERIES_MAX; i++)
        if (f->judge[i].early.kind == MODEL_WEEKLY) {
            r = judge_tally(&f->judge[i], &t);
            n++;
        }
    f->share = model_share;
    for (size_t k = 0; n >= SHARE_SERIES_MIN && k < JUDGE_SHARES; k++) {
        f->share = judge_share(k);
        if ((double)t.held[k] >= 0.8 * (double)t.hours)
            break;
    }
    return r;
}

static int end_one(void *ctx, size_t i)
{
    struct fleet_training *f = ctx;
    return judge_bands(&f->judge[i], f->t[i].model.net, f->share, &f->t[i].model);
}

/* ---- all of it ---- */

static int train_nets(struct fleet_training *f)
{
    double epochs = 0;
    int r = for_each(f, f->n_chosen, sample_one);
    if (r == 0) {
        struct nets_config c = choose_nets(f, &epochs);
        r = nets_init(f->nets, &c);
    }
    if (r == 0)
        r = train_leg(f, epochs * first_leg, TRAIN_REHEARSING);
    release_samples(f);
    f->stage = TRAIN_JUDGING;
    if (r == 0)
        r = for_each(f, f->n, rehearse_one);
    if (r < 0)
        return r;
    open_gates(f);
    f->whole = true;
    r = for_each(f, f->n_chosen, sample_one);
    if (r == 0)
        r = train_leg(f, epochs * (1 - first_leg), TRAIN_NETS);
    f->nets->origin = nets_digest(f->nets);
    release_samples(f);
    return r;
}

static bool is_worth_nets(const struct fleet_training *f)
{
    size_t hours = 0;
    for (size_t k = 0; k < f->n_chosen; k++)
        hours += f->judge[f->chosen[k]].s.n;
    return f->how->budget_s > 0 && hours >= WEEKS_MIN * HOURS_A_WEEK;
}

static void end(struct fleet_training *f)
{
    for (size_t i = 0; f->judge && i < f->n; i++)
        judge_release(&f->judge[i]);
    free(f->judge);
    free(f->sample);
    free(f->chosen);
}

/* Of THREADS, those that may compute products at once, into *OUT: 0, or what blas_begin() said. */
static int may_run(size_t threads, size_t *out)
{
    int r = blas_begin();
    *out = r > 0 ? threads : 1;
    return r < 0 ? r : 0;
}

static int begin(struct fleet_training *f)
{
    f->run = (struct nets_run){1, tell, f};
    int r = may_run(f->how->threads, &f->run.threads);
    if (r < 0)
        return r;
    f->judge = calloc(f->n + 1, sizeof(*f->judge));
    f->sample = calloc(f->n + 1, sizeof(*f->sample));
    f->chosen = calloc(f->n + 1, sizeof(*f->chosen));
    return f->judge && f->sample && f->chosen ? 0 : -ENOMEM;
}

int train_all(struct train_series *t, size_t n, const struct train_how *how, struct nets *out)
{
    struct fleet_training f = {.t = t, .n = n, .how = how, .nets = out, .stage = TRAIN_FITTING};
    *out = (struct nets){0};
    int r = begin(&f);
    if (r == 0)
        r = for_each(&f, n, begin_one);
    if (r == 0) {
        choose_series(&f);
        choose_hold(&f);
        if (is_worth_nets(&f))
            r = train_nets(&f);
    }
    if (r == 0)
        r = calibrate(&f);
    if (r == 0)
        r = for_each(&f, n, end_one);
    if (r < 0)
        nets_release(out);
    end(&f);
    return r;
}

/* ---- afterwards ---- */

int train_on(const struct train_series *t, size_t n, const struct train_how *how, struct nets *nets)
{
    struct nets_run run = {1, NULL, NULL};
    struct sample *s = calloc(n + 1, sizeof(*s));
    size_t made = 0, points = 0;
    int r = s ? may_run(how->threads, &run.threads) : -ENOMEM;
    for (size_t i = 0; r == 0 && i < n && points < POINTS_MAX; i++) {
        if (t[i].model.kind != MODEL_WEEKLY)
            continue;
        r = sample_for_training(series_tail(t[i].s, METHODS_HISTORY), &t[i].model, &s[made]);
        if (r == 0)
            points += s[made++].points;
        else if (r == -EDOM)
            r = 0;
    }
    if (r == 0 && !made)
        r = -EDOM;
    if (r == 0) {
        nets_begin(nets, nets_epoch(s, made), rate_gentle);
        r = nets_train(nets, s, made, nets->leg.steps, &run);
    }
    for (size_t i = 0; i < made; i++)
        sample_release(&s[i]);
    free(s);
    return r;
}

struct forecasting {
    const struct nets *nets;
    const struct train_series *t;
    size_t n;
    double *out;
};

static int forecast_chunk(void *ctx, size_t chunk)
{
    const struct forecasting *f = ctx;
    struct sample s[CHUNK] = {0};
    double out[CHUNK * MODEL_NET_HOURS];
    size_t which[CHUNK], n = 0;
    int r = 0;
    for (size_t i = chunk * CHUNK; r == 0 && i < f->n && i < (chunk + 1) * CHUNK; i++) {
        if (f->t[i].model.net <= 0)
            continue;
        r = sample_for_forecast(series_tail(f->t[i].s, METHODS_HISTORY), &f->t[i].model, &s[n]);
        which[n] = i;
        n += r == 0;
        r = r == -EDOM ? 0 : r;
    }
    if (r == 0 && n)
        r = nets_forecast(f->nets, s, n, out);
    for (size_t k = 0; k < n; k++) {
        const struct train_series *t = &f->t[which[k]];
        double *to = f->out + which[k] * MODEL_NET_HOURS;
        memcpy(to, s[k].last, sizeof(s[k].last));
        if (r == 0)
            model_mix(&t->model, out + k * MODEL_NET_HOURS, to);
        sample_release(&s[k]);
    }
    return r;
}

int train_forecast(const struct nets *nets, const struct train_series *t, size_t n, size_t threads,
                   double *out)
{
    struct forecasting f = {nets, t, n, out};
    memset(out, 0, n * MODEL_NET_HOURS * sizeof(*out));
    if (nets->config.nets == 0)
        return 0;
    int r = may_run(threads, &threads);
    return r < 0 ? r : workers_run((n + CHUNK - 1) / CHUNK, threads, forecast_chunk, &f);
}
