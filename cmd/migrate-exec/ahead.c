/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/ahead.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/cutover.h"
#include "cmd/migrate-exec/foresee.h"
#include "cmd/migrate-exec/lost.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

/* What a standby lacks at most without help of ours: the director has it keep up. */
enum { LAG_BYTES = 64 << 20 };

/* No other event of this phase is a pass with such a detail. */
#define NOTE "standby, to be mirrored and not handed over"

int ahead_note(struct move *m)
{
    return move_note(m, EVENT_PASS, NOTE);
}

bool ahead_says(const struct event *e)
{
    return e->event == EVENT_PASS && e->phase == PHASE_REDIRECT && strcmp(e->detail, NOTE) == 0;
}

/* Bytes that the target does not have. */
static uint64_t lacks(const struct director_status *s)
{
    return s->dirty + s->copying + s->haunted;
}

enum outcome ahead_stand(struct move *m)
{
    struct director_status s;
    char rest[96] = "";
    enum outcome o = cutover_converge(m);
    if (o != GO)
        return o;
    int r = director_status(m->director, &s);
    if (r < 0)
        return move_director_failed(m, r);
    uint64_t lag = lacks(&s);
    if (lag > 0)
        snprintf(rest, sizeof(rest), " but for %llu bytes, which the director copies",
                 (unsigned long long)lag);
    return move_ends(m, SETTLED, EVENT_DEFERRED,
                     REC_STANDS_BY ": mirrored%s, to take the place of %s when it is dead, or at "
                                   "--cutover",
                     rest, m->source);
}

/* ---- resume ---- */

static enum outcome not_now(const struct move *m, const char *why)
{
    err_warn("'%s': %s does not stand by: %s", m->id, m->target, why);
    return SETTLED;
}

/* Nothing is begun that could not go on: each try would be an event of the history. */
static enum outcome look_ahead(const struct move *m)
{
    struct move look;
    move_init(&look, m->exec);
    memcpy(look.id, m->id, sizeof(look.id));
    memcpy(look.volume, m->volume, sizeof(look.volume));
    memcpy(look.source, m->source, sizeof(look.source));
    memcpy(look.target, m->target, sizeof(look.target));
    look.size_bytes = m->size_bytes;
    look.epoch = m->epoch;
    look.terms = m->terms;
    enum outcome o = foresee(&look);
    if (o == GO && look.shared)
        o = move_fails(&look, AHEAD_SHARED, look.source, look.target);
    if (o != GO)
        o = not_now(m, look.why);
    move_release(&look);
    return o;
}

/* The director mirrors to it, but it lacks much, or may not be flushed, or the route is not
 * marked. */
static enum outcome catch_up(struct move *m, const struct route *route)
{
    uint64_t bytes = 0;
    enum outcome o = move_catch_up(m, &bytes);
    if (o != GO)
        not_now(m, m->why);
    if (o != GO)
        return signals_pending() || m->gives_way[0] ? DEFERRED : SETTLED;
    if (!m->attached)
        return look_ahead(m);
    if (route->state != ROUTE_STATE_DEFERRED && director_defer(m->director) < 0)
        return not_now(m, director_error(m->director));
    if (bytes)
        err_warn("'%s': %s, which stands by, has caught up %llu bytes", m->id, m->target,
                 (unsigned long long)bytes);
    return SETTLED;
}

/* Does E say that it stands by?  What lagged then the director has copied since, or does. */
static bool stands(const struct event *e)
{
    return e->event == EVENT_DEFERRED &&
           strncmp(e->detail, REC_STANDS_BY, strlen(REC_STANDS_BY)) == 0;
}

/*
 * What the director has no leg to can't be had.  As after the loss of a target that was mirrored
 * the route says that nobody stands by; the journal has whom --resume tries again.
 */
static enum outcome settle(struct move *m, const struct route *route)
{
    bool marked = route->state == ROUTE_STATE_DEFERRED || route->state == ROUTE_STATE_MOVING;
    int r = marked && !signals_pending() ? move_settle(m, true) : 0;
    if (r < 0)
        err_warn("the route of '%s' goes on saying %s: %s", m->volume,
                 rec_route_state_words[route->state], err_text(r));
    return SETTLED;
}

/* Does the director say that it serves M's source, with no move? */
static bool is_idle(const struct move *m, const struct director_status *s)
{
    return strcmp(s->phase, "steady") == 0 && strcmp(s->target, "-") == 0 && s->here &&
           s->epoch == m->epoch && strcmp(s->owner, m->source) == 0;
}

/*
 * Nothing mirrors to it, and it could be begun anew.  If the route, which is steady then, says that
 * it was lost, that is noted, once; too soon after that nothing is done.
 */
static enum outcome begin_anew(struct move *m, const struct story *story, const struct route *route)
{
    struct lost lost = story->lost;
    char what[200];
    bool noted = lost_get(&story->last, &lost);
    if (stands(&story->last) && route->state == ROUTE_STATE_STEADY) {
        double stood_s = route->time - story->last.time;
        lost_add(&lost, stood_s, route->time);
        lost_put(what, sizeof(what), &lost, stood_s);
        m->phase = PHASE_REPLICATE;
        if (move_note(m, EVENT_STALLED, "%s", what) < 0)
            return DEFERRED;
        noted = true;
    }
    double left_s = lost_left_s(&lost, clock_now());
    if (left_s > 0) {
        snprintf(what, sizeof(what), "it was lost %u times in a row: again in %.0f s", lost.times,
                 left_s);
        return not_now(m, what);
    }
    if (noted && !m->own.reason) {
        snprintf(m->reason, sizeof(m->reason), REC_WAS_LOST "%u time%s in a row", lost.times,
                 lost.times > 1 ? "s" : "");
        m->own.reason = m->reason;
    }
    return GO;
}

enum outcome ahead_renew(struct move *m, const struct story *story, const struct route *route)
{
    struct director_status s;
    if (move_find_director(m) != GO)
        return not_now(m, m->why);
    int r = director_status(m->director, &s);
    if (r < 0 && r != -ENOENT)
        return not_now(m, director_error(m->director));
    if (r == -ENOENT || is_idle(m, &s)) {
        enum outcome o = look_ahead(m);
        return o == GO ? begin_anew(m, story, route) : settle(m, route);
    }
    if (strcmp(s.target, m->target) != 0 || strcmp(s.phase, "replicate") == 0 ||
        strcmp(s.phase, "failed") == 0)
        return look_ahead(m);
    if (!s.here)
        return not_now(m, "its owner is away");
    if (strcmp(s.phase, "mirror") != 0)
        return not_now(m, "the director is about to decide who the owner is");
    if (!stands(&story->last))
        return look_ahead(m);
    uint64_t lag = lacks(&s);
    bool keeps_up = lag > 0 && lag <= LAG_BYTES && !s.unflushed;
    bool fine = s.promotable || keeps_up; /* else it may be to be flushed, which no director does */
    return fine && route->state == ROUTE_STATE_DEFERRED ? SETTLED : catch_up(m, route);
}

/* ---- afterwards ---- */

bool ahead_took_over(const struct exec *x, const char *id, const struct story *s)
{
    struct move m;
    struct route route;
    if (!s->ahead || s->switched || event_is_final(s->last.event))
        return false;
    move_init(&m, x);
    snprintf(m.id, sizeof(m.id), "%s", id);
    return story_set_move(&m, id, &s->last) == 0 && place_of(&m, &route) == ON_TARGET &&
           route.state == ROUTE_STATE_UNCOMMITTED;
}

void ahead_describe(const struct exec *x, const char *id, struct event *e)
{
    struct story s;
    struct route route;
    if (!stands(e) || story_load(x, id, &s) < 0 || !s.ahead || !x->store ||
        route_store_get(x->store, e->volume, &route) != 1)
        return;
    if (ahead_took_over(x, id, &s))
        snprintf(e->detail, sizeof(e->detail),
                 "%.60s has taken the place of %.60s, which died, at epoch %llu; "
                 "--resume records it",
                 e->target, e->source, (unsigned long long)route.epoch);
    else if (route.state != ROUTE_STATE_DEFERRED)
        snprintf(e->detail, sizeof(e->detail),
                 "does not stand by: the route is %s; --resume has %.60s mirrored again",
                 rec_route_state_words[route.state], e->target);
}
