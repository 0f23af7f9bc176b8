/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/trace.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/saturate.h"
#include "common/record/record.h"
#include "common/record/schema.h"

/* Of so many steps so few hold requests that they can't have come as the records say. */
static const double sparse_steps = 120, sparse = 0.2;

static uint32_t number(struct intern *names, const char *name)
{
    const long id = intern_add(names, name);
    err_need(id >= 0);
    return (uint32_t)id;
}

static size_t gateway_of(const struct fleet *f, const char *name)
{
    const long id = intern_find(&f->gateway_names, name);
    return id < 0 ? SIZE_MAX : (size_t)id;
}

static bool is_write(enum rec_op op)
{
    return op != OP_READ && op != OP_FLUSH;
}

static void take(struct trace *t, const struct fleet *fleet, const struct rec_reader *r,
                 const struct trace_how *how)
{
    const size_t known = t->volumes.n;
    const uint32_t v = number(&t->volumes, rec_text(r, ACCESS_VOLUME));
    if (t->volumes.n > known) {
        err_need(vec_room(&t->home, v, &t->home_cap, sizeof(*t->home)) == 0);
        t->home[v] = gateway_of(fleet, rec_text(r, ACCESS_GATEWAY));
    }
    const uint64_t n = rec_present(r, ACCESS_COUNT) ? rec_uint(r, ACCESS_COUNT) : 1;
    err_need(vec_room(&t->spans, t->n, &t->cap, sizeof(*t->spans)) == 0);
    t->spans[t->n++] = (struct trace_span){
        .from = how->step_s * floor(rec_real(r, ACCESS_TIME) / how->step_s),
        .volume = v,
        .site = number(&t->sites, fleet_site_of(fleet, rec_text(r, ACCESS_CLIENT))),
        .requests = n,
        .writes = is_write(rec_word(r, ACCESS_OP)) ? n : 0,
    };
}

static int in_order(const void *pa, const void *pb)
{
    const struct trace_span *a = pa, *b = pb;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->volume != b->volume)
        return a->volume < b->volume ? -1 : 1;
    return (a->site > b->site) - (a->site < b->site);
}

static bool same(const struct trace_span *a, const struct trace_span *b)
{
    return in_order(a, b) == 0;
}

static void add(struct trace_span *s, const struct trace_span *more)
{
    s->requests = saturate_sum(s->requests, more->requests);
    s->writes = saturate_sum(s->writes, more->writes);
}

/* Puts the spans in order; those of one volume, site and time become one. */
static void join(struct trace *t)
{
    size_t n = 0;
    qsort(t->spans, t->n, sizeof(*t->spans), in_order);
    for (size_t i = 0; i < t->n; i++) {
        struct trace_span *last = n ? &t->spans[n - 1] : NULL;
        if (!last || !same(last, &t->spans[i]))
            t->spans[n++] = t->spans[i];
        else
            add(last, &t->spans[i]);
    }
    t->n = n;
}

/* Counts of an hour, all in its first minute, are no load that a gateway would ever have. */
static void warn_if_sparse(const struct trace *t, double step_s)
{
    const double steps = (t->end - t->start) / step_s;
    size_t used = 1;
    for (size_t i = 1; i < t->n; i++)
        used += t->spans[i].from > t->spans[i - 1].from;
    if (steps > sparse_steps && (double)used < sparse * steps)
        err_warn("all requests are in %zu of %.0f steps; if records count those of an hour, use "
                 "--spread 1h",
                 used, steps);
}

int trace_read(struct trace *t, const struct fleet *fleet, char *const *paths, size_t n,
               const struct trace_how *how)
{
    struct rec_reader *r = rec_reader_new(&rec_access);
    int status = 0, got;
    bool counted = false;
    err_need(r != NULL);
    rec_reader_files(r, paths, n);
    while ((got = rec_reader_next(r)) != 0) {
        if (got > 0) {
            take(t, fleet, r, how);
            counted = counted || rec_uint(r, ACCESS_COUNT) > 1;
            continue;
        }
        status = rec_reader_status(r);
        if (got != -EBADMSG || !how->keep_going)
            err_die(status, "%s", rec_reader_error(r));
        err_warn("%s", rec_reader_error(r));
    }
    rec_reader_free(r);
    if (!t->n)
        return status;
    join(t);
    t->span_s = how->step_s * ceil(fmax(how->spread_s, how->step_s) / how->step_s);
    t->start = t->spans[0].from;
    t->end = t->spans[t->n - 1].from + t->span_s;
    if (counted && how->spread_s <= 0)
        warn_if_sparse(t, how->step_s);
    return status;
}

void trace_place(struct trace *t, const struct fleet *fleet, const char *path)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(&rec_route);
    int got;
    t->sizes = calloc(t->volumes.n + 1, sizeof(*t->sizes));
    err_need(r && t->sizes);
    rec_reader_files(r, paths, 1);
    while ((got = rec_reader_next(r)) > 0) {
        const long v = intern_find(&t->volumes, rec_text(r, ROUTE_VOLUME));
        const size_t g = gateway_of(fleet, rec_text(r, ROUTE_GATEWAY));
        if (v < 0)
            continue;
        if (g == SIZE_MAX)
            err_die(EX_DATAERR, "%s: gateway '%s' is not in gateways.csv", rec_reader_where(r),
                    rec_text(r, ROUTE_GATEWAY));
        t->home[v] = g;
        t->sizes[v] = rec_uint(r, ROUTE_SIZE_BYTES);
    }
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
}

void trace_release(struct trace *t)
{
    intern_release(&t->volumes);
    intern_release(&t->sites);
    free(t->spans);
    free(t->home);
    free(t->sizes);
    *t = (struct trace){0};
}
