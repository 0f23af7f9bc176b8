/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/demand.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

static const char other_site[] = "other";

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

void demand_init(struct demand *d, uint32_t keep_hours)
{
    *d = (struct demand){.newest_hour = INT64_MIN, .keep_hours = keep_hours};
}

static void volume_release(struct demand_volume *v)
{
    for (size_t i = 0; i < v->n_sites; i++) {
        free(v->sites[i].site);
        free(v->sites[i].count);
    }
    for (size_t i = 0; i < v->n_served; i++)
        free(v->served[i].gateway);
    for (size_t i = 0; i < v->n_segments; i++)
        free(v->segments[i]);
    free(v->sites);
    free(v->served);
    free(v->segments);
}

void demand_release(struct demand *d)
{
    for (size_t i = 0; i < d->volumes.n; i++)
        volume_release(&d->volume[i]);
    free(d->volume);
    intern_release(&d->volumes);
    demand_init(d, d->keep_hours);
}

/* ---- finding, or adding ---- */

struct demand_volume *demand_volume(struct demand *d, const char *name)
{
    long id = intern_find(&d->volumes, name);
    if (id >= 0)
        return &d->volume[id];
    if (vec_room(&d->volume, d->volumes.n, &d->cap, sizeof(*d->volume)) < 0)
        return NULL;
    id = intern_add(&d->volumes, name);
    if (id < 0)
        return NULL;
    d->volume[id] = (struct demand_volume){
        .volume = d->volumes.names[id], .shift = DEMAND_SHIFT_MIN, .week = INT64_MIN};
    return &d->volume[id];
}

struct demand_site *demand_site(struct demand_volume *v, const char *name)
{
    for (size_t i = 0; i < v->n_sites; i++)
        if (strcmp(v->sites[i].site, name) == 0)
            return &v->sites[i];
    /* The last place is kept for "other". */
    if (v->n_sites + 1 >= DEMAND_SITES && strcmp(name, other_site) != 0)
        return demand_site(v, other_site);
    char *copy = strdup(name);
    if (!copy || vec_room(&v->sites, v->n_sites, &v->cap_sites, sizeof(*v->sites)) < 0) {
        free(copy);
        return NULL;
    }
    v->sites[v->n_sites] = (struct demand_site){.site = copy};
    return &v->sites[v->n_sites++];
}

struct demand_served *demand_served(struct demand_volume *v, const char *gateway, bool *full)
{
    *full = false;
    for (size_t i = 0; i < v->n_served; i++)
        if (strcmp(v->served[i].gateway, gateway) == 0)
            return &v->served[i];
    if (v->n_served == DEMAND_GATEWAYS) {
        *full = true;
        return NULL;
    }
    char *copy = strdup(gateway);
    if (!copy || vec_room(&v->served, v->n_served, &v->cap_served, sizeof(*v->served)) < 0) {
        free(copy);
        return NULL;
    }
    v->served[v->n_served] = (struct demand_served){.gateway = copy};
    return &v->served[v->n_served++];
}

struct demand_segment *demand_segment(struct demand_volume *v, uint32_t index)
{
    size_t low = 0, high = v->n_segments;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (v->segments[mid]->index < index)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < v->n_segments && v->segments[low]->index == index)
        return v->segments[low];
    struct demand_segment *s = calloc(1, sizeof(*s));
    if (!s || vec_room(&v->segments, v->n_segments, &v->cap_segments,
                       sizeof(struct demand_segment *)) < 0) {
        free(s);
        return NULL;
    }
    s->index = index;
    memmove(v->segments + low + 1, v->segments + low,
            (v->n_segments - low) * sizeof(struct demand_segment *));
    v->segments[low] = s;
    v->n_segments++;
    return s;
}

/* ---- hourly demand ---- */

int64_t demand_first_hour(const struct demand *d)
{
    return d->newest_hour == INT64_MIN ? INT64_MIN : d->newest_hour - d->keep_hours + 1;
}

/* Forgets the hours of S before FIRST. */
static void site_trim(struct demand_site *s, int64_t first)
{
    if (s->n == 0 || s->start >= first)
        return;
    size_t drop = (size_t)(first - s->start);
    drop = drop < s->n ? drop : s->n;
    memmove(s->count, s->count + drop, (s->n - drop) * sizeof(*s->count));
    s->n -= drop;
    s->start = first;
}

static int site_room(struct demand_site *s, size_t n)
{
    if (n <= s->cap)
        return 0;
    size_t cap = s->cap ? s->cap : HOURS_A_DAY;
    while (cap < n)
        cap *= 2;
    uint64_t *p = reallocarray(s->count, cap, sizeof(*p));
    if (!p)
        return -ENOMEM;
    s->count = p;
    s->cap = cap;
    return 0;
}

/* Makes HOUR one of S's.  With HOUR ≥ FIRST, S then has at most keep_hours. */
static int site_reach(struct demand_site *s, int64_t hour, int64_t first)
{
    site_trim(s, first);
    if (s->n == 0)
        s->start = hour;
    size_t before = hour < s->start ? (size_t)(s->start - hour) : 0;
    size_t last = before ? s->n - 1 : (size_t)(hour - s->start);
    size_t n = before + (last < s->n ? s->n : last + 1);
    if (site_room(s, n) < 0)
        return -ENOMEM;
    if (before) {
        memmove(s->count + before, s->count, s->n * sizeof(*s->count));
        memset(s->count, 0, before * sizeof(*s->count));
        s->start = hour;
    } else if (n > s->n) {
        memset(s->count + s->n, 0, (n - s->n) * sizeof(*s->count));
    }
    s->n = n;
    return 0;
}

static int add_hourly(struct demand *d, struct demand_volume *v, const struct demand_record *r,
                      int64_t hour)
{
    struct demand_site *s = demand_site(v, r->site);
    if (!s)
        return -ENOMEM;
    if (hour < demand_first_hour(d))
        return 0;
    if (site_reach(s, hour, demand_first_hour(d)) < 0)
        return -ENOMEM;
    uint64_t *cell = &s->count[hour - s->start];
    *cell = add_capped(*cell, r->count);
    return 0;
}

/* ---- decayed heat ---- */

static void scale_heat(struct demand_volume *v, double factor)
{
    for (size_t i = 0; i < v->n_segments; i++)
        for (size_t h = 0; h < HOURS_A_DAY; h++)
            for (size_t k = 0; k < DEMAND_KINDS; k++)
                v->segments[i]->heat[h][k] *= factor;
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        v->flushes[h] *= factor;
    for (size_t i = 0; i < v->n_served; i++)
        v->served[i].requests *= factor;
}

static int weeks_between(int64_t from, int64_t to)
{
    int64_t n = to - from;
    return n > 2000 ? 2000 : (int)n; /* 2^-2000 is 0 already */
}

/* The weight of a record of WEEK; V is brought forward if WEEK is its newest. */
static double week_weight(struct demand_volume *v, int64_t week)
{
    if (v->week == INT64_MIN)
        v->week = week;
    if (week > v->week) {
        scale_heat(v, ldexp(1, -weeks_between(v->week, week)));
        v->week = week;
    }
    return ldexp(1, -weeks_between(week, v->week));
}

static void merge_into(struct demand_segment *to, const struct demand_segment *from)
{
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        for (size_t k = 0; k < DEMAND_KINDS; k++)
            to->heat[h][k] += from->heat[h][k];
}

/* Doubles the size of V's segments. */
static void coarsen(struct demand_volume *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_segments; i++) {
        struct demand_segment *s = v->segments[i];
        s->index /= 2;
        if (n && v->segments[n - 1]->index == s->index) {
            merge_into(v->segments[n - 1], s);
            free(s);
        } else {
            v->segments[n++] = s;
        }
    }
    v->n_segments = n;
    v->shift++;
}

/* Bytes go to each segment they lie in, the request to the first. */
static int add_heat(struct demand_volume *v, const struct demand_record *r, unsigned hour,
                    double weight)
{
    uint64_t length = r->op == DEMAND_CLEAR ? 0 : r->length;
    uint64_t last = r->offset + (length ? length - 1 : 0);
    while (last >> v->shift >= DEMAND_SEGMENTS)
        coarsen(v);
    enum demand_kind kind = r->op == DEMAND_READ ? DEMAND_READS : DEMAND_WRITES;
    uint64_t at = r->offset, left = length;
    for (bool first = true; first || left; first = false) {
        struct demand_segment *s = demand_segment(v, (uint32_t)(at >> v->shift));
        if (!s)
            return -ENOMEM;
        uint64_t in = (((at >> v->shift) + 1) << v->shift) - at;
        in = in < left ? in : left;
        if (first)
            s->heat[hour][kind] += weight * (double)r->count;
        s->heat[hour][DEMAND_BYTES] += weight * (double)r->count * (double)in;
        at += in;
        left -= in;
    }
    return 0;
}

static int add_served(struct demand_volume *v, const struct demand_record *r, double weight)
{
    bool full;
    if (!*r->gateway)
        return 0;
    struct demand_served *s = demand_served(v, r->gateway, &full);
    if (!s)
        return full ? 0 : -ENOMEM;
    s->requests += weight * (double)r->count;
    return 0;
}

int demand_add(struct demand *d, const struct demand_record *r)
{
    uint64_t end;
    if (__builtin_add_overflow(r->offset, r->length, &end) || end > INT64_MAX)
        return -ERANGE;
    struct demand_volume *v = demand_volume(d, r->volume);
    if (!v)
        return -ENOMEM;
    int64_t hour = (int64_t)floor(r->time / 3600);
    if (hour > d->newest_hour)
        d->newest_hour = hour;
    if (add_hourly(d, v, r, hour) < 0)
        return -ENOMEM;
    double weight = week_weight(v, hour / HOURS_A_WEEK);
    unsigned of_day = (unsigned)(hour % HOURS_A_DAY);
    if (r->op == DEMAND_FLUSH)
        v->flushes[of_day] += weight * (double)r->count;
    else if (add_heat(v, r, of_day, weight) < 0)
        return -ENOMEM;
    return add_served(v, r, weight);
}

/* ---- answers ---- */

int demand_series(const struct demand *d, const struct demand_site *s, int64_t end, double **y,
                  struct series *out)
{
    int64_t first = demand_first_hour(d);
    if (end - d->keep_hours > first)
        first = end - d->keep_hours;
    int64_t start = s->start > first ? s->start : first;
    *y = NULL;
    *out = (struct series){0};
    /* A site begins with its first request, wherever the window of memory begins. */
    while (start < end && start < s->start + (int64_t)s->n && s->count[start - s->start] == 0)
        start++;
    if (start >= end || start >= s->start + (int64_t)s->n)
        return 0;
    size_t n = (size_t)(end - start);
    *y = calloc(n, sizeof(**y));
    if (!*y)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)(start - s->start) + i;
        (*y)[i] = at < s->n ? (double)s->count[at] : 0;
    }
    *out = (struct series){*y, n, start};
    return 0;
}

double demand_share(const struct demand_volume *v, const char *gateway)
{
    double own = 0, all = 0;
    for (size_t i = 0; i < v->n_served; i++) {
        all += v->served[i].requests;
        if (strcmp(v->served[i].gateway, gateway) == 0)
            own = v->served[i].requests;
    }
    return all > 0 ? own / all : 0;
}
