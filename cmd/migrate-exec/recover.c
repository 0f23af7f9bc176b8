/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/recover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/lateproof.h"
#include "cmd/migrate-exec/letgo.h"
#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/missing.h"
#include "cmd/migrate-exec/retain.h"
#include "cmd/migrate-exec/seal.h"
#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/sides.h"
#include "cmd/migrate-exec/signals.h"
#include "cmd/migrate-exec/status.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    DRIVER_MS = 15 * 1000, /* how long a driver may take to notice that it was aborted */
    NAP_MS = 20,
};

/* What a journal tells. */
struct story {
    struct event last;
    bool any;
    struct terms terms;
    bool switched; /* the change of owner is in it */
    bool promoted; /* ... by the director, since the source was dead */
    bool retired;  /* ... and that the source was let go */
    bool shared;   /* nothing was copied */
    bool fenced;   /* ... and the source may be fenced */
    bool committing;
    struct late_proof proof;
    double retain_until;    /* 0: not said, or no copy is kept */
    enum disposal disposal; /* what the commit in it is to do with the copy ... */
    char label[LABEL_SIZE]; /* ... and the label that it gives to it; "" if none */
    char digest[SEAL_TEXT]; /* of what the owner left; "" if not known */
    bool unknown;           /* the source's copy: its flush failed, or a revert wrote to it */
    bool mirrored;          /* it was to be */
    char archived[256];     /* the detail of what was read of the copy, or packed */
    struct event public;    /* the last that belongs into the history, too; if any */
    char reverts[NAME_LEN_MAX + 1]; /* the migration that this one takes back; "": none */
    bool any_public;
};

/* Is E a note for the journal alone (move_note)? */
static bool is_note(const struct event *e)
{
    struct terms t;
    if (e->phase == PHASE_REDIRECT)
        return strcmp(e->detail, MOVE_TAKES_EXPORT) == 0 || verify_of_note(e->detail, &t);
    return late_proof_is_note(e) ||
           (e->phase == PHASE_RETIRE &&
            (e->event == EVENT_BEGIN || e->event == EVENT_SWITCHED || e->event == EVENT_REVERTED));
}

/* Does E, the end of the source's connections, say that its flush failed? */
static bool copy_is_unknown(const struct event *e)
{
    return strstr(e->detail, "is unknown") != NULL;
}

/* The note in front of a commit. */
static void take_commit(const struct event *e, struct story *s)
{
    s->committing = true;
    s->disposal = letgo_disposal(e->detail);
    label_of_note(e->detail, s->label, NULL);
}

static int take_event(const struct event *e, void *arg)
{
    struct story *s = arg;
    /* A proof of what has switched changes nothing of where the migration stands. */
    bool proof = late_proof_take(e, &s->proof);
    bool first = !s->any;
    if (!proof)
        s->last = *e;
    s->any = true;
    const size_t skip = strlen(MOVE_REVERTS);
    bool begins = e->event == EVENT_BEGIN && e->phase == PHASE_REDIRECT;
    if (begins && !first) /* the first has the plan's reason, whatever that is */
        verify_of_note(e->detail, &s->terms);
    if (begins && strncmp(e->detail, MOVE_REVERTS, skip) == 0)
        snprintf(s->reverts, sizeof(s->reverts), "%s", e->detail + skip);
    if (!is_note(e)) {
        s->public = *e;
        s->any_public = true;
    }
    s->shared = s->shared || shared_says(e);
    s->fenced = s->shared && shared_fence_of(e, s->fenced);
    if (s->shared && e->event == EVENT_COMMITTED)
        s->retired = true;
    if (e->event == EVENT_SWITCHED && e->phase == PHASE_RETIRE) {
        s->retired = true;
        retain_get(e, &s->retain_until);
        s->unknown = s->unknown || copy_is_unknown(e);
        s->mirrored = mirrored_get(e, s->mirrored);
    }
    if (e->event == EVENT_SWITCHED && e->phase != PHASE_RETIRE) {
        s->switched = true;
        s->promoted = strstr(e->detail, "; promoted as ") != NULL;
        seal_of(e->detail, s->digest);
    }
    if (e->event == EVENT_PASS && e->phase == PHASE_RETIRE && !proof)
        snprintf(s->archived, sizeof(s->archived), "%s", e->detail);
    if (e->event == EVENT_BEGIN && e->phase == PHASE_RETIRE)
        take_commit(e, s);
    return 0;
}

/* Reads ID's journal: GO, or an outcome with its message printed. */
static enum outcome read_story(const struct exec *x, const char *id, struct story *s)
{
    *s = (struct story){.any = false};
    int r = journal_each(x->dirs.state, id, take_event, s);
    if (r == -ENOENT || r == -EINVAL) {
        err_warn("no such migration '%s'", id);
        return FAILED;
    }
    if (r < 0) {
        err_warn("cannot read the journal of '%s': %s", id,
                 r == -EBADMSG ? "a damaged record" : err_text(r));
        return MANUAL;
    }
    if (s->any)
        return GO;
    err_warn("migration '%s' was never begun", id);
    return SETTLED;
}

/* Who drives ID, by its last event. */
static enum outcome say_driven(const char *id, const struct story *s)
{
    err_warn("'%s' is driven by another process: %s", id, s->last.who);
    return DEFERRED;
}

/*
 * Locks the journal, then reads it: nobody writes to it any more.  The history gets the event that
 * a killed run had no time to put there.
 */
static enum outcome take_journal(struct move *m, struct story *s)
{
    const struct exec *x = m->exec;
    enum outcome o = read_story(x, m->id, s);
    if (o != GO)
        return o;
    int r = journal_open(x->dirs.state, m->id, false, &m->journal);
    if (r == -EAGAIN)
        return say_driven(m->id, s);
    if (r < 0) {
        err_warn("cannot open the journal of '%s': %s", m->id, err_text(r));
        return FAILED;
    }
    o = read_story(x, m->id, s);
    r = o == GO && s->any_public ? history_complete(x->dirs.state, &s->public) : 0;
    if (r < 0)
        err_warn("cannot append to '%s/history.csv': %s", x->dirs.state, err_text(r));
    return o;
}

/* Sets M to the migration ID as its last event E names it.  0 or -EINVAL. */
static int set_move(struct move *m, const char *id, const struct event *e)
{
    uint64_t epoch;
    if (migration_epoch(id, &epoch) < 0 || epoch == 0)
        return -EINVAL;
    snprintf(m->volume, sizeof(m->volume), "%s", e->volume);
    snprintf(m->source, sizeof(m->source), "%s", e->source);
    snprintf(m->target, sizeof(m->target), "%s", e->target);
    m->epoch = epoch - 1;
    m->size_bytes = e->bytes_total;
    m->dirty = e->bytes_total - (e->bytes_done < e->bytes_total ? e->bytes_done : e->bytes_total);
    m->phase = e->phase;
    return 0;
}

/* Reads the journal without its lock: another run may be at work. */
static enum outcome look_only(struct move *m, struct story *s)
{
    return read_story(m->exec, m->id, s);
}

/* Opens migration ID by START, then does WORK on it. */
static enum outcome with_migration(const struct exec *x, const char *id,
                                   enum outcome (*start)(struct move *m, struct story *s),
                                   enum outcome (*work)(struct move *m, struct story *s))
{
    struct move m;
    struct story s;
    move_init(&m, x);
    snprintf(m.id, sizeof(m.id), "%s", id);
    enum outcome o = start(&m, &s);
    if (o == GO && set_move(&m, id, &s.last) < 0) {
        err_warn("no such migration '%s'", id);
        o = FAILED;
    }
    m.unsure = s.promoted || !s.switched;
    m.terms = m.noted = s.terms;
    m.shared = m.was_shared = s.shared;
    m.fenced = s.fenced && !s.switched;
    if (o == GO)
        o = work(&m, &s);
    move_release(&m);
    return o;
}

/* Is a copy kept on GATEWAY? */
static bool route_keeps(const struct route *r, const char *gateway)
{
    return r->state == ROUTE_STATE_UNCOMMITTED && strcmp(r->target, gateway) == 0;
}

/* Has a migration of the volume switched to EPOCH, by its journal?  Also if that can't be read. */
static bool has_switched_to(const struct move *m, uint64_t epoch)
{
    char id[NAME_LEN_MAX + 1];
    for (unsigned n = 1; migration_id(m->volume, epoch, n, id) == 0; n++) {
        struct story s = {.any = false};
        int r = journal_each(m->exec->dirs.state, id, take_event, &s);
        if (r == -ENOENT)
            return false;
        if (r < 0 || s.switched)
            return true;
    }
    return true;
}

/*
 * The volume is where M brought it, and M's copy is kept, at a later epoch: each way back so far
 * was in doubt, and ended with the director's taking the volume back (S1).
 */
static bool still_on_target(const struct move *m, const struct route *route)
{
    if (strcmp(route->gateway, m->target) != 0 || route->epoch <= m->epoch ||
        !route_keeps(route, m->source))
        return false;
    for (uint64_t e = m->epoch + 2; e <= route->epoch; e++)
        if (has_switched_to(m, e))
            return false;
    return true;
}

/* Where the store says the volume is. */
enum place { ON_SOURCE, ON_TARGET, SUPERSEDED, ELSEWHERE };

static enum place locate(const struct move *m, struct route *route)
{
    *route = (struct route){.epoch = 0};
    if (!m->exec->store || route_store_get(m->exec->store, m->volume, route) != 1)
        return ELSEWHERE;
    if (route->epoch == m->epoch + 1 && strcmp(route->gateway, m->target) == 0)
        return ON_TARGET;
    if (still_on_target(m, route))
        return ON_TARGET;
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
static enum outcome ask_director(struct move *m, const struct route *route)
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

static enum outcome give_to_operator(struct move *m, const struct route *route)
{
    if (!route->volume[0])
        return move_ends(m, MANUAL, EVENT_MANUAL_RECOVERY,
                         "the store has no readable record of the volume; nothing touched");
    return move_ends(m, MANUAL, EVENT_MANUAL_RECOVERY,
                     "the store says %s at epoch %llu, %s; nothing touched", route->gateway,
                     (unsigned long long)route->epoch, rec_route_state_words[route->state]);
}

/* Writes the event of an outcome found here, not by move_drive(), and says it. */
static enum outcome report(struct move *m, enum outcome o)
{
    if (o == MANUAL)
        missing_describe(m->exec, m->volume, m->why, sizeof(m->why));
    if (o == MANUAL || o == DEFERRED)
        move_event(m, m->ending, "%s", m->why);
    err_warn("'%s': %s", m->id, m->why);
    return o;
}

/* ---- commit ---- */

/* The director that has the volume open reads the route again. */
static void tell_director(struct move *m)
{
    int r = m->director ? director_reload(m->director) : 0;
    if (r < 0 && r != -ENOENT)
        err_warn("director did not reload '%s': %s", m->volume, director_error(m->director));
}

/* The route becomes steady. */
static enum outcome settle_route(struct move *m, struct route *route)
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
    return s->digest[0] && !s->promoted && !l->unknown ? s->digest : "-";
}

/*
 * What is to be done with the copy, in the journal before it is: an interrupted commit that is run
 * again gives the copy the label that it may have already.  0 or -errno.
 */
static int note_commit(struct move *m, const struct story *s, struct letgo *l)
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
        l->unknown = copy_is_unknown(&last);
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
    if (!s->proof.done) {
        signals_catch();
        enum outcome o = late_proof(m, &s->proof);
        if (o == DEFERRED)
            err_warn("'%s': its proof was %s at %llu of %llu bytes; --commit goes on with it",
                     m->id, m->why, (unsigned long long)s->proof.until,
                     (unsigned long long)m->size_bytes);
        if (o == DEFERRED || (o == FAILED && (disposal == DISPOSAL_REMOVE || !m->exec->force)))
            return o == DEFERRED ? o : keep_unproved(m, disposal);
        signals_release();
    }
    /* What clients have overwritten was proved before the switch, or never. */
    bool never = s->proof.changed && (route->verify == VERIFY_NONE || s->reverts[0]);
    if (disposal != DISPOSAL_REMOVE || !never)
        return GO;
    move_fails(m, "%llu bytes were written since the switch before they were compared",
               (unsigned long long)s->proof.changed);
    return keep_unproved(m, disposal);
}

static enum outcome commit_switched(struct move *m, struct story *s, struct route *route,
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
        o = mirrored_end(m, s->mirrored, &l.unknown) == GO ? GO : DEFERRED;
    if (o != GO)
        return o;
    bool unproved = route->verify != VERIFY_FULL && !s->proof.done;
    letgo_recall(&l, s->archived);
    if (note_commit(m, s, &l) < 0)
        return DEFERRED;
    o = letgo(m, &l, what, sizeof(what));
    if (o == GO)
        o = settle_route(m, route);
    if (o == GO && move_event(m, EVENT_COMMITTED, "%s%s", what, unproved ? "; not proved" : "") < 0)
        o = DEFERRED;
    return o == GO ? SWITCHED : o;
}

/* Has it ended, so that neither --commit nor --revert has anything to do? */
static bool say_ended(const struct move *m, const struct story *s)
{
    bool ended = s->last.event == EVENT_COMMITTED || s->last.event == EVENT_REVERTED;
    if (ended)
        err_warn("'%s' is %s already", m->id, rec_event_words[s->last.event]);
    return ended;
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

static enum outcome commit(struct move *m, struct story *s)
{
    struct route route;
    if (s->shared && s->switched)
        return commit_shared(m, s);
    if (say_ended(m, s))
        return s->last.event == EVENT_COMMITTED ? SETTLED : FAILED;
    enum place place = locate(m, &route);
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
    if (place != ON_TARGET)
        return report(m, give_to_operator(m, &route));
    enum outcome o = ask_director(m, &route);
    if (o == GO && m->other_leg && route.state == ROUTE_STATE_UNCOMMITTED) {
        err_warn("cannot commit '%s': it is being reverted; migrate-exec --abort ends that", m->id);
        return DEFERRED;
    }
    return o == GO ? commit_switched(m, s, &route, m->exec->disposal) : report(m, o);
}

enum outcome recover_commit(const struct exec *x, const char *id)
{
    return with_migration(x, id, take_journal, commit);
}

/* Is ID's old copy kept, for longer than it was to be?  Asked of the store, too. */
static bool has_expired(const struct exec *x, const char *id)
{
    struct story s = {.any = false};
    struct route route;
    struct move m;
    if (journal_each(x->dirs.state, id, take_event, &s) < 0 || !s.any ||
        s.last.event == EVENT_COMMITTED || s.retain_until == 0 || s.retain_until > clock_now())
        return false;
    move_init(&m, x);
    return set_move(&m, id, &s.last) == 0 && locate(&m, &route) == ON_TARGET &&
           route.state == ROUTE_STATE_UNCOMMITTED;
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
        if (!has_expired(x, ids[i]))
            continue;
        enum outcome o = recover_commit(x, ids[i]);
        worst = o > worst ? o : worst;
        if (signals_pending())
            break;
    }
    journal_ids_free(ids, n);
    return worst;
}

/* ---- revert ---- */

/* GO, or why the switched migration M can't be taken back now, said. */
static enum outcome may_revert(struct move *m, const struct story *s, struct route *route)
{
    if (say_ended(m, s))
        return FAILED;
    if (!s->switched || s->committing) {
        err_warn("cannot revert '%s': %s", m->id,
                 s->switched ? "its --commit was begun" : "it has not switched");
        return FAILED;
    }
    if (locate(m, route) != ON_TARGET || !route_keeps(route, m->source)) {
        err_warn("cannot revert '%s': the store says %s at epoch %llu, %s", m->id, route->gateway,
                 (unsigned long long)route->epoch, rec_route_state_words[route->state]);
        return FAILED;
    }
    enum outcome o = ask_director(m, route);
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
        say_ended(m, s);
        return FAILED;
    }
    if (locate(m, route) == ON_TARGET && route->state == ROUTE_STATE_STEADY)
        return GO;
    err_warn("cannot revert '%s': the store says %s at epoch %llu, %s", m->id, route->gateway,
             (unsigned long long)route->epoch, rec_route_state_words[route->state]);
    return FAILED;
}

/* The journal of the way back, which nobody else can begin: that of OLD is locked. */
static enum outcome open_way_back(struct move *back, const char *old)
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
    snprintf(back->reason, sizeof(back->reason), MOVE_REVERTS "%s", old->id);
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
    enum outcome o = shared ? may_revert_shared(m, s, &route) : may_revert(m, s, &route);
    if (o != GO)
        return o;
    if (admit_forbids(m->exec->fleet, m->volume, m->target, m->source, why, sizeof(why))) {
        err_warn("cannot revert '%s': %s", m->id, why);
        return FAILED;
    }
    move_leave_director(m);
    m->phase = PHASE_RETIRE;
    move_init(&back, m->exec);
    memcpy(back.volume, m->volume, sizeof(back.volume));
    memcpy(back.source, m->target, sizeof(back.source));
    memcpy(back.target, m->source, sizeof(back.target));
    back.epoch = route.epoch;
    back.size_bytes = route.size_bytes;
    back.terms.verify = verify_choose(m->exec, false, true);
    back.terms.no_flush[0] = m->terms.no_flush[1];
    back.terms.no_flush[1] = m->terms.no_flush[0];
    o = open_way_back(&back, m->id);
    if (o == GO)
        o = drive_back(m, &back);
    move_release(&back);
    return o;
}

enum outcome recover_revert(const struct exec *x, const char *id)
{
    signals_catch();
    return with_migration(x, id, take_journal, revert);
}

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
    enum outcome o = give_to_operator(m, route);
    if (!before)
        return report(m, o);
    err_warn("'%s': %s", m->id, m->why);
    return o;
}

/* The store has the change of owner: what remains is to say so. */
static enum outcome roll_forward(struct move *m, struct story *s, struct route *route)
{
    enum outcome o = ask_director(m, route);
    if (o != GO)
        return report(m, o);
    if (s->shared)
        return s->switched ? shared_retire(m) : shared_finish(m);
    if (s->committing)
        return commit_switched(m, s, route, s->disposal);
    return s->switched ? move_retire(m) : move_finish(m);
}

/* From the beginning, if the configuration still has nothing against it. */
static enum outcome drive_again(struct move *m)
{
    char why[200];
    verify_ask(m);
    if (!admit_forbids(m->exec->fleet, m->volume, m->source, m->target, why, sizeof(why)))
        return move_drive(m, true);
    err_warn("cannot resume '%s': %s; migrate-exec --abort %s ends it", m->id, why, m->id);
    return DEFERRED;
}

/*
 * The one that was killed may have fenced the source.  If the director has the move still the
 * source is to be fenced in any case; otherwise it is let serve, or no director could open it.
 */
static enum outcome drive_fenced(struct move *m, const struct route *route)
{
    enum outcome o = ask_director(m, route);
    if (o == GO && !m->other_leg)
        o = shared_unfence(m);
    return o == GO ? drive_again(m) : report(m, o);
}

static enum outcome go_on(struct move *m, struct story *s)
{
    struct route route;
    switch (locate(m, &route)) {
    case ON_TARGET:
        return roll_forward(m, s, &route);
    case ON_SOURCE:
        if (s->switched)
            return still_manual(m, s, &route);
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
    return locate(m, &route) == ON_SOURCE && !route_keeps(&route, m->target);
}

/* The same of a revert, under the lock of what it takes back. */
static enum outcome go_on_back(struct move *m, struct story *s)
{
    struct move old;
    struct story old_story;
    move_init(&old, m->exec);
    memcpy(old.id, s->reverts, sizeof(old.id));
    enum outcome o = take_journal(&old, &old_story);
    if (o == GO && set_move(&old, old.id, &old_story.last) < 0)
        o = FAILED;
    if (o == GO && !s->switched && copy_is_gone(m)) {
        move_event(m, EVENT_FAILED, "the copy on %s was let go meanwhile", m->target);
        err_warn("cannot resume '%s': the copy on '%s' was let go meanwhile", m->id, m->target);
        o = FAILED;
    }
    if (o == GO) {
        m->back = !old_story.shared;
        o = go_on(m, s);
        old.phase = PHASE_RETIRE;
        if (o == SWITCHED && old_story.last.event != EVENT_REVERTED)
            move_note(&old, EVENT_REVERTED, "by %s", m->id);
    }
    move_release(&old);
    return o;
}

static enum outcome resume(struct move *m, struct story *s)
{
    if (to_resume(s))
        return s->reverts[0] ? go_on_back(m, s) : go_on(m, s);
    err_warn("'%s' has ended: %s", m->id, rec_event_words[s->last.event]);
    return SETTLED;
}

enum outcome recover_resume(const struct exec *x, const char *id)
{
    signals_catch();
    return with_migration(x, id, take_journal, resume);
}

static enum outcome cutover(struct move *m, struct story *s)
{
    struct route route;
    /* The switch of a cutover that was killed may be in the store already. */
    bool deferred = s->any_public && s->public.event == EVENT_DEFERRED;
    if (deferred || (locate(m, &route) == ON_SOURCE && route.state == ROUTE_STATE_DEFERRED)) {
        m->was_deferred = true;
        return resume(m, s);
    }
    err_warn("'%s' is not deferred: %s%s%s", m->id, rec_event_words[s->last.event],
             to_resume(s) ? "; go on with: migrate-exec --resume " : "", to_resume(s) ? m->id : "");
    return s->switched && s->retired ? SETTLED : FAILED;
}

enum outcome recover_cutover(const struct exec *x, const char *id)
{
    signals_catch();
    return with_migration(x, id, take_journal, cutover);
}

void recover_each_open(const struct exec *x,
                       void (*take)(void *arg, const char *id, const struct event *last), void *arg)
{
    char **ids;
    size_t n;
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        err_die(EX_OSERR, "cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
    for (size_t i = 0; i < n; i++) {
        struct story s = {.any = false};
        r = journal_each(x->dirs.state, ids[i], take_event, &s);
        if (r < 0 || (s.any && to_resume(&s)))
            take(arg, ids[i], &s.last);
    }
    journal_ids_free(ids, n);
}

struct resumption {
    const struct exec *x;
    enum outcome worst;
};

static void resume_next(void *arg, const char *id, const struct event *last)
{
    struct resumption *all = arg;
    (void)last;
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
    return r == 0 ? read_story(m->exec, m->id, s) : say_driven(m->id, s);
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
    enum place place = locate(m, &route);
    m->back = s->reverts[0] && !s->shared;
    if (s->switched || place == ON_TARGET) {
        err_warn("cannot abort '%s': it has switched to %s; see --commit and --resume", m->id,
                 m->target);
        return FAILED;
    }
    if (place == ELSEWHERE && !route.volume[0])
        return report(m, give_to_operator(m, &route));
    if (may_be_under_way(m, place, &route)) {
        m->begun = true; /* for all we know */
        move_ends(m, FAILED, EVENT_ABORTED, "by an operator");
    } else {
        move_ends(m, FAILED, EVENT_ABORTED, "by an operator; nothing touched: %s at epoch %llu, %s",
                  route.gateway, (unsigned long long)route.epoch,
                  rec_route_state_words[route.state]);
        err_warn("'%s' is not under way any more: the store says %s at epoch %llu, %s", m->id,
                 route.gateway, (unsigned long long)route.epoch,
                 rec_route_state_words[route.state]);
    }
    enum outcome o = move_abort(m);
    return o == FAILED ? SETTLED : o;
}

static enum outcome abort_one(struct move *m, struct story *s)
{
    const struct exec *x = m->exec;
    int r = journal_open(x->dirs.state, m->id, false, &m->journal);
    if (r < 0 && r != -EAGAIN) {
        err_warn("cannot open the journal of '%s': %s", m->id, err_text(r));
        return FAILED;
    }
    enum outcome o = r == 0 ? read_story(x, m->id, s) : abort_driven(m, s);
    if (o != GO)
        return o;
    if (!s->switched && event_is_final(s->last.event)) {
        err_warn("'%s' has ended: %s", m->id, rec_event_words[s->last.event]);
        return r == 0 ? SETTLED : status_print(x, &s->last);
    }
    return abort_open(m, s);
}

enum outcome recover_abort(const struct exec *x, const char *id)
{
    return with_migration(x, id, look_only, abort_one);
}
