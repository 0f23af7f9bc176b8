/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From counts to forecasts, one volume at a time. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/error.h"

/* A model older than this is fitted anew. */
enum { MODEL_MAX_AGE_HOURS = HOURS_A_WEEK };

static void need(int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "forecast failed: %s", err_text(r));
}

static int64_t hour_of(double time)
{
    return (int64_t)floor(time / 3600);
}

/* A stored model serves while it is young and the history has not grown into a better kind. */
static bool is_usable(const struct models_entry *e, struct series s)
{
    if (!e)
        return false;
    int64_t age = s.start + (int64_t)s.n - e->hour;
    return age >= 0 && age <= MODEL_MAX_AGE_HOURS && e->model.kind == model_kind_for(s.n);
}

static struct model model_for(const struct profile *p, const char *volume, const char *site,
                              struct series s)
{
    const struct models_entry *e = models_find(&p->models, volume, site);
    struct model m;
    if (is_usable(e, s))
        return e->model;
    need(model_fit(s, p->seed, &m));
    return m;
}

static void look_at_site(const struct profile *p, const struct demand_volume *v,
                         const struct demand_site *s, struct outlook *out)
{
    double *y;
    struct series series;
    need(demand_series(&p->demand, s, out->hour, &y, &series));
    if (series.n) {
        struct outlook_site *o = &out->site[out->n++];
        o->site = s->site;
        o->model = model_for(p, v->volume, s->site, series);
        o->point = calloc(out->hours, sizeof(*o->point));
        need(o->point ? model_predict(&o->model, series, out->hours, o->point) : -ENOMEM);
    }
    free(y);
}

static int by_site(const void *a, const void *b)
{
    const struct outlook_site *x = a, *y = b;
    return strcmp(x->site, y->site);
}

void outlook_make(const struct profile *p, const struct demand_volume *v, size_t hours,
                  struct outlook *out)
{
    *out = (struct outlook){.hour = hour_of(p->now), .hours = hours};
    for (size_t i = 0; i < v->n_sites; i++)
        look_at_site(p, v, &v->sites[i], out);
    qsort(out->site, out->n, sizeof(out->site[0]), by_site);
}

void outlook_release(struct outlook *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->site[i].point);
    o->n = 0;
}

static void train_site(struct profile *p, const char *volume, const struct demand_site *s)
{
    double *y;
    struct series series;
    struct models_entry e = {.hour = hour_of(p->now)};
    need(demand_series(&p->demand, s, e.hour, &y, &series));
    if (series.n) {
        need(model_fit(series, p->seed, &e.model));
        need(models_put(&p->models, volume, s->site, &e));
    }
    free(y);
}

void outlook_train(struct profile *p)
{
    models_release(&p->models);
    const struct demand_volume **v = profile_volumes(p);
    for (size_t i = 0; i < p->demand.volumes.n; i++)
        for (size_t j = 0; j < v[i]->n_sites; j++)
            train_site(p, v[i]->volume, &v[i]->sites[j]);
    free(v);
}

static int by_volume(const void *a, const void *b)
{
    const struct demand_volume *const *x = a, *const *y = b;
    return strcmp((*x)->volume, (*y)->volume);
}

const struct demand_volume **profile_volumes(const struct profile *p)
{
    size_t n = p->demand.volumes.n;
    const struct demand_volume **v = calloc(n + 1, sizeof(*v));
    need(v ? 0 : -ENOMEM);
    for (size_t i = 0; i < n; i++)
        v[i] = &p->demand.volume[i];
    qsort(v, n, sizeof(*v), by_volume);
    return v;
}
