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
    BT_SKILL
};
static const struct rec_column columns[] = {
    {"volume", REC_NAME, 0, NULL},        {"site", REC_NAME, 0, NULL},
    {"model", REC_TEXT, REC_EMPTY, NULL}, {"origins", REC_UINT, 0, NULL},
    {"hours", REC_UINT, 0, NULL},         {"smape", REC_REAL, REC_EMPTY, NULL},
    {"mase", REC_REAL, REC_EMPTY, NULL},  {"coverage", REC_RATIO, REC_EMPTY, NULL},
    {"skill", REC_REAL, REC_EMPTY, NULL},
};
static const struct rec_schema schema = {"backtest", columns, sizeof(columns) / sizeof(columns[0])};

/* Sums over hours, or, in the line for all, over series. */
struct tally {
    size_t origins, hours, covered;
    double smape;        /* sum */
    double error, naive; /* sums of absolute errors, scaled as for MASE */
    size_t scaled;       /* hours in these two sums */
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

static void score_window_at(struct series s, size_t origin, const struct model_point *p, size_t h,
                            struct tally *t)
{
    double scale = series_naive_error(series_head(s, origin), HOURS_A_DAY);
    for (size_t i = 0; i < h; i++) {
        double y = s.y[origin + i];
        t->smape += series_smape(y, p[i].requests);
        t->covered += y >= p[i].lower && y <= p[i].upper;
        t->hours++;
        if (scale > 0) {
            t->error += fabs(y - p[i].requests) / scale;
            t->naive += fabs(y - naive_forecast(s, origin, i)) / scale;
            t->scaled++;
        }
    }
    t->origins++;
}

/* Scores S from each origin that lies behind its first hour; *M is the last model used. */
static void score_series(struct series s, uint64_t seed, const struct backtest *how,
                         struct tally *t, struct model *m)
{
    struct model_point *p = calloc(how->ahead, sizeof(*p));
    size_t fitted = 0;
    need(p ? 0 : -ENOMEM);
    for (size_t j = how->origins; j-- > 0;) {
        size_t back = how->ahead + j * how->step;
        if (s.n <= back)
            continue;
        size_t origin = s.n - back;
        struct series past = series_head(s, origin);
        if (!fitted || origin - fitted >= REFIT_HOURS) {
            need(model_fit(past, seed, m));
            fitted = origin;
        }
        need(model_predict(m, past, how->ahead, p));
        score_window_at(s, origin, p, how->ahead, t);
    }
    free(p);
}

static void put(struct rec_writer *w, const char *volume, const char *site, const char *model,
                const struct tally *t)
{
    rec_put_text(w, BT_VOLUME, volume);
    rec_put_text(w, BT_SITE, site);
    rec_put_text(w, BT_MODEL, model);
    rec_put_uint(w, BT_ORIGINS, t->origins);
    rec_put_uint(w, BT_HOURS, t->hours);
    if (t->hours) {
        rec_put_real(w, BT_SMAPE, t->smape / (double)t->hours);
        rec_put_real(w, BT_COVERAGE, (double)t->covered / (double)t->hours);
    }
    if (t->scaled)
        rec_put_real(w, BT_MASE, t->error / (double)t->scaled);
    if (t->naive > 0)
        rec_put_real(w, BT_SKILL, 1 - t->error / t->naive);
    need(rec_write(w));
}

static void add(struct tally *all, const struct tally *t)
{
    all->origins += t->origins;
    all->hours += t->hours;
    all->covered += t->covered;
    all->smape += t->smape;
    all->error += t->error;
    all->naive += t->naive;
    all->scaled += t->scaled;
}

static void test_volume(const struct profile *p, const struct demand_volume *v,
                        const struct backtest *how, struct rec_writer *w, struct tally *all)
{
    for (size_t i = 0; i < v->n_sites; i++) {
        double *y;
        struct series s;
        struct tally t = {0};
        struct model m = {0};
        need(demand_series(&p->demand, &v->sites[i], (int64_t)floor(p->now / 3600), &y, &s));
        score_series(s, p->seed, how, &t, &m);
        free(y);
        put(w, v->volume, v->sites[i].site, model_name(&m), &t);
        add(all, &t);
    }
}

void backtest_report(const struct profile *p, const struct backtest *how)
{
    struct rec_writer *w = rec_writer_new(&schema, stdout);
    const struct demand_volume **v = profile_volumes(p);
    struct tally all = {0};
    need(w ? rec_writer_header(w) : -ENOMEM);
    for (size_t i = 0; p->now >= 0 && i < p->demand.volumes.n; i++)
        test_volume(p, v[i], how, w, &all);
    put(w, "all", "all", "", &all);
    free(v);
    rec_writer_free(w);
}
