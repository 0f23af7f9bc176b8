/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which volumes get hot next, where on them, and when. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/affinity-profile/profile.h"
#include "common/affinity/heat.h"
#include "common/affinity/score.h"
#include "common/base/error.h"
#include "common/record/record.h"

enum {
    TOP_VOLUME,
    TOP_START,
    TOP_DURATION_S,
    TOP_REQUESTS,
    TOP_RECENT,
    TOP_SITE,
    TOP_GATEWAY,
    TOP_OFFSET,
    TOP_LENGTH,
    TOP_PART,
    TOP_MODEL
};
static const struct rec_column columns[] = {
    {"volume", REC_NAME, 0, NULL},          {"start", REC_TIME, 0, NULL},
    {"duration_s", REC_UINT, 0, NULL},      {"requests", REC_REAL, 0, NULL},
    {"recent", REC_REAL, 0, NULL},          {"site", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, REC_EMPTY, NULL}, {"offset", REC_UINT, REC_EMPTY, NULL},
    {"length", REC_UINT, REC_EMPTY, NULL},  {"part", REC_RATIO, REC_EMPTY, NULL},
    {"model", REC_TEXT, 0, NULL},
};
static const struct rec_schema schema = {"top", columns, sizeof(columns) / sizeof(columns[0])};

/* A volume's busiest hour ahead. */
struct top {
    const struct demand_volume *v;
    double requests; /* predicted in it */
    double recent;   /* an hour of the last day, on average */
    size_t at;       /* hours from now */
};

static void need(int r)
{
    if (r < 0)
        err_die(r == -EIO ? EX_IOERR : EX_OSERR, "%s", err_text(r));
}

static double requests_at(const struct outlook *o, size_t i)
{
    double sum = 0;
    for (size_t c = 0; c < o->n; c++)
        sum += o->site[c].point[i].requests;
    return sum;
}

/* Requests an hour in the last day before the hour END. */
static double recent_of(const struct profile *p, const struct demand_volume *v, int64_t end)
{
    double sum = 0;
    for (size_t i = 0; i < v->n_sites; i++) {
        double *y;
        struct series s;
        need(demand_series(&p->demand, &v->sites[i], end, &y, &s));
        struct series day = series_tail(s, HOURS_A_DAY);
        for (size_t k = 0; k < day.n; k++)
            sum += day.y[k];
        free(y);
    }
    return sum / HOURS_A_DAY;
}

static struct top look_at(const struct profile *p, const struct demand_volume *v, size_t hours)
{
    struct top t = {.v = v};
    struct outlook o;
    outlook_make(p, v, hours, &o);
    for (size_t i = 0; i < o.hours; i++)
        if (requests_at(&o, i) > t.requests) {
            t.requests = requests_at(&o, i);
            t.at = i;
        }
    t.recent = recent_of(p, v, o.hour);
    outlook_release(&o);
    return t;
}

/* The largest rise first. */
static int by_rise(const void *a, const void *b)
{
    const struct top *x = a, *y = b;
    double dx = x->requests - x->recent, dy = y->requests - y->recent;
    if (dx != dy)
        return dx > dy ? -1 : 1;
    return strcmp(x->v->volume, y->v->volume);
}

/* All volumes, the largest rise first: owned, free(). */
static struct top *rank(const struct profile *p, double ahead_s, size_t *n)
{
    const struct demand_volume **v = profile_volumes(p);
    *n = p->now >= 0 ? p->demand.volumes.n : 0;
    struct top *t = calloc(*n + 1, sizeof(*t));
    need(t ? 0 : -ENOMEM);
    for (size_t i = 0; i < *n; i++)
        t[i] = look_at(p, v[i], (size_t)ceil(ahead_s / 3600));
    qsort(t, *n, sizeof(*t), by_rise);
    free(v);
    return t;
}

static void put_place(const struct profile *p, const struct top *t, int64_t hour,
                      struct rec_writer *w)
{
    struct heat h;
    size_t hottest = 0;
    need(heat_make(&p->demand, t->v, &h));
    struct heat_cell *cell = calloc(h.n + 1, sizeof(*cell));
    need(cell ? 0 : -ENOMEM);
    heat_spread(&h, hour, 1, cell);
    for (size_t i = 0; i < h.n; i++) {
        for (size_t k = 0; k < CELLS_BYTES; k++)
            cell[i].of[CELLS_BYTES] = k ? cell[i].of[CELLS_BYTES] + cell[i].of[k] : cell[i].of[k];
        if (cell[i].of[CELLS_BYTES] > cell[hottest].of[CELLS_BYTES])
            hottest = i;
    }
    if (h.n) {
        rec_put_uint(w, TOP_OFFSET, (uint64_t)h.segment[hottest].index << h.shift);
        rec_put_uint(w, TOP_LENGTH, UINT64_C(1) << h.shift);
        rec_put_real(w, TOP_PART, cell[hottest].of[CELLS_BYTES]);
    }
    free(cell);
    heat_release(&h);
}

static void put(const struct profile *p, const struct top *t, size_t hours, struct rec_writer *w)
{
    struct outlook o;
    size_t most = 0;
    outlook_make(p, t->v, hours, &o);
    for (size_t c = 1; c < o.n; c++)
        if (o.site[c].point[t->at].requests > o.site[most].point[t->at].requests)
            most = c;
    long gateway = report_nearest(p, t->v, &o, t->at);
    if (o.n) {
        rec_put_text(w, TOP_VOLUME, t->v->volume);
        rec_put_real(w, TOP_START, (double)(o.hour + (int64_t)t->at) * 3600);
        rec_put_uint(w, TOP_DURATION_S, 3600);
        rec_put_real(w, TOP_REQUESTS, t->requests);
        rec_put_real(w, TOP_RECENT, t->recent);
        rec_put_text(w, TOP_SITE, o.site[most].site);
        rec_put_text(w, TOP_GATEWAY, gateway < 0 ? "" : p->fleet.gateways[gateway].name);
        put_place(p, t, o.hour + (int64_t)t->at, w);
        rec_put_text(w, TOP_MODEL, model_name(&o.site[most].model));
        need(rec_write(w));
    }
    outlook_release(&o);
}

void top_report(const struct profile *p, double ahead_s, size_t most)
{
    struct rec_writer *w = rec_writer_new(&schema, stdout);
    size_t n;
    need(w ? rec_writer_header(w) : -ENOMEM);
    struct top *t = rank(p, ahead_s, &n);
    for (size_t i = 0; i < n && i < most; i++)
        put(p, &t[i], (size_t)ceil(ahead_s / 3600), w);
    free(t);
    rec_writer_free(w);
}

const struct demand_volume **top_volumes(const struct profile *p, double ahead_s, size_t most,
                                         size_t *n)
{
    struct top *t = rank(p, ahead_s, n);
    const struct demand_volume **v = calloc(*n + 1, sizeof(*v));
    need(v ? 0 : -ENOMEM);
    *n = *n < most ? *n : most;
    for (size_t i = 0; i < *n; i++)
        v[i] = t[i].v;
    free(t);
    return v;
}
