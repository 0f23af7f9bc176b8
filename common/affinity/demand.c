/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/demand.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/saturate.h"

void demand_init(struct demand *d, uint32_t keep_hours)
{
    *d = (struct demand){.newest_hour = INT64_MIN, .newest = -1, .keep_hours = keep_hours};
    d->now.hour = -1;
}

static void week_free(struct demand_week *w)
{
    tally_release(&w->sites);
    tally_release(&w->served);
    cells_release(&w->cells);
    free(w);
}

static void volume_release(struct demand_volume *v)
{
    for (size_t i = 0; i < v->n_weeks; i++)
        week_free(v->weeks[i]);
    free(v->weeks);
    free(v->sites);
}

void demand_release(struct demand *d)
{
    for (size_t i = 0; i < d->volumes.n; i++)
        volume_release(&d->volume[i]);
    free(d->volume);
    free(d->spot);
    intern_release(&d->volumes);
    intern_release(&d->sites);
    intern_release(&d->gateways);
    demand_init(d, d->keep_hours);
}

/* ---- names ---- */

long demand_volume_id(struct demand *d, const char *name, size_t len)
{
    size_t before = d->volumes.n;
    if (vec_room(&d->volume, before, &d->cap, sizeof(*d->volume)) < 0)
        return -ENOMEM;
    long id = intern_add_bytes(&d->volumes, name, len);
    if (d->volumes.n > before)
        d->volume[id] = (struct demand_volume){.volume = d->volumes.names[id]};
    return id;
}

long demand_site_id(struct demand *d, const char *name, size_t len)
{
    return intern_add_bytes(&d->sites, name, len);
}

long demand_gateway_id(struct demand *d, const char *name, size_t len)
{
    return intern_add_bytes(&d->gateways, name, len);
}

/* ---- weeks ---- */

int64_t demand_first_hour(const struct demand *d)
{
    return d->newest_hour == INT64_MIN ? INT64_MIN : d->newest_hour - d->keep_hours + 1;
}

int64_t demand_first_week(const struct demand *d)
{
    int64_t first = demand_first_hour(d);
    return first == INT64_MIN ? first : demand_week_of(first);
}

int64_t demand_first_heat_week(const struct demand *d)
{
    int64_t first = demand_first_week(d);
    int64_t heat =
        first == INT64_MIN ? first : demand_week_of(d->newest_hour) - DEMAND_HEAT_WEEKS + 1;
    return heat > first ? heat : first;
}

static struct demand_week *week_new(struct demand_volume *v, size_t at, int64_t week)
{
    struct demand_week *w = calloc(1, sizeof(*w));
    if (!w || vec_room(&v->weeks, v->n_weeks, &v->cap_weeks, sizeof(struct demand_week *)) < 0) {
        free(w);
        return NULL;
    }
    w->week = week;
    cells_init(&w->cells);
    memmove(v->weeks + at + 1, v->weeks + at, (v->n_weeks - at) * sizeof(struct demand_week *));
    v->weeks[at] = w;
    v->n_weeks++;
    return w;
}

struct demand_week *demand_week(struct demand *d, uint32_t volume, int64_t week)
{
    struct demand_volume *v = &d->volume[volume];
    if (v->last && v->last->week == week)
        return v->last;
    size_t at = v->n_weeks;
    while (at && v->weeks[at - 1]->week >= week)
        at--;
    if (at < v->n_weeks && v->weeks[at]->week == week)
        v->last = v->weeks[at];
    else
        v->last = week_new(v, at, week);
    return v->last;
}

void demand_trim_volume(struct demand *d, uint32_t volume)
{
    struct demand_volume *v = &d->volume[volume];
    int64_t first = demand_first_week(d), first_heat = demand_first_heat_week(d);
    size_t n = 0;
    for (size_t i = 0; i < v->n_weeks; i++) {
        struct demand_week *w = v->weeks[i];
        if (w->week < first) {
            week_free(w);
            continue;
        }
        if (w->week < first_heat)
            cells_release(&w->cells);
        v->weeks[n++] = w;
    }
    v->n_weeks = n;
    v->last = NULL;
}

void demand_trim(struct demand *d)
{
    for (size_t i = 0; i < d->volumes.n; i++)
        demand_trim_volume(d, (uint32_t)i);
}

/* ---- adding ---- */

int demand_week_hour(struct demand *d, struct demand_week *w, uint32_t site, unsigned hour,
                     uint64_t count)
{
    struct tally_row *row = tally_at(&w->sites, &d->sites, HOURS_A_WEEK, site, &d->overflowed);
    if (!row)
        return -ENOMEM;
    row->count[hour] = saturate_sum(row->count[hour], count);
    return 0;
}

int demand_week_served(struct demand *d, struct demand_week *w, uint32_t gateway, uint64_t count)
{
    bool too_many = false;
    struct tally_row *row = tally_at(&w->served, &d->gateways, 1, gateway, &too_many);
    if (!row)
        return -ENOMEM;
    *row->count = saturate_sum(*row->count, count);
    return 0;
}

/* ---- merging ---- */

/* Numbers of FROM's names in D; NULL: out of memory. */
static uint32_t *numbers_in(struct intern *to, const struct intern *from)
{
    uint32_t *id = calloc(from->n + 1, sizeof(*id));
    for (size_t i = 0; id && i < from->n; i++) {
        long n = intern_add(to, from->names[i]);
        if (n < 0) {
            free(id);
            return NULL;
        }
        id[i] = (uint32_t)n;
    }
    return id;
}

static int merge_week(struct demand *d, uint32_t volume, struct demand_week *from,
                      const uint32_t *site, const uint32_t *gateway)
{
    struct demand_week *w = demand_week(d, volume, from->week);
    bool too_many = false;
    int r = w ? 0 : -ENOMEM;
    if (r == 0)
        r = tally_merge(&w->sites, &d->sites, HOURS_A_WEEK, &from->sites, site, &d->overflowed);
    if (r == 0)
        r = tally_merge(&w->served, &d->gateways, 1, &from->served, gateway, &too_many);
    return r == 0 ? cells_merge(&w->cells, &from->cells) : r;
}

/* Everything, when there was nothing. */
static void take_all(struct demand *d, struct demand *from)
{
    struct demand empty = *d;
    *d = *from;
    d->keep_hours = empty.keep_hours;
    d->now.hour = -1;
    *from = empty;
}

int demand_merge(struct demand *d, struct demand *from)
{
    if (demand_settle(d) < 0 || demand_settle(from) < 0)
        return -ENOMEM;
    if (d->volumes.n == 0 && d->newest_hour <= from->newest_hour && d->newest <= from->newest) {
        demand_release(d);
        take_all(d, from);
        demand_trim(d);
        return 0;
    }
    uint32_t *site = numbers_in(&d->sites, &from->sites);
    uint32_t *gateway = numbers_in(&d->gateways, &from->gateways);
    int r = site && gateway ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < from->volumes.n; i++) {
        struct demand_volume *v = &from->volume[i];
        long id = demand_volume_id(d, v->volume, strlen(v->volume));
        r = id < 0 ? (int)id : 0;
        for (size_t k = 0; r == 0 && k < v->n_weeks; k++)
            r = merge_week(d, (uint32_t)id, v->weeks[k], site, gateway);
    }
    free(site);
    free(gateway);
    if (from->newest_hour > d->newest_hour)
        d->newest_hour = from->newest_hour;
    if (from->newest > d->newest)
        d->newest = from->newest;
    d->overflowed |= from->overflowed;
    demand_trim(d);
    return r;
}

/* ---- answers ---- */

struct naming {
    const struct intern *names;
    uint32_t id;
};

static int by_digest(const void *a, const void *b)
{
    const struct naming *x = a, *y = b;
    if (x->id == y->id)
        return 0;
    return tally_goes_first(x->names, x->id, y->id) ? -1 : 1;
}

static int by_name(const void *a, const void *b)
{
    const struct demand_site *x = a, *y = b;
    return strcmp(x->site, y->site);
}

/* The sites of all weeks of V, ascending by digest, into ALL, which has room; their number. */
static size_t sites_of(const struct demand *d, const struct demand_volume *v, struct naming *all,
                       bool *rest)
{
    size_t n = 0, distinct = 0;
    for (size_t i = 0; i < v->n_weeks; i++)
        for (size_t k = 0; k < v->weeks[i]->sites.n; k++) {
            uint32_t id = v->weeks[i]->sites.row[k].name;
            if (tally_is_other(&d->sites, id))
                *rest = true;
            else if (!n || all[n - 1].id != id)
                all[n++] = (struct naming){&d->sites, id};
        }
    qsort(all, n, sizeof(*all), by_digest);
    for (size_t i = 0; i < n; i++)
        if (!distinct || all[distinct - 1].id != all[i].id)
            all[distinct++] = all[i];
    return distinct;
}

static int gather_volume(struct demand *d, struct demand_volume *v, uint32_t other)
{
    struct naming *all = calloc(v->n_weeks * DEMAND_SITES + 1, sizeof(*all));
    struct demand_site *sites = calloc(DEMAND_SITES, sizeof(*sites));
    bool rest = false;
    if (!all || !sites) {
        free(all);
        free(sites);
        return -ENOMEM;
    }
    size_t n = sites_of(d, v, all, &rest);
    if (n > DEMAND_NAMES) {
        n = DEMAND_NAMES;
        rest = true;
    }
    for (size_t i = 0; i < n; i++)
        sites[i] = (struct demand_site){d->sites.names[all[i].id], all[i].id, v};
    if (rest)
        sites[n++] = (struct demand_site){d->sites.names[other], other, v};
    qsort(sites, n, sizeof(*sites), by_name);
    free(all);
    free(v->sites);
    v->sites = sites;
    v->n_sites = n;
    return 0;
}

int demand_gather(struct demand *d)
{
    long other = demand_site_id(d, DEMAND_OTHER, strlen(DEMAND_OTHER));
    int r = other < 0 ? -ENOMEM : 0;
    for (size_t i = 0; r == 0 && i < d->volumes.n; i++)
        r = gather_volume(d, &d->volume[i], (uint32_t)other);
    return r;
}

static bool is_named(const struct demand_volume *v, uint32_t id)
{
    for (size_t i = 0; i < v->n_sites; i++)
        if (v->sites[i].id == id)
            return true;
    return false;
}

/* Adds S's hours of W to Y, which begins with the hour START and has N. */
static void add_week(const struct demand_site *s, const struct demand_week *w, bool other,
                     int64_t start, size_t n, double *y)
{
    const int64_t first = w->week * HOURS_A_WEEK - start, last = (int64_t)n - first;
    const int64_t from = first < 0 ? -first : 0, to = last < HOURS_A_WEEK ? last : HOURS_A_WEEK;
    for (size_t i = 0; i < w->sites.n; i++) {
        const struct tally_row *h = &w->sites.row[i];
        if (h->name != s->id && !(other && !is_named(s->of, h->name)))
            continue;
        for (int64_t k = from; k < to; k++)
            y[first + k] += (double)h->count[k];
    }
}

int demand_series(const struct demand *d, const struct demand_site *s, int64_t end, double **y,
                  struct series *out)
{
    const struct demand_volume *v = s->of;
    int64_t start = demand_first_hour(d);
    *y = NULL;
    *out = (struct series){0};
    if (end - d->keep_hours > start)
        start = end - d->keep_hours;
    if (v->n_weeks && v->weeks[0]->week * HOURS_A_WEEK > start)
        start = v->weeks[0]->week * HOURS_A_WEEK;
    if (!v->n_weeks || start >= end)
        return 0;
    size_t n = (size_t)(end - start), quiet = 0;
    double *all = calloc(n, sizeof(*all));
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < v->n_weeks; i++)
        add_week(s, v->weeks[i], strcmp(s->site, DEMAND_OTHER) == 0, start, n, all);
    /* A site begins with its first request, wherever the window of memory begins. */
    while (quiet < n && all[quiet] == 0)
        quiet++;
    if (quiet == n) {
        free(all);
        return 0;
    }
    memmove(all, all + quiet, (n - quiet) * sizeof(*all));
    *y = all;
    *out = (struct series){all, n - quiet, start + (int64_t)quiet};
    return 0;
}

double demand_weight(const struct demand *d, int64_t week)
{
    int64_t age = demand_week_of(d->newest_hour) - week;
    return ldexp(1, age > 2000 ? -2000 : (int)-age);
}

double demand_share(const struct demand *d, const struct demand_volume *v, const char *gateway)
{
    double own = 0, all = 0;
    for (size_t i = 0; i < v->n_weeks; i++)
        for (size_t k = 0; k < v->weeks[i]->served.n; k++) {
            const struct tally_row *s = &v->weeks[i]->served.row[k];
            double requests = demand_weight(d, v->weeks[i]->week) * (double)*s->count;
            all += requests;
            if (strcmp(d->gateways.names[s->name], gateway) == 0)
                own += requests;
        }
    return all > 0 ? own / all : 0;
}
