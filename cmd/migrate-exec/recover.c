/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/recover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/commit.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/signals.h"
#include "cmd/migrate-exec/standby.h"
#include "cmd/migrate-exec/status.h"
#include "cmd/migrate-exec/story.h"
#include "cmd/migrate-exec/takeover.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    DRIVER_MS = 15 * 1000, /* how long a driver may take to notice that it was aborted */
    NAP_MS = 20,
};

/* ---- resume ---- */

static bool to_resume(const struct story *s)
{
    return !event_is_final(s->last.event) || (s->switched && !s->retired);
}

/*
 * Nobody but an operator can say.  Said once in the history; and over when the operator has set a
 * steady route at a later epoch.
 */
static enum outcome still_manual(struct move *m, const struct story *s, struct route *route)
{
    bool before = s->last.event == EVENT_MANUAL_RECOVERY;
    if (before && route->epoch > m->epoch && route->state == ROUTE_STATE_STEADY) {
        err_warn("'%s' is over: the store says %s at epoch %llu", m->id, route->gateway,
                 (unsigned long long)route->epoch);
        return SETTLED;
    }
    enum outcome o = place_unknown(m, route);
    if (!before)
        return place_report(m, o);
    err_warn("'%s': %s", m->id, m->why);
    return o;
}

/* The store has the change of owner: what remains is to say so. */
static enum outcome roll_forward(struct move *m, struct story *s, struct route *route)
{
    enum outcome o = place_ask_director(m, route);
    if (o != GO)
        return place_report(m, o);
    if (s->shared)
        return s->switched ? shared_retire(m) : shared_finish(m);
    if (s->committing)
        return commit_switched(m, s, route, s->disposal);
    takeover_recall(m, s);
    return s->switched ? move_retire(m) : move_finish(m);
}

/* From the beginning, if the configuration still has nothing against it. */
static enum outcome drive_again(struct move *m)
{
    char why[200];
    verify_ask(m);
    if (!admit_forbids(m->exec->fleet, m->volume, m->source, m->target, why, sizeof(why)))
        return move_drive(m, true);
    if (m->fenced) /* clients need not wait for an operator */
        shared_unfence(m);
    err_warn("cannot resume '%s': %s; migrate-exec --abort %s ends it", m->id, why, m->id);
    return DEFERRED;
}

/*
 * The one that was killed may have fenced the source.  If the director has the move still the
 * source is to be fenced in any case; otherwise it is let serve, or no director could open it.
 */
static enum outcome drive_fenced(struct move *m, const struct route *route)
{
    enum outcome o = place_ask_director(m, route);
    if (o == GO && !m->other_leg)
        o = shared_unfence(m);
    return o == GO ? drive_again(m) : place_report(m, o);
}

static enum outcome go_on(struct move *m, struct story *s)
{
    struct route route;
    enum outcome o;
    switch (place_of(m, &route)) {
    case ON_TARGET:
        return roll_forward(m, s, &route);
    case ON_SOURCE:
        if (s->switched)
            return still_manual(m, s, &route);
        o = m->ahead ? ahead_renew(m, s, &route) : GO;
        if (o != GO)
            return o;
        return m->fenced ? drive_fenced(m, &route) : drive_again(m);
    case SUPERSEDED:
        move_event(m, EVENT_FAILED, "a move to %s has taken its place", route.target);
        return FAILED;
    default:
        return still_manual(m, s, &route);
    }
}

/* The copy that a revert is to go back to was let go, by a commit of OLD, say. */
static bool copy_is_gone(struct move *m)
{
    struct route route;
    return place_of(m, &route) == ON_SOURCE && !place_keeps(&route, m->target);
}

/* The same of a revert, under the lock of what it takes back. */
static enum outcome go_on_back(struct move *m, struct story *s)
{
    struct move old;
    struct story old_story;
    move_init(&old, m->exec);
    memcpy(old.id, s->reverts, sizeof(old.id));
    enum outcome o = story_take(&old, &old_story);
    if (o == GO && story_set_move(&old, old.id, &old_story.last) < 0)
        o = FAILED;
    if (o == GO && !s->switched && copy_is_gone(m)) {
        move_event(m, EVENT_FAILED, "the copy on %s was let go meanwhile", m->target);
        err_warn("cannot resume '%s': the copy on '%s' was let go meanwhile", m->id, m->target);
        o = FAILED;
    }
    if (o == GO) {
        m->back = !old_story.shared;
        bool ended = old_story.last.event == EVENT_REVERTED;
        if (takeover_recall(m, s) && !ended)
            ended = takeover_end(&old, m) == 0;
        o = go_on(m, s);
        old.phase = PHASE_RETIRE;
        if (o == SWITCHED && !ended)
            move_note(&old, EVENT_REVERTED, "by %s", m->id);
    }
    move_release(&old);
    return o;
}

static enum outcome resume(struct move *m, struct story *s)
{
    struct route route;
    if (takeover_is(m, s, &route))
        return takeover_record(m, s, &route);
    if (behind_is(s))
        return behind_resume(m, s);
    if (to_resume(s))
        return s->reverts[0] ? go_on_back(m, s) : go_on(m, s);
    if (standby_is(s))
        return standby_renew(m, s);
    err_warn("'%s' has ended: %s", m->id, rec_event_words[s->last.event]);
    return SETTLED;
}

enum outcome recover_resume(const struct exec *x, const char *id)
{
    signals_catch();
    return story_with(x, id, story_take, resume);
}

static enum outcome cutover(struct move *m, struct story *s)
{
    struct route route;
    if (s->behind) {
        err_warn("'%s' is not deferred: its copy was left behind; see --resume", m->id);
        return FAILED;
    }
    /* The switch of a cutover that was killed may be in the store already. */
    bool deferred = s->any_public && s->public.event == EVENT_DEFERRED;
    bool open = to_resume(s);        /* else what is deferred by the route is another */
    bool standby = s->ahead && open; /* whether or not it does just now */
    m->ahead = false;
    if (deferred || standby ||
        (open && place_of(m, &route) == ON_SOURCE && route.state == ROUTE_STATE_DEFERRED)) {
        m->was_deferred = !standby || s->stood;
        m->hands_over = true;
        return resume(m, s);
    }
    err_warn("'%s' is not deferred: %s%s%s", m->id, rec_event_words[s->last.event],
             open ? "; go on with: migrate-exec --resume " : "", open ? m->id : "");
    return s->switched && s->retired ? SETTLED : FAILED;
}

enum outcome recover_cutover(const struct exec *x, const char *id)
{
    signals_catch();
    return story_with(x, id, story_take, cutover);
}

/* May anything be to be done of ID?  Also if its journal, which goes to S, can't be read. */
static bool is_open(const struct exec *x, const char *id, struct story *s)
{
    return story_load(x, id, s) < 0 ||
           (s->any && (to_resume(s) || standby_is(s) || behind_is(s) || takeover_is_new(x, id, s)));
}

void recover_each_open(const struct exec *x, recover_take *take, void *arg)
{
    char **ids;
    size_t n;
    size_t late = 0; /* so many of those that were looked at come later: the first */
    struct story s;
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        err_die(EX_OSERR, "cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
    for (size_t i = 0; i < n; i++) {
        char *id = ids[i];
        if (!is_open(x, id, &s))
            continue;
        if (s.ahead && !s.switched) {
            ids[i] = ids[late];
            ids[late++] = id;
        } else {
            take(arg, id, &s.last, false);
        }
    }
    for (size_t i = 0; i < late; i++)
        if (is_open(x, ids[i], &s))
            take(arg, ids[i], &s.last, true);
    journal_ids_free(ids, n);
}

struct resumption {
    const struct exec *x;
    enum outcome worst;
};

static void resume_next(void *arg, const char *id, const struct event *last, bool standby)
{
    struct resumption *all = arg;
    (void)last;
    (void)standby;
    if (signals_pending())
        return;
    enum outcome o = recover_resume(all->x, id);
    all->worst = o > all->worst ? o : all->worst;
}

enum outcome recover_resume_all(const struct exec *x)
{
    struct resumption all = {.x = x, .worst = GO};
    recover_each_open(x, resume_next, &all);
    return signals_pending() && all.worst < DEFERRED ? DEFERRED : all.worst;
}

/* ---- abort ---- */

/* A driver is at work: end the migration under it, and wait until it has noticed. */
static enum outcome abort_driven(struct move *m, struct story *s)
{
    enum outcome o = move_find_director(m);
    int r = o == GO ? director_abort(m->director) : 0;
    if (o != GO || (r < 0 && r != -ENOENT)) {
        err_warn("cannot abort '%s': %s", m->id, o == GO ? director_error(m->director) : m->why);
        return DEFERRED;
    }
    uint64_t deadline = clock_mono_us() + UINT64_C(1000) * DRIVER_MS;
    r = -EAGAIN;
    while (r == -EAGAIN && clock_mono_us() < deadline) {
        poll(NULL, 0, NAP_MS);
        r = journal_open(m->exec->dirs.state, m->id, false, &m->journal);
    }
    return r == 0 ? story_read(m->exec, m->id, s) : story_driven(m->id, s);
}

/*
 * Is what the director and the store may have under way for the volume this migration?  The route
 * is at its epoch; or the director took the volume back from a failed commit, at the next one, and
 * no other migration began from there.
 */
static bool may_be_under_way(struct move *m, enum place place, const struct route *route)
{
    char next[NAME_LEN_MAX + 1];
    struct event e;
    if (place == ON_SOURCE)
        return true;
    if (place != ELSEWHERE || route->epoch != m->epoch + 1 ||
        route->state == ROUTE_STATE_MANUAL_RECOVERY || strcmp(route->gateway, m->source) != 0 ||
        strcmp(route->target, m->target) != 0 ||
        migration_id(m->volume, route->epoch + 1, 1, next) < 0 ||
        journal_last(m->exec->dirs.state, next, &e) != -ENOENT)
        return false;
    m->epoch = route->epoch;
    return true;
}

static enum outcome abort_open(struct move *m, const struct story *s)
{
    struct route route;
    enum place place = place_of(m, &route);
    const char *who = m->exec->reason ? "for a row of a plan" : "by an operator";
    m->back = s->reverts[0] && !s->shared;
    if (s->switched || place == ON_TARGET) {
        err_warn("cannot abort '%s': it has switched to %s; see --commit and --resume", m->id,
                 m->target);
        return FAILED;
    }
    if (place == ELSEWHERE && !route.volume[0])
        return place_report(m, place_unknown(m, &route));
    if (may_be_under_way(m, place, &route)) {
        m->begun = true; /* for all we know */
        move_ends(m, FAILED, EVENT_ABORTED, "%s", who);
    } else {
        move_ends(m, FAILED, EVENT_ABORTED, "%s; nothing touched: %s at epoch %llu, %s", who,
                  route.gateway, (unsigned long long)route.epoch,
                  rec_route_state_words[route.state]);
        err_warn("'%s' is not under way any more: the store says %s at epoch %llu, %s", m->id,
                 route.gateway, (unsigned long long)route.epoch,
                 rec_route_state_words[route.state]);
    }
    enum outcome o = move_abort(m);
    return o == FAILED ? SETTLED : o;
}

/* As abort_open(), for the plan's row that takes its place, and not while its copy is needed. */
static enum outcome give_up(struct move *m, struct story *s)
{
    struct route route;
    if (!s->switched && event_is_final(s->last.event))
        return SETTLED; /* meanwhile, and what the director has open now is another's */
    enum outcome o = place_of(m, &route) == ON_SOURCE ? place_ask_director(m, &route) : GO;
    if (o == GO && m->owner_away)
        o = move_fails(m, "its owner %s is away, and %s may take its place", m->source, m->target);
    if (o == GO)
        return abort_open(m, s);
    err_warn("cannot give up '%s': %s", m->id, m->why);
    return o;
}

enum outcome recover_give_up(const struct exec *x, const char *id)
{
    return story_with(x, id, story_take, give_up);
}

static enum outcome abort_one(struct move *m, struct story *s)
{
    const struct exec *x = m->exec;
    int r = journal_open(x->dirs.state, m->id, false, &m->journal);
    if (r < 0 && r != -EAGAIN) {
        err_warn("cannot open the journal of '%s': %s", m->id, err_text(r));
        return FAILED;
    }
    enum outcome o = r == 0 ? story_read(x, m->id, s) : abort_driven(m, s);
    if (o != GO)
        return o;
    story_set_shared(m, s); /* it was read without the lock before */
    if (!s->switched && event_is_final(s->last.event)) {
        err_warn("'%s' has ended: %s", m->id, rec_event_words[s->last.event]);
        return r == 0 ? SETTLED : status_print(x, &s->last);
    }
    return abort_open(m, s);
}

enum outcome recover_abort(const struct exec *x, const char *id)
{
    return story_with(x, id, story_look, abort_one);
}
