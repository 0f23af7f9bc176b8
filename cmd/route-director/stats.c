/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accesslog.h"
#include "common/base/clock.h"
#include "common/record/schema.h"
#include "volume.h"

static const struct {
    enum stats_op op;
    const char *name;
} ops[] = {{STATS_READ, "read"}, {STATS_WRITE, "write"}, {STATS_FLUSH, "flush"}};

static const unsigned percents[] = {50, 95, 99};
enum {
    N_PERCENTS = sizeof(percents) / sizeof(percents[0]),
    RECENT_WEIGHT = 64,
    RECENT_US = 3000000, /* older than that a mean is no news */
};

/* What the director says of itself, and of no gateway: no gateway is likely to be called so. */
#define SELF "@director"

/* ---- counting ---- */

/* -1: no client's wait (CACHE). */
static int op_of(uint16_t type)
{
    switch (type) {
    case NBD_CMD_READ:
        return STATS_READ;
    case NBD_CMD_WRITE:
    case NBD_CMD_WRITE_ZEROES:
    case NBD_CMD_TRIM:
        return STATS_WRITE;
    case NBD_CMD_FLUSH:
        return STATS_FLUSH;
    default:
        return -1;
    }
}

/* The counts of gateway NAME; NULL: out of memory. */
static struct gateway_stats *find_gateway(struct stats *s, const char *name)
{
    long id = intern_add(&s->names, name);
    if (id < 0)
        return NULL;
    while (s->n <= (size_t)id) {
        struct gateway_stats *g = calloc(1, sizeof(*g));
        if (!g || vec_room(&s->gateways, s->n, &s->cap, sizeof(struct gateway_stats *)) < 0) {
            free(g);
            return NULL;
        }
        g->name = s->names.names[s->n];
        s->gateways[s->n++] = g;
    }
    return s->gateways[id];
}

/* Of V's owner, which seldom changes. */
static struct gateway_stats *gateway_of(struct stats *s, struct volume *v)
{
    struct gateway_stats **g = &v->stats.gateway;
    if (!*g || strcmp((*g)->name, v->route.gateway) != 0)
        *g = find_gateway(s, v->route.gateway);
    return *g;
}

static void recent_add(struct stats_recent *m, uint64_t us, uint64_t now_us)
{
    m->sum_us = m->at_us ? m->sum_us - m->sum_us / RECENT_WEIGHT + us : us * RECENT_WEIGHT;
    m->at_us = now_us;
}

void stats_add(struct stats *s, struct volume *v, const struct request *r, uint64_t now_us)
{
    if (!r->client_name)
        return; /* the director's own */
    int op = op_of(r->nbd.type);
    bool timed = op >= 0 && !r->error;
    uint64_t us = now_us - r->arrived_us;
    if (timed)
        recent_add(&v->stats.recent[op], us, now_us);
    if (timed)
        hist_window_add(&v->stats.latency[op], us, now_us);
    struct gateway_stats *g = gateway_of(s, v);
    if (!g)
        return;
    if (timed)
        hist_window_add(&g->latency[op], us, now_us);
    g->requests++;
    g->errors += r->error != 0;
}

void stats_release(struct stats *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->gateways[i]);
    free(s->gateways);
    intern_release(&s->names);
    *s = (struct stats){.n = 0};
}

/* ---- telling ---- */

int stats_words(const struct volume *v, uint64_t now_us, struct buf *out)
{
    int r = 0;
    for (size_t i = 0; i < STATS_OPS; i++) {
        struct hist h = {0};
        hist_window_sum(&v->stats.latency[ops[i].op], now_us, &h);
        for (size_t k = 0; k < N_PERCENTS && r == 0; k++) {
            r = buf_printf(out, " %s_us_p%u=", ops[i].name, percents[k]);
            if (r == 0 && h.n)
                r = buf_printf(out, "%llu", (unsigned long long)hist_percentile(&h, percents[k]));
            else if (r == 0)
                r = buf_adds(out, "-");
        }
    }
    for (size_t i = 0; i < STATS_OPS && r == 0; i++) {
        const struct stats_recent *m = &v->stats.recent[ops[i].op];
        r = buf_printf(out, " %s_us_now=", ops[i].name);
        if (r == 0 && m->at_us && now_us - m->at_us < RECENT_US)
            r = buf_printf(out, "%llu", (unsigned long long)(m->sum_us / RECENT_WEIGHT));
        else if (r == 0)
            r = buf_adds(out, "-");
    }
    return r;
}

/*
 * A metric record with the volume on the right.  Counts are printed as such: as reals they would
 * lose what they have grown by.
 */
enum { OUT_TIME, OUT_GATEWAY, OUT_METRIC, OUT_VALUE, OUT_VOLUME };
static const struct rec_column out_columns[] = {
    {"time", REC_TIME, 0, NULL},           {"gateway", REC_NAME, 0, NULL},
    {"metric", REC_NAME, 0, NULL},         {"value", REC_UINT, 0, NULL},
    {"volume", REC_NAME, REC_EMPTY, NULL},
};
static const struct rec_schema out_schema = {"metric", out_columns, 5};

struct report {
    struct rec_writer *w;
    struct buf *out;
    double time;
    uint64_t now_us;
    const char *gateway, *volume; /* of the records to come */
    int error;                    /* the first one */
};

static void put(struct report *p, const char *metric, uint64_t value)
{
    if (p->error)
        return;
    rec_put_real(p->w, OUT_TIME, p->time);
    rec_put_text(p->w, OUT_GATEWAY, p->gateway);
    rec_put_text(p->w, OUT_METRIC, metric);
    rec_put_uint(p->w, OUT_VALUE, value);
    rec_put_text(p->w, OUT_VOLUME, p->volume);
    p->error = rec_format(p->w, p->out);
}

static void put_latency(struct report *p, const struct hist latency[STATS_OPS])
{
    char metric[64];
    for (size_t i = 0; i < STATS_OPS; i++) {
        const struct hist *h = &latency[ops[i].op];
        for (size_t k = 0; h->n && k < N_PERCENTS; k++) {
            snprintf(metric, sizeof(metric), "director_%s_us_p%u", ops[i].name, percents[k]);
            put(p, metric, hist_percentile(h, percents[k]));
        }
    }
}

/* What one volume, or all of a gateway, have in common. */
struct counts {
    uint64_t requests, errors, inflight, held, replayed, reconnects, expired;
};

static void add_volume(struct counts *c, const struct volume *v)
{
    c->requests += v->requests;
    c->errors += v->errors;
    c->inflight += v->inflight;
    c->held += v->held.n;
    c->replayed += v->replayed;
    c->reconnects += v->reconnects;
    c->expired += v->expired;
}

static void put_counts(struct report *p, const struct counts *c)
{
    put(p, "director_requests", c->requests);
    put(p, "director_errors", c->errors);
    put(p, "director_inflight", c->inflight);
    put(p, "director_held", c->held);
    put(p, "director_replayed", c->replayed);
    put(p, "director_reconnects", c->reconnects);
    put(p, "director_expired", c->expired);
}

static void put_volume(struct report *p, const struct volume *v)
{
    struct hist latency[STATS_OPS] = {{0}};
    struct counts c = {0};
    p->gateway = v->route.gateway;
    p->volume = v->name;
    for (size_t i = 0; i < STATS_OPS; i++)
        hist_window_sum(&v->stats.latency[i], p->now_us, &latency[i]);
    put_latency(p, latency);
    add_volume(&c, v);
    put_counts(p, &c);
}

/* ---- gateways, over all loops ---- */

struct gateway_sum {
    struct hist latency[STATS_OPS];
    struct counts counts;
};

void stats_sum_release(struct stats_sum *sum)
{
    free(sum->gateways);
    intern_release(&sum->names);
    *sum = (struct stats_sum){.n = 0};
}

/* NULL: out of memory. */
static struct gateway_sum *sum_of(struct stats_sum *sum, const char *name)
{
    long id = intern_add(&sum->names, name);
    if (id < 0)
        return NULL;
    if ((size_t)id == sum->n) {
        if (vec_room(&sum->gateways, sum->n, &sum->cap, sizeof(*sum->gateways)) < 0)
            return NULL;
        sum->gateways[sum->n++] = (struct gateway_sum){.counts = {0}};
    }
    return (size_t)id < sum->n ? &sum->gateways[id] : NULL;
}

/* What has been counted stays; what is going on is that of the volumes it owns now. */
static int add_gateway(struct stats_sum *sum, const struct director *d,
                       const struct gateway_stats *g)
{
    struct gateway_sum *t = sum_of(sum, g->name);
    if (!t)
        return -ENOMEM;
    uint64_t requests = t->counts.requests + g->requests;
    uint64_t errors = t->counts.errors + g->errors;
    for (const struct volume *v = d->volumes; v; v = v->next)
        if (v->state == VOLUME_SERVING && strcmp(v->route.gateway, g->name) == 0)
            add_volume(&t->counts, v);
    t->counts.requests = requests;
    t->counts.errors = errors;
    for (size_t i = 0; i < STATS_OPS; i++)
        hist_window_sum(&g->latency[i], loop_now_us(d->loop), &t->latency[i]);
    return 0;
}

static void put_sum(struct report *p, const struct stats_sum *sum)
{
    p->volume = "";
    for (size_t i = 0; i < sum->n; i++) {
        p->gateway = sum->names.names[i];
        put_latency(p, sum->gateways[i].latency);
        put_counts(p, &sum->gateways[i].counts);
    }
}

static void put_director(struct report *p, const struct director *d)
{
    p->gateway = SELF;
    p->volume = "";
    put(p, "director_log_dropped", accesslog_dropped(d->log));
}

int stats_records(struct director *d, const char *name, struct stats_sum *sum, bool last,
                  struct buf *out)
{
    struct report p = {
        .w = rec_writer_new(&out_schema, NULL),
        .out = out,
        .time = clock_now(),
        .now_us = loop_now_us(d->loop),
    };
    bool any = false;
    if (!p.w)
        return -ENOMEM;
    p.error = rec_format_header(p.w, out);
    for (struct volume *v = d->volumes; v; v = v->next) {
        if (v->state != VOLUME_SERVING || (name && strcmp(name, v->name) != 0))
            continue;
        put_volume(&p, v);
        /* A gateway that has answered nothing yet is the one to hear of. */
        if (!gateway_of(&d->stats, v) && !p.error)
            p.error = -ENOMEM;
        any = true;
    }
    for (size_t i = 0; !name && !p.error && i < d->stats.n; i++)
        p.error = add_gateway(sum, d, d->stats.gateways[i]);
    if (!name && last) {
        put_sum(&p, sum);
        put_director(&p, d);
    }
    rec_writer_free(p.w);
    if (p.error)
        return p.error;
    return name && !any ? -ENOENT : 0;
}
