/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Affinity, forecast and heat records. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/affinity-profile/profile.h"
#include "common/affinity/heat.h"
#include "common/affinity/score.h"
#include "common/base/error.h"
#include "common/record/record.h"
#include "common/record/schema.h"

/* A cell expecting less than this is left out. */
static const double heat_least = 1e-6;

static void *alloc(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    if (!p)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    return p;
}

static struct rec_writer *writer(const struct rec_schema *schema)
{
    struct rec_writer *w = rec_writer_new(schema, stdout);
    if (!w)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    if (rec_writer_header(w) < 0)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(errno));
    return w;
}

static void put(struct rec_writer *w)
{
    int r = rec_write(w);
    if (r < 0)
        err_die(r == -EINVAL ? EX_SOFTWARE : EX_IOERR, "write failed 'stdout': %s", err_text(r));
}

/* Hours that a time span from now on touches. */
static size_t hours_touched(double now, double span_s)
{
    return (size_t)ceil((fmod(now, 3600) + span_s) / 3600);
}

void report_closeness(const struct profile *p, const char *site, double *out)
{
    const struct fleet *f = &p->fleet;
    size_t n = f->gateway_names.n;
    double *rtt = alloc(n, sizeof(*rtt));
    bool *same = alloc(n, sizeof(*same));
    long s = intern_find(&f->site_names, site);
    for (size_t g = 0; g < n; g++) {
        rtt[g] = s >= 0 && f->rtt_us ? f->rtt_us[(size_t)s * n + g] : NAN;
        same[g] = strcmp(f->gateways[g].site, site) == 0;
    }
    score_closeness(rtt, same, n, p->rtt_scale_us, out);
    free(rtt);
    free(same);
}

/* ---- affinity ---- */

/* One volume's sites: what they are expected to ask for, and from how near they would. */
struct demand_view {
    size_t n;
    double *demand;    /* [n] */
    double *closeness; /* [gateway * n + site] */
    double requests, confidence;
    const char *model; /* of the site with the largest demand */
};

static struct demand_view view_of(const struct profile *p, const struct outlook *o,
                                  double horizon_s)
{
    size_t gateways = p->fleet.gateway_names.n;
    struct demand_view v = {.n = o->n, .model = "none"};
    double *hourly = alloc(o->hours, sizeof(*hourly)), *row = alloc(gateways, sizeof(*row));
    double from = fmod(p->now, 3600), most = 0;
    v.demand = alloc(o->n, sizeof(*v.demand));
    v.closeness = alloc(o->n * gateways, sizeof(*v.closeness));
    for (size_t c = 0; c < o->n; c++) {
        for (size_t i = 0; i < o->hours; i++)
            hourly[i] = o->site[c].point[i].requests;
        v.demand[c] = score_window(hourly, o->hours, from, from + horizon_s);
        v.requests += v.demand[c];
        v.confidence += v.demand[c] * model_confidence(&o->site[c].model);
        if (v.demand[c] > most) {
            most = v.demand[c];
            v.model = model_name(&o->site[c].model);
        }
        report_closeness(p, o->site[c].site, row);
        for (size_t g = 0; g < gateways; g++)
            v.closeness[g * o->n + c] = row[g];
    }
    v.confidence = v.requests > 0 ? v.confidence / v.requests : 0;
    free(hourly);
    free(row);
    return v;
}

static void affinity_of(const struct profile *p, const struct demand_volume *v, double horizon_s,
                        struct rec_writer *w)
{
    struct outlook o;
    outlook_make(p, v, hours_touched(p->now, horizon_s), &o);
    struct demand_view view = view_of(p, &o, horizon_s);
    for (size_t g = 0; g < p->fleet.gateway_names.n; g++) {
        const char *gateway = p->fleet.gateways[g].name;
        if (!fleet_allowed(&p->fleet, v->volume, gateway))
            continue;
        rec_put_real(w, AFFINITY_TIME, p->now);
        rec_put_text(w, AFFINITY_VOLUME, v->volume);
        rec_put_text(w, AFFINITY_GATEWAY, gateway);
        rec_put_real(w, AFFINITY_DAS, score_das(view.demand, view.closeness + g * view.n, view.n));
        rec_put_real(w, AFFINITY_SHARE, demand_share(&p->demand, v, gateway));
        rec_put_real(w, AFFINITY_REQUESTS, view.requests);
        rec_put_real(w, AFFINITY_CONFIDENCE, view.confidence);
        rec_put_uint(w, AFFINITY_HORIZON_S, (uint64_t)horizon_s);
        rec_put_text(w, AFFINITY_MODEL, view.model);
        put(w);
    }
    free(view.demand);
    free(view.closeness);
    outlook_release(&o);
}

void report_affinity(const struct profile *p, double horizon_s)
{
    struct rec_writer *w = writer(&rec_affinity);
    size_t n;
    const struct demand_volume **v = profile_asked(p, &n);
    for (size_t i = 0; i < n; i++)
        affinity_of(p, v[i], horizon_s, w);
    free(v);
    rec_writer_free(w);
}

/* ---- forecast ---- */

static void forecast_of(const struct demand_volume *v, const struct outlook *o,
                        const struct outlook_site *s, struct rec_writer *w)
{
    for (size_t i = 0; i < o->hours; i++) {
        rec_put_text(w, FORECAST_VOLUME, v->volume);
        rec_put_text(w, FORECAST_SITE, s->site);
        rec_put_real(w, FORECAST_START, (double)(o->hour + (int64_t)i) * 3600);
        rec_put_uint(w, FORECAST_DURATION_S, 3600);
        rec_put_real(w, FORECAST_REQUESTS, s->point[i].requests);
        rec_put_real(w, FORECAST_LOWER, s->point[i].lower);
        rec_put_real(w, FORECAST_UPPER, s->point[i].upper);
        rec_put_text(w, FORECAST_MODEL, model_name(&s->model));
        put(w);
    }
}

void report_forecast(const struct profile *p, double ahead_s)
{
    struct rec_writer *w = writer(&rec_forecast);
    size_t n;
    const struct demand_volume **v = profile_asked(p, &n);
    for (size_t i = 0; i < n; i++) {
        struct outlook o;
        outlook_make(p, v[i], (size_t)ceil(ahead_s / 3600), &o);
        for (size_t s = 0; s < o.n; s++)
            forecast_of(v[i], &o, &o.site[s], w);
        outlook_release(&o);
    }
    free(v);
    rec_writer_free(w);
}

/* ---- heat ---- */

void report_by_gateway(const struct profile *p, const struct demand_volume *v,
                       const struct outlook *o, size_t i, double *out)
{
    size_t n = p->fleet.gateway_names.n;
    double *close = alloc(n, sizeof(*close));
    for (size_t g = 0; g < n; g++)
        out[g] = 0;
    for (size_t c = 0; c < o->n; c++) {
        double all = 0;
        report_closeness(p, o->site[c].site, close);
        for (size_t g = 0; g < n; g++) {
            close[g] =
                fleet_allowed(&p->fleet, v->volume, p->fleet.gateways[g].name) ? close[g] : 0;
            all += close[g];
        }
        for (size_t g = 0; all > 0 && g < n; g++)
            out[g] += o->site[c].point[i].requests * close[g] / all;
    }
    free(close);
}

long report_nearest(const struct profile *p, const struct demand_volume *v, const struct outlook *o,
                    size_t i)
{
    size_t n = p->fleet.gateway_names.n;
    double *close = alloc(n, sizeof(*close)), *sum = alloc(n, sizeof(*sum));
    long best = -1;
    for (size_t c = 0; c < o->n; c++) {
        report_closeness(p, o->site[c].site, close);
        for (size_t g = 0; g < n; g++)
            sum[g] += o->site[c].point[i].requests * close[g];
    }
    for (size_t g = 0; g < n; g++)
        if (fleet_allowed(&p->fleet, v->volume, p->fleet.gateways[g].name) &&
            (best < 0 || sum[g] > sum[best]))
            best = (long)g;
    free(close);
    free(sum);
    return best;
}

static void put_cells(const struct demand_volume *v, const struct heat *h, int64_t hour,
                      const char *gateway, const struct heat_cell *cell, struct rec_writer *w)
{
    for (size_t s = 0; s < h->n; s++) {
        const double *of = cell[s].of;
        if (of[CELLS_READS] + of[CELLS_WRITES] < heat_least && of[CELLS_BYTES] < heat_least)
            continue;
        uint64_t index = h->segment[s].index;
        rec_put_text(w, HEAT_VOLUME, v->volume);
        rec_put_uint(w, HEAT_SEGMENT, index);
        rec_put_uint(w, HEAT_OFFSET, index << h->shift);
        rec_put_uint(w, HEAT_LENGTH, UINT64_C(1) << h->shift);
        rec_put_text(w, HEAT_GATEWAY, gateway);
        rec_put_real(w, HEAT_START, (double)hour * 3600);
        rec_put_uint(w, HEAT_DURATION_S, 3600);
        rec_put_real(w, HEAT_READS, of[CELLS_READS]);
        rec_put_real(w, HEAT_WRITES, of[CELLS_WRITES]);
        rec_put_real(w, HEAT_BYTES, of[CELLS_BYTES]);
        put(w);
    }
}

static void heat_of(const struct profile *p, const struct demand_volume *v, double ahead_s,
                    struct rec_writer *w)
{
    size_t n = p->fleet.gateway_names.n;
    struct outlook o;
    struct heat h;
    if (heat_make(&p->demand, v, &h) < 0)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    double *requests = alloc(n, sizeof(*requests));
    struct heat_cell *cell = alloc(h.n, sizeof(*cell));
    outlook_make(p, v, (size_t)ceil(ahead_s / 3600), &o);
    for (size_t i = 0; i < o.hours; i++) {
        report_by_gateway(p, v, &o, i, requests);
        for (size_t g = 0; g < n; g++) {
            heat_spread(&h, o.hour + (int64_t)i, requests[g], cell);
            put_cells(v, &h, o.hour + (int64_t)i, p->fleet.gateways[g].name, cell, w);
        }
    }
    outlook_release(&o);
    heat_release(&h);
    free(cell);
    free(requests);
}

void report_heat(const struct profile *p, double ahead_s)
{
    struct rec_writer *w = writer(&rec_heat);
    size_t n;
    const struct demand_volume **v = profile_asked(p, &n);
    for (size_t i = 0; i < n; i++)
        heat_of(p, v[i], ahead_s, w);
    free(v);
    rec_writer_free(w);
}
