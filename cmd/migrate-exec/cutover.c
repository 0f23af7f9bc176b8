/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/cutover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/proof.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    PAGE = 4096,       /* what is proved at least at a time */
    ROUNDS_MAX = 50,   /* of copy and proof before an attempt counts as failed */
    STUCK_ROUNDS = 4,  /* without getting nearer */
    DIFFERING_MAX = 3, /* rounds in which the target differed: it does not keep what it is told */
    FLUSH_MS = 120 * 1000, /* outside of a hold */
    BACKOFF_MS = 250,      /* after a failed attempt, doubled by each */
    BACKOFF_MAX_MS = 4000,
    DOUBT_MS = 30 * 1000, /* how long the store is asked about a commit in doubt */
    NAP_MS = 20,
};

static const char does_not_fit[] = "what is left does not fit into the window";

static uint64_t window_us(const struct move *m)
{
    return (uint64_t)m->exec->window_ms * 1000;
}

/* Waits, but not on when a signal comes. */
static void nap(int ms)
{
    for (; ms > 0 && !signals_pending(); ms -= NAP_MS)
        poll(NULL, 0, ms < NAP_MS ? ms : NAP_MS);
}

/* ---- before the hold ---- */

static void show_unproved(void *arg, uint64_t left)
{
    struct move *m = arg;
    progress_show(&m->progress, m->id, "proof", m->size_bytes - left, m->size_bytes);
}

/* Proves until LIMITS or the end. */
static enum outcome prove(struct move *m, const struct flow_limits *limits, struct flow_result *res)
{
    flow_on_tick(m->flow, show_unproved, m);
    if (flow_run(m->flow, &proof, limits, res) < 0)
        return move_flow_failed(m);
    pace_learn(&m->prove_pace, res->bytes, res->claims, res->us);
    if (res->none) {
        m->unproved = res->backlog.unproved;
        m->dirty = res->backlog.dirty + res->backlog.copying + res->backlog.haunted;
    } else {
        m->unproved = res->left;
    }
    return move_interrupted(m);
}

/* What the hold has to do besides the drain and the commit. */
static uint64_t predicted_us(const struct move *m)
{
    return pace_predict(&m->copy_pace, m->dirty, m->block) +
           pace_predict(&m->prove_pace, m->unproved, PAGE) + m->flush_us;
}

/* Half of the window is left to the drain and the commit, whose times are not ours. */
static bool fits(const struct move *m)
{
    return predicted_us(m) <= window_us(m) / 2;
}

/* Is there nothing a further round could make much smaller? */
static bool small_enough(const struct move *m)
{
    return predicted_us(m) <= window_us(m) / 32 || (m->dirty == 0 && m->unproved == 0);
}

/* What became dirty behind the last claim's back: by writes that were on their way then. */
static void look_at_dirty(struct move *m)
{
    struct director_status s;
    if (director_status(m->director, &s) == 0)
        m->dirty = s.dirty + s.copying + s.haunted;
}

/* One round while clients write: copy what is dirty, flush, prove what is not proved. */
static enum outcome converge_once(struct move *m)
{
    struct flow_result res;
    look_at_dirty(m);
    if (m->dirty) {
        struct flow_limits limits = {.bytes = m->dirty, .throttled = true};
        enum outcome o = move_copy(m, &limits, &res);
        if (o != GO)
            return o;
    }
    enum outcome o = move_flush(m, FLUSH_MS);
    if (o != GO)
        return o;
    struct flow_limits limits = {.bytes = m->unproved ? m->unproved : 1, .throttled = true};
    o = prove(m, &limits, &res);
    if (o == GO && res.differing && ++m->differing >= DIFFERING_MAX)
        return move_fails(m, "the target still differs after %d copies", DIFFERING_MAX);
    return o;
}

/*
 * Rounds until what is left is small, or gets no smaller.  GO; *FIT tells if an attempt may be
 * made.
 */
static enum outcome converge(struct move *m, bool *fit)
{
    uint64_t best = UINT64_MAX;
    int stuck = 0;
    for (int round = 0; round < ROUNDS_MAX && stuck < STUCK_ROUNDS; round++) {
        enum outcome o = converge_once(m);
        if (o != GO)
            return o;
        if (small_enough(m))
            break;
        uint64_t now = predicted_us(m);
        bool nearer = now < best - best / 8;
        stuck = nearer ? 0 : stuck + 1;
        if (stuck > 1 && fits(m))
            break;
        best = nearer ? now : best;
        if (!nearer || (m->dirty && !m->unproved))
            nap(NAP_MS); /* what is left may be unclaimable for a moment: let replies come in */
    }
    *fit = fits(m);
    return GO;
}

/* ---- in the hold ---- */

/*
 * The last blocks, the last proofs, the flush: the director began that of what was mirrored when it
 * began the hold.  GO; *DONE tells if all is equal and durable.
 */
static enum outcome finish_copy(struct move *m, uint64_t deadline_us, bool *done)
{
    struct flow_result res;
    struct flow_limits limits = {.deadline_us = deadline_us};
    enum outcome o = m->dirty ? move_copy(m, &limits, &res) : GO;
    if (o != GO || m->dirty)
        return o;
    limits.until_nothing_left = true;
    o = prove(m, &limits, &res);
    bool equal = m->dirty == 0 && m->unproved == 0 && res.differing == 0;
    if (o != GO || !equal || clock_mono_us() >= deadline_us)
        return o;
    o = move_flush(m, FLUSH_MS);
    *done = o == GO;
    return o;
}

/* Does the store say what the switch would have made? */
static bool store_has_target(const struct move *m, struct route *route)
{
    return route_store_get(m->exec->store, m->volume, route) == 1 && route->epoch == m->epoch + 1 &&
           strcmp(route->gateway, m->target) == 0;
}

/* The switch's answer is missing or says "in doubt": only the store knows (S1, S15). */
static enum outcome settle_doubt(struct move *m)
{
    struct route route = {.epoch = m->epoch};
    uint64_t deadline = clock_mono_us() + UINT64_C(1000) * DOUBT_MS;
    do {
        if (store_has_target(m, &route))
            return SWITCHED;
        if (route.epoch > m->epoch)
            return move_fails(m, "the director took the volume back at epoch %llu",
                              (unsigned long long)route.epoch);
        nap(NAP_MS);
    } while (clock_mono_us() < deadline && !signals_pending() && m->director);
    return move_stalls(m, "the outcome of the switch is in doubt");
}

enum outcome switch_owner(struct move *m, const char **why)
{
    uint64_t epoch;
    int r = director_switch(m->director, m->epoch, &epoch, &m->pause_us);
    m->has_pause = r == 0;
    if (r == 0)
        return SWITCHED;
    if (r == -ETIMEDOUT || r == -EBUSY) {
        *why = r == -ETIMEDOUT ? "the hold ran out before the commit"
                               : "the director found blocks not proved and flushed";
        return GO;
    }
    if (r == -EINPROGRESS || r == -ECONNRESET || r == -EPROTO) {
        if (r != -EINPROGRESS)
            move_leave_director(m);
        return settle_doubt(m);
    }
    return move_director_failed(m, r);
}

/* Ends a hold that did not lead to a switch; the director may have ended it itself. */
static enum outcome unhold(struct move *m, enum outcome o)
{
    if (!m->director)
        return o;
    int r = director_unhold(m->director);
    return r == -ECONNRESET && o == GO ? move_director_failed(m, r) : o;
}

/* One attempt: SWITCHED, GO (it failed: *WHY), or a fault. */
static enum outcome attempt(struct move *m, unsigned number, const char **why)
{
    bool done = false;
    int r = journal_reserve(m->journal);
    if (r == 0)
        r = move_event(m, EVENT_HOLD, "attempt %u of %u, %llu us predicted", number,
                       m->exec->attempts, (unsigned long long)predicted_us(m));
    if (r < 0)
        return move_journal_failed(m, r);
    enum outcome o = converge_once(m); /* what was written while the journal was */
    if (o != GO)
        return o;
    if (!fits(m)) {
        *why = does_not_fit;
        return GO;
    }
    uint64_t deadline = clock_mono_us() + window_us(m);
    r = director_hold(m->director, m->exec->window_ms, &m->dirty);
    if (r == -ETIMEDOUT) {
        *why = "requests in flight did not end within the window";
        return GO;
    }
    if (r < 0)
        return move_director_failed(m, r);
    o = finish_copy(m, deadline, &done);
    if (o == GO && done) {
        o = switch_owner(m, why);
        return o == GO ? unhold(m, o) : o;
    }
    *why = "the last blocks were not copied and proved within the window";
    return unhold(m, o);
}

/* ---- around it ---- */

static enum outcome give_in(struct move *m, const char *why)
{
    if (m->exec->on_fail == ON_FAIL_ABORT)
        return move_ends(m, FAILED, EVENT_ABORTED, "%u attempts failed: %s", m->exec->attempts,
                         why);
    return move_ends(m, DEFERRED, EVENT_DEFERRED, "%u attempts failed: %s; mirrored meanwhile",
                     m->exec->attempts, why);
}

enum outcome cutover_converge(struct move *m)
{
    bool fit;
    m->unproved = m->size_bytes;
    return converge(m, &fit);
}

enum outcome hand_over(struct move *m)
{
    int backoff = BACKOFF_MS;
    m->phase = PHASE_HANDOVER;
    m->unproved = m->size_bytes;
    for (unsigned number = 1;; number++) {
        const char *why = does_not_fit;
        bool fit = false;
        enum outcome o = converge(m, &fit);
        if (o == GO && fit)
            o = attempt(m, number, &why);
        if (o != GO)
            return o;
        if (number >= m->exec->attempts && m->exec->on_fail != ON_FAIL_RETRY)
            return give_in(m, why);
        nap(backoff);
        backoff = 2 * backoff < BACKOFF_MAX_MS ? 2 * backoff : BACKOFF_MAX_MS;
        o = move_interrupted(m);
        if (o != GO)
            return o;
    }
}
