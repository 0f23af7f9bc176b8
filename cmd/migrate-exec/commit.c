/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/commit.h"

#include <errno.h>
#include <string.h>

#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/lateproof.h"
#include "cmd/migrate-exec/left.h"
#include "cmd/migrate-exec/letgo.h"
#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/recover.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/signals.h"
#include "cmd/migrate-exec/story.h"
#include "cmd/migrate-exec/takeover.h"
#include "common/base/clock.h"
#include "common/base/error.h"

/* The director that has the volume open reads the route again. */
static void tell_director(struct move *m)
{
    int r = m->director ? director_reload(m->director) : 0;
    if (r < 0 && r != -ENOENT)
        err_warn("director did not reload '%s': %s", m->volume, director_error(m->director));
}

enum outcome commit_settle(struct move *m, struct route *route)
{
    int state = (int)route->state;
    route_settle(route);
    route->time = clock_now();
    int r = route_store_cas(m->exec->store, route->epoch, state, route, -1);
    if (r < 0) {
        err_warn("cannot commit '%s': route store: %s", m->id, err_text(r));
        return DEFERRED;
    }
    tell_director(m);
    return GO;
}

/*
 * An earlier commit got as far as the route.  Only the last event is missing: whatever the source
 * has now may be the export of a move that began since, so nothing there is touched.
 */
static enum outcome commit_settled(struct move *m)
{
    tell_director(m);
    int r = move_event(m, EVENT_COMMITTED, "let go on %s before an interruption", m->source);
    return r < 0 ? DEFERRED : SWITCHED;
}

/* The digest for a label: of what was switched to, if that is what was left behind (S12). */
static const char *known_digest(const struct story *s, const struct letgo *l)
{
    bool left = !s->promoted && !s->mirrored && !l->unknown;
    return left && s->digest[0] ? s->digest : "-";
}

int commit_note(struct move *m, const struct story *s, struct letgo *l)
{
    char detail[LABEL_DETAIL_SIZE];
    if (s->label[0] && s->disposal == l->disposal) {
        memcpy(l->label, s->label, sizeof(l->label));
        return 0;
    }
    int r = 0;
    if (s->label[0])
        memcpy(l->label, s->label, sizeof(l->label));
    else
        r = label_make(l->label, m->volume, m->epoch + 1, m->size_bytes, known_digest(s, l));
    label_note(detail, letgo_word(l->disposal), l->label, l->unknown);
    return r < 0 ? r : move_note(m, EVENT_BEGIN, "%s", detail);
}

/* The source is let go by the director only now; *L hears of a flush that failed. */
static enum outcome retire_now(struct move *m, struct letgo *l)
{
    struct event last = {.detail = ""};
    enum outcome o = move_retire(m);
    if (o == SWITCHED && journal_last(m->exec->dirs.state, m->id, &last) == 1)
        l->unknown = story_copy_is_unknown(&last);
    return o;
}

/* Why the copy stays as it is: M's reason. */
static enum outcome keep_unproved(const struct move *m, enum disposal disposal)
{
    err_warn("cannot commit '%s': %s; %s", m->id, m->why,
             disposal == DISPOSAL_REMOVE ? "what is not proved is not removed"
                                         : "--force lets the copy go unproved");
    return FAILED;
}

/*
 * No copy is let go before the proof of all blocks is in the journal, unless its owner was replaced
 * (S17) or --force says so: then it is kept, cold or in an archive, but not removed.  GO, or an
 * outcome with its message printed.
 */
static enum outcome prove_first(struct move *m, struct story *s, const struct route *route,
                                enum disposal disposal)
{
    if (route->verify == VERIFY_FULL || s->promoted ||
        (s->committing && disposal != DISPOSAL_REMOVE))
        return GO;
    if (s->proof.done)
        return GO;
    signals_catch();
    enum outcome o = late_proof(m, &s->proof);
    if (o == DEFERRED)
        err_warn("'%s': its proof was %s at %llu of %llu bytes; --commit goes on with it", m->id,
                 m->why, (unsigned long long)s->proof.until, (unsigned long long)m->size_bytes);
    if (o == DEFERRED || (o == FAILED && (disposal == DISPOSAL_REMOVE || !m->exec->force)))
        return o == DEFERRED ? o : keep_unproved(m, disposal);
    signals_release();
    return GO;
}

/*
 * What clients have overwritten was proved before the switch, or never.  Nor does a copy that a
 * mirror or a way back has written to tell what was switched to: it may have got whole blocks of
 * the owner's.  GO, or FAILED with its message printed.
 */
static enum outcome may_remove(struct move *m, const struct story *s, const struct route *route,
                               const struct letgo *l)
{
    bool weak = route->verify == VERIFY_NONE || (route->verify != VERIFY_FULL && s->reverts[0]);
    bool written = s->mirrored || l->unknown;
    if (l->disposal != DISPOSAL_REMOVE || !weak || (!written && !s->proof.changed))
        return GO;
    if (written)
        move_fails(m,
                   "the copy on %s was written to since the switch, maybe before it was compared",
                   m->source);
    else
        move_fails(m, "%llu bytes were written since the switch before they were compared",
                   (unsigned long long)s->proof.changed);
    return keep_unproved(m, l->disposal);
}

/*
 * Is the copy that, still?  While it was mirrored the director may have made it the owner (S17);
 * now that its mirror has ended it can't.  GO, or an outcome with its message printed.
 */
static enum outcome still_kept(struct move *m, struct route *route)
{
    enum place place = place_of(m, route);
    if (place == ON_TARGET && place_keeps(route, m->source))
        return GO;
    return place == TAKEN_OVER ? takeover_refuse_commit(m, route)
                               : place_report(m, place_unknown(m, route));
}

enum outcome commit_switched(struct move *m, struct story *s, struct route *route,
                             enum disposal disposal)
{
    struct letgo l = {.disposal = disposal, .again = s->committing, .unknown = s->unknown};
    char what[200];
    m->phase = PHASE_RETIRE;
    if (route->state != ROUTE_STATE_UNCOMMITTED)
        return commit_settled(m);
    /* A promotion (S17) is no proof: the old copy may be all there is to compare with. */
    if (s->promoted && disposal != DISPOSAL_COLD) {
        err_warn(
            "cannot commit '%s': it was promoted unproved, so its copy on %s is made cold only",
            m->id, m->source);
        return FAILED;
    }
    if (!s->retired && retire_now(m, &l) != SWITCHED)
        return DEFERRED;
    enum outcome o = prove_first(m, s, route, disposal);
    if (o == GO)
        o = may_remove(m, s, route, &l);
    if (o == GO && s->mirrored && !letgo_may_begin(m))
        return DEFERRED;
    if (o == GO && mirrored_end(m, &s->mirrored, &l.unknown) != GO)
        return DEFERRED;
    if (o == GO)
        o = still_kept(m, route);
    if (o == GO)
        o = may_remove(m, s, route, &l);
    if (o != GO)
        return o;
    bool unproved = route->verify != VERIFY_FULL && !s->proof.done;
    letgo_recall(&l, s->archived);
    if (commit_note(m, s, &l) < 0)
        return DEFERRED;
    o = letgo(m, &l, what, sizeof(what));
    if (o == GO)
        o = commit_settle(m, route);
    if (o == GO && move_event(m, EVENT_COMMITTED, "%s%s", what, unproved ? "; not proved" : "") < 0)
        o = DEFERRED;
    return o == GO ? SWITCHED : o;
}

/* There is no old copy: what the source had is what the owner has. */
static enum outcome commit_shared(struct move *m, const struct story *s)
{
    if (m->exec->disposal != DISPOSAL_COLD) {
        err_warn("cannot commit '%s': what is on %s is what %s serves: shared storage", m->id,
                 m->source, m->target);
        return FAILED;
    }
    err_warn("'%s' was on shared storage: there is no copy to let go", m->id);
    return s->retired ? SETTLED : shared_retire(m);
}

enum outcome commit_asked(struct move *m, struct story *s)
{
    struct route route;
    if (s->shared && s->switched)
        return commit_shared(m, s);
    if (story_say_ended(m, s))
        return s->last.event == EVENT_COMMITTED ? SETTLED : FAILED;
    enum place place = place_of(m, &route);
    if (!s->switched && place == ON_TARGET && !event_is_final(s->last.event)) {
        err_warn("cannot commit '%s' before migrate-exec --resume %s: its switch was interrupted",
                 m->id, m->id);
        return DEFERRED;
    }
    if (!s->switched) {
        err_warn("cannot commit '%s': it has not switched: %s", m->id,
                 rec_event_words[s->last.event]);
        return FAILED;
    }
    if (place == TAKEN_OVER)
        return takeover_refuse_commit(m, &route);
    if (s->behind && !(place == ON_TARGET && place_keeps(&route, m->source)))
        return behind_finish(m, s, DEFERRED);
    if (place != ON_TARGET)
        return place_report(m, place_unknown(m, &route));
    enum outcome o = place_ask_director(m, &route);
    if (o == GO && m->other_leg && route.state == ROUTE_STATE_UNCOMMITTED) {
        err_warn("cannot commit '%s': it is being reverted; migrate-exec --abort ends that", m->id);
        return DEFERRED;
    }
    /* The owner may never come back: then the copy is all there is, or what takes its place. */
    if (o == GO && m->owner_away && route.state == ROUTE_STATE_UNCOMMITTED) {
        err_warn(
            "cannot commit '%s': the owner's gateway %s is away, and the copy on %s may be all "
            "there is",
            m->id, m->target, m->source);
        return DEFERRED;
    }
    return o == GO ? commit_switched(m, s, &route, m->exec->disposal) : place_report(m, o);
}

enum outcome recover_commit(const struct exec *x, const char *id)
{
    return story_with(x, id, story_take, commit_asked);
}

/* Is ID's old copy kept, for longer than it was to be?  Asked of the store, too. */
static bool has_expired(const struct exec *x, const char *id, const struct story *s)
{
    struct route route;
    struct move m;
    if (s->last.event == EVENT_COMMITTED || s->standby || s->retain_until == 0 ||
        s->retain_until > clock_now())
        return false;
    move_init(&m, x);
    return story_set_move(&m, id, &s->last) == 0 && place_of(&m, &route) == ON_TARGET &&
           route.state == ROUTE_STATE_UNCOMMITTED;
}

/* Commits ID if it is time; records what has become of it without us. */
static enum outcome expire(const struct exec *x, const char *id)
{
    struct story s;
    const int r = story_load(x, id, &s);
    if (r == -ENOENT || (r == 0 && !s.any))
        return GO;
    if (r < 0)
        return story_read(x, id, &s); /* which says why */
    if (takeover_is_new(x, id, &s) || ahead_took_over(x, id, &s))
        return recover_resume(x, id);
    if (left_is_open(x, &s))
        return left_look(x, id);
    return has_expired(x, id, &s) ? recover_commit(x, id) : GO;
}

enum outcome recover_expire(const struct exec *x)
{
    char **ids;
    size_t n;
    enum outcome worst = GO;
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        err_die(EX_OSERR, "cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
    for (size_t i = 0; i < n; i++) {
        enum outcome o = expire(x, ids[i]);
        worst = o > worst ? o : worst;
        if (signals_pending())
            break;
    }
    journal_ids_free(ids, n);
    return worst;
}
