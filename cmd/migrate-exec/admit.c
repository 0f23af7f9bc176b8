/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/admit.h"

#include <stdio.h>
#include <string.h>

/* By how much clocks may differ, as migrate-plan(1) has it of scores. */
static const double SKEW_S = 60;

/* The move that is open, by the route's state; NULL: none. */
static const char *open_move(enum rec_route_state s)
{
    switch (s) {
    case ROUTE_STATE_DEFERRED:
        return "a deferred move is open: see migrate-exec --status and --cutover";
    case ROUTE_STATE_MOVING:
        return "a move is open: see migrate-exec --status";
    default:
        return NULL;
    }
}

enum admission admit(const struct plan_row *r, const struct route *route, double now,
                     double max_age_s, char *why, size_t size)
{
    if (r->kind == PLAN_KIND_SHADOW) {
        snprintf(why, size, "a shadow row");
        return ADMIT_SKIP;
    }
    const char *open = route ? open_move(route->state) : NULL;
    if (!route)
        snprintf(why, size, "the volume has no route");
    else if (strcmp(r->source, r->target) == 0)
        snprintf(why, size, "source and target are the same");
    else if (now - r->time > max_age_s)
        snprintf(why, size, "the row is %.0f s old", now - r->time);
    else if (r->time - now > max_age_s + SKEW_S)
        snprintf(why, size, "the row is dated %.0f s ahead: clocks apart", r->time - now);
    else if (r->epoch != route->epoch)
        snprintf(why, size, "the row is of epoch %llu, the route at %llu",
                 (unsigned long long)r->epoch, (unsigned long long)route->epoch);
    else if (strcmp(r->source, route->gateway) != 0)
        snprintf(why, size, "the volume is on %s, not on %s", route->gateway, r->source);
    else if (route->state == ROUTE_STATE_MANUAL_RECOVERY)
        snprintf(why, size, "it is in manual recovery");
    else if (!(r->not_before <= now)) {
        snprintf(why, size, "not before %.0f", r->not_before);
        return ADMIT_LATER; /* what is open may be a standby's, or over by then */
    } else if (open) {
        snprintf(why, size, "%s", open);
        return ADMIT_OPEN;
    } else
        return route->state == ROUTE_STATE_UNCOMMITTED ? ADMIT_KEPT : ADMIT_NOW;
    return ADMIT_NEVER;
}

bool admit_forbids(const struct fleet *f, const char *volume, const char *source,
                   const char *target, char *why, size_t size)
{
    const struct fleet_gateway *to = fleet_gateway(f, target);
    if (!to || !fleet_gateway(f, source))
        snprintf(why, size, "gateway '%s' is not in gateways.csv", to ? source : target);
    else if (to->state != GATEWAY_STATE_ACTIVE)
        snprintf(why, size, "gateways.csv has %s as %s: it takes no new volume", target,
                 rec_gateway_state_words[to->state]);
    else if (!fleet_allowed(f, volume, target))
        snprintf(why, size, "volumes.csv does not allow it on %s", target);
    else
        return false;
    return true;
}
