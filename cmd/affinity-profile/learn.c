/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Training of models and nets on the remembered demand. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/error.h"
#include "common/forecast/blas.h"
#include "common/forecast/workers.h"

static void need(int r)
{
    if (r < 0)
        err_die(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "training failed: %s", err_text(r));
}

static int by_site(const void *a, const void *b)
{
    const struct demand_site *const *x = a, *const *y = b;
    return strcmp((*x)->site, (*y)->site);
}

/* The sites of V in order of their names, whatever order they came in. */
static void sites_of(const struct demand_volume *v, const struct demand_site *out[DEMAND_SITES])
{
    for (size_t i = 0; i < v->n_sites; i++)
        out[i] = &v->sites[i];
    qsort(out, v->n_sites, sizeof(out[0]), by_site);
}

static void gather_volume(const struct profile *p, const struct demand_volume *v, int64_t hour,
                          struct learn *l)
{
    const struct demand_site *site[DEMAND_SITES] = {0};
    sites_of(v, site);
    for (size_t i = 0; i < v->n_sites; i++) {
        double *y;
        struct series s;
        need(demand_series(&p->demand, site[i], hour, &y, &s));
        if (!s.n) {
            free(y);
            continue;
        }
        l->of[l->n] = (struct train_series){.s = s};
        l->y[l->n] = y;
        l->volume[l->n] = v->volume;
        l->site[l->n++] = site[i]->site;
    }
}

void learn_gather(const struct profile *p, int64_t hour, struct learn *l)
{
    const struct demand_volume **v = profile_volumes(p);
    size_t most = 1;
    for (size_t i = 0; i < p->demand.volumes.n; i++)
        most += v[i]->n_sites;
    *l = (struct learn){.of = calloc(most, sizeof(*l->of)), .y = calloc(most, sizeof(*l->y))};
    l->volume = calloc(most, sizeof(*l->volume));
    l->site = calloc(most, sizeof(*l->site));
    need(l->of && l->y && l->volume && l->site ? 0 : -ENOMEM);
    for (size_t i = 0; i < p->demand.volumes.n; i++)
        gather_volume(p, v[i], hour, l);
    free(v);
}

void learn_release(struct learn *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->y[i]);
    free(l->of);
    free(l->y);
    free(l->volume);
    free(l->site);
    *l = (struct learn){0};
}

static void show(void *ctx, enum train_stage stage, uint64_t done, uint64_t all)
{
    static const char *const doing[] = {
        [TRAIN_FITTING] = "fitting series",
        [TRAIN_REHEARSING] = "training nets without the last days",
        [TRAIN_JUDGING] = "forecasting the last days",
        [TRAIN_NETS] = "training nets",
    };
    (void)ctx;
    err_progress("%s: %u %%", doing[stage], all ? (unsigned)(100 * done / all) : 100);
}

size_t learn_threads(size_t most)
{
    size_t here = workers_available(), threads = most < here ? most : here;
    int r = blas_begin();
    if (r < 0)
        err_die(EX_OSERR, "cannot load '%s': %s", BLAS_LIBRARY, err_text(r));
    if (threads == 1 || r > 0)
        return threads;
    err_warn("the installed BLAS is not thread-safe: going on with one thread");
    return 1;
}

struct train_how learn_how(const struct profile *p)
{
    return (struct train_how){p->seed, p->budget_s, p->threads, show, NULL};
}

void learn_train(struct profile *p)
{
    struct models_entry e = {.hour = (int64_t)floor(p->now / 3600)};
    struct train_how how = learn_how(p);
    struct learn l;
    learn_gather(p, e.hour, &l);
    nets_release(&p->nets);
    need(train_all(l.of, l.n, &how, &p->nets));
    err_progress(NULL);
    models_release(&p->models);
    p->models.nets = p->nets.origin;
    for (size_t i = 0; i < l.n; i++) {
        e.model = l.of[i].model;
        need(models_put(&p->models, l.volume[i], l.site[i], &e));
    }
    learn_release(&l);
}

/* Has the demand become another than the models of L know? */
static bool forgets(const struct profile *p, const struct learn *l)
{
    struct drift d = drift_since_training(p, l);
    if (!drift_is_large(&d))
        return false;
    err_warn(
        "forecasts since the last training were off by %.2f, then by %.2f of repeating the day "
        "before: training anew",
        d.since, d.before);
    return true;
}

bool learn_fine_tune(struct profile *p)
{
    struct train_how how;
    struct learn l;
    bool any = false;
    if (!p->nets.config.nets || p->models.nets != p->nets.origin)
        return false;
    learn_gather(p, (int64_t)floor(p->now / 3600), &l);
    for (size_t i = 0; i < l.n; i++) {
        const struct models_entry *e = models_find(&p->models, l.volume[i], l.site[i]);
        if (outlook_is_usable(e, l.of[i].s)) {
            l.of[i].model = e->model;
            any = any || e->model.kind == MODEL_WEEKLY;
        }
    }
    if (any && forgets(p, &l))
        any = false;
    if (any) {
        how = learn_how(p);
        need(train_on(l.of, l.n, &how, &p->nets));
        err_progress(NULL);
    }
    learn_release(&l);
    return any;
}
