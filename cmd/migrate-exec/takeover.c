/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/takeover.h"

#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/revert.h"
#include "common/base/error.h"

#define WHY "the kept copy took the place of a dead owner"

bool takeover_is(const struct move *m, const struct story *s, struct route *route)
{
    bool ended = s->last.event == EVENT_COMMITTED || s->last.event == EVENT_REVERTED;
    return s->switched && !s->shared && !ended && place_of(m, route) == TAKEN_OVER;
}

/* Is a way back to ROUTE's epoch open?  Then it is that which is gone on with. */
static bool way_back_is_open(const struct exec *x, const struct route *route)
{
    char id[NAME_LEN_MAX + 1];
    for (unsigned n = 1; migration_id(route->volume, route->epoch, n, id) == 0; n++) {
        struct event last;
        int r = journal_last(x->dirs.state, id, &last);
        if (r != 1 || !event_is_final(last.event))
            return r == 1;
    }
    return false;
}

/* The move of ID, by its story; it need not be released.  False: there is none. */
static bool set_move(struct move *m, const struct exec *x, const char *id, const struct story *s)
{
    move_init(m, x);
    snprintf(m->id, sizeof(m->id), "%s", id);
    return s->any && story_set_move(m, id, &s->last) == 0;
}

bool takeover_is_new(const struct exec *x, const char *id, const struct story *s)
{
    struct move m;
    struct route route;
    return set_move(&m, x, id, s) && takeover_is(&m, s, &route) && !way_back_is_open(x, &route);
}

/*
 * Does the director that promoted the owner live?  *BYTES: how much of the copy is not proved; all
 * of it, if nobody knows.
 */
static bool promoter_lives(const struct move *m, const struct route *route, uint64_t *bytes)
{
    struct director_status s;
    bool lives = m->director && director_status(m->director, &s) == 0 && s.promoted &&
                 s.epoch == route->epoch && strcmp(s.owner, route->gateway) == 0;
    *bytes = lives ? s.unproved : route->size_bytes;
    return lives;
}

int takeover_end(struct move *m, const struct move *back)
{
    m->phase = PHASE_RETIRE;
    return move_note(m, EVENT_REVERTED, "by %s: " WHY, back->id);
}

/*
 * Begun, so that --resume goes on with it; M ended; then the switch.  A kill in between leaves the
 * way back open, and nothing of M to be done.
 */
static enum outcome write_down(struct move *m, struct move *back)
{
    int r = move_event(back, EVENT_BEGIN, MOVE_REVERTS "%s" MOVE_REASON WHY, m->id);
    if (r == 0)
        r = verify_note(back);
    if (r == 0)
        r = takeover_end(m, back);
    return r < 0 ? DEFERRED : move_finish(back);
}

enum outcome takeover_record(struct move *m, struct story *s, const struct route *route)
{
    struct move back;
    enum outcome o = place_ask_director(m, route);
    if (o != GO) {
        err_warn("'%s': %s is said to have taken the place of %s at epoch %llu, but %s", m->id,
                 m->source, m->target, (unsigned long long)route->epoch, m->why);
        return o == MANUAL ? MANUAL : DEFERRED;
    }
    revert_set(&back, m, route);
    back.epoch = route->epoch - 1;
    back.terms.verify = route->verify;
    back.promoted = true;
    promoter_lives(m, route, &back.unproved);
    move_leave_director(m);
    o = revert_open(&back, m->id);
    if (o == GO) {
        err_warn("'%s': the copy on %s took the place of %s, which died: it is now '%s'", m->id,
                 m->source, m->target, back.id);
        o = write_down(m, &back);
    }
    if (o == SWITCHED)
        s->last.event = EVENT_REVERTED;
    move_release(&back);
    return o;
}

bool takeover_recall(struct move *m, const struct story *s)
{
    struct route route;
    uint64_t unproved;
    if (s->switched || s->shared || place_of(m, &route) != ON_TARGET ||
        route.state != ROUTE_STATE_UNCOMMITTED || /* which an operator's route is not */
        place_ask_director(m, &route) != GO ||
        (!promoter_lives(m, &route, &unproved) && s->asked)) /* that is the switch */
        return false;
    m->promoted = true;
    m->unproved = unproved;
    return true;
}

enum outcome takeover_refuse_commit(const struct move *m, const struct route *route)
{
    err_warn("cannot commit '%s': the copy on %s took the place of %s, which died, at epoch %llu; "
             "migrate-exec --resume %s records it",
             m->id, m->source, m->target, (unsigned long long)route->epoch, m->id);
    return FAILED;
}

bool takeover_describe(const struct exec *x, const char *id, struct event *e)
{
    struct story s;
    struct move m;
    struct route route;
    if (story_load(x, id, &s) < 0 || !set_move(&m, x, id, &s) || !takeover_is(&m, &s, &route))
        return false;
    snprintf(e->detail, sizeof(e->detail),
             "the copy on %.60s took the place of %.60s, which died, at epoch %llu; "
             "--resume records it",
             m.source, m.target, (unsigned long long)route.epoch);
    return true;
}
