/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Accesses into a demand: what is the same from one to the next is looked up once. */
#include <errno.h>
#include <string.h>

#include "common/affinity/demand.h"
#include "common/base/saturate.h"

/* Sites whose counts are at hand: those whose numbers differ in the lowest bits. */
enum { AT_HAND = 8 };

/* Where accesses to a volume in an hour are added. */
struct adder {
    struct demand *demand;
    uint32_t volume;
    int64_t hour;
    struct demand_week *week; /* NULL: too old to be remembered */
    uint32_t gateway;
    uint64_t *served; /* by GATEWAY; NULL: nothing yet */
    struct {
        uint32_t site;
        uint64_t *count; /* of the hour; NULL: none */
    } at_hand[AT_HAND];
};

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

/* Turns to VOLUME in HOUR: 0 or -ENOMEM. */
static int turn_to(struct adder *a, uint32_t volume, int64_t hour)
{
    struct demand *d = a->demand;
    *a = (struct adder){.demand = d, .volume = volume, .hour = hour};
    go_to(d, hour);
    if (!d->now.counts)
        return 0;
    a->week = demand_week(d, volume, d->now.week);
    if (!a->week)
        return -ENOMEM;
    /* Who goes back in time must not fill the memory with weeks that are forgotten at the end. */
    if (d->volume[volume].n_weeks > d->keep_hours / HOURS_A_WEEK + 2)
        demand_trim_volume(d, volume);
    return 0;
}

/* The count of SITE; NULL: out of memory. */
static uint64_t *site_count(struct adder *a, uint32_t site)
{
    struct demand *d = a->demand;
    struct tally *sites = &a->week->sites;
    if (!tally_find(sites, site))
        memset(a->at_hand, 0, sizeof(a->at_hand)); /* rows may change hands */
    struct tally_row *row = tally_at(sites, &d->sites, HOURS_A_WEEK, site, &d->overflowed);
    if (!row)
        return NULL;
    a->at_hand[site % AT_HAND].site = site;
    a->at_hand[site % AT_HAND].count = &row->count[d->now.of_week];
    return a->at_hand[site % AT_HAND].count;
}

static int add_request(struct adder *a, uint32_t site, uint64_t count)
{
    uint64_t *at = a->at_hand[site % AT_HAND].count;
    if (!at || a->at_hand[site % AT_HAND].site != site)
        at = site_count(a, site);
    if (!at)
        return -ENOMEM;
    *at = saturate_sum(*at, count);
    return 0;
}

static int add_served(struct adder *a, uint32_t gateway, uint64_t count)
{
    bool too_many = false;
    if (gateway == DEMAND_NO_GATEWAY)
        return 0;
    if (!a->served || a->gateway != gateway) {
        struct tally_row *row =
            tally_at(&a->week->served, &a->demand->gateways, 1, gateway, &too_many);
        if (!row)
            return -ENOMEM;
        a->gateway = gateway;
        a->served = row->count;
    }
    *a->served = saturate_sum(*a->served, count);
    return 0;
}

static int add_heat(struct adder *a, const struct demand_record *r)
{
    const struct demand_now *now = &a->demand->now;
    uint64_t length = r->op == DEMAND_CLEAR ? 0 : r->length;
    if (r->op == DEMAND_FLUSH)
        return cells_add_flushes(&a->week->cells, now->of_week, r->count);
    return cells_add(&a->week->cells, now->of_week,
                     r->op == DEMAND_READ ? CELLS_READS : CELLS_WRITES, r->offset, length,
                     r->count);
}

/* Adds R, whose range was checked: 0 or -ENOMEM. */
static int add_checked(struct adder *a, const struct demand_record *r)
{
    int e = 0;
    if (r->volume != a->volume || r->hour != a->hour)
        e = turn_to(a, r->volume, r->hour);
    if (e < 0 || !a->week)
        return e;
    e = add_request(a, r->site, r->count);
    if (e == 0)
        e = add_served(a, r->gateway, r->count);
    return e == 0 && a->demand->now.heats ? add_heat(a, r) : e;
}

int demand_add(struct demand *d, const struct demand_record *r)
{
    struct adder a = {.demand = d, .hour = INT64_MIN};
    uint64_t end;
    if (__builtin_add_overflow(r->offset, r->length, &end) || end > INT64_MAX)
        return -ERANGE;
    int e = add_checked(&a, r);
    return e == 0 && a.week ? cells_settle(&a.week->cells) : e;
}

/* ---- many at once ---- */

enum { GROUPS = 256 };

/* Records by volume, as far as the lowest bits of its number tell: group k is order[from[k] …]. */
struct groups {
    const struct demand_record *record;
    uint16_t order[DEMAND_BATCH];
    uint16_t from[GROUPS + 1];
};
_Static_assert(DEMAND_BATCH <= UINT16_MAX, "places in a batch are numbers of 16 bits");

static void sort_groups(struct groups *g, const struct demand_record *r, size_t n)
{
    uint16_t next[GROUPS];
    memset(g->from, 0, sizeof(g->from));
    g->record = r;
    for (size_t i = 0; i < n; i++)
        g->from[r[i].volume % GROUPS + 1]++;
    for (size_t k = 0; k < GROUPS; k++) {
        g->from[k + 1] = (uint16_t)(g->from[k + 1] + g->from[k]);
        next[k] = g->from[k];
    }
    for (size_t i = 0; i < n; i++)
        g->order[next[r[i].volume % GROUPS]++] = (uint16_t)i;
}

int demand_add_batch(struct demand *d, const struct demand_record *r, size_t n)
{
    struct adder a = {.demand = d, .hour = INT64_MIN};
    struct groups g;
    int e = 0;
    sort_groups(&g, r, n);
    for (size_t i = 0; e == 0 && i < n; i++)
        e = add_checked(&a, &r[g.order[i]]);
    return e;
}
