/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/behind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/commit.h"
#include "cmd/migrate-exec/letgo.h"
#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/place.h"
#include "cmd/migrate-exec/silence.h"
#include "common/base/error.h"

/* How the detail of the event begins, and ends if all of the copy was not proved. */
#define LEFT     "left behind: "
#define UNPROVED "; not proved"

bool behind_says(const struct event *e, bool *unproved)
{
    if (e->event != EVENT_DEFERRED || e->phase != PHASE_RETIRE ||
        strncmp(e->detail, LEFT, strlen(LEFT)) != 0)
        return false;
    *unproved = strstr(e->detail, UNPROVED) != NULL;
    return true;
}

bool behind_is(const struct story *s)
{
    return s->behind && s->last.event != EVENT_COMMITTED && s->last.event != EVENT_REVERTED;
}

static void say_silent(const struct move *m, const char *why)
{
    err_warn("'%s': its copy on %s is left behind still: hook of %s, size: %s", m->id, m->source,
             m->source, why);
}

/* ---- leaving ---- */

static enum outcome not_left(const struct move *m, enum outcome o, const char *why)
{
    err_warn("cannot leave the copy of '%s' behind on %s: %s", m->id, m->source, why);
    return o;
}

/* By the store, is the volume where M brought it, and the copy the one that M has left? */
static bool is_kept(const struct move *m, struct route *route)
{
    return place_of(m, route) == ON_TARGET && place_keeps(route, m->source);
}

/*
 * The director, if it has the volume open, agrees with the store, has the owner, and no leg to
 * anybody but, perhaps, that of a MIRROR to the copy.  GO, or an outcome with its message printed.
 */
static enum outcome ask_director(struct move *m, const struct route *route, bool *mirror)
{
    struct director_status s = {.phase = "steady"};
    enum outcome o = place_ask_director(m, route);
    if (o != GO)
        return not_left(m, o == MANUAL ? MANUAL : DEFERRED, m->why);
    if (m->owner_away)
        return not_left(m, DEFERRED, "its owner is away, and the copy may be all there is");
    int r = m->director ? director_status(m->director, &s) : -ENOENT;
    if (r < 0 && r != -ENOENT)
        return not_left(m, DEFERRED, director_error(m->director));
    if (m->other_leg || strcmp(s.phase, "steady") != 0)
        return not_left(m, DEFERRED, "the director has a move of the volume open");
    *mirror = s.mirrored;
    return GO;
}

/* No leg to the copy is left.  One that ends its mirror in order is not silent. */
static enum outcome end_mirror(struct move *m, struct story *s, bool was)
{
    bool unknown = false;
    enum outcome o = mirrored_end(m, &s->mirrored, &unknown);
    if (o == GO && was && !unknown)
        return not_left(m, FAILED, "it answers the director");
    return o;
}

static int say_left(struct move *m, const struct story *s, const struct route *route)
{
    bool unproved = route->verify != VERIFY_FULL && !s->proof.done;
    if (s->behind)
        return 0;
    return move_event(m, EVENT_DEFERRED,
                      LEFT "%.60s does not answer; its copy is fenced and made cold when it is "
                           "back%s",
                      m->source, unproved ? UNPROVED : "");
}

static enum outcome leave(struct move *m, struct story *s)
{
    struct route route;
    bool mirror = false;
    if (!s->switched || s->shared || !is_kept(m, &route))
        return not_left(m, FAILED, "it is not the kept copy of the volume's last move");
    enum outcome o = ask_director(m, &route, &mirror);
    if (o == GO && !letgo_may_begin(m))
        o = DEFERRED;
    m->phase = PHASE_RETIRE;
    if (o == GO && !s->retired && move_retire(m) != SWITCHED)
        o = DEFERRED;
    if (o == GO)
        o = end_mirror(m, s, mirror);
    /* While it was mirrored it may have become the owner (S17); now it can't any more. */
    if (o == GO && !is_kept(m, &route))
        o = not_left(m, DEFERRED, "its route was changed meanwhile");
    if (o == GO && say_left(m, s, &route) < 0)
        o = DEFERRED;
    return o == GO ? commit_settle(m, &route) : o;
}

static enum outcome leave_asked(struct move *m, struct story *s)
{
    return story_say_ended(m, s) ? FAILED : leave(m, s);
}

enum outcome behind_leave(const struct exec *x, const char *id)
{
    struct exec own = *x;
    own.keep_mirrored = own.standby = false;
    return story_with(&own, id, story_take, leave_asked);
}

/* ---- what is owed ---- */

static enum outcome not_now(const struct move *m, const char *why)
{
    err_warn("'%s': its copy on %s is left behind still: %s", m->id, m->source, why);
    return DEFERRED;
}

/* Who owns the volume, by the store and, if it is served, the director: GO, or DEFERRED, said. */
static enum outcome find_owner(struct move *m, struct route *route)
{
    int r = m->exec->store ? route_store_get(m->exec->store, m->volume, route) : 0;
    if (r != 1)
        return not_now(m, "the store has no readable record of the volume");
    if (route->state == ROUTE_STATE_MANUAL_RECOVERY)
        return not_now(m, "the volume is in manual recovery");
    if (route->epoch <= m->epoch)
        return not_now(m, "the store is behind its journal");
    if (place_ask_director(m, route) != GO)
        return not_now(m, m->why);
    if (m->other_leg && !route->target[0])
        return not_now(m, "the director is about to begin a move of the volume");
    return GO;
}

static bool is_used(const struct route *route, const char *gateway)
{
    return strcmp(route->gateway, gateway) == 0 || strcmp(route->target, gateway) == 0;
}

/* The gateway owns the volume, and we may have taken its export out of service. */
static enum outcome give_back(struct move *m)
{
    struct hook hook = move_hook(m, m->source);
    char text[160];
    uint64_t bytes;
    if (!hook_there(&hook))
        return GO;
    hook_run(&hook, "unfence", text, sizeof(text)); /* fails where it is in service: seen next */
    int r = hook_size(&hook, &bytes, text, sizeof(text));
    if (r == HOOK_DONE || r == HOOK_CANNOT)
        return GO;
    err_warn("'%s': PUT THE EXPORT ON %s BACK INTO SERVICE: it owns '%s': hook, size: %s", m->id,
             m->source, m->volume, text);
    move_event(m, EVENT_STALLED, "%.60s owns the volume, and its export is out of service: %.120s",
               m->source, text);
    return FAILED;
}

/* It has become more than a copy: nothing is owed to it any more. */
static enum outcome end_used(struct move *m, const struct story *s, const struct route *route)
{
    bool owner = strcmp(route->gateway, m->source) == 0;
    m->phase = PHASE_RETIRE;
    if (owner && s->committing && give_back(m) != GO)
        return FAILED;
    int r = move_event(m, EVENT_COMMITTED,
                       "what was left behind on %.60s stays as it is: that is the %s by the store, "
                       "at epoch %llu, %s",
                       m->source, owner ? "owner" : "other side", (unsigned long long)route->epoch,
                       rec_route_state_words[route->state]);
    return r < 0 ? DEFERRED : SWITCHED;
}

/* What is the owner's, too, must not be made cold.  GO, or DEFERRED, said. */
static enum outcome stands_alone(struct move *m, const struct route *route)
{
    struct hook hook = move_hook(m, m->source);
    char text[160];
    int r = hook_shared(&hook, route->gateway, text, sizeof(text));
    if (r == 1)
        return not_now(m, "it shares its storage with the owner");
    return r < 0 ? not_now(m, text) : GO;
}

/* Fenced and made cold: GO, with what became of it in WHAT. */
static enum outcome let_go(struct move *m, struct story *s, const struct route *route, char *what,
                           size_t size)
{
    struct letgo l = {.disposal = DISPOSAL_COLD,
                      .again = s->committing,
                      .unknown = s->unknown,
                      .owner = route->gateway};
    m->phase = PHASE_RETIRE;
    if (stands_alone(m, route) != GO || commit_note(m, s, &l) < 0)
        return DEFERRED;
    s->committing = true;
    return letgo(m, &l, what, size);
}

enum outcome behind_finish(struct move *m, struct story *s, enum outcome silent)
{
    struct route route;
    char what[200];
    enum outcome o = find_owner(m, &route);
    if (o == GO && is_used(&route, m->source))
        return end_used(m, s, &route);
    bool said = silent == SETTLED && silence_is_known(m, m->source);
    if (o == GO && silence_of(m, m->source, what, sizeof(what)) != SILENCE_NONE) {
        if (!said)
            say_silent(m, what);
        return silent;
    }
    if (o == GO)
        o = let_go(m, s, &route, what, sizeof(what));
    if (o == GO && route_store_get(m->exec->store, m->volume, &route) != 1)
        o = not_now(m, "the store has no readable record of the volume any more");
    if (o != GO)
        return o;
    if (is_used(&route, m->source)) /* somebody has set it meanwhile */
        return end_used(m, s, &route);
    int r = move_event(m, EVENT_COMMITTED, "was left behind: %.180s%s", what,
                       s->unproved ? UNPROVED : "");
    return r < 0 ? DEFERRED : SWITCHED;
}

enum outcome behind_resume(struct move *m, struct story *s)
{
    struct route route;
    char why[200];
    bool said = silence_is_known(m, m->source);
    if (!is_kept(m, &route))
        return behind_finish(m, s, SETTLED);
    /* The one that was to leave it was killed before the route was steady. */
    if (silence_of(m, m->source, why, sizeof(why)) != SILENCE_ALL)
        return commit_asked(m, s);
    enum outcome o = leave(m, s);
    if (o == GO && !said)
        say_silent(m, why);
    return o == GO ? SETTLED : o;
}

/* ---- those that use the gateway again ---- */

/* Is ID the name of a migration of VOLUME? */
static bool is_of(const char *id, const char *volume)
{
    size_t len = strlen(volume);
    return strncmp(id, volume, len) == 0 && id[len] == '-';
}

static enum outcome clear_one(struct move *m, struct story *s)
{
    struct route route;
    if (!behind_is(s) || is_kept(m, &route)) /* the latter is no stranger's: see revert.c */
        return GO;
    return behind_finish(m, s, FAILED);
}

/* Is something owed to a copy of VOLUME on GATEWAY, by the journal of ID?  1, 0 or -errno. */
static int is_owed(const struct exec *x, const char *id, const char *volume, const char *gateway)
{
    struct story s;
    int r = is_of(id, volume) ? story_load(x, id, &s) : -ENOENT;
    if (r == -ENOENT || r == -EBADMSG) /* by a damaged journal nobody does anything */
        return 0;
    return r < 0 ? r
                 : behind_is(&s) && strcmp(s.last.volume, volume) == 0 &&
                       strcmp(s.last.source, gateway) == 0;
}

static enum outcome clear(const struct exec *x, const char *id, const char *gateway)
{
    enum outcome o = story_with(x, id, story_take, clear_one);
    if (o == GO || o == SWITCHED || o == SETTLED)
        return GO;
    err_warn("%s is not used: what '%s' has left behind there comes first", gateway, id);
    return o;
}

enum outcome behind_clear(const struct exec *x, const char *volume, const char *gateway)
{
    char **ids = NULL;
    size_t n = 0;
    enum outcome o = GO;
    int r = journal_ids(x->dirs.state, &ids, &n);
    for (size_t i = 0; r == 0 && i < n && o == GO; i++) {
        int owed = is_owed(x, ids[i], volume, gateway);
        r = owed < 0 ? owed : 0;
        if (owed == 1)
            o = clear(x, ids[i], gateway);
    }
    if (r < 0) {
        err_warn("cannot read '%s/migrations': %s", x->dirs.state, err_text(r));
        o = FAILED;
    }
    journal_ids_free(ids, n);
    return o;
}

/* ---- who looks ---- */

void behind_each(const struct exec *x,
                 void (*take)(void *arg, const char *id, const struct event *last), void *arg)
{
    char **ids;
    size_t n;
    if (journal_ids(x->dirs.state, &ids, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct story s;
        if (story_load(x, ids[i], &s) == 0 && behind_is(&s))
            take(arg, ids[i], &s.last);
    }
    journal_ids_free(ids, n);
}

bool behind_describe(const struct exec *x, const char *id, struct event *e)
{
    struct story s;
    bool unproved;
    if (story_load(x, id, &s) < 0 || !behind_is(&s))
        return false;
    size_t len = strlen(e->detail);
    if (!behind_says(e, &unproved))
        snprintf(e->detail + len, sizeof(e->detail) - len, "%scopy left behind on %.60s",
                 len ? "; " : "", e->source);
    return true;
}
