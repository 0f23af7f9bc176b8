/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "control.h"
#include "quarantine.h"

enum { TICK_US = 50000, SETTLE_RETRY_US = 200000 };

static void give_up(struct move *m, int err, const char *why);
static void store_outcome(struct storejob *j);

static uint64_t now_us(const struct move *m)
{
    return loop_now_us(m->v->d->loop);
}

/* ---- answering the driver ---- */

static void wait_for(struct move *m, struct control *c, enum move_wait what)
{
    m->waiter = c;
    m->waits = what;
}

/* The waiting verb's connection, which waits no longer. */
static struct control *take_waiter(struct move *m)
{
    struct control *c = m->waiter;
    m->waiter = NULL;
    m->waits = WAIT_NOTHING;
    return c;
}

static bool busy_waiting(struct move *m, struct control *c)
{
    if (m->waits == WAIT_NOTHING)
        return false;
    control_err(c, EBUSY, "another verb of this move is not answered yet");
    return true;
}

const char *move_phase_name(const struct move *m)
{
    switch (m->phase) {
    case MOVE_OPENING:
    case MOVE_RECORDING:
        return "begin";
    case MOVE_COPYING:
        return m->mirror ? "mirror" : "replicate";
    case MOVE_HELD:
        return "hold";
    case MOVE_COMMIT:
        return "commit";
    case MOVE_DOUBT:
        return "doubt";
    case MOVE_RETIRE:
        return m->retired ? "steady" : "retire";
    default:
        return "failed";
    }
}

/* ---- life ---- */

static void move_free(struct move *m)
{
    struct volume *v = m->v;
    struct loop *loop = v->d->loop;
    loop_timer_cancel(loop, &m->deadline);
    loop_timer_cancel(loop, &m->tick);
    leg_free(m->leg);
    blocks_free(m->blocks);
    v->move = NULL;
    free(m);
    volume_unuse(v);
}

/* Nobody asks any more for how it ended. */
static void free_if_over(struct move *m)
{
    if (!m->driver && !m->waiter &&
        (m->phase == MOVE_GONE || (m->phase == MOVE_RETIRE && m->retired)))
        move_free(m);
}

/* ---- the target's leg ---- */

static void target_lost(struct leg *l)
{
    struct move *m = l->owner;
    char why[sizeof(l->error)];
    snprintf(why, sizeof(why), "%s", l->error);
    switch (m->phase) {
    case MOVE_RETIRE:
        volume_forget_role(m->v, ROLE_TARGET, NBD_EIO);
        break;
    case MOVE_RECORDING: /* the store's answer comes first, then looks at the leg */
    case MOVE_COMMIT:
    case MOVE_DOUBT:
        break;
    default:
        give_up(m, l->err, why);
    }
}

/* What clients negotiated must hold on the target too (S22); what is copied must fit (S24). */
static const char *target_misfit(const struct volume *v, const struct leg *l)
{
    const struct nbd_export *a = &v->owner->export, *b = &l->export;
    const uint16_t offered = NBD_TF_FLUSH | NBD_TF_FUA | NBD_TF_TRIM | NBD_TF_WRITE_ZEROES |
                             NBD_TF_MULTI_CONN | NBD_TF_CACHE | NBD_TF_FAST_ZERO;
    if (b->size < v->route.size_bytes)
        return "is smaller than the volume";
    if (a->flags & offered & ~b->flags)
        return "lacks a command or flag that clients were offered";
    if (b->min_block > a->min_block || b->max_block < a->max_block)
        return "has narrower block-size limits than clients were told";
    return leg_unfit(l);
}

static void record(struct move *m, const struct route *next, uint64_t expect, int expect_state)
{
    m->job = (struct storejob){.kind = STOREJOB_CAS,
                               .route = *next,
                               .expect = expect,
                               .expect_state = expect_state,
                               .done = store_outcome,
                               .arg = m};
    m->job.route.time = clock_now();
    storejobs_queue(m->v->d->jobs, &m->job);
}

static void target_ready(struct leg *l)
{
    struct move *m = l->owner;
    struct volume *v = m->v;
    const char *misfit = target_misfit(v, l);
    if (misfit) {
        char why[512];
        snprintf(why, sizeof(why), "target '%s' %s", m->target, misfit);
        give_up(m, -EOPNOTSUPP, why);
        return;
    }
    struct route next = v->route;
    next.state = ROUTE_STATE_MOVING;
    snprintf(next.target, sizeof(next.target), "%s", m->target);
    m->phase = MOVE_RECORDING;
    record(m, &next, v->route.epoch, v->route.state);
}

static const struct leg_ops target_ops = {
    .ready = target_ready, .lost = target_lost, .answered = volume_answered, .data = volume_data};

/* ---- begin ---- */

static void tick(struct loop_timer *t);

static void start_tick(struct move *m)
{
    loop_timer_set(m->v->d->loop, &m->tick, now_us(m) + TICK_US, tick);
}

/* Haunted blocks whose time is over; a target that keeps clients waiting (S16). */
static void tick(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, tick));
    struct director *d = m->v->d;
    if (m->phase != MOVE_COPYING && m->phase != MOVE_HELD)
        return;
    blocks_exorcise(m->blocks, now_us(m));
    if (m->mirror && now_us(m) > d->set.leg_us &&
        volume_role_waits(m->v, ROLE_TARGET, now_us(m) - d->set.leg_us)) {
        give_up(m, -ETIMEDOUT, "the target is too slow for mirrored writes (--leg-timeout)");
        return;
    }
    start_tick(m);
}

static void begun(struct move *m)
{
    m->blocks = blocks_new(m->v->route.size_bytes);
    if (!m->blocks) {
        give_up(m, -ENOMEM, err_text(ENOMEM));
        return;
    }
    m->phase = MOVE_COPYING;
    start_tick(m);
    leg_widen(m->leg, m->v->n_clients);
    control_ok(take_waiter(m), "%d %llu new", BLOCK_SIZE,
               (unsigned long long)m->v->route.size_bytes);
}

static void begin_recorded(struct move *m)
{
    struct storejob *j = &m->job;
    if (j->result < 0) {
        give_up(m, j->result, j->error);
        return;
    }
    m->recorded = true;
    m->v->route = j->route;
    if (m->leg->lost)
        give_up(m, m->leg->err, m->leg->error);
    else if (m->v->state != VOLUME_SERVING)
        give_up(m, -ECONNABORTED, m->v->error);
    else if (!m->driver)
        give_up(m, -ECONNABORTED, "who began the move is gone");
    else
        begun(m);
}

/* The former driver is gone: another goes on with what is synced; proofs are void (S15). */
static void attach(struct move *m, struct control *c)
{
    m->driver = c;
    m->flushed = false;
    blocks_unprove(m->blocks);
    control_ok(c, "%d %llu attached", BLOCK_SIZE, (unsigned long long)m->v->route.size_bytes);
}

/* Is there a move already?  True: C has its answer. */
static bool answer_from_present(struct volume *v, struct control *c, uint64_t epoch,
                                const char *target)
{
    struct move *m = v->move;
    if (m && (m->phase == MOVE_GONE || (m->phase == MOVE_RETIRE && m->retired)) && !m->waiter) {
        move_free(m);
        m = NULL;
    }
    if (!m)
        return false;
    if (m->driver)
        control_err(c, EBUSY, "the volume is being moved to '%s' by another run", m->target);
    else if (m->phase != MOVE_COPYING)
        control_err(c, EAGAIN, "the last move is not over yet");
    else if (strcmp(m->target, target) != 0 || m->v->route.epoch != epoch)
        control_err(c, EBUSY, "a move to '%s' is open: resume or abort it", m->target);
    else
        attach(m, c);
    return true;
}

/* Reasons against a move that need no connection.  True: C has its answer. */
static bool refuse_begin(struct volume *v, struct control *c, uint64_t epoch, const char *target)
{
    const char *unfit = leg_unfit(v->owner);
    uint64_t left = quarantine_left_us(v->d, v->name, v->route.state == ROUTE_STATE_MOVING);
    if (epoch != v->route.epoch)
        control_err(c, ESTALE, "the route's epoch is %llu", (unsigned long long)v->route.epoch);
    else if (strcmp(target, v->route.gateway) == 0)
        control_err(c, EINVAL, "the volume is on '%s' already", target);
    else if (v->route.state == ROUTE_STATE_UNCOMMITTED)
        control_err(c, EBUSY, "the last move is not committed: a copy is kept on '%s'",
                    v->route.target);
    else if (unfit)
        control_err(c, EOPNOTSUPP, "source '%s' %s", v->route.gateway, unfit);
    else if (left)
        control_err(c, EAGAIN, "writes of a connection that ended may still land: wait %llu ms",
                    (unsigned long long)(left / 1000 + 1));
    else
        return false;
    return true;
}

void move_begin(struct volume *v, struct control *c, uint64_t epoch, const char *target)
{
    char uri[1024], why[512];
    struct move *m = NULL;
    int r;
    if (answer_from_present(v, c, epoch, target) || refuse_begin(v, c, epoch, target))
        goto unuse;
    r = volume_gateway_uri(v->d, target, v->name, uri, sizeof(uri), why, sizeof(why));
    if (r < 0) {
        control_err(c, r, "%s", why);
        goto unuse;
    }
    m = calloc(1, sizeof(*m));
    if (m)
        m->leg = leg_open(v->d, target, uri, v->name, &target_ops, m);
    if (!m || !m->leg) {
        free(m);
        control_err(c, ENOMEM, "%s", err_text(ENOMEM));
        goto unuse;
    }
    m->v = v;
    m->phase = MOVE_OPENING;
    snprintf(m->target, sizeof(m->target), "%s", target);
    m->driver = c;
    wait_for(m, c, WAIT_BEGIN);
    v->move = m;
    return;
unuse:
    volume_unuse(v);
}

/* ---- giving up ---- */

static void unmirror(struct volume *v)
{
    const struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++)
        if (t->slots[i]->volume == v)
            t->slots[i]->mirrored = false;
}

static void drop_target(struct move *m)
{
    struct volume *v = m->v;
    bool unanswered = volume_role_waits(v, ROLE_TARGET, UINT64_MAX);
    leg_free(m->leg);
    m->leg = NULL;
    unmirror(v);
    volume_forget_role(v, ROLE_TARGET, NBD_EIO);
    if (m->blocks) {
        struct blocks_counts n = blocks_counts(m->blocks);
        unanswered |= n.copying || n.haunted;
    }
    if (unanswered)
        quarantine_add(v->d, v->name);
    blocks_free(m->blocks);
    m->blocks = NULL;
}

static void gone(struct move *m)
{
    m->phase = MOVE_GONE;
    if (m->waits == WAIT_ABORT)
        control_ok(take_waiter(m), "the volume stays on '%s'", m->v->route.gateway);
    free_if_over(m);
}

/*
 * Back to the owner alone.  Whoever waits is told; an abort that waits is answered when the store
 * says "steady" again.
 */
static void give_up(struct move *m, int err, const char *why)
{
    struct volume *v = m->v;
    bool held = m->phase == MOVE_HELD;
    loop_timer_cancel(v->d->loop, &m->deadline);
    loop_timer_cancel(v->d->loop, &m->tick);
    snprintf(m->why, sizeof(m->why), "%s", why);
    if (m->waits != WAIT_ABORT) {
        bool beginning = m->waits == WAIT_BEGIN;
        struct control *c = take_waiter(m);
        if (beginning && c == m->driver)
            m->driver = NULL; /* a begin that failed drives nothing */
        control_err(c, beginning ? err : ECONNABORTED, "%s", why);
        err_warn("volume '%s': move to '%s' given up: %s", v->name, m->target, why);
    }
    m->phase = MOVE_ENDING;
    drop_target(m);
    if (held)
        volume_open_gate(v);
    if (!m->recorded) {
        gone(m);
        return;
    }
    struct route next = v->route;
    next.state = ROUTE_STATE_STEADY;
    next.target[0] = 0;
    record(m, &next, v->route.epoch, ROUTE_STATE_MOVING);
}

static void end_recorded(struct move *m)
{
    if (m->job.result < 0)
        err_warn("volume '%s': route state: %s", m->v->name, m->job.error);
    else
        m->v->route = m->job.route;
    gone(m);
}

void move_abort(struct move *m, struct control *c)
{
    switch (m->phase) {
    case MOVE_OPENING:
    case MOVE_COPYING:
    case MOVE_HELD:
        if (m->waits != WAIT_NOTHING)
            control_err(take_waiter(m), ECONNABORTED, "aborted");
        wait_for(m, c, WAIT_ABORT);
        give_up(m, -ECONNABORTED, "aborted");
        return;
    case MOVE_RECORDING:
    case MOVE_ENDING:
        control_err(c, EAGAIN, "the store is being written: try again");
        return;
    case MOVE_GONE:
        m->driver = NULL;
        control_ok(c, "the volume stays on '%s'", m->v->route.gateway);
        free_if_over(m);
        return;
    default:
        control_err(c, EBUSY, "the switch was sent: too late to abort");
    }
}

/* ---- copying and proving ---- */

/* Is the move where claims make sense?  False: C has its answer. */
static bool copying(const struct move *m, struct control *c)
{
    if (m->phase == MOVE_COPYING || m->phase == MOVE_HELD)
        return true;
    control_err(c, EBUSY, "the move is in phase %s", move_phase_name(m));
    return false;
}

void move_claim(struct move *m, struct control *c, enum claim_kind kind, uint64_t max)
{
    uint64_t offset, length;
    if (!copying(m, c))
        return;
    int64_t id = blocks_claim(m->blocks, kind, max, c, &offset, &length);
    if (id < 0) {
        control_err(c, (int)id, "%s", err_text((int)id));
        return;
    }
    if (id > 0) {
        control_ok(c, "%lld %llu %llu", (long long)id, (unsigned long long)offset,
                   (unsigned long long)length);
        return;
    }
    struct blocks_counts n = blocks_counts(m->blocks);
    control_ok(c, "none %llu %llu %llu %llu", (unsigned long long)n.dirty,
               (unsigned long long)n.copying, (unsigned long long)n.haunted,
               (unsigned long long)n.unproved);
}

static void no_such_claim(struct control *c, uint64_t claim)
{
    control_err(c, ESTALE, "no claim %llu of yours", (unsigned long long)claim);
}

void move_done(struct move *m, struct control *c, enum claim_kind kind, uint64_t claim)
{
    if (!copying(m, c))
        return;
    if (blocks_done(m->blocks, claim, kind, c) < 0) {
        no_such_claim(c, claim);
        return;
    }
    struct blocks_counts n = blocks_counts(m->blocks);
    if (kind == CLAIM_COPY)
        m->flushed = false;
    control_ok(c, "%llu", (unsigned long long)(kind == CLAIM_COPY ? n.dirty : n.unproved));
}

void move_release(struct move *m, struct control *c, uint64_t claim)
{
    if (!copying(m, c))
        return;
    m->flushed = false;
    if (blocks_release(m->blocks, claim, c) < 0)
        no_such_claim(c, claim);
    else
        control_ok(c, "%s", "");
}

void move_differs(struct move *m, struct control *c, uint64_t claim)
{
    if (!copying(m, c))
        return;
    int r = blocks_differ(m->blocks, claim, c, volume_range_busy, m->v);
    if (r < 0)
        no_such_claim(c, claim);
    else if (r > 0)
        control_ok(c, "raced");
    else
        control_err(c, EILSEQ, "the target does not hold what was written to it");
}

void move_mirror(struct move *m, struct control *c)
{
    if (!copying(m, c))
        return;
    m->mirror = true;
    control_ok(c, "%s", "");
}

void move_write_arrives(struct move *m, struct request *r)
{
    if ((m->phase != MOVE_COPYING && m->phase != MOVE_HELD) || !r->nbd.length)
        return;
    /* TRIM may leave anything behind, and FAST_ZERO may fail on one leg alone (S20): the owner
     * gets them, and the copier brings what came of it. */
    bool mirrorable = r->nbd.type == NBD_CMD_WRITE ||
                      (r->nbd.type == NBD_CMD_WRITE_ZEROES &&
                       !(r->nbd.flags & (NBD_CMD_FLAG_FAST_ZERO | NBD_CMD_FLAG_NO_HOLE)));
    r->mirrored = m->mirror && mirrorable && !m->leg->lost &&
                  blocks_all_synced(m->blocks, r->nbd.offset, r->nbd.length);
    if (r->mirrored)
        m->flushed = false;
    blocks_written(m->blocks, r->nbd.offset, r->nbd.length, r->mirrored);
}

void move_write_ends(struct move *m, struct request *r)
{
    if (!m->blocks || !r->nbd.length)
        return;
    m->flushed = m->flushed && !r->mirrored;
    blocks_written(m->blocks, r->nbd.offset, r->nbd.length, r->mirrored && !r->error);
}

void move_widen(struct move *m)
{
    if (m->phase == MOVE_COPYING)
        leg_widen(m->leg, m->v->n_clients);
}

/* ---- hold ---- */

/* The attempt is over: the waiting requests go on to the owner. */
static void unhold(struct move *m)
{
    loop_timer_cancel(m->v->d->loop, &m->deadline);
    m->phase = MOVE_COPYING;
    m->v->pause_us = clock_mono_us() - m->held_at_us;
    volume_open_gate(m->v);
}

static void hold_expired(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, deadline));
    bool draining = m->waits == WAIT_DRAIN;
    unhold(m);
    if (draining)
        control_err(take_waiter(m), ETIMEDOUT, "requests in flight were not answered in time");
}

void move_drained(struct move *m)
{
    if (m->phase == MOVE_HELD && m->waits == WAIT_DRAIN)
        control_ok(take_waiter(m), "%llu", (unsigned long long)(clock_mono_us() - m->held_at_us));
}

void move_hold(struct move *m, struct control *c, uint64_t window_ms)
{
    if (busy_waiting(m, c))
        return;
    if (m->phase != MOVE_COPYING) {
        control_err(c, EBUSY, "the move is in phase %s", move_phase_name(m));
        return;
    }
    m->phase = MOVE_HELD;
    m->held_at_us = clock_mono_us();
    m->hold_until_us = m->held_at_us + window_ms * 1000;
    loop_timer_set(m->v->d->loop, &m->deadline, m->hold_until_us, hold_expired);
    volume_close_gate(m->v);
    wait_for(m, c, WAIT_DRAIN);
    if (!m->v->inflight)
        move_drained(m);
}

void move_unhold(struct move *m, struct control *c)
{
    if (busy_waiting(m, c))
        return;
    if (m->phase != MOVE_HELD) {
        control_err(c, ETIMEDOUT, "there is no hold any more");
        return;
    }
    unhold(m);
    control_ok(c, "%s", "");
}

/* ---- flush ---- */

static void flush_answered(struct request *r)
{
    struct move *m = r->arg;
    if (r->error)
        m->flush_failed = true;
    if (--m->flushes)
        return;
    if (m->phase == MOVE_RETIRE) {
        m->retired = true;
        m->retired_ok = !m->flush_failed;
        leg_free(m->leg); /* S5: flushed, and written to no more */
        m->leg = NULL;
        struct control *c = m->waits == WAIT_RETIRE ? take_waiter(m) : NULL;
        move_retire(m, c);
        free_if_over(m);
        return;
    }
    if (m->flush_failed)
        m->flushed = false;
    if (m->waits != WAIT_FLUSH)
        return;
    if (m->flush_failed)
        control_err(take_waiter(m), EIO, "the target could not flush");
    else
        control_ok(take_waiter(m), "%s", "");
}

/* A flush on every connection of the leg; flush_answered() follows for each.  0 or -errno. */
static int flush_leg(struct move *m)
{
    struct volume *v = m->v;
    unsigned n = m->leg->lost ? 0 : m->leg->n_ready;
    if (!n)
        return -ENOTCONN;
    m->flush_failed = false;
    m->flushes = 0;
    for (unsigned i = 0; i < n; i++) {
        struct request *r = request_new(&v->d->requests, v);
        if (!r) {
            m->flush_failed = true;
            break;
        }
        r->nbd.type = NBD_CMD_FLUSH;
        r->arrived_us = now_us(m);
        r->waiting = ROLE_TARGET;
        r->done = flush_answered;
        r->arg = m;
        v->inflight++;
        m->flushes++;
        leg_send(m->leg, r, ROLE_TARGET, i);
    }
    return m->flushes ? 0 : -ENOMEM;
}

void move_flush(struct move *m, struct control *c)
{
    if (busy_waiting(m, c) || !copying(m, c))
        return;
    if (m->flushes) {
        control_err(c, EBUSY, "an earlier flush is not answered yet");
        return;
    }
    m->flushed = true; /* until a write to the target says otherwise */
    wait_for(m, c, WAIT_FLUSH);
    int r = flush_leg(m);
    if (r < 0) {
        m->flushed = false;
        control_err(take_waiter(m), r, "the target could not flush");
    }
}

/* ---- switch ---- */

static void start_retire(struct move *m)
{
    m->flushes = 0;
    int r = m->leg ? flush_leg(m) : -ENOTCONN;
    if (r < 0) {
        m->retired = true;
        m->retired_ok = false;
        leg_free(m->leg);
        m->leg = NULL;
    }
}

/* The store says so: the target owns the volume. */
static void switched(struct move *m, const struct route *route)
{
    struct volume *v = m->v;
    loop_timer_cancel(v->d->loop, &m->deadline);
    loop_timer_cancel(v->d->loop, &m->tick);
    struct leg *old = volume_change_owner(v, m->leg, route);
    m->leg = old;
    if (old) {
        old->owner = m;
        old->ops = &target_ops;
    }
    m->phase = MOVE_RETIRE;
    blocks_free(m->blocks);
    m->blocks = NULL;
    v->pause_us = clock_mono_us() - m->held_at_us;
    start_retire(m);
    if (v->owner->lost)
        volume_drop(v, v->owner->error);
    else
        volume_open_gate(v);
    control_ok(take_waiter(m), "%llu %llu", (unsigned long long)route->epoch,
               (unsigned long long)v->pause_us);
    free_if_over(m);
}

/* Nothing was committed: the owner is who it was. */
static void not_switched(struct move *m, int err, const char *why)
{
    struct volume *v = m->v;
    struct control *c = take_waiter(m);
    bool stale = err == -ESTALE;
    if (m->leg->lost || stale || !v->owner || v->owner->lost) {
        char text[512];
        snprintf(text, sizeof(text), "%s",
                 stale          ? "the route was changed by somebody else"
                 : m->leg->lost ? m->leg->error
                 : v->owner     ? v->owner->error
                                : why);
        bool drop = stale || !v->owner || v->owner->lost;
        m->recorded = !stale;
        m->phase = MOVE_HELD;
        control_err(c, ECONNABORTED, "%s", text);
        give_up(m, err, text);
        if (drop)
            volume_drop(v, text);
        return;
    }
    m->phase = MOVE_HELD;
    unhold(m);
    start_tick(m);
    control_err(c, err, "%s", why);
}

static void settle(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, tick));
    m->job = (struct storejob){.kind = STOREJOB_SETTLE, .done = store_outcome, .arg = m};
    storejobs_queue(m->v->d->jobs, &m->job);
}

static void settle_later(struct move *m)
{
    if (m->expired)
        volume_fail_held(m->v, NBD_EIO);
    loop_timer_set(m->v->d->loop, &m->tick, now_us(m) + SETTLE_RETRY_US, settle);
}

static void doubt(struct move *m)
{
    if (m->phase != MOVE_DOUBT)
        err_warn("volume '%s': the switch to '%s' is in doubt: %s", m->v->name, m->target,
                 m->job.error);
    m->phase = MOVE_DOUBT;
    settle_later(m);
}

/* The store can be read for certain: which side won?  The source only by a commit of its own. */
static void settled(struct move *m)
{
    struct volume *v = m->v;
    const struct route *now = &m->job.route;
    if (strcmp(now->gateway, m->target) == 0 && now->epoch == v->route.epoch + 1) {
        struct route route = *now;
        switched(m, &route);
    } else if (now->epoch == v->route.epoch) {
        struct route back = v->route;
        back.epoch++;
        back.state = ROUTE_STATE_MOVING;
        record(m, &back, v->route.epoch, ROUTE_STATE_MOVING);
    } else {
        not_switched(m, -ESTALE, "the route was changed by somebody else");
    }
}

static void commit_outcome(struct move *m)
{
    struct storejob *j = &m->job;
    bool back = j->kind == STOREJOB_CAS && strcmp(j->route.gateway, m->v->route.gateway) == 0;
    if (j->result == -EINPROGRESS || (m->phase == MOVE_DOUBT && j->result < 0)) {
        doubt(m);
    } else if (j->kind == STOREJOB_SETTLE) {
        m->job.kind = STOREJOB_GET;
        snprintf(m->job.route.volume, sizeof(m->job.route.volume), "%s", m->v->name);
        storejobs_queue(m->v->d->jobs, &m->job);
    } else if (j->kind == STOREJOB_GET) {
        settled(m);
    } else if (j->result < 0) {
        not_switched(m, j->result, j->error);
    } else if (back) {
        m->v->route = j->route;
        not_switched(m, -EIO, "the commit failed; the volume stays where it was, at a new epoch");
    } else {
        struct route route = j->route;
        switched(m, &route);
    }
}

static void store_outcome(struct storejob *j)
{
    struct move *m = j->arg;
    if (m->phase == MOVE_RECORDING)
        begin_recorded(m);
    else if (m->phase == MOVE_ENDING)
        end_recorded(m);
    else
        commit_outcome(m);
}

/* Held requests must not hang for ever while the store can't be asked. */
static void commit_late(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, deadline));
    m->expired = true;
    volume_fail_held(m->v, NBD_EIO);
    loop_timer_set(m->v->d->loop, &m->deadline, now_us(m) + SETTLE_RETRY_US, commit_late);
}

void move_switch(struct move *m, struct control *c, uint64_t epoch)
{
    struct volume *v = m->v;
    if (busy_waiting(m, c))
        return;
    if (m->phase != MOVE_HELD) {
        control_err(c, ETIMEDOUT, "there is no hold any more: the owner is '%s'", v->route.gateway);
        return;
    }
    /* The clock itself, not the timer: after a pause of this process both are due at once (S1). */
    if (clock_mono_us() >= m->hold_until_us) {
        unhold(m);
        control_err(c, ETIMEDOUT, "the hold ran out: the owner is '%s'", v->route.gateway);
        return;
    }
    if (epoch != v->route.epoch) {
        control_err(c, ESTALE, "the route's epoch is %llu", (unsigned long long)v->route.epoch);
        return;
    }
    if (m->leg->lost || v->inflight || !m->flushed || !blocks_complete(m->blocks)) {
        struct blocks_counts n = blocks_counts(m->blocks);
        control_err(c, EBUSY, "not ready: %llu bytes not synced, %llu not proved%s%s",
                    (unsigned long long)(v->route.size_bytes - n.synced),
                    (unsigned long long)n.unproved, m->flushed ? "" : ", target not flushed",
                    v->inflight ? ", requests in flight" : "");
        return;
    }
    struct route next = v->route;
    next.epoch++;
    next.state = ROUTE_STATE_UNCOMMITTED;
    snprintf(next.gateway, sizeof(next.gateway), "%s", m->target);
    snprintf(next.target, sizeof(next.target), "%s", v->route.gateway);
    m->phase = MOVE_COMMIT;
    m->expired = false;
    loop_timer_cancel(v->d->loop, &m->tick);
    loop_timer_set(v->d->loop, &m->deadline, now_us(m) + v->d->set.retry_us, commit_late);
    wait_for(m, c, WAIT_SWITCH);
    record(m, &next, v->route.epoch, ROUTE_STATE_MOVING);
}

void move_retire(struct move *m, struct control *c)
{
    if (!c)
        return;
    if (m->phase != MOVE_RETIRE)
        control_err(c, EBUSY, "the volume has not switched");
    else if (!m->retired)
        wait_for(m, c, WAIT_RETIRE);
    else if (m->retired_ok)
        control_ok(c, "%s", "");
    else
        control_err(c, EIO, "the old owner could not be flushed: its copy is unknown");
}

/* ---- who goes away ---- */

bool move_owner_lost(struct move *m)
{
    switch (m->phase) {
    case MOVE_COMMIT:
    case MOVE_DOUBT:
        return true; /* nothing is in flight on it, and the store decides */
    case MOVE_OPENING:
    case MOVE_COPYING:
    case MOVE_HELD:
        give_up(m, -ECONNABORTED, m->v->owner->error);
        return false;
    default:
        return false;
    }
}

static void driver_gone(struct move *m)
{
    m->driver = NULL;
    switch (m->phase) {
    case MOVE_OPENING:
        give_up(m, -ECONNABORTED, "who began the move is gone");
        return;
    case MOVE_HELD:
        unhold(m);
        break;
    default:
        break;
    }
    if (m->blocks)
        m->flushed = false;
}

void move_control_gone(struct move *m, const struct control *c)
{
    if (m->blocks && blocks_driver_gone(m->blocks, c, now_us(m) + m->v->d->set.quarantine_us))
        err_warn("volume '%s': a copier is gone with writes unanswered: they are waited for",
                 m->v->name);
    if (m->waiter == c)
        m->waiter = NULL, m->waits = WAIT_NOTHING;
    if (m->driver == c) {
        struct volume *v = m->v;
        v->users++; /* driver_gone() may free the move */
        driver_gone(m);
        if (v->move == m)
            free_if_over(m);
        volume_unuse(v);
    }
}
