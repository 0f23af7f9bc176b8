/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/count.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/record/schema.h"

static int into_init(struct count_into *into, uint32_t keep_hours)
{
    demand_init(&into->demand, keep_hours);
    into->sites = calloc(COUNT_SITES, sizeof(*into->sites));
    return into->sites ? 0 : -ENOMEM;
}

static void into_release(struct count_into *into)
{
    demand_release(&into->demand);
    free(into->sites);
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
    struct count_hour new = {.hour = hour};
    if (into_init(&new.into, c->p->demand.keep_hours) < 0)
        return NULL;
    memmove(c->open + at + 1, c->open + at, (c->n_open - at) * sizeof(*c->open));
    c->open[at] = new;
    c->n_open++;
    return &c->open[at].into;
}

/* Hours before BEFORE are complete. */
static int close_hours(struct counter *c, int64_t before)
{
    size_t n = 0;
    int r = 0;
    while (r == 0 && n < c->n_open && c->open[n].hour < before) {
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

/*
 * A digest of everything that tells one record from another: the columns' texts with commas
 * between.  Most often that is what lies there.
 */
static int digest(struct counter *c, uint64_t *out)
{
    size_t len;
    const char *line = rec_line(c->reader, &len);
    if (line) {
        /* Without a count it is the same whether the file has that column. */
        size_t error_len;
        const char *error = rec_bytes(c->reader, ACCESS_ERROR, &error_len);
        if (!rec_present(c->reader, ACCESS_COUNT))
            len = (size_t)(error - line) + error_len;
        *out = hash64(line, len);
        return 0;
    }
    int failed = 0;
    buf_clear(&c->scratch);
    for (size_t col = 0; col <= ACCESS_COUNT; col++) {
        const char *text = rec_bytes(c->reader, col, &len);
        if (col == ACCESS_COUNT && len == 0)
            break;
        failed |= col ? buf_add(&c->scratch, ",", 1) : 0;
        failed |= buf_add(&c->scratch, text, len);
    }
    *out = hash64(c->scratch.data, c->scratch.len);
    return failed;
}

static enum demand_op op_of(const struct rec_reader *r)
{
    size_t len;
    switch (rec_bytes(r, ACCESS_OP, &len)[0]) {
    case 'r':
        return DEMAND_READ;
    case 'w':
        return DEMAND_WRITE;
    case 'f':
        return DEMAND_FLUSH;
    default:
        return DEMAND_CLEAR;
    }
}

/* The number of the client's site, looked up among the sites only if it was not met lately. */
static long site_of(struct counter *c, struct count_into *into)
{
    size_t len;
    const char *client = rec_bytes(c->reader, ACCESS_CLIENT, &len);
    struct count_site *s = &into->sites[hash64(client, len) % COUNT_SITES];
    if (len == s->len && memcmp(client, s->client, len) == 0)
        return s->site;
    const char *site = fleet_site_of(&c->p->fleet, rec_text(c->reader, ACCESS_CLIENT));
    long id = demand_site_id(&into->demand, site, strlen(site));
    if (id >= 0 && len <= sizeof(s->client)) {
        memcpy(s->client, client, len);
        s->len = len;
        s->site = (uint32_t)id;
    }
    return id;
}

/* The current record by numbers: 0 or -ENOMEM. */
static int record_of(struct counter *c, struct count_into *into, int64_t hour,
                     struct demand_record *out)
{
    struct rec_reader *r = c->reader;
    size_t len;
    const char *name = rec_bytes(r, ACCESS_VOLUME, &len);
    long volume = demand_volume_id(&into->demand, name, len);
    long gateway = DEMAND_NO_GATEWAY;
    name = rec_bytes(r, ACCESS_GATEWAY, &len);
    if (len)
        gateway = demand_gateway_id(&into->demand, name, len);
    long site = site_of(c, into);
    if (volume < 0 || site < 0 || gateway < 0)
        return -ENOMEM;
    *out = (struct demand_record){
        .hour = hour,
        .volume = (uint32_t)volume,
        .site = (uint32_t)site,
        .gateway = (uint32_t)gateway,
        .op = op_of(r),
        .offset = rec_uint(r, ACCESS_OFFSET),
        .length = rec_uint(r, ACCESS_LENGTH),
        .count = rec_present(r, ACCESS_COUNT) ? rec_uint(r, ACCESS_COUNT) : 1,
    };
    return 0;
}

/* Is the record of TIME to be counted?  1, 0, or -ENOMEM. */
static int is_new(struct counter *c, double time)
{
    uint64_t d;
    if (c->how->source)
        return 1;
    switch (seen_look(&c->p->index.seen, &c->seen, time)) {
    case SEEN_SKIP:
        return 0;
    case SEEN_COUNT:
        return 1;
    default:
        return digest(c, &d) < 0 ? -ENOMEM : seen_new(&c->p->index.seen, &c->seen, time, d);
    }
}

static bool is_out_of_range(const struct rec_reader *r)
{
    uint64_t end;
    return __builtin_add_overflow(rec_uint(r, ACCESS_OFFSET), rec_uint(r, ACCESS_LENGTH), &end) ||
           end > INT64_MAX;
}

/* Counts the current record if it is new: 1, 0, -ENOMEM; -ERANGE and -EDOM: see the texts below. */
static int count_record(struct counter *c)
{
    struct rec_reader *r = c->reader;
    struct demand_record a;
    double time = rec_real(r, ACCESS_TIME);
    int64_t hour = (int64_t)(time / 3600);
    if (time > c->how->latest)
        return -EDOM;
    /* Checked before it is noted as counted. */
    if (is_out_of_range(r))
        return -ERANGE;
    if (time > c->newest)
        c->newest = time;
    int fresh = hour < c->from_hour ? 0 : is_new(c, time);
    if (fresh <= 0)
        return fresh;
    struct count_into *into = into_of(c, hour);
    int e = into ? record_of(c, into, hour, &a) : -ENOMEM;
    if (e == 0)
        e = demand_add(&into->demand, &a);
    if (e == 0 && time > into->demand.newest)
        into->demand.newest = time;
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

static bool take_result(struct counter *c, struct count_part *part, int e)
{
    char text[1200];
    if (e >= 0) {
        c->records += (uint64_t)e;
        return true;
    }
    if (e != -ERANGE && e != -EDOM) {
        set_failure(part, EX_OSERR, err_text(e));
        return false;
    }
    snprintf(text, sizeof(text), "%s: %s", rec_reader_where(c->reader),
             e == -ERANGE ? "offset + length is too large" : "time lies in the future");
    return forgive(c, part, EX_DATAERR, text);
}

void counter_run(struct counter *c, struct count_part *part)
{
    struct rec_reader *r = c->reader;
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
        if (c->how->until >= 0 && rec_real(r, ACCESS_TIME) > c->how->until) {
            c->later++;
            /* What was left for later is where the source goes on. */
            if (c->how->source && part->in_range)
                return;
            continue;
        }
        if (!take_result(c, part, count_record(c)))
            return;
        part->end = rec_reader_offset(r);
        part->newest = c->newest;
    }
}
