/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/signals.h"
#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/revert.h"
#include "cmd/migrate-exec/story.h"
#include "cmd/migrate-exec/takeover.h"
#include "common/base/error.h"

/* GO, or why the switched migration M can't be taken back now, said. */
static enum outcome may_revert(struct move *m, const struct story *s, struct route *route)
{
    if (story_say_ended(m, s))
        return FAILED;
    if (!s->switched || s->committing || s->behind) {
        err_warn("cannot revert '%s': %s", m->id,
                 s->behind     ? "its copy was left behind"
                 : s->switched ? "its --commit was begun"
                               : "it has not switched");
        return FAILED;
    }
    if (place_of(m, route) != ON_TARGET || !place_keeps(route, m->source)) {
        err_warn("cannot revert '%s': the store says %s at epoch %llu, %s", m->id, route->gateway,
                 (unsigned long long)route->epoch, rec_route_state_words[route->state]);
        return FAILED;
    }
    enum outcome o = place_ask_director(m, route);
    if (o != GO) {
        err_warn("cannot revert '%s': %s", m->id, m->why);
        return o == MANUAL ? MANUAL : DEFERRED;
    }
    return s->retired || move_retire(m) == SWITCHED ? GO : DEFERRED;
}

/* The same on shared storage, where nothing is kept: it is moved again, the other way. */
static enum outcome may_revert_shared(struct move *m, const struct story *s, struct route *route)
{
    if (s->last.event == EVENT_REVERTED) {
        story_say_ended(m, s);
        return FAILED;
    }
    if (place_of(m, route) == ON_TARGET && route->state == ROUTE_STATE_STEADY)
        return GO;
    err_warn("cannot revert '%s': the store says %s at epoch %llu, %s", m->id, route->gateway,
             (unsigned long long)route->epoch, rec_route_state_words[route->state]);
    return FAILED;
}

void revert_set(struct move *back, const struct move *m, const struct route *route)
{
    move_init(back, m->exec);
    memcpy(back->volume, m->volume, sizeof(back->volume));
    memcpy(back->source, m->target, sizeof(back->source));
    memcpy(back->target, m->source, sizeof(back->target));
    back->epoch = route->epoch;
    back->size_bytes = route->size_bytes;
    back->terms.no_flush[0] = m->terms.no_flush[1];
    back->terms.no_flush[1] = m->terms.no_flush[0];
}

enum outcome revert_open(struct move *back, const char *old)
{
    const char *state = back->exec->dirs.state;
    int r = -ENAMETOOLONG;
    for (unsigned n = 1; migration_id(back->volume, back->epoch + 1, n, back->id) == 0; n++) {
        struct event last;
        r = journal_last(state, back->id, &last);
        if (r == 1 && event_is_final(last.event))
            continue;
        if (r == 1) {
            err_warn("'%s' is open: migrate-exec --resume %s, or --abort %s", back->id, back->id,
                     back->id);
            return DEFERRED;
        }
        r = r == 0 || r == -ENOENT ? journal_open(state, back->id, true, &back->journal) : r;
        break;
    }
    if (r == 0)
        return GO;
    err_warn("cannot revert '%s': journal '%s': %s", old, back->id, err_text(r));
    return FAILED;
}

/* Both journals are open.  The old one is told first: from now on its copy may be written to. */
static enum outcome drive_back(struct move *old, struct move *back)
{
    int r = old->shared
                ? 0
                : move_note(old, EVENT_SWITCHED, "copy on %s is unknown: %s may have written to it",
                            old->source, back->id);
    if (r < 0)
        return DEFERRED;
    back->back = !old->shared;
    back->was_shared = old->shared;
    const char *why = back->exec->reason;
    snprintf(back->reason, sizeof(back->reason), MOVE_REVERTS "%s%s%s", old->id,
             why && *why ? MOVE_REASON : "", why ? why : "");
    enum outcome o = move_drive(back, false);
    if (o == SWITCHED)
        move_note(old, EVENT_REVERTED, "by %s", back->id);
    return o;
}

static enum outcome revert(struct move *m, struct story *s)
{
    struct move back;
    struct route route;
    char why[200];
    bool shared = s->shared && s->switched;
    if (takeover_is(m, s, &route))
        return takeover_record(m, s, &route);
    enum outcome o = shared ? may_revert_shared(m, s, &route) : may_revert(m, s, &route);
    if (o != GO)
        return o;
    if (admit_forbids(m->exec->fleet, m->volume, m->target, m->source, why, sizeof(why))) {
        err_warn("cannot revert '%s': %s", m->id, why);
        return FAILED;
    }
    move_leave_director(m);
    m->phase = PHASE_RETIRE;
    revert_set(&back, m, &route);
    back.terms.verify = verify_choose(m->exec, false, true);
    o = revert_open(&back, m->id);
    if (o == GO)
        o = drive_back(m, &back);
    move_release(&back);
    return o;
}

enum outcome recover_revert(const struct exec *x, const char *id)
{
    signals_catch();
    return story_with(x, id, story_take, revert);
}
