/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/insights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/demand.h"
#include "common/affinity/score.h"
#include "common/base/error.h"
#include "common/forecast/model.h"
#include "common/forecast/workers.h"

enum { KEEP_HOURS = 13 * HOURS_A_WEEK, SEED = 1 };

/* A fitted model of a volume and site. */
struct fitted {
    struct model model;
    int64_t hour; /* the first hour behind what it was fitted to */
    bool there;
};

struct insights {
    const struct trace *trace;
    const struct fleet *fleet;
    struct insights_how how;
    struct demand demand;
    size_t next;                         /* span of the trace that is not counted yet */
    size_t volumes;                      /* one more than the highest number that was counted */
    int64_t first_week, first_heat_week; /* that DEMAND was trimmed to */
    double origin;
    struct insight *list;
    size_t n, cap;
    struct fitted *models; /* [volume * (sites + 1) + site]; the last site is "other" */
    double *closeness;     /* [site * gateways + gateway], with "other" */
};

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    err_need(p != NULL);
    return p;
}

static void measure_closeness(struct insights *x)
{
    const struct fleet *f = x->fleet;
    const size_t n = f->gateway_names.n;
    double *rtt = room(n, sizeof(*rtt));
    bool *same = room(n, sizeof(*same));
    x->closeness = room(n * (x->trace->sites.n + 1), sizeof(*x->closeness));
    for (size_t c = 0; c <= x->trace->sites.n; c++) {
        const char *site = c < x->trace->sites.n ? x->trace->sites.names[c] : DEMAND_OTHER;
        const long s = intern_find(&f->site_names, site);
        for (size_t g = 0; g < n; g++) {
            rtt[g] = s >= 0 && f->rtt_us ? f->rtt_us[(size_t)s * n + g] : NAN;
            same[g] = strcmp(f->gateways[g].site, site) == 0;
        }
        score_closeness(rtt, same, n, x->how.rtt_scale_us, &x->closeness[c * n]);
    }
    free(rtt);
    free(same);
}

/* The demand numbers volumes and sites as the trace does. */
static void name_all(struct insights *x)
{
    const struct intern *v = &x->trace->volumes, *s = &x->trace->sites;
    for (size_t i = 0; i < v->n; i++)
        err_need(demand_volume_id(&x->demand, v->names[i], strlen(v->names[i])) == (long)i);
    for (size_t i = 0; i < s->n; i++)
        err_need(demand_site_id(&x->demand, s->names[i], strlen(s->names[i])) == (long)i);
}

struct insights *insights_new(const struct trace *trace, const struct fleet *fleet,
                              const struct insights_how *how)
{
    struct insights *x = room(1, sizeof(*x));
    x->trace = trace;
    x->fleet = fleet;
    x->how = *how;
    x->origin = how->every_s * floor(trace->start / how->every_s);
    demand_init(&x->demand, KEEP_HOURS);
    name_all(x);
    measure_closeness(x);
    x->models = room(trace->volumes.n * (trace->sites.n + 1), sizeof(*x->models));
    return x;
}

void insights_free(struct insights *x)
{
    if (!x)
        return;
    for (size_t i = 0; i < x->n; i++) {
        free(x->list[i].das);
        free(x->list[i].requests);
        free(x->list[i].confidence);
        free(x->list[i].hourly);
    }
    free(x->list);
    free(x->models);
    free(x->closeness);
    demand_release(&x->demand);
    free(x);
}

double insights_horizon_s(const struct insights *x)
{
    return x->how.horizon_s;
}

bool insights_hourly(const struct insights *x)
{
    return x->how.hourly;
}

/* As demand_trim(), which finds nothing in most hours. */
static void trim(struct insights *x)
{
    const int64_t week = demand_first_week(&x->demand), heat = demand_first_heat_week(&x->demand);
    if (week == x->first_week && heat == x->first_heat_week)
        return;
    demand_trim(&x->demand);
    x->first_week = week;
    x->first_heat_week = heat;
}

/* Counts what was asked for before TIME, a full hour. */
static void count_until(struct insights *x, double time)
{
    for (; x->next < x->trace->n && x->trace->spans[x->next].from < time; x->next++) {
        const struct trace_span *s = &x->trace->spans[x->next];
        const struct demand_record r = {
            .hour = (int64_t)floor(s->from / 3600),
            .volume = s->volume,
            .site = s->site,
            .gateway = DEMAND_NO_GATEWAY,
            .op = DEMAND_FLUSH,
            .count = s->requests,
        };
        err_need(demand_add(&x->demand, &r) == 0);
        x->volumes = s->volume >= x->volumes ? s->volume + 1 : x->volumes;
    }
    trim(x);
    err_need(demand_gather(&x->demand) == 0);
}

/* As affinity-profile does after a weekly --train. */
static const struct model *model_for(struct insights *x, size_t volume, size_t site,
                                     struct series s)
{
    struct fitted *m = &x->models[volume * (x->trace->sites.n + 1) + site];
    const int64_t hour = s.start + (int64_t)s.n;
    const enum model_kind kind = m->model.kind == MODEL_LAST ? MODEL_MEAN : m->model.kind;
    if (m->there && (double)(hour - m->hour) * 3600 < x->how.refit_s && kind == model_kind_for(s.n))
        return &m->model;
    err_need(model_fit(s, SEED, &m->model) == 0);
    m->hour = hour;
    m->there = true;
    return &m->model;
}

/* One volume at work. */
struct view {
    double demand[DEMAND_SITES];
    const double *closeness[DEMAND_SITES];
    size_t n;
    double requests, confidence;
    double hourly[PLAN_HOURS];
};

/* That have to be forecast. */
static size_t hours_ahead(const struct insights *x)
{
    const size_t horizon = (size_t)ceil(x->how.horizon_s / 3600);
    return x->how.hourly && horizon < PLAN_HOURS ? PLAN_HOURS : horizon;
}

static void look_at(struct insights *x, const struct demand_site *site, size_t volume, int64_t hour,
                    struct view *v)
{
    const size_t hours = hours_ahead(x);
    double *y, *hourly = room(hours, sizeof(*hourly));
    struct model_point *point = room(hours, sizeof(*point));
    struct series s;
    err_need(demand_series(&x->demand, site, hour, &y, &s) == 0);
    if (s.n) {
        const struct model *m = model_for(x, volume, site->id, s);
        err_need(model_predict(m, s, NULL, hours, point) == 0);
        for (size_t i = 0; i < hours; i++)
            hourly[i] = point[i].requests;
        for (size_t i = 0; i < hours && i < PLAN_HOURS; i++)
            v->hourly[i] += hourly[i];
        const double demand = score_window(hourly, hours, 0, x->how.horizon_s);
        v->closeness[v->n] = &x->closeness[site->id * x->fleet->gateway_names.n];
        v->demand[v->n++] = demand;
        v->requests += demand;
        v->confidence += demand * model_confidence(m);
    }
    free(y);
    free(hourly);
    free(point);
}

/* As the fields of affinity records are printed. */
static double as_printed(double v)
{
    return round(v * 1e4) / 1e4;
}

static void look_at_volume(struct insights *x, size_t volume, int64_t hour, struct insight *out)
{
    const struct demand_volume *d = &x->demand.volume[volume];
    const size_t gateways = x->fleet->gateway_names.n;
    struct view v = {.n = 0};
    double close[DEMAND_SITES];
    for (size_t i = 0; i < d->n_sites; i++)
        look_at(x, &d->sites[i], volume, hour, &v);
    for (size_t g = 0; g < gateways; g++) {
        for (size_t c = 0; c < v.n; c++)
            close[c] = v.closeness[c][g];
        out->das[volume * gateways + g] = (float)as_printed(score_das(v.demand, close, v.n));
    }
    out->requests[volume] = v.requests;
    for (size_t i = 0; out->hourly && i < PLAN_HOURS; i++)
        out->hourly[volume * PLAN_HOURS + i] = (float)v.hourly[i];
    out->confidence[volume] = v.requests > 0 ? (float)as_printed(v.confidence / v.requests) : 0;
}

/* What the threads share. */
struct making {
    struct insights *x;
    struct insight *out;
    int64_t hour;
};

static int make_volume(void *ctx, size_t volume)
{
    const struct making *m = ctx;
    look_at_volume(m->x, volume, m->hour, m->out);
    return 0;
}

static void make(struct insights *x, double time)
{
    const size_t gateways = x->fleet->gateway_names.n;
    err_need(vec_room(&x->list, x->n, &x->cap, sizeof(*x->list)) == 0);
    count_until(x, time);
    struct insight *i = &x->list[x->n++];
    *i = (struct insight){.time = time, .volumes = x->volumes};
    i->das = room(i->volumes * gateways, sizeof(*i->das));
    i->requests = room(i->volumes, sizeof(*i->requests));
    i->confidence = room(i->volumes, sizeof(*i->confidence));
    i->hourly = x->how.hourly ? room(i->volumes * PLAN_HOURS, sizeof(*i->hourly)) : NULL;
    struct making m = {x, i, (int64_t)floor(time / 3600)};
    workers_run(i->volumes, x->how.threads, make_volume, &m);
}

void insights_prepare(struct insights *x, double now)
{
    const size_t at = (size_t)floor((now - x->origin) / x->how.every_s);
    while (x->n <= at)
        make(x, x->origin + (double)x->n * x->how.every_s);
}

const struct insight *insights_at(struct insights *x, double now)
{
    insights_prepare(x, now);
    return &x->list[(size_t)floor((now - x->origin) / x->how.every_s)];
}
