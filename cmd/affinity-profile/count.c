/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/count.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/record/schema.h"

/* Names that are found without the tables behind them, as binary logarithms: 64 bytes each. */
enum { VOLUMES_BITS = 12, GATEWAYS_BITS = 6, CLIENTS_BITS = 10 };
/* A pair's gateway has so many bits of its number, and the volume the rest. */
enum { ROUTE_GATEWAY_BITS = 10 };

static int into_init(struct count_into *into, uint32_t keep_hours)
{
    *into = (struct count_into){.n = 0};
    demand_init(&into->demand, keep_hours);
    int failed = memo_init(&into->volumes, VOLUMES_BITS);
    failed |= memo_init(&into->routes, VOLUMES_BITS);
    failed |= memo_init(&into->gateways, GATEWAYS_BITS);
    failed |= memo_init(&into->sites, CLIENTS_BITS);
    return failed ? -ENOMEM : 0;
}

static void into_release(struct count_into *into)
{
    demand_release(&into->demand);
    memo_release(&into->volumes);
    memo_release(&into->routes);
    memo_release(&into->gateways);
    memo_release(&into->sites);
}

int counter_init(struct counter *c, struct profile *p, const struct ingest *how)
{
    *c = (struct counter){.p = p, .how = how, .from_hour = INT64_MIN, .newest = -1};
    seen_run_init(&c->seen);
    c->reader = rec_reader_new(&rec_access);
    int r = into_init(&c->all, p->demand.keep_hours);
    return c->reader ? r : -ENOMEM;
}

void counter_release(struct counter *c)
{
    for (size_t i = 0; i < c->n_open; i++)
        into_release(&c->open[i].into);
    free(c->open);
    into_release(&c->all);
    seen_run_release(&c->seen);
    rec_reader_free(c->reader);
    buf_release(&c->scratch);
}

/* Adds what waits: 0 or -ENOMEM. */
static int flush(struct count_into *into)
{
    int r = demand_add_batch(&into->demand, into->waiting, into->n);
    into->n = 0;
    return r;
}

/* ---- hours of a pipe ---- */

/* The open hour HOUR, added if new.  NULL: out of memory. */
static struct count_into *open_hour(struct counter *c, int64_t hour)
{
    size_t at = c->n_open;
    while (at && c->open[at - 1].hour > hour)
        at--;
    if (at && c->open[at - 1].hour == hour)
        return &c->open[at - 1].into;
    if (vec_room(&c->open, c->n_open, &c->cap_open, sizeof(*c->open)) < 0)
        return NULL;
    memmove(c->open + at + 1, c->open + at, (c->n_open - at) * sizeof(*c->open));
    c->open[at].hour = hour;
    c->n_open++;
    if (into_init(&c->open[at].into, c->p->demand.keep_hours) < 0)
        return NULL;
    return &c->open[at].into;
}

/* Hours before BEFORE are complete. */
static int close_hours(struct counter *c, int64_t before)
{
    size_t n = 0;
    int r = 0;
    while (r == 0 && n < c->n_open && c->open[n].hour < before) {
        r = flush(&c->open[n].into);
        if (r == 0)
            r = demand_merge(&c->all.demand, &c->open[n].into.demand);
        into_release(&c->open[n++].into);
    }
    memmove(c->open, c->open + n, (c->n_open - n) * sizeof(*c->open));
    c->n_open -= n;
    return r;
}

int64_t counter_close(struct counter *c, double lateness_s)
{
    int64_t before = (int64_t)floor((c->newest - lateness_s) / 3600);
    int r = close_hours(c, before);
    return r < 0 ? r : before;
}

/* Where a record of HOUR is counted.  NULL: out of memory. */
static struct count_into *into_of(struct counter *c, int64_t hour)
{
    if (!c->by_hour)
        return &c->all;
    /* Some at a time: merging costs the same for a thousand records as for one. */
    double lateness_s = c->p->index.seen.lateness_s;
    if (c->n_open > (size_t)(lateness_s / 3600) + 8 && counter_close(c, lateness_s) < 0)
        return NULL;
    return open_hour(c, hour);
}

/* ---- records ---- */

/* The number of the client's site, looked up among the sites only if it was not met lately. */
static long site_of(struct counter *c, struct count_into *into, struct access_text client)
{
    long id = memo_get(&into->sites, client.at, client.len);
    if (id >= 0)
        return id;
    const char *site = fleet_site_of(&c->p->fleet, rec_text(c->reader, ACCESS_CLIENT));
    id = demand_site_id(&into->demand, site, strlen(site));
    if (id >= 0)
        memo_put(&into->sites, client.at, client.len, (uint32_t)id);
    return id;
}

static long volume_of(struct count_into *into, struct access_text volume)
{
    long id = memo_get(&into->volumes, volume.at, volume.len);
    if (id >= 0)
        return id;
    id = demand_volume_id(&into->demand, volume.at, volume.len);
    if (id >= 0)
        memo_put(&into->volumes, volume.at, volume.len, (uint32_t)id);
    return id;
}

static long gateway_of(struct count_into *into, struct access_text gateway)
{
    if (!gateway.len)
        return DEMAND_NO_GATEWAY;
    long id = memo_get(&into->gateways, gateway.at, gateway.len);
    if (id >= 0)
        return id;
    id = demand_gateway_id(&into->demand, gateway.at, gateway.len);
    if (id >= 0)
        memo_put(&into->gateways, gateway.at, gateway.len, (uint32_t)id);
    return id;
}

/* "VOLUME,GATEWAY" as it lies there; none where the columns don't lie side by side. */
static struct access_text route_of(const struct access *a)
{
    if (!a->line.at || !a->gateway.len)
        return (struct access_text){0};
    return (struct access_text){a->volume.at,
                                (size_t)(a->gateway.at - a->volume.at) + a->gateway.len};
}

/* Volume and gateway of A, which most often come as a pair that was met lately: 0 or -ENOMEM. */
static int find_route(struct count_into *into, const struct access *a, struct demand_record *out)
{
    const struct access_text route = route_of(a);
    long pair = memo_get(&into->routes, route.at, route.len);
    if (pair >= 0) {
        out->volume = (uint32_t)pair >> ROUTE_GATEWAY_BITS;
        out->gateway = (uint32_t)pair & ((1u << ROUTE_GATEWAY_BITS) - 1);
        return 0;
    }
    long volume = volume_of(into, a->volume), gateway = gateway_of(into, a->gateway);
    if (volume < 0 || gateway < 0)
        return -ENOMEM;
    out->volume = (uint32_t)volume;
    out->gateway = (uint32_t)gateway;
    /* Both as one number, if they are small enough. */
    if (!(gateway >> ROUTE_GATEWAY_BITS) && !(volume >> (32 - ROUTE_GATEWAY_BITS)))
        memo_put(&into->routes, route.at, route.len,
                 out->volume << ROUTE_GATEWAY_BITS | out->gateway);
    return 0;
}

/* Counts A, of HOUR: 0 or -ENOMEM. */
static int add(struct counter *c, struct count_into *into, int64_t hour, const struct access *a)
{
    struct demand_record *r = &into->waiting[into->n];
    long site = site_of(c, into, a->client);
    if (site < 0 || find_route(into, a, r) < 0)
        return -ENOMEM;
    r->hour = hour;
    r->site = (uint32_t)site;
    r->op = a->op;
    r->offset = a->offset;
    r->length = a->length;
    r->count = a->count;
    return ++into->n < DEMAND_BATCH ? 0 : flush(into);
}

/* Is A, the current record, to be counted?  1, 0, or -ENOMEM. */
static int is_new(struct counter *c, const struct access *a)
{
    uint64_t d;
    if (c->how->source)
        return 1;
    enum seen_verdict verdict = seen_look(&c->p->index.seen, &c->seen, a->time);
    if (verdict != SEEN_ASK)
        return verdict == SEEN_COUNT;
    if (access_digest(c->reader, a, &c->scratch, &d) < 0)
        return -ENOMEM;
    return seen_new(&c->p->index.seen, &c->seen, a->time, d);
}

/* The hour of TIME; most often that of the record before, without a division. */
static int64_t hour_of(struct counter *c, double time)
{
    double since = time - (double)c->hour * 3600;
    /* Where a quotient may be rounded up to the next hour, it decides. */
    if (since < 0 || since > 3599)
        c->hour = (int64_t)(time / 3600);
    return c->hour;
}

/* Counts A, the current record, if it is new: 1, 0, -ENOMEM; -ERANGE and -EDOM: see below. */
static int count_record(struct counter *c, const struct access *a)
{
    uint64_t end;
    int64_t hour = hour_of(c, a->time);
    if (a->time > c->how->latest)
        return -EDOM;
    /* Checked before it is noted as counted. */
    if (__builtin_add_overflow(a->offset, a->length, &end) || end > INT64_MAX)
        return -ERANGE;
    if (a->time > c->newest)
        c->newest = a->time;
    int fresh = hour < c->from_hour ? 0 : is_new(c, a);
    if (fresh <= 0)
        return fresh;
    struct count_into *into = into_of(c, hour);
    int e = into ? add(c, into, hour, a) : -ENOMEM;
    if (e == 0 && a->time > into->demand.newest)
        into->demand.newest = a->time;
    return e < 0 ? e : 1;
}

static void set_failure(struct count_part *part, int status, const char *text)
{
    part->status = status;
    snprintf(part->message, sizeof(part->message), "%s", text);
}

/* Goes on after a record that is malformed, if that is wanted. */
static bool forgive(struct counter *c, struct count_part *part, int status, const char *text)
{
    if (status != EX_DATAERR || !c->how->keep_going) {
        set_failure(part, status, text);
        return false;
    }
    err_warn("%s", text);
    c->status = status;
    return true;
}

/* What a record that was not counted, for the reason E, means: go on? */
static bool take_failure(struct counter *c, struct count_part *part, int e)
{
    char text[1200];
    if (e != -ERANGE && e != -EDOM) {
        set_failure(part, EX_OSERR, err_text(e));
        return false;
    }
    snprintf(text, sizeof(text), "%s: %s", rec_reader_where(c->reader),
             e == -ERANGE ? "offset + length is too large" : "time lies in the future");
    return forgive(c, part, EX_DATAERR, text);
}

static void count_part(struct counter *c, struct count_part *part)
{
    struct rec_reader *r = c->reader;
    struct access a;
    int got;
    c->newest = part->newest = -1;
    part->end = part->from;
    if (part->in_range)
        rec_reader_range(r, part->path, part->from, part->to, c->how->source);
    else
        rec_reader_files(r, part->path, 1);
    while ((got = rec_reader_next(r)) != 0) {
        if (got < 0) {
            if (!forgive(c, part, rec_reader_status(r), rec_reader_error(r)))
                return;
            if (got == -EBADMSG)
                part->end = rec_reader_offset(r);
            continue;
        }
        access_take(r, &a);
        if (c->how->until >= 0 && a.time > c->how->until) {
            c->later++;
            /* What was left for later is where the source goes on. */
            if (c->how->source && part->in_range)
                return;
            continue;
        }
        int counted = count_record(c, &a);
        if (counted >= 0)
            c->records += (uint64_t)counted;
        else if (!take_failure(c, part, counted))
            return;
        part->end = rec_reader_offset(r);
        part->newest = c->newest;
    }
}

void counter_run(struct counter *c, struct count_part *part)
{
    count_part(c, part);
    if (flush(&c->all) < 0 && !part->status)
        set_failure(part, EX_OSERR, err_text(-ENOMEM));
}
