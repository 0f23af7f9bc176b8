/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"

int trace_init(struct trace *t)
{
    *t = (struct trace){.ring = calloc(TRACE_EVENTS, sizeof(*t->ring))};
    return t->ring ? 0 : -ENOMEM;
}

void trace_release(struct trace *t)
{
    free(t->ring);
    *t = (struct trace){0};
}

void trace_add(struct trace *t, struct event e)
{
    t->ring[t->n++ % TRACE_EVENTS] = e;
}

static bool touches(const struct event *e, const char *volume, uint64_t unit)
{
    if (!e->volume || !volume)
        return true;
    if (strcmp(e->volume, volume) != 0)
        return false;
    return !e->n || unit == UINT64_MAX || (unit >= e->first && unit - e->first < e->n);
}

static void print(const struct event *e, FILE *to)
{
    fprintf(to, "  %10.6f %s", (double)e->at_us / 1e6, e->what);
    if (e->volume)
        fprintf(to, " %s", e->volume);
    if (e->who)
        fprintf(to, " (%s)", e->who);
    if (e->conn)
        fprintf(to, " connection %u", e->conn);
    if (e->op)
        fprintf(to, " #%" PRIu64, e->op);
    if (e->n)
        fprintf(to, " units %" PRIu64 "+%" PRIu64, e->first, e->n);
    fprintf(to, "%s%s\n", e->error ? " " : "", err_name(e->error));
}

void trace_print(const struct trace *t, const char *volume, uint64_t unit, unsigned max, FILE *to)
{
    uint64_t oldest = t->n > TRACE_EVENTS ? t->n - TRACE_EVENTS : 0, from = t->n;
    for (unsigned found = 0; from > oldest && found < max; from--)
        found += touches(&t->ring[(from - 1) % TRACE_EVENTS], volume, unit);
    for (; from < t->n; from++)
        if (touches(&t->ring[from % TRACE_EVENTS], volume, unit))
            print(&t->ring[from % TRACE_EVENTS], to);
}
