/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"

void drains_add(struct drains *d, const char *gateway)
{
    char *name = strdup(gateway);
    if (!name || vec_room(&d->names, d->n, &d->cap, sizeof(*d->names)) < 0)
        err_die(EX_OSERR, "out of memory");
    d->names[d->n++] = name;
}

void drains_apply(struct drains *d, struct plan_fleet *f)
{
    d->fleet = f;
    d->leaving = calloc(f->gateway_names.n + 1, sizeof(*d->leaving));
    if (!d->leaving)
        err_die(EX_OSERR, "out of memory");
    for (size_t i = 0; i < d->n; i++)
        if (plan_fleet_drain(f, d->names[i]) < 0)
            err_die(EX_USAGE, "cannot drain '%s': it is not in gateways.csv", d->names[i]);
}

int drains_format(const struct drains *d, struct buf *b)
{
    int err = 0;
    for (size_t i = 0; !err && i < d->n; i++)
        err = buf_printf(b, "drain %s\n", d->names[i]);
    return err;
}

static int count_move(void *arg, const struct plan_move *m)
{
    struct drains *d = arg;
    if (m->kind == PLAN_KIND_MANDATORY || m->kind == PLAN_KIND_OPTIONAL)
        d->leaving[plan_case_volume(m->c)->owner]++;
    return d->next.move(d->next.arg, m);
}

static int pass_verdict(void *arg, const struct plan_verdict *v)
{
    struct drains *d = arg;
    return d->next.verdict(d->next.arg, v);
}

struct plan_sink drains_watch(struct drains *d, const struct plan_sink *next)
{
    d->next = *next;
    return (struct plan_sink){d, count_move, next->verdict ? pass_verdict : NULL};
}

static void note(const struct drains *d, size_t gateway)
{
    size_t owned = 0, kept = 0;
    for (size_t i = 0; i < d->fleet->volume_names.n; i++) {
        const struct plan_volume *v = &d->fleet->volumes[i];
        owned += v->owner == gateway;
        kept += v->state == ROUTE_STATE_UNCOMMITTED && v->other == gateway;
    }
    const char *down =
        d->fleet->gateways[gateway].state == GATEWAY_STATE_DOWN ? " is down and" : "";
    err_warn("drain: %s%s has %zu volumes and %zu kept copies; %zu leave by this plan",
             d->fleet->gateways[gateway].name, down, owned, kept, d->leaving[gateway]);
}

void drains_note(const struct drains *d)
{
    for (size_t i = 0; i < d->n; i++)
        note(d, plan_fleet_find(d->fleet, d->names[i]));
}

void drains_release(struct drains *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->names[i]);
    free(d->names);
    free(d->leaving);
    *d = (struct drains){0};
}
