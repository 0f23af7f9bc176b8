/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/state.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/pack.h"
#include "common/base/parse.h"

static const char magic[] = "GSAFFIN1";

enum { HEAT_MASK = (1 << HOURS_A_DAY) - 1 };

/* Names of sites and gateways sort like their structs: both begin with the name. */
static int by_first_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- out ---- */

static void pack_site(struct packer *p, const struct demand_site *s, int64_t first)
{
    size_t from = s->start < first ? (size_t)(first - s->start) : 0;
    size_t to = s->n;
    while (from < to && s->count[from] == 0)
        from++;
    while (to > from && s->count[to - 1] == 0)
        to--;
    pack_text(p, s->site);
    pack_int(p, from < to ? s->start + (int64_t)from : 0);
    pack_uint(p, from < to ? to - from : 0);
    for (size_t i = from; i < to; i++)
        pack_uint(p, s->count[i]);
}

static bool hour_is_cold(const struct demand_segment *s, size_t hour)
{
    for (size_t k = 0; k < DEMAND_KINDS; k++)
        if (s->heat[hour][k] > 0)
            return false;
    return true;
}

static void pack_segment(struct packer *p, const struct demand_segment *s)
{
    uint64_t mask = 0;
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        mask |= (uint64_t)!hour_is_cold(s, h) << h;
    pack_uint(p, s->index);
    pack_uint(p, mask);
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        for (size_t k = 0; mask >> h & 1 && k < DEMAND_KINDS; k++)
            pack_real(p, s->heat[h][k]);
}

/* A copy of the N elements of SIZE bytes, sorted by the name each begins with; NULL: no memory. */
static void *sorted_copy(const void *items, size_t n, size_t size)
{
    void *copy = calloc(n + 1, size);
    if (!copy)
        return NULL;
    if (n) {
        memcpy(copy, items, n * size);
        qsort(copy, n, size, by_first_name);
    }
    return copy;
}

static void pack_volume(struct packer *p, const struct demand_volume *v, int64_t first)
{
    struct demand_site *sites = sorted_copy(v->sites, v->n_sites, sizeof(*sites));
    struct demand_served *served = sorted_copy(v->served, v->n_served, sizeof(*served));
    if (!sites || !served)
        p->failed = true;
    pack_text(p, v->volume);
    pack_uint(p, v->n_sites);
    for (size_t i = 0; sites && i < v->n_sites; i++)
        pack_site(p, &sites[i], first);
    pack_int(p, v->week);
    pack_uint(p, v->n_served);
    for (size_t i = 0; served && i < v->n_served; i++) {
        pack_text(p, served[i].gateway);
        pack_real(p, served[i].requests);
    }
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        pack_real(p, v->flushes[h]);
    pack_uint(p, v->shift);
    pack_uint(p, v->n_segments);
    for (size_t i = 0; i < v->n_segments; i++)
        pack_segment(p, v->segments[i]);
    free(sites);
    free(served);
}

static bool is_remembered(const struct demand_volume *v, int64_t first)
{
    for (size_t i = 0; i < v->n_sites; i++)
        if (v->sites[i].start + (int64_t)v->sites[i].n > first)
            return true;
    return false;
}

static void pack_seen(struct packer *p, const struct seen *s)
{
    pack_real(p, s->newest);
    pack_real(p, s->settled);
    pack_uint(p, s->n_old);
    for (size_t i = 0; i < s->n_old; i++) {
        pack_real(p, s->old[i].time);
        pack_fixed(p, s->old[i].digest);
    }
}

static void pack_volumes(struct packer *p, const struct demand *d)
{
    struct demand_volume *all = sorted_copy(d->volume, d->volumes.n, sizeof(*all));
    int64_t first = demand_first_hour(d);
    size_t n = 0;
    if (!all) {
        p->failed = true;
        return;
    }
    for (size_t i = 0; i < d->volumes.n; i++)
        if (is_remembered(&all[i], first))
            all[n++] = all[i];
    pack_uint(p, n);
    for (size_t i = 0; i < n; i++)
        pack_volume(p, &all[i], first);
    free(all);
}

int state_pack(const struct demand *d, const struct seen *s, struct buf *out)
{
    struct buf body = {0};
    struct packer p = {&body, false};
    pack_int(&p, d->newest_hour == INT64_MIN ? -1 : d->newest_hour);
    pack_seen(&p, s);
    pack_volumes(&p, d);
    int r = p.failed ? -ENOMEM : pack_file(magic, &body, out);
    buf_release(&body);
    return r;
}

/* ---- in: each returns 0, -ENOMEM, or sets u->failed ---- */

static int unpack_site(struct unpacker *u, struct demand_volume *v)
{
    char name[NAME_LEN_MAX + 1];
    size_t before = v->n_sites;
    unpack_name(u, name, sizeof(name));
    int64_t start = unpack_int(u, 0, STATE_HOUR_MAX);
    size_t n = unpack_count(u, SIZE_MAX, 1);
    if (u->failed)
        return 0;
    struct demand_site *s = demand_site(v, name);
    if (!s)
        return -ENOMEM;
    if (v->n_sites == before || start + (int64_t)n > STATE_HOUR_MAX + 1) { /* a name twice */
        u->failed = true;
        return 0;
    }
    s->start = start;
    s->count = calloc(n + 1, sizeof(*s->count));
    if (!s->count)
        return -ENOMEM;
    s->n = s->cap = n;
    for (size_t i = 0; i < n; i++)
        s->count[i] = unpack_uint(u, UINT64_MAX);
    return 0;
}

static int unpack_served(struct unpacker *u, struct demand_volume *v)
{
    char name[NAME_LEN_MAX + 1];
    size_t before = v->n_served;
    bool full;
    unpack_name(u, name, sizeof(name));
    double requests = unpack_real(u, 0, DBL_MAX);
    if (u->failed)
        return 0;
    struct demand_served *s = demand_served(v, name, &full);
    if (!s && !full)
        return -ENOMEM;
    if (s && v->n_served > before)
        s->requests = requests;
    else
        u->failed = true; /* too many, or a name twice */
    return 0;
}

static int unpack_segment(struct unpacker *u, struct demand_volume *v)
{
    size_t before = v->n_segments;
    uint32_t index = (uint32_t)unpack_uint(u, DEMAND_SEGMENTS - 1);
    uint64_t mask = unpack_uint(u, HEAT_MASK);
    if (u->failed)
        return 0;
    struct demand_segment *s = demand_segment(v, index);
    if (!s)
        return -ENOMEM;
    /* Ascending, none twice. */
    if (v->n_segments == before || v->segments[before] != s)
        u->failed = true;
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        for (size_t k = 0; mask >> h & 1 && k < DEMAND_KINDS; k++)
            s->heat[h][k] = unpack_real(u, 0, DBL_MAX);
    return 0;
}

static int unpack_sites(struct unpacker *u, struct demand_volume *v)
{
    int r = 0;
    size_t n = unpack_count(u, DEMAND_SITES, 3);
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_site(u, v);
    return r;
}

static int unpack_heat(struct unpacker *u, struct demand_volume *v)
{
    int r = 0;
    v->week = unpack_int(u, 0, STATE_HOUR_MAX / HOURS_A_WEEK);
    size_t n = unpack_count(u, DEMAND_GATEWAYS, 9);
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_served(u, v);
    for (size_t h = 0; h < HOURS_A_DAY; h++)
        v->flushes[h] = unpack_real(u, 0, DBL_MAX);
    v->shift = (unsigned)unpack_uint(u, DEMAND_SHIFT_MAX);
    if (v->shift < DEMAND_SHIFT_MIN)
        u->failed = true;
    n = unpack_count(u, DEMAND_SEGMENTS, 2);
    for (size_t i = 0; r == 0 && !u->failed && i < n; i++)
        r = unpack_segment(u, v);
    return r;
}

static int unpack_volume(struct unpacker *u, struct demand *d)
{
    char name[NAME_LEN_MAX + 1];
    size_t before = d->volumes.n;
    unpack_name(u, name, sizeof(name));
    if (u->failed)
        return 0;
    struct demand_volume *v = demand_volume(d, name);
    if (!v)
        return -ENOMEM;
    if (d->volumes.n == before)
        u->failed = true;
    int r = unpack_sites(u, v);
    return r < 0 || u->failed ? r : unpack_heat(u, v);
}

static int unpack_seen(struct unpacker *u, struct seen *s)
{
    s->newest = s->run_newest = unpack_real(u, -1, 253402300800.0);
    s->settled = unpack_real(u, -1e12, 253402300800.0);
    size_t n = unpack_count(u, SIZE_MAX, 16);
    s->old = calloc(n + 1, sizeof(*s->old));
    s->met = calloc(n + 1, sizeof(*s->met));
    if (!s->old || !s->met)
        return -ENOMEM;
    s->n_old = n;
    for (size_t i = 0; i < n; i++) {
        s->old[i].time = unpack_real(u, 0, 253402300800.0);
        s->old[i].digest = unpack_fixed(u);
        if (i && s->old[i].time < s->old[i - 1].time)
            u->failed = true;
    }
    return 0;
}

int state_unpack(const struct buf *file, struct demand *d, struct seen *s)
{
    struct unpacker u;
    int r = unpack_file(magic, file, &u);
    if (r < 0)
        return r;
    int64_t newest = unpack_int(&u, -1, STATE_HOUR_MAX);
    d->newest_hour = newest < 0 ? INT64_MIN : newest;
    r = unpack_seen(&u, s);
    size_t n = unpack_count(&u, SIZE_MAX, 1);
    for (size_t i = 0; r == 0 && !u.failed && i < n; i++)
        r = unpack_volume(&u, d);
    if (r == 0 && (u.failed || u.at != u.end))
        r = -EBADMSG;
    return r;
}
