/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/adding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/saturate.h"

_Static_assert(sizeof(struct demand_spot) == 128, "a spot is two cache lines");

/* ---- what is the same for all accesses of an hour ---- */

/* What only depends on the hour: D's newest, and how it lies to what is remembered. */
static void go_to(struct demand *d, int64_t hour)
{
    struct demand_now *now = &d->now;
    if (hour == now->hour && d->newest_hour == now->newest_hour)
        return;
    if (hour > d->newest_hour)
        d->newest_hour = hour;
    *now = (struct demand_now){
        .hour = hour, .newest_hour = d->newest_hour, .week = demand_week_of(hour)};
    now->of_week = (unsigned)(hour - now->week * HOURS_A_WEEK);
    now->counts = now->week >= demand_first_week(d);
    now->heats = now->week >= demand_first_heat_week(d);
}

/* ---- spots ---- */

/* A site that does not belong to place K. */
static uint32_t no_site(size_t k)
{
    return (uint32_t)(k + 1) % SPOT_SITES;
}

static void clear(struct demand_spot *s)
{
    *s = (struct demand_spot){.hour = -1};
    for (size_t k = 0; k < SPOT_SITES; k++)
        s->site[k] = no_site(k);
}

/* A spot for each volume of D: 0 or -ENOMEM. */
static int make_spots(struct demand *d)
{
    size_t n = 2 * d->volumes.n;
    if (n > SIZE_MAX / sizeof(*d->spot))
        return -ENOMEM;
    struct demand_spot *spot = aligned_alloc(64, n * sizeof(*spot));
    if (!spot)
        return -ENOMEM;
    if (d->n_spots)
        memcpy(spot, d->spot, d->n_spots * sizeof(*spot));
    for (size_t i = d->n_spots; i < n; i++)
        clear(&spot[i]);
    free(d->spot);
    d->spot = spot;
    d->n_spots = n;
    return 0;
}

/* Adds what was counted of the site K of S to W, the week of its hour: 0 or -ENOMEM. */
static int add_count(struct demand *d, struct demand_week *w, struct demand_spot *s, size_t k)
{
    int r = demand_week_hour(d, w, s->site[k], s->of_week, s->count[k]);
    if (r == 0 && s->gateway != DEMAND_NO_GATEWAY)
        r = demand_week_served(d, w, s->gateway, s->count[k]);
    s->used = (uint16_t)(s->used & ~(1u << k));
    s->count[k] = 0;
    return r;
}

/* Empties the spot of VOLUME into its week: 0 or -ENOMEM. */
static int empty(struct demand *d, uint32_t volume)
{
    struct demand_spot *s = &d->spot[volume];
    if (s->hour < 0)
        return 0;
    struct demand_week *w = demand_week(d, volume, demand_week_of(s->hour));
    int r = w ? 0 : -ENOMEM;
    for (size_t k = 0; r == 0 && k < SPOT_SITES; k++)
        if (s->used >> k & 1)
            r = add_count(d, w, s, k);
    if (w && s->next)
        cells_close(&w->cells, s->next);
    clear(s);
    return r;
}

/* Opens the cells of W for S: 0 or -ENOMEM. */
static int open_cells(struct demand_spot *s, struct demand_week *w)
{
    int r = cells_open(&w->cells, s->of_week, &s->next, &s->end);
    s->shift = (uint8_t)w->cells.shift;
    return r;
}

/* Makes the empty spot of VOLUME that of D's hour: 0, 1 if that is too old, or -ENOMEM. */
static int begin(struct demand *d, uint32_t volume)
{
    struct demand_spot *s = &d->spot[volume];
    if (!d->now.counts)
        return 1;
    struct demand_week *w = demand_week(d, volume, d->now.week);
    if (!w)
        return -ENOMEM;
    /* Who goes back in time must not fill the memory with weeks that are forgotten at the end. */
    if (d->volume[volume].n_weeks > d->keep_hours / HOURS_A_WEEK + 2)
        demand_trim_volume(d, volume);
    s->of_week = (uint8_t)d->now.of_week;
    if (d->now.heats && open_cells(s, w) < 0)
        return -ENOMEM;
    s->hour = d->now.hour;
    return 0;
}

/* Makes the spot of VOLUME that of HOUR and GATEWAY: as begin(). */
static int turn(struct demand *d, uint32_t volume, int64_t hour, uint32_t gateway)
{
    int r = empty(d, volume);
    go_to(d, hour);
    if (r == 0)
        r = begin(d, volume);
    d->spot[volume].gateway = gateway;
    return r;
}

/* Frees the place K of VOLUME's spot for another site: 0 or -ENOMEM. */
static int free_site(struct demand *d, uint32_t volume, size_t k)
{
    struct demand_spot *s = &d->spot[volume];
    if (!(s->used >> k & 1))
        return 0;
    struct demand_week *w = demand_week(d, volume, demand_week_of(s->hour));
    return w ? add_count(d, w, s, k) : -ENOMEM;
}

/* Makes R's spot that of its hour, gateway and site: 0, 1 if R is too old, or -ENOMEM. */
static int turn_for(struct demand *d, const struct demand_record *r)
{
    struct demand_spot *s = &d->spot[r->volume];
    size_t k = r->site % SPOT_SITES;
    int e = 0;
    if (s->hour != r->hour || s->gateway != r->gateway)
        e = turn(d, r->volume, r->hour, r->gateway);
    else if (s->site[k] != r->site)
        e = free_site(d, r->volume, k);
    if (e)
        return e;
    s->site[k] = r->site;
    s->used = (uint16_t)(s->used | 1u << k);
    return 0;
}

/* ---- notes ---- */

static int add_heat(struct cells *c, unsigned hour, const struct demand_record *r)
{
    uint64_t length = r->op == DEMAND_CLEAR ? 0 : r->length;
    if (r->op == DEMAND_FLUSH)
        return cells_add_flushes(c, hour, r->count);
    return cells_add(c, hour, r->op == DEMAND_READ ? CELLS_READS : CELLS_WRITES, r->offset, length,
                     r->count);
}

/* Notes R in its spot: 0 or -ENOMEM. */
static int take_note(struct demand *d, const struct demand_record *r)
{
    struct demand_spot *s = &d->spot[r->volume];
    if (!s->next)
        return 0;
    struct demand_week *w = demand_week(d, r->volume, demand_week_of(r->hour));
    if (!w)
        return -ENOMEM;
    cells_close(&w->cells, s->next);
    int e = add_heat(&w->cells, s->of_week, r);
    return e == 0 ? open_cells(s, w) : e;
}

/* ---- all ---- */

int demand_add_later(struct demand *d, const struct demand_record *r)
{
    int e = r->volume < d->n_spots ? 0 : make_spots(d);
    if (e == 0)
        e = turn_for(d, r);
    if (e)
        return e < 0 ? e : 0;
    struct demand_spot *s = &d->spot[r->volume];
    uint64_t *count = &s->count[r->site % SPOT_SITES];
    *count = saturate_sum(*count, r->count);
    return take_note(d, r);
}

int demand_add(struct demand *d, const struct demand_record *r)
{
    uint64_t end;
    if (__builtin_add_overflow(r->offset, r->length, &end) || end > INT64_MAX)
        return -ERANGE;
    int e = demand_add_later(d, r);
    if (e == 0)
        e = empty(d, r->volume);
    struct demand_week *w = d->volume[r->volume].last;
    return e == 0 && w ? cells_settle(&w->cells) : e;
}

int demand_settle(struct demand *d)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < d->volumes.n; i++) {
        if (i < d->n_spots)
            r = empty(d, (uint32_t)i);
        for (size_t k = 0; r == 0 && k < d->volume[i].n_weeks; k++)
            r = cells_settle(&d->volume[i].weeks[k]->cells);
    }
    return r;
}
