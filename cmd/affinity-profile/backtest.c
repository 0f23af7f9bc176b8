/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How good would the forecasts have been?  Rolling origins over the remembered demand. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/error.h"
#include "common/record/record.h"

/* As often as a weekly --train would. */
enum { REFIT_HOURS = HOURS_A_WEEK };

enum {
    BT_VOLUME,
    BT_SITE,
    BT_MODEL,
    BT_ORIGINS,
    BT_HOURS,
    BT_SMAPE,
    BT_MASE,
    BT_COVERAGE,
    BT_SKILL,
    BT_BASE_SMAPE,
    BT_BASE_MASE,
    BT_LSTM,
    BT_LSTM_GAIN
};
static const struct rec_column columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"site", REC_NAME, 0, NULL},
    {"model", REC_TEXT, REC_EMPTY, NULL},
    {"origins", REC_UINT, 0, NULL},
    {"hours", REC_UINT, 0, NULL},
    {"smape", REC_REAL, REC_EMPTY, NULL},
    {"mase", REC_REAL, REC_EMPTY, NULL},
    {"coverage", REC_RATIO, REC_EMPTY, NULL},
    {"skill", REC_REAL, REC_EMPTY, NULL},
    {"base_smape", REC_REAL, REC_EMPTY, NULL},
    {"base_mase", REC_REAL, REC_EMPTY, NULL},
    {"lstm", REC_RATIO, REC_EMPTY, NULL},
    {"lstm_gain", REC_REAL, REC_EMPTY, NULL},
};
static const struct rec_schema schema = {"backtest", columns, sizeof(columns) / sizeof(columns[0])};

/* Sums over hours; in the line for all, over all series'. */
struct scores {
    size_t origins, hours, covered;
    double smape, base_smape;        /* sums */
    double error, base_error, naive; /* sums of absolute errors, scaled as for MASE */
    size_t scaled;                   /* hours in these three sums */
    double lstm, lstm_gain;          /* sums over origins of what the gate chose and had seen */
};

/* What the forecasts of one origin come from. */
struct rehearsal {
    struct learn *all;         /* whole series */
    struct train_series *past; /* [all->n] what is known at the origin, and the models */
    double *net;               /* [all->n][MODEL_NET_HOURS] */
    struct nets nets;
    struct model_point *point, *base; /* [ahead] */
    struct scores *tally;             /* [all->n] */
    size_t trained_back;              /* hours before now of the last training; 0: none yet */
};

static void need(int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "back-test failed: %s", err_text(r));
}

/* The same hour of the last day before ORIGIN, I hours behind it. */
static double naive_forecast(struct series s, size_t origin, size_t i)
{
    if (origin < HOURS_A_DAY)
        return s.y[origin - 1];
    return s.y[origin - HOURS_A_DAY + i % HOURS_A_DAY];
}

static void score_window_at(struct series s, size_t origin, const struct rehearsal *r, size_t h,
                            struct scores *t)
{
    double scale = series_naive_error(series_head(s, origin), HOURS_A_DAY);
    for (size_t i = 0; i < h; i++) {
        double y = s.y[origin + i];
        const struct model_point *p = &r->point[i], *base = &r->base[i];
        t->smape += series_smape(y, p->requests);
        t->base_smape += series_smape(y, base->requests);
        t->covered += y >= p->lower && y <= p->upper;
        t->hours++;
        if (scale > 0) {
            t->error += fabs(y - p->requests) / scale;
            t->base_error += fabs(y - base->requests) / scale;
            t->naive += fabs(y - naive_forecast(s, origin, i)) / scale;
            t->scaled++;
        }
    }
    t->origins++;
}

/* Lets each series know what lies BACK hours before now and earlier; how many know anything. */
static size_t look_back(struct rehearsal *r, size_t back)
{
    size_t n = 0;
    for (size_t i = 0; i < r->all->n; i++) {
        struct series s = r->all->of[i].s;
        r->past[i].s = series_head(s, s.n > back ? s.n - back : 0);
        n += r->past[i].s.n > 0;
    }
    return n;
}

/* A series that has begun since the training is fitted on its own. */
static void fit_newcomers(const struct profile *p, struct rehearsal *r)
{
    for (size_t i = 0; i < r->all->n; i++)
        if (r->past[i].model.kind == MODEL_NONE && r->past[i].s.n)
            need(model_fit(r->past[i].s, p->seed, &r->past[i].model));
}

static void learn_at(const struct profile *p, struct rehearsal *r, size_t back)
{
    struct train_how how = learn_how(p);
    if (r->trained_back && r->trained_back - back < REFIT_HOURS) {
        fit_newcomers(p, r);
        return;
    }
    nets_release(&r->nets);
    need(train_all(r->past, r->all->n, &how, &r->nets));
    err_progress(NULL);
    r->trained_back = back;
}

static void test_origin(const struct profile *p, struct rehearsal *r, size_t back, size_t ahead)
{
    if (!look_back(r, back))
        return;
    learn_at(p, r, back);
    need(train_forecast(&r->nets, r->past, r->all->n, p->threads, r->net));
    for (size_t i = 0; i < r->all->n; i++) {
        struct series past = r->past[i].s;
        struct model m = r->past[i].model;
        if (!past.n)
            continue;
        need(model_predict(&m, past, r->net + i * MODEL_NET_HOURS, ahead, r->point));
        r->tally[i].lstm += m.net;
        r->tally[i].lstm_gain += m.net_gain;
        m.net = 0;
        need(model_predict(&m, past, NULL, ahead, r->base));
        score_window_at(r->all->of[i].s, past.n, r, ahead, &r->tally[i]);
    }
}

static void put(struct rec_writer *w, const char *volume, const char *site, const char *model,
                const struct scores *t)
{
    rec_put_text(w, BT_VOLUME, volume);
    rec_put_text(w, BT_SITE, site);
    rec_put_text(w, BT_MODEL, model);
    rec_put_uint(w, BT_ORIGINS, t->origins);
    rec_put_uint(w, BT_HOURS, t->hours);
    if (t->hours) {
        rec_put_real(w, BT_SMAPE, t->smape / (double)t->hours);
        rec_put_real(w, BT_COVERAGE, (double)t->covered / (double)t->hours);
        rec_put_real(w, BT_BASE_SMAPE, t->base_smape / (double)t->hours);
        rec_put_real(w, BT_LSTM, t->lstm / (double)t->origins);
        rec_put_real(w, BT_LSTM_GAIN, t->lstm_gain / (double)t->origins);
    }
    if (t->scaled) {
        rec_put_real(w, BT_MASE, t->error / (double)t->scaled);
        rec_put_real(w, BT_BASE_MASE, t->base_error / (double)t->scaled);
    }
    if (t->naive > 0)
        rec_put_real(w, BT_SKILL, 1 - t->error / t->naive);
    need(rec_write(w));
}

static void add(struct scores *all, const struct scores *t)
{
    all->origins += t->origins;
    all->hours += t->hours;
    all->covered += t->covered;
    all->smape += t->smape;
    all->base_smape += t->base_smape;
    all->error += t->error;
    all->base_error += t->base_error;
    all->naive += t->naive;
    all->scaled += t->scaled;
    all->lstm += t->lstm;
    all->lstm_gain += t->lstm_gain;
}

static void rehearse(const struct profile *p, const struct backtest *how, struct rehearsal *r)
{
    size_t n = r->all->n;
    r->past = calloc(n + 1, sizeof(*r->past));
    r->net = calloc(n * MODEL_NET_HOURS + 1, sizeof(*r->net));
    r->point = calloc(how->ahead, sizeof(*r->point));
    r->base = calloc(how->ahead, sizeof(*r->base));
    r->tally = calloc(n + 1, sizeof(*r->tally));
    need(r->past && r->net && r->point && r->base && r->tally ? 0 : -ENOMEM);
    for (size_t j = how->origins; j-- > 0;)
        test_origin(p, r, how->ahead + j * how->step, how->ahead);
}

static void rehearsal_release(struct rehearsal *r)
{
    nets_release(&r->nets);
    free(r->past);
    free(r->net);
    free(r->point);
    free(r->base);
    free(r->tally);
}

void backtest_report(const struct profile *p, const struct backtest *how)
{
    struct rec_writer *w = rec_writer_new(&schema, stdout);
    struct learn l = {0};
    struct rehearsal r = {.all = &l};
    struct scores all = {0};
    need(w ? rec_writer_header(w) : -ENOMEM);
    if (p->now >= 0)
        learn_gather(p, (int64_t)floor(p->now / 3600), &l);
    rehearse(p, how, &r);
    for (size_t i = 0; i < l.n; i++) {
        put(w, l.volume[i], l.site[i], model_name(&r.past[i].model), &r.tally[i]);
        add(&all, &r.tally[i]);
    }
    put(w, "all", "all", "", &all);
    rehearsal_release(&r);
    learn_release(&l);
    rec_writer_free(w);
}
