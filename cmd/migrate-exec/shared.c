/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/shared.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/cutover.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/error.h"

enum {
    BACKOFF_MS = 250, /* after a failed attempt, doubled by each */
    BACKOFF_MAX_MS = 4000,
    NAP_MS = 20,
};

/* How the details of events begin that say where a migration stands. */
#define SHARES   "on shared storage"
#define UNFENCED "unfenced "

bool shared_says(const struct event *e)
{
    return e->event == EVENT_PASS && e->phase == PHASE_REDIRECT &&
           strncmp(e->detail, SHARES, strlen(SHARES)) == 0;
}

bool shared_fence_of(const struct event *e, bool before)
{
    if (e->phase != PHASE_HANDOVER)
        return before;
    if (e->event == EVENT_PASS && strncmp(e->detail, UNFENCED, strlen(UNFENCED)) == 0)
        return false;
    return before || e->event == EVENT_HOLD;
}

/* ---- before ---- */

/* As hook_shared(); what fails is said in m->why. */
static int ask(struct move *m, const char *gateway, const char *other)
{
    struct hook hook = move_hook(m, gateway);
    char why[200];
    int r = hook_shared(&hook, other, why, sizeof(why));
    if (r < 0)
        move_fails(m, "hook of %s, shared: %s", gateway, why);
    return r;
}

enum outcome shared_ask(struct move *m)
{
    int to = ask(m, m->target, m->source);
    int from = to < 0 ? to : ask(m, m->source, m->target);
    if (from < 0)
        return FAILED;
    struct hook hook = move_hook(m, m->source);
    bool shared = to || from;
    if (m->was_shared && !shared)
        return move_stalls(m, "the hooks do not say any more that %s and %s share their storage",
                           m->source, m->target);
    if (shared && !hook_there(&hook))
        return move_fails(m, "%s, on shared storage with %s, has no hook to fence it", m->source,
                          m->target);
    m->shared = shared;
    return GO;
}

enum outcome shared_prepare(struct move *m)
{
    struct hook hook = move_hook(m, m->target);
    char why[200];
    int r = move_event(m, EVENT_PASS, SHARES " with %s: nothing is copied", m->target);
    if (r < 0)
        return move_journal_failed(m, r);
    if (!hook_there(&hook))
        return GO;
    r = hook_run(&hook, "unfence", why, sizeof(why));
    if (r == HOOK_DONE || r == HOOK_CANNOT || r == HOOK_ABSENT)
        return GO;
    return move_fails(m, "hook of %s, unfence: %s", m->target, why);
}

/* ---- the fence ---- */

/* By the store another gateway owns the volume now: whoever gave it that needs the fence (S14). */
static bool is_replaced(const struct move *m, struct route *route)
{
    return m->exec->store && route_store_get(m->exec->store, m->volume, route) == 1 &&
           strcmp(route->gateway, m->source) != 0;
}

/*
 * Once the target was read for a switch that did not come it may keep what the source is about to
 * change.  The director has ended the move then; without one that has it nobody knows.
 */
static bool target_may_remember(const struct move *m)
{
    struct director_status s;
    return !m->director || director_status(m->director, &s) < 0 || strcmp(s.target, m->target) != 0;
}

/* A fence ends what the target keeps; the next move unfences it. */
static void forget_target(const struct move *m)
{
    struct hook hook = move_hook(m, m->target);
    char why[160] = "it has none";
    int r = hook_there(&hook) ? hook_run(&hook, "fence", why, sizeof(why)) : HOOK_CANNOT;
    if (r != HOOK_DONE && r != HOOK_ABSENT)
        err_warn("'%s': %s may keep what it has read of '%s': end it before the volume is moved "
                 "there again: hook, fence: %s",
                 m->id, m->target, m->volume, why);
}

enum outcome shared_unfence(struct move *m)
{
    struct hook hook = move_hook(m, m->source);
    struct route route;
    char why[160];
    if (is_replaced(m, &route)) {
        err_warn("'%s': %s stays fenced, if it is: the store says %s at epoch %llu", m->id,
                 m->source, route.gateway, (unsigned long long)route.epoch);
        m->fenced = false;
        return GO;
    }
    int r = hook_run(&hook, "unfence", why, sizeof(why));
    if (r != HOOK_DONE) {
        err_warn(
            "'%s': PUT %s BACK INTO SERVICE: it owns '%s' and may be fenced: hook, unfence: %s",
            m->id, m->source, m->volume, why);
        return move_stalls(m, "%s is fenced: hook, unfence: %s", m->source, why);
    }
    m->fenced = false;
    if (target_may_remember(m))
        forget_target(m);
    /* Without this event a resume would unfence it once more. */
    r = move_event(m, EVENT_PASS, UNFENCED "%s", m->source);
    return r < 0 ? move_journal_failed(m, r) : GO;
}

/*
 * The source, which is fenced or may be, stays the owner, and the director has been asked for no
 * switch that could come.  O if it serves again.
 */
static enum outcome go_back(struct move *m, enum outcome o)
{
    char why[sizeof(m->why)];
    enum rec_event ending = m->ending;
    memcpy(why, m->why, sizeof(why));
    enum outcome back = shared_unfence(m);
    if (m->director)
        director_unhold(m->director); /* it may have ended the hold itself */
    if (back != GO)
        return back;
    memcpy(m->why, why, sizeof(m->why));
    m->ending = ending;
    return o;
}

/* GO, or a fault with the source serving again. */
static enum outcome fence(struct move *m)
{
    struct hook hook = move_hook(m, m->source);
    unsigned fence_s = (m->exec->fence_ms + 999) / 1000;
    char why[200];
    /* One that takes longer than the hold is of no use. */
    if (!hook.timeout_s || hook.timeout_s > fence_s)
        hook.timeout_s = fence_s;
    int r = hook_run(&hook, "fence", why, sizeof(why));
    if (r == HOOK_DONE)
        return GO;
    if (r != HOOK_CANNOT)
        return go_back(m, move_fails(m, "hook of %s, fence: %s", m->source, why));
    m->fenced = false; /* it has done nothing */
    director_unhold(m->director);
    return move_fails(m, "%s cannot be fenced: %s", m->source, why);
}

/* ---- attempts ---- */

/* What it means that the source was not detached: nothing is fenced. */
static enum outcome not_detached(struct move *m, int r, const char **why)
{
    m->fenced = false;
    if (r == -ETIMEDOUT)
        *why = "requests in flight did not end within the window";
    else if (r == -EIO)
        *why = "the source could not flush";
    else if (r == -EAGAIN)
        *why = "the source was coming back";
    else
        return move_director_failed(m, r);
    return GO;
}

/* One attempt: SWITCHED, GO (it failed: *WHY), or a fault. */
static enum outcome attempt(struct move *m, unsigned number, const char **why)
{
    uint64_t drain_us;
    int r = journal_reserve(m->journal);
    if (r == 0)
        r = move_event(m, EVENT_HOLD, "attempt %u of %u, fences %s", number, m->exec->attempts,
                       m->source);
    if (r < 0)
        return move_journal_failed(m, r);
    m->fenced = true; /* for all that the journal says */
    r = director_detach(m->director, m->exec->fence_ms, &drain_us);
    if (r < 0)
        return not_detached(m, r, why);
    enum outcome o = fence(m);
    if (o != GO)
        return o;
    o = switch_owner(m, why);
    /* In doubt the director may still switch: that is for --resume. */
    return o == GO || o == FAILED ? go_back(m, o) : o;
}

static enum outcome give_in(struct move *m, const char *why)
{
    if (m->exec->on_fail == ON_FAIL_ABORT)
        return move_ends(m, FAILED, EVENT_ABORTED, "%u attempts failed: %s", m->exec->attempts,
                         why);
    return move_ends(m, DEFERRED, EVENT_DEFERRED, "%u attempts failed: %s", m->exec->attempts, why);
}

enum outcome shared_hand_over(struct move *m)
{
    int backoff = BACKOFF_MS;
    m->phase = PHASE_HANDOVER;
    for (unsigned number = 1;; number++) {
        const char *why = "";
        enum outcome o = move_interrupted(m);
        if (o == GO)
            o = attempt(m, number, &why);
        if (o != GO)
            return o;
        if (number >= m->exec->attempts && m->exec->on_fail != ON_FAIL_RETRY)
            return give_in(m, why);
        for (int ms = backoff; ms > 0 && !signals_pending(); ms -= NAP_MS)
            poll(NULL, 0, NAP_MS);
        backoff = 2 * backoff < BACKOFF_MAX_MS ? 2 * backoff : BACKOFF_MAX_MS;
    }
}

/* ---- after ---- */

enum outcome shared_retire(struct move *m)
{
    m->phase = PHASE_RETIRE;
    int r = move_event(m, EVENT_COMMITTED,
                       "on shared storage: there is no copy to let go; %s stays fenced", m->source);
    return r < 0 ? move_journal_failed(m, r) : SWITCHED;
}

enum outcome shared_finish(struct move *m)
{
    m->dirty = 0;
    m->phase = PHASE_HANDOVER;
    int r = move_event(m, EVENT_SWITCHED, "epoch %llu; on shared storage",
                       (unsigned long long)m->epoch + 1);
    if (r < 0) {
        err_warn("'%s' has switched to %s; have it recorded with: migrate-exec --resume %s", m->id,
                 m->target, m->id);
        return move_journal_failed(m, r);
    }
    return shared_retire(m);
}
