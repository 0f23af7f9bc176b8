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

/* Series that the nets forecast together. */
enum { ASKING = 512 };

static void need(int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "forecast failed: %s", err_text(r));
}

static int64_t hour_of(double time)
{
    return (int64_t)floor(time / 3600);
}

static bool is_of_kind(enum model_kind kind, size_t n)
{
    return (kind == MODEL_LAST ? MODEL_MEAN : kind) == model_kind_for(n);
}

bool outlook_is_usable(const struct models_entry *e, struct series s)
{
    if (!e)
        return false;
    int64_t age = s.start + (int64_t)s.n - e->hour;
    return age >= 0 && age <= MODEL_MAX_AGE_HOURS && is_of_kind(e->model.kind, s.n);
}

/*
 * What series I of a volume is forecast with.  *NET: what the nets say; the model asks for nothing
 * that is not there.
 */
static struct model model_for(const struct profile *p, const struct demand_volume *v, size_t i,
                              struct series s, const double **net)
{
    const struct models_entry *e = models_find(&p->models, v->volume, v->sites[i].site);
    size_t at = (size_t)(v - p->demand.volume) * DEMAND_SITES + i;
    struct model m;
    *net = p->ahead ? p->ahead + at * MODEL_NET_HOURS : NULL;
    if (!outlook_is_usable(e, s)) {
        need(model_fit(s, p->seed, &m));
        return m;
    }
    m = e->model;
    if (!p->ahead || p->models.nets != p->nets.origin)
        m.net = 0;
    return m;
}

static void look_at_site(const struct profile *p, const struct demand_volume *v, size_t i,
                         struct outlook *out)
{
    const struct demand_site *s = &v->sites[i];
    double *y;
    struct series series;
    need(demand_series(&p->demand, s, out->hour, &y, &series));
    if (series.n) {
        const double *net;
        struct outlook_site *o = &out->site[out->n++];
        o->site = s->site;
        o->model = model_for(p, v, i, series, &net);
        o->point = calloc(out->hours, sizeof(*o->point));
        need(o->point ? model_predict(&o->model, series, net, out->hours, o->point) : -ENOMEM);
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
        look_at_site(p, v, i, out);
    qsort(out->site, out->n, sizeof(out->site[0]), by_site);
}

void outlook_release(struct outlook *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->site[i].point);
    o->n = 0;
}

/* Series whose nets' forecasts go to TO[each]. */
struct asking {
    struct train_series of[ASKING];
    double *y[ASKING], *to[ASKING];
    size_t n;
};

static void answer_all(const struct profile *p, struct asking *a)
{
    static const size_t width = MODEL_NET_HOURS;
    double *out = calloc(a->n * width + 1, sizeof(*out));
    need(out ? train_forecast(&p->nets, a->of, a->n, p->threads, out) : -ENOMEM);
    for (size_t i = 0; i < a->n; i++) {
        memcpy(a->to[i], out + i * width, width * sizeof(*out));
        free(a->y[i]);
    }
    free(out);
    a->n = 0;
}

static void ask(const struct profile *p, const struct demand_volume *v, size_t i, double *to,
                struct asking *a)
{
    const struct models_entry *e = models_find(&p->models, v->volume, v->sites[i].site);
    struct train_series *t = &a->of[a->n];
    if (!e || e->model.net <= 0)
        return;
    need(demand_series(&p->demand, &v->sites[i], hour_of(p->now), &a->y[a->n], &t->s));
    if (!outlook_is_usable(e, t->s)) {
        free(a->y[a->n]);
        return;
    }
    t->model = e->model;
    a->to[a->n++] = to;
    if (a->n == ASKING)
        answer_all(p, a);
}

void outlook_prepare(struct profile *p)
{
    size_t volumes = p->demand.volumes.n;
    struct asking *a = calloc(1, sizeof(*a));
    if (!p->nets.config.nets || p->models.nets != p->nets.origin) {
        free(a);
        return;
    }
    p->ahead = calloc(volumes * DEMAND_SITES * MODEL_NET_HOURS + 1, sizeof(*p->ahead));
    need(a && p->ahead ? 0 : -ENOMEM);
    for (size_t v = 0; v < volumes; v++)
        for (size_t i = 0; i < p->demand.volume[v].n_sites; i++)
            ask(p, &p->demand.volume[v], i, p->ahead + (v * DEMAND_SITES + i) * MODEL_NET_HOURS, a);
    answer_all(p, a);
    free(a);
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

const struct demand_volume **profile_asked(const struct profile *p, size_t *n)
{
    const struct demand_volume **v = profile_volumes(p);
    size_t all = p->now >= 0 ? p->demand.volumes.n : 0;
    *n = 0;
    for (size_t i = 0; i < all; i++)
        if (!p->only || strcmp(v[i]->volume, p->only) == 0)
            v[(*n)++] = v[i];
    return v;
}
