/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/place.h"

#include <errno.h>
#include <string.h>

#include "cmd/migrate-exec/missing.h"
#include "cmd/migrate-exec/story.h"
#include "common/base/error.h"

/* Is a copy kept on GATEWAY? */
bool place_keeps(const struct route *r, const char *gateway)
{
    return r->state == ROUTE_STATE_UNCOMMITTED && strcmp(r->target, gateway) == 0;
}

/* Has a migration of the volume switched to EPOCH, by its journal?  Also if that can't be read. */
static bool has_switched_to(const struct move *m, uint64_t epoch)
{
    char id[NAME_LEN_MAX + 1];
    for (unsigned n = 1; migration_id(m->volume, epoch, n, id) == 0; n++) {
        struct story s;
        int r = story_load(m->exec, id, &s);
        if (r == -ENOENT)
            return false;
        if (r < 0 || s.switched)
            return true;
    }
    return true;
}

/* Does no journal know of a switch after M's, up to the route's epoch? */
static bool is_last_switch(const struct move *m, const struct route *route)
{
    for (uint64_t e = m->epoch + 2; e <= route->epoch; e++)
        if (has_switched_to(m, e))
            return false;
    return true;
}

/*
 * The volume is where M brought it, and M's copy is kept, at a later epoch: each way back so far
 * was in doubt, and ended with the director's taking the volume back (S1).
 */
static bool still_on_target(const struct move *m, const struct route *route)
{
    return strcmp(route->gateway, m->target) == 0 && route->epoch > m->epoch &&
           place_keeps(route, m->source) && is_last_switch(m, route);
}

/*
 * The volume is where it was before M, with the copy on M's target kept.  A record of that kind is
 * written by directors alone, route-set(1) makes steady ones; and a switch that we had asked for
 * would be that of a journal.
 */
static bool taken_over(const struct move *m, const struct route *route)
{
    return strcmp(route->gateway, m->source) == 0 && route->epoch > m->epoch + 1 &&
           place_keeps(route, m->target) && is_last_switch(m, route);
}

enum place place_of(const struct move *m, struct route *route)
{
    *route = (struct route){.epoch = 0};
    if (!m->exec->store || route_store_get(m->exec->store, m->volume, route) != 1)
        return ELSEWHERE;
    if (route->epoch == m->epoch + 1 && strcmp(route->gateway, m->target) == 0)
        return ON_TARGET;
    if (still_on_target(m, route))
        return ON_TARGET;
    if (taken_over(m, route))
        return TAKEN_OVER;
    if (route->epoch != m->epoch || strcmp(route->gateway, m->source) != 0 ||
        route->state == ROUTE_STATE_MANUAL_RECOVERY)
        return ELSEWHERE;
    bool other = route->target[0] && strcmp(route->target, m->target) != 0;
    return other ? SUPERSEDED : ON_SOURCE;
}

/*
 * Does the director that has the volume open agree with the store about its owner?  GO also when
 * nobody serves it.
 */
enum outcome place_ask_director(struct move *m, const struct route *route)
{
    struct director_status s;
    char path[128];
    if (move_find_director(m) != GO) {
        int held = route_serve_holder(m->exec->dirs.state, m->volume, path, sizeof(path));
        return held == 0 ? GO : UNAVAILABLE;
    }
    int r = director_status(m->director, &s);
    if (r == -ENOENT)
        return GO;
    if (r < 0)
        return move_director_failed(m, r);
    m->other_leg = s.target[0] && strcmp(s.target, "-") != 0;
    m->owner_away = !s.here;
    if (strcmp(s.phase, "doubt") == 0 || strcmp(s.phase, "commit") == 0)
        return move_stalls(m, "the director is still in doubt about the switch");
    if (s.epoch == route->epoch && strcmp(s.owner, route->gateway) == 0) {
        m->pause_us = s.pause_us;
        m->has_pause = s.pause_us > 0;
        return GO;
    }
    return move_ends(m, MANUAL, EVENT_MANUAL_RECOVERY,
                     "the director serves %s at epoch %llu, the store says %s at %llu", s.owner,
                     (unsigned long long)s.epoch, route->gateway, (unsigned long long)route->epoch);
}

enum outcome place_unknown(struct move *m, const struct route *route)
{
    if (!route->volume[0])
        return move_ends(m, MANUAL, EVENT_MANUAL_RECOVERY,
                         "the store has no readable record of the volume; nothing touched");
    return move_ends(m, MANUAL, EVENT_MANUAL_RECOVERY,
                     "the store says %s at epoch %llu, %s; nothing touched", route->gateway,
                     (unsigned long long)route->epoch, rec_route_state_words[route->state]);
}

/* Writes the event of an outcome found here, not by move_drive(), and says it. */
enum outcome place_report(struct move *m, enum outcome o)
{
    if (o == MANUAL)
        missing_describe(m->exec, m->volume, m->why, sizeof(m->why));
    if (o == MANUAL || o == DEFERRED)
        move_event(m, m->ending, "%s", m->why);
    err_warn("'%s': %s", m->id, m->why);
    return o;
}
