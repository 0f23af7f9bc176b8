/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/fleet.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/plan/left.h"
#include "common/plan/shun.h"

enum { WORD_BITS = 64 };

/* So long a gateway that no volume could leave comes last. */
static const double balk_s = 3600;

static const char *keep(struct plan_fleet *f, const char *s)
{
    long id = intern_add(&f->text, s ? s : "");
    return id < 0 ? NULL : f->text.names[id];
}

size_t plan_fleet_find(const struct plan_fleet *f, const char *gateway)
{
    long id = intern_find(&f->gateway_names, gateway);
    return id < 0 ? PLAN_NONE : (size_t)id;
}

int plan_fleet_gateway(struct plan_fleet *f, const struct plan_gateway *g)
{
    size_t n = f->gateway_names.n;
    const char *storage = keep(f, g->storage);
    if (plan_fleet_find(f, g->name) != PLAN_NONE)
        return -EEXIST;
    if (!storage || vec_room(&f->gateways, n, &f->gateways_cap, sizeof(*f->gateways)) < 0 ||
        intern_add(&f->gateway_names, g->name) < 0)
        return -ENOMEM;
    f->gateways[n] = *g;
    f->gateways[n].name = f->gateway_names.names[n];
    f->gateways[n].storage = storage;
    f->gateways[n].scored = false;
    f->gateways[n].failed = -INFINITY;
    f->gateways[n].switched = -INFINITY;
    return 0;
}

/* ---- volumes ---- */

static void allow(const struct plan_fleet *f, uint64_t *bits, const char *name, size_t len)
{
    char word[256];
    if (len >= sizeof(word))
        return;
    memcpy(word, name, len);
    word[len] = '\0';
    size_t g = plan_fleet_find(f, word);
    if (g != PLAN_NONE)
        bits[g / WORD_BITS] |= UINT64_C(1) << g % WORD_BITS;
}

static int parse_allowed(const struct plan_fleet *f, const char *list, uint64_t **out)
{
    size_t words = f->gateway_names.n / WORD_BITS + 1;
    uint64_t *bits = calloc(words, sizeof(*bits));
    if (!bits)
        return -ENOMEM;
    for (const char *p = list; *(p += strspn(p, " ")); p += strcspn(p, " "))
        allow(f, bits, p, strcspn(p, " "));
    *out = bits;
    return 0;
}

int plan_fleet_volume(struct plan_fleet *f, const struct plan_volume *v, const char *other_name,
                      const char *allowed)
{
    size_t n = f->volume_names.n;
    struct plan_volume new = *v;
    if (intern_find(&f->volume_names, v->name) >= 0)
        return -EEXIST;
    new.owner_name = keep(f, v->owner_name);
    if (!new.owner_name || vec_room(&f->volumes, n, &f->volumes_cap, sizeof(*f->volumes)) < 0)
        return -ENOMEM;
    new.owner = plan_fleet_find(f, v->owner_name);
    new.other = plan_fleet_find(f, other_name);
    new.allowed = NULL;
    new.apart = PLAN_NONE;
    new.group = PLAN_NONE;
    new.copies = PLAN_NONE;
    new.shuns = PLAN_NONE;
    new.lefts = PLAN_NONE;
    new.demand = (struct plan_demand){0};
    new.forecast = false;
    new.peak_milli = 0;
    new.past = (struct plan_past){0};
    new.open = NULL;
    new.open_to = PLAN_NONE;
    if (allowed[strspn(allowed, " ")] && parse_allowed(f, allowed, &new.allowed) < 0)
        return -ENOMEM;
    if (intern_add(&f->volume_names, v->name) < 0) {
        free(new.allowed);
        return -ENOMEM;
    }
    new.name = f->volume_names.names[n];
    f->volumes[n] = new;
    return 0;
}

int plan_fleet_apart(struct plan_fleet *f, const char *volume, const char *label)
{
    long v = intern_find(&f->volume_names, volume);
    if (v < 0)
        return -ENOENT;
    long id = intern_add(&f->aparts, label);
    if (id < 0)
        return -ENOMEM;
    f->volumes[v].apart = (size_t)id;
    return 0;
}

int plan_fleet_group(struct plan_fleet *f, const char *volume, const char *label)
{
    long v = intern_find(&f->volume_names, volume);
    if (v < 0)
        return -ENOENT;
    long id = intern_add(&f->groups, label);
    if (id < 0)
        return -ENOMEM;
    f->volumes[v].group = (size_t)id;
    return 0;
}

int plan_fleet_drain(struct plan_fleet *f, const char *gateway)
{
    size_t g = plan_fleet_find(f, gateway);
    if (g == PLAN_NONE)
        return -ENOENT;
    if (f->gateways[g].state != GATEWAY_STATE_DOWN)
        f->gateways[g].state = GATEWAY_STATE_DRAIN;
    return 0;
}

bool plan_fleet_allowed(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    const uint64_t *bits = f->volumes[volume].allowed;
    return !bits || (bits[gateway / WORD_BITS] >> gateway % WORD_BITS & 1);
}

/* ---- copies ---- */

bool plan_fleet_shared(const struct plan_fleet *f, size_t a, size_t b)
{
    const char *storage = f->gateways[a].storage;
    return a != b && *storage && storage == f->gateways[b].storage;
}

bool plan_fleet_copy(const struct plan_fleet *f, size_t volume, size_t gateway, uint64_t *changed)
{
    for (size_t i = f->volumes[volume].copies; i != PLAN_NONE; i = f->copies[i].next)
        if (f->copies[i].gateway == gateway) {
            *changed = f->copies[i].changed;
            return true;
        }
    return false;
}

bool plan_fleet_kept(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    const struct plan_volume *v = &f->volumes[volume];
    uint64_t changed;
    if (v->other != gateway || gateway == PLAN_NONE)
        return false;
    if (v->state == ROUTE_STATE_DEFERRED)
        return (v->stands_by || !f->with_history) && plan_fleet_copy(f, volume, gateway, &changed);
    return v->state == ROUTE_STATE_UNCOMMITTED;
}

int plan_fleet_changed(struct plan_fleet *f, const char *volume, const char *gateway,
                       uint64_t changed)
{
    const long v = intern_find(&f->volume_names, volume);
    const size_t g = plan_fleet_find(f, gateway);
    uint64_t before;
    if (v < 0 || g == PLAN_NONE)
        return -ENOENT;
    if (plan_fleet_copy(f, (size_t)v, g, &before))
        return before == changed ? 0 : -EEXIST;
    if (vec_room(&f->copies, f->n_copies, &f->copies_cap, sizeof(*f->copies)) < 0)
        return -ENOMEM;
    f->copies[f->n_copies] = (struct plan_copy){g, changed, f->volumes[v].copies};
    f->volumes[v].copies = f->n_copies++;
    return 0;
}

/* ---- health ---- */

static bool is_ahead(const struct plan_fleet *f, double time)
{
    return f->latest > 0 && time > f->latest;
}

/* Does a score of TIME count, and not one of another time BEFORE? */
static bool supersedes(const struct plan_fleet *f, double time, double before)
{
    if (is_ahead(f, time) != is_ahead(f, before))
        return is_ahead(f, before);
    return time > before;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_health(const struct plan_health *a, const struct plan_health *b)
{
    return same(a->ghs, b->ghs) && same(a->p_fail, b->p_fail) && a->confidence == b->confidence &&
           same(a->by_load, b->by_load);
}

int plan_fleet_health(struct plan_fleet *f, const char *gateway, const struct plan_health *h)
{
    size_t i = plan_fleet_find(f, gateway);
    if (i == PLAN_NONE)
        return -ENOENT;
    struct plan_gateway *g = &f->gateways[i];
    if (g->scored && h->time == g->health.time)
        return same_health(h, &g->health) ? 0 : -EEXIST;
    if (g->scored && !supersedes(f, h->time, g->health.time))
        return 0;
    struct plan_health new = *h;
    new.reason = keep(f, h->reason);
    if (!new.reason)
        return -ENOMEM;
    g->health = new;
    g->scored = true;
    return 0;
}

/* ---- affinity ---- */

static int make_cells(struct plan_fleet *f)
{
    size_t n = f->volume_names.n * f->gateway_names.n;
    f->das = reallocarray(NULL, n + 1, sizeof(*f->das));
    f->share = calloc(n + 1, sizeof(*f->share));
    if (!f->das || !f->share)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        f->das[i] = NAN;
    return 0;
}

static void restart_demand(struct plan_fleet *f, size_t v, const struct plan_demand *d)
{
    size_t n = f->gateway_names.n;
    for (size_t g = 0; g < n; g++) {
        f->das[v * n + g] = NAN;
        f->share[v * n + g] = 0;
    }
    f->volumes[v].demand = *d;
    f->volumes[v].demand.known = true;
    f->volumes[v].demand.das_most = -INFINITY;
}

/* Of one run's records for one volume, the careful reading: least confidence, most load. */
static void join_demand(struct plan_demand *all, const struct plan_demand *d)
{
    all->confidence = fmin(all->confidence, d->confidence);
    all->requests = fmax(all->requests, d->requests);
    all->horizon_s = fmin(all->horizon_s, d->horizon_s);
}

int plan_fleet_affinity(struct plan_fleet *f, const char *volume, const char *gateway, double das,
                        double share, const struct plan_demand *demand)
{
    long v = intern_find(&f->volume_names, volume);
    size_t g = plan_fleet_find(f, gateway);
    if (v < 0 || g == PLAN_NONE)
        return -ENOENT;
    if (!f->das && make_cells(f) < 0)
        return -ENOMEM;
    struct plan_demand *all = &f->volumes[v].demand;
    const bool other = all->known && demand->time != all->time;
    if (other && !supersedes(f, demand->time, all->time))
        return 0;
    if (!all->known || other)
        restart_demand(f, (size_t)v, demand);
    double *cell = &f->das[(size_t)v * f->gateway_names.n + g];
    if (!isnan(*cell) && *cell != das)
        return -EEXIST;
    *cell = das;
    all->das_most = fmax(all->das_most, das);
    f->share[(size_t)v * f->gateway_names.n + g] = (float)share;
    join_demand(all, demand);
    return 0;
}

double plan_fleet_das(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    if (!f->with_affinity)
        return 0.5;
    return f->das ? f->das[volume * f->gateway_names.n + gateway] : (double)NAN;
}

double plan_fleet_das_most(const struct plan_fleet *f, size_t volume)
{
    const struct plan_demand *d = &f->volumes[volume].demand;
    if (!f->with_affinity)
        return 0.5;
    return d->known ? d->das_most : -(double)INFINITY;
}

size_t plan_fleet_copying(const struct plan_fleet *f, size_t volume)
{
    const struct plan_volume *v = &f->volumes[volume];
    if (!v->copying)
        return PLAN_NONE;
    return v->open ? v->open_to : v->other;
}

bool plan_fleet_balks(const struct plan_fleet *f, size_t gateway, double now)
{
    const struct plan_gateway *g = &f->gateways[gateway];
    return g->failed > g->switched && now - g->failed < balk_s;
}

double plan_fleet_share(const struct plan_fleet *f, size_t volume, size_t gateway)
{
    return f->share ? (double)f->share[volume * f->gateway_names.n + gateway] : 0;
}

/* ---- forecast ---- */

int plan_fleet_hours(struct plan_fleet *f, double now)
{
    f->hours = calloc(f->volume_names.n + 1, sizeof(*f->hours));
    f->hours_start = 3600 * floor(now / 3600);
    return f->hours ? 0 : -ENOMEM;
}

int plan_fleet_forecast(struct plan_fleet *f, const char *volume, double start, double duration_s,
                        double requests)
{
    const long v = intern_find(&f->volume_names, volume);
    if (v < 0)
        return -ENOENT;
    const double ends = ceil((start + duration_s - f->hours_start) / 3600);
    if (!(ends >= 1) || start >= f->hours_start + 3600.0 * PLAN_HOURS)
        return 0;
    const size_t hours = ends < PLAN_HOURS ? (size_t)ends : PLAN_HOURS;
    f->n_hours = hours > f->n_hours ? hours : f->n_hours;
    f->volumes[v].forecast = true;
    plan_hours_spread(&f->hours[v], f->hours_start, start, duration_s, requests);
    return 0;
}

/* A volume without forecast has the mean of its affinity's in each hour. */
static void settle_hours(struct plan_fleet *f)
{
    for (size_t v = 0; f->hours && v < f->volume_names.n; v++) {
        const struct plan_demand *d = &f->volumes[v].demand;
        if (!f->volumes[v].forecast && d->known && d->horizon_s > 0)
            plan_hours_spread(&f->hours[v], 0, 0, 3600.0 * PLAN_HOURS,
                              d->requests / d->horizon_s * 3600 * PLAN_HOURS);
        f->volumes[v].peak_milli = plan_hours_peak(&f->hours[v]);
    }
}

/* ---- settling ---- */

static int by_name(const void *a, const void *b, void *names)
{
    char *const *n = names;
    return strcmp(n[*(const size_t *)a], n[*(const size_t *)b]);
}

static int sorted(const struct intern *names, size_t **out)
{
    size_t *order = reallocarray(NULL, names->n + 1, sizeof(*order));
    if (!order)
        return -ENOMEM;
    for (size_t i = 0; i < names->n; i++)
        order[i] = i;
    qsort_r(order, names->n, sizeof(*order), by_name, names->names);
    *out = order;
    return 0;
}

/* The route does not know of it, or not any more: then its time is the later one. */
static void note_open(struct plan_fleet *f, struct plan_volume *v, size_t i)
{
    const struct plan_migration *m = &f->history.migrations[i];
    const char *id = f->history.ids.names[i];
    if (m->ended || v->state != ROUTE_STATE_STEADY || m->last < v->routed ||
        (v->open && strcmp(v->open, id) > 0))
        return;
    v->open = id;
    v->copying = false;
    v->open_to = plan_fleet_find(f, m->target);
}

static void note_standby(struct plan_fleet *f, struct plan_volume *v, size_t i)
{
    const struct plan_migration *m = &f->history.migrations[i];
    if (!m->stands_by || plan_history_is_past(f->history.ids.names[i], v->epoch))
        return;
    v->balked = fmax(v->balked, m->failed);
    if (plan_shun_lost(v, m))
        v->balked = fmax(v->balked, v->routed); /* the route tells of its loss */
    if (m->ended)
        return;
    v->stands_by = v->stands_by || v->state == ROUTE_STATE_DEFERRED;
    const bool here = v->state == ROUTE_STATE_MOVING
                          ? v->other != PLAN_NONE && v->other == plan_fleet_find(f, m->target)
                          : v->open == f->history.ids.names[i];
    v->copying = v->copying || (here && !m->hands_over);
}

/* What is deferred waits for nobody any more. */
static void note_handed(struct plan_fleet *f, struct plan_volume *v, size_t i)
{
    const struct plan_migration *m = &f->history.migrations[i];
    if (v->state == ROUTE_STATE_DEFERRED && !m->ended && m->hands_over && v->other != PLAN_NONE &&
        v->other == plan_fleet_find(f, m->target) &&
        !plan_history_is_past(f->history.ids.names[i], v->epoch))
        v->handed = true;
}

static void note_outcome(struct plan_fleet *f, const struct plan_migration *m)
{
    const size_t g = plan_fleet_find(f, m->source);
    if (g == PLAN_NONE)
        return;
    /* That of what was only to stand by tells nothing of whether a volume can leave. */
    if (!m->stands_by || isfinite(m->handing))
        f->gateways[g].failed = fmax(f->gateways[g].failed, m->failed);
    f->gateways[g].switched = fmax(f->gateways[g].switched, m->switched);
}

static int collect_past(struct plan_fleet *f)
{
    for (size_t i = 0; i < f->history.ids.n; i++) {
        note_outcome(f, &f->history.migrations[i]);
        long v = intern_find(&f->volume_names, f->history.migrations[i].volume);
        if (v < 0)
            continue;
        if (plan_history_trips(&f->history, i, &f->volumes[v].past) < 0)
            return -ENOMEM;
        note_open(f, &f->volumes[v], i);
        note_standby(f, &f->volumes[v], i);
        note_handed(f, &f->volumes[v], i);
    }
    for (size_t v = 0; v < f->volume_names.n; v++)
        plan_past_sort(&f->volumes[v].past);
    const int err = plan_shuns_collect(f);
    return err < 0 ? err : plan_lefts_collect(f);
}

int plan_fleet_settle(struct plan_fleet *f)
{
    if (sorted(&f->gateway_names, &f->gateway_order) < 0 ||
        sorted(&f->volume_names, &f->volume_order) < 0)
        return -ENOMEM;
    settle_hours(f);
    plan_history_settle(&f->history);
    return collect_past(f);
}

void plan_fleet_release(struct plan_fleet *f)
{
    for (size_t v = 0; v < f->volume_names.n; v++) {
        free(f->volumes[v].allowed);
        plan_past_release(&f->volumes[v].past);
    }
    intern_release(&f->gateway_names);
    intern_release(&f->volume_names);
    intern_release(&f->aparts);
    intern_release(&f->groups);
    intern_release(&f->text);
    plan_history_release(&f->history);
    free(f->gateways);
    free(f->volumes);
    free(f->copies);
    free(f->shuns);
    free(f->lefts);
    free(f->gateway_order);
    free(f->volume_order);
    free(f->das);
    free(f->share);
    free(f->hours);
    *f = (struct plan_fleet){0};
}
