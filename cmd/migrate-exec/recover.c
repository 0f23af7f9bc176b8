/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/recover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/admit.h"
#include "cmd/migrate-exec/sides.h"
#include "cmd/migrate-exec/signals.h"
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
    bool switched; /* the change of owner is in it */
    bool promoted; /* ... by the director, since the source was dead */
    bool retired;  /* ... and that the source was let go */
    bool committing;
    bool unknown;        /* the source's copy: its flush failed */
    struct event public; /* the last that belongs into the history, too; if any */
    bool any_public;
};

/* Is E a note for the journal alone (move_note)? */
static bool is_note(const struct event *e)
{
    if (e->phase == PHASE_REDIRECT)
        return strcmp(e->detail, MOVE_TAKES_EXPORT) == 0;
    return e->phase == PHASE_RETIRE && (e->event == EVENT_BEGIN || e->event == EVENT_SWITCHED);
}

static int take_event(const struct event *e, void *arg)
{
    struct story *s = arg;
    s->last = *e;
    s->any = true;
    if (!is_note(e)) {
        s->public = *e;
        s->any_public = true;
    }
    if (e->event == EVENT_SWITCHED && e->phase == PHASE_RETIRE) {
        s->retired = true;
        s->unknown = strstr(e->detail, "is unknown") != NULL;
    }
    if (e->event == EVENT_SWITCHED && e->phase != PHASE_RETIRE) {
        s->switched = true;
        s->promoted = strstr(e->detail, "; promoted as ") != NULL;
    }
    if (e->event == EVENT_BEGIN && e->phase == PHASE_RETIRE)
        s->committing = true;
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
    if (o == GO)
        o = work(&m, &s);
    move_release(&m);
    return o;
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
    if (o == MANUAL || o == DEFERRED)
        move_event(m, m->ending, "%s", m->why);
    err_warn("'%s': %s", m->id, m->why);
    return o;
}

/* ---- commit ---- */

/* One action of the source's hook: HOOK_DONE, HOOK_CANNOT or HOOK_ABSENT, or -1 with a message. */
static int let_go(struct move *m, const char *action)
{
    struct hook hook = move_hook(m, m->source);
    char text[200];
    int r = hook_run(&hook, action, text, sizeof(text));
    if (r == HOOK_DONE || r == HOOK_CANNOT || r == HOOK_ABSENT)
        return r;
    err_warn("cannot commit '%s': hook of %s, %s: %s", m->id, m->source, action, text);
    return -1;
}

/* Does the new owner accept connections?  If not, WHY says so. */
static bool owner_serves(const struct move *m, char *why, size_t size)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, m->target);
    struct nbd_export *e;
    if (!g) {
        snprintf(why, size, "gateway '%s' is not in gateways.csv", m->target);
        return false;
    }
    if (side_connect(m->target, g->uri, m->volume, m->size_bytes, true, &e, why, size) < 0)
        return false;
    nbd_export_free(e);
    return true;
}

/* Two gateways on one storage: what was made cold was the owner's export itself. */
static enum outcome take_back(struct move *m, const char *why)
{
    bool back = let_go(m, "unfence") == HOOK_DONE;
    err_warn("cannot commit '%s': without the copy on %s, %s; %s", m->id, m->source, why,
             back ? "it is back in service" : "PUT IT BACK INTO SERVICE");
    return FAILED;
}

/* Fences the old copy and makes it cold; *WHAT says what became of it. */
static enum outcome make_cold(struct move *m, const struct story *s, char *what, size_t size)
{
    struct hook hook = move_hook(m, m->source);
    char why[200];
    if (!owner_serves(m, why, sizeof(why))) {
        err_warn("cannot commit '%s': %s", m->id, why);
        return DEFERRED;
    }
    if (!hook_there(&hook)) {
        snprintf(what, size, "%s has no hook: its copy stays as it is, unfenced", m->source);
        return GO;
    }
    int fenced = let_go(m, "fence");
    int cold = fenced < 0 ? -1 : let_go(m, "cold");
    if (cold < 0)
        return FAILED;
    if (cold == HOOK_DONE && !owner_serves(m, why, sizeof(why)))
        return take_back(m, why);
    if (cold == HOOK_ABSENT)
        snprintf(what, size, s->committing ? "cold on %s already" : "no copy on %s", m->source);
    else
        snprintf(what, size, "%s on %s%s%s%s", cold == HOOK_DONE ? "cold" : "kept", m->source,
                 fenced == HOOK_DONE ? "" : ", unfenced", cold == HOOK_DONE ? "" : ": no cold",
                 s->unknown ? "; it is unknown: its flush failed" : "");
    return GO;
}

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
    route->state = ROUTE_STATE_STEADY;
    route->target[0] = 0;
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

static enum outcome commit_switched(struct move *m, const struct story *s, struct route *route)
{
    char what[200];
    m->phase = PHASE_RETIRE;
    if (route->state != ROUTE_STATE_UNCOMMITTED)
        return commit_settled(m);
    if (!s->retired && move_retire(m) != SWITCHED)
        return DEFERRED;
    if (!s->committing && move_note(m, EVENT_BEGIN, "commit") < 0)
        return DEFERRED;
    enum outcome o = make_cold(m, s, what, sizeof(what));
    if (o == GO)
        o = settle_route(m, route);
    if (o == GO && move_event(m, EVENT_COMMITTED, "%s", what) < 0)
        o = DEFERRED;
    return o == GO ? SWITCHED : o;
}

static enum outcome commit(struct move *m, struct story *s)
{
    struct route route;
    if (s->last.event == EVENT_COMMITTED) {
        err_warn("'%s' is committed already", m->id);
        return SETTLED;
    }
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
    return o == GO ? commit_switched(m, s, &route) : report(m, o);
}

enum outcome recover_commit(const struct exec *x, const char *id)
{
    return with_migration(x, id, take_journal, commit);
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
static enum outcome roll_forward(struct move *m, const struct story *s, struct route *route)
{
    enum outcome o = ask_director(m, route);
    if (o != GO)
        return report(m, o);
    if (s->committing)
        return commit_switched(m, s, route);
    return s->switched ? move_retire(m) : move_finish(m);
}

/* From the beginning, if the configuration still has nothing against it. */
static enum outcome drive_again(struct move *m)
{
    char why[200];
    if (!admit_forbids(m->exec->fleet, m->volume, m->source, m->target, why, sizeof(why)))
        return move_drive(m, true);
    err_warn("cannot resume '%s': %s; migrate-exec --abort %s ends it", m->id, why, m->id);
    return DEFERRED;
}

static enum outcome resume(struct move *m, struct story *s)
{
    struct route route;
    if (!to_resume(s)) {
        err_warn("'%s' has ended: %s", m->id, rec_event_words[s->last.event]);
        return SETTLED;
    }
    switch (locate(m, &route)) {
    case ON_TARGET:
        return roll_forward(m, s, &route);
    case ON_SOURCE:
        return s->switched ? still_manual(m, s, &route) : drive_again(m);
    case SUPERSEDED:
        move_event(m, EVENT_FAILED, "a move to %s has taken its place", route.target);
        return FAILED;
    default:
        return still_manual(m, s, &route);
    }
}

enum outcome recover_resume(const struct exec *x, const char *id)
{
    signals_block();
    return with_migration(x, id, take_journal, resume);
}

enum outcome recover_resume_all(const struct exec *x)
{
    char **ids;
    size_t n;
    enum outcome worst = GO;
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        err_die(EX_OSERR, "cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
    for (size_t i = 0; i < n && !signals_pending(); i++) {
        struct story s = {.any = false};
        if (journal_each(x->dirs.state, ids[i], take_event, &s) == 0 && (!s.any || !to_resume(&s)))
            continue;
        enum outcome o = recover_resume(x, ids[i]);
        worst = o > worst ? o : worst;
    }
    journal_ids_free(ids, n);
    return signals_pending() && worst < DEFERRED ? DEFERRED : worst;
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

/* Says how ID has ended. */
static enum outcome print_end(const struct exec *x, const struct event *e)
{
    event_put(x->out, e);
    rec_write_now(x->out);
    return SETTLED;
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
        return r == 0 ? SETTLED : print_end(x, &s->last);
    }
    return abort_open(m, s);
}

enum outcome recover_abort(const struct exec *x, const char *id)
{
    return with_migration(x, id, look_only, abort_one);
}

/* ---- status ---- */

static enum outcome print_last(const struct exec *x, const char *id)
{
    struct event e;
    int r = journal_last(x->dirs.state, id, &e);
    if (r == -ENOENT || r == -EINVAL) {
        err_warn("no such migration '%s'", id);
        return FAILED;
    }
    if (r < 0) {
        err_warn("cannot read the journal of '%s': %s", id,
                 r == -EBADMSG ? "a damaged record" : err_text(r));
        return MANUAL;
    }
    return r ? print_end(x, &e) : SETTLED;
}

enum outcome recover_status(const struct exec *x, const char *id)
{
    char **ids;
    size_t n;
    enum outcome worst = GO;
    if (id)
        return print_last(x, id);
    int r = journal_ids(x->dirs.state, &ids, &n);
    if (r < 0)
        err_die(EX_NOINPUT, "cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
    for (size_t i = 0; i < n; i++) {
        enum outcome o = print_last(x, ids[i]);
        worst = o > worst ? o : worst;
    }
    journal_ids_free(ids, n);
    return worst;
}
