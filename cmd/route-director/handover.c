/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hand-over: hold, flush, switch, the commit in doubt, and the old owner's end (S1, S5). */
#include "move_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "changes.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "io.h"
#include "owner.h"
#include "track.h"

enum { SETTLE_RETRY_US = 200000 };

/* ---- hold ---- */

/* The attempt is over: the waiting requests go on to the owner. */
void move_end_hold(struct move *m)
{
    loop_timer_cancel(m->v->d->loop, &m->deadline);
    if (m->detached && m->asked_once) {
        /* What it keeps of that is old as soon as the owner is written to (S14). */
        move_give_up(m, -ECONNABORTED, "the target was read, and is not the owner");
        return;
    }
    if (m->detached) {
        move_reattach(m);
        return;
    }
    m->phase = MOVE_COPYING;
    m->v->pause_us = clock_mono_us() - m->held_at_us;
    volume_open_gate(m->v);
}

static void hold_expired(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, deadline));
    bool late = m->waits == WAIT_DRAIN || m->waits == WAIT_DETACH || m->waits == WAIT_SWITCH;
    struct control *c = late ? move_take_waiter(m) : NULL;
    move_end_hold(m);
    control_err(c, ETIMEDOUT, "requests in flight were not answered in time");
}

/*
 * What was mirrored is flushed while the driver proves the last pages, if there is nothing that it
 * copied itself and has to flush first.
 */
static void flush_early(struct move *m)
{
    if (!m->copies_flushed || m->flushes)
        return;
    m->flushed = true; /* until a write to the target says otherwise */
    if (move_flush_leg(m) < 0)
        m->flushed = false;
}

void move_drained(struct move *m)
{
    if (m->phase == MOVE_HELD && m->waits == WAIT_DRAIN) {
        uint64_t left = m->v->route.size_bytes - blocks_counts(m->blocks).synced;
        control_ok(move_take_waiter(m), "%llu %llu",
                   (unsigned long long)(clock_mono_us() - m->held_at_us), (unsigned long long)left);
        flush_early(m);
    } else if (m->phase == MOVE_HELD && m->waits == WAIT_DETACH) {
        move_detach_drained(m);
    }
}

void move_start_hold(struct move *m, uint64_t now_us, uint64_t window_ms)
{
    m->phase = MOVE_HELD;
    m->hold_until_us = now_us + window_ms * 1000;
    loop_timer_set(m->v->d->loop, &m->deadline, m->hold_until_us, hold_expired);
    volume_close_gate(m->v);
}

void move_hold(struct move *m, struct control *c, uint64_t window_ms)
{
    if (move_busy(m, c))
        return;
    if (move_is_stalled(m, c))
        return;
    if (m->phase != MOVE_COPYING || m->shared) {
        control_err(c, EBUSY, "the move is %s %s",
                    m->shared ? "on shared storage: see" : "in phase",
                    m->shared ? "detach" : move_phase_name(m));
        return;
    }
    m->held_at_us = clock_mono_us();
    move_start_hold(m, m->held_at_us, window_ms);
    move_wait_for(m, c, WAIT_DRAIN);
    if (!m->v->inflight)
        move_drained(m);
}

void move_unhold(struct move *m, struct control *c)
{
    if (move_busy(m, c))
        return;
    if (m->phase != MOVE_HELD) {
        control_err(c, ETIMEDOUT, "there is no hold any more");
        return;
    }
    move_end_hold(m);
    control_ok(c, "%s", "");
}

/* ---- flush ---- */

/* The old owner is written to no more; FLUSHED: and has made durable what it was sent (S5). */
static void let_go_of_source(struct move *m, bool flushed)
{
    m->retired = true;
    m->retired_ok = flushed;
    if (flushed && m->source_sure && m->v->changes)
        changes_copy_is_whole(m->v->changes);
    leg_free(m->leg);
    m->leg = NULL;
}

static void flush_for_driver(struct move *m);

static void flush_answered(struct request *r)
{
    struct move *m = r->arg;
    if (r->error)
        m->flush_failed = true;
    if (--m->flushes)
        return;
    if (m->phase == MOVE_RETIRE) {
        let_go_of_source(m, !m->flush_failed);
        struct control *c = m->waits == WAIT_RETIRE ? move_take_waiter(m) : NULL;
        move_retire(m, c);
        move_free_if_over(m);
        return;
    }
    if (!move_is_open(m))
        return;
    /* The next flush may succeed although what this one should have written is lost (S4, S5). */
    if (m->flush_failed)
        move_give_up(m, -EIO, "the target could not flush: what it holds is unknown");
    else if (m->waits == WAIT_FLUSH && m->flush_again)
        flush_for_driver(m);
    else if (m->waits == WAIT_FLUSH)
        control_ok(move_take_waiter(m), "%s", "");
    else if (m->waits == WAIT_SWITCH && m->phase == MOVE_HELD)
        move_switch(m, move_take_waiter(m), m->v->route.epoch);
    else if (m->phase == MOVE_PROMOTING)
        move_promote_step(m);
}

/* flush_answered() follows for each. */
int move_flush_leg(struct move *m)
{
    struct volume *v = m->v;
    unsigned n = m->leg->lost ? 0 : m->leg->n_ready;
    if (!n)
        return -ENOTCONN;
    if (!(m->leg->export.flags & NBD_TF_FLUSH))
        return 1;
    m->flush_failed = false;
    m->flushes = 0;
    m->flushing_since_us = move_now_us(m);
    for (unsigned i = 0; i < n; i++) {
        struct request *r =
            io_copy_request(v, &(struct nbd_request){.type = NBD_CMD_FLUSH}, flush_answered, m);
        if (!r) {
            m->flush_failed = true;
            break;
        }
        m->flushes++;
        leg_send(m->leg, r, ROLE_TARGET, i);
    }
    return m->flushes ? 0 : -ENOMEM;
}

/* The driver waits for a flush, and none is under way. */
static void flush_for_driver(struct move *m)
{
    m->flush_again = false;
    m->flushed = true; /* until a write to the target says otherwise */
    int r = move_flush_leg(m);
    if (r > 0) {
        control_ok(move_take_waiter(m), "%s", "");
    } else if (r < 0) {
        m->flushed = m->copies_flushed = false;
        control_err(move_take_waiter(m), r, "the target could not flush");
    }
}

void move_flush(struct move *m, struct control *c)
{
    if (move_busy(m, c) || !move_is_copying(m, c))
        return;
    bool covered = m->flushed; /* by a flush that was answered, or is under way */
    m->copies_flushed = true;  /* until a write to the target says otherwise */
    if (covered && !m->flushes) {
        control_ok(c, "%s", "");
        return;
    }
    move_wait_for(m, c, WAIT_FLUSH);
    m->flush_again = !covered;
    if (!m->flushes)
        flush_for_driver(m);
}

/* ---- switch ---- */

/* What the record says until the switch. */
static enum rec_route_state state_before(const struct move *m)
{
    return m->back ? ROUTE_STATE_UNCOMMITTED : ROUTE_STATE_MOVING;
}

static void start_retire(struct move *m)
{
    m->flushes = 0;
    int r = m->leg ? move_flush_leg(m) : -ENOTCONN;
    move_start_tick(m);
    if (r != 0)
        let_go_of_source(m, r > 0);
}

/* The store says so: the target owns the volume. */
static void switched(struct move *m, const struct route *route)
{
    struct volume *v = m->v;
    if (m->shared) {
        move_switched_shared(m, route);
        return;
    }
    loop_timer_cancel(v->d->loop, &m->deadline);
    loop_timer_cancel(v->d->loop, &m->tick);
    m->source_sure = v->owner.place == OWNER_HERE && !v->owner.haunts.n;
    if (m->promoted)
        move_note_promotion(m, route);
    copiers_shut_out(m);
    struct leg *old = volume_change_owner(v, m->leg, route);
    track_switched(v, m->next);
    m->next = NULL;
    m->leg = old;
    if (old) {
        old->owner = m;
        old->ops = &move_target_ops;
    }
    m->phase = MOVE_RETIRE;
    blocks_free(m->blocks);
    m->blocks = NULL;
    v->pause_us = clock_mono_us() - m->held_at_us;
    start_retire(m);
    if (m->promoted)
        owner_replaced(v);
    if (v->owner.leg->lost)
        owner_went_away(v);
    volume_open_gate(v);
    control_ok(move_take_waiter(m), "%llu %llu", (unsigned long long)route->epoch,
               (unsigned long long)v->pause_us);
    move_free_if_over(m);
}

/* Nothing was committed: the owner is who it was. */
static void not_switched(struct move *m, int err, const char *why)
{
    struct volume *v = m->v;
    struct control *c = move_take_waiter(m);
    bool stale = err == -ESTALE;
    bool promoting = m->promoted; /* then there is no owner to be lost, but one to be looked for */
    bool lost = !promoting && !m->detached && v->owner.leg->lost;
    m->promoted = false;
    if (m->leg->lost || stale) {
        char text[512];
        snprintf(text, sizeof(text), "%s",
                 stale ? "the route was changed by somebody else" : m->leg->error);
        m->recorded = !stale && !m->back;
        m->phase = promoting ? MOVE_PROMOTING : MOVE_HELD;
        control_err(c, ECONNABORTED, "%s", text);
        v->users++; /* to give up may end the last */
        if (!stale && lost)
            owner_went_away(v);
        move_give_up(m, err, text);
        if (stale)
            volume_drop(v, text);
        volume_unuse(v);
        return;
    }
    m->phase = MOVE_HELD;
    if (promoting) {
        move_not_promoted(m, why);
    } else if (lost) {
        move_stall(m);
        owner_went_away(v);
    } else {
        move_end_hold(m);
        if (move_is_open(m))
            move_start_tick(m);
    }
    control_err(c, err, "%s", why);
}

static void settle(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, tick));
    m->job = (struct storejob){.kind = STOREJOB_SETTLE, .done = move_store_outcome, .arg = m};
    storejobs_queue(m->v->d->jobs, &m->job);
}

static void settle_later(struct move *m)
{
    if (m->expired)
        volume_fail_held(m->v, NBD_EIO);
    loop_timer_set(m->v->d->loop, &m->tick, move_now_us(m) + SETTLE_RETRY_US, settle);
}

static void doubt(struct move *m)
{
    if (m->phase != MOVE_DOUBT)
        err_warn("volume '%s': the switch to '%s' is in doubt: %s", m->v->name, m->target,
                 m->job.error);
    m->phase = MOVE_DOUBT;
    settle_later(m);
}

/* The source won by a commit of its own. */
static void went_back(struct move *m, const struct route *now)
{
    m->v->route = *now;
    m->stored = now->state;
    track_follow(m->v);
    not_switched(m, -EIO, "the commit failed; the volume stays where it was, at a new epoch");
}

/* The store can be read for certain: which side won?  The source only by a commit of its own. */
static void settled(struct move *m)
{
    struct volume *v = m->v;
    const struct route *now = &m->job.route;
    if (strcmp(now->gateway, m->target) == 0 && now->epoch == v->route.epoch + 1) {
        struct route route = *now;
        switched(m, &route);
    } else if (strcmp(now->gateway, v->route.gateway) == 0 && now->epoch == v->route.epoch + 1) {
        went_back(m, now); /* by the commit below, which was in doubt itself */
    } else if (now->epoch == v->route.epoch) {
        struct route back = v->route;
        back.epoch++;
        back.state = state_before(m);
        move_record(m, &back, v->route.epoch, m->stored);
    } else {
        not_switched(m, -ESTALE, "the route was changed by somebody else");
    }
}

void move_commit_outcome(struct move *m)
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
        went_back(m, &j->route);
    } else {
        struct route route = j->route;
        switched(m, &route);
    }
}

/* Held requests must not hang for ever while the store can't be asked. */
static void commit_late(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, deadline));
    m->expired = true;
    volume_fail_held(m->v, NBD_EIO);
    loop_timer_set(m->v->d->loop, &m->deadline, move_now_us(m) + SETTLE_RETRY_US, commit_late);
}

void move_commit(struct move *m)
{
    struct volume *v = m->v;
    struct route next = v->route;
    next.epoch++;
    /* On shared storage no copy is kept that would have to be let go. */
    next.state = m->shared ? ROUTE_STATE_STEADY : ROUTE_STATE_UNCOMMITTED;
    next.verify = m->shared ? VERIFY_FULL : blocks_proved(m->blocks);
    snprintf(next.gateway, sizeof(next.gateway), "%s", m->target);
    snprintf(next.target, sizeof(next.target), "%s", m->shared ? "" : v->route.gateway);
    m->phase = MOVE_COMMIT;
    m->expired = false;
    loop_timer_cancel(v->d->loop, &m->tick);
    loop_timer_set(v->d->loop, &m->deadline, move_now_us(m) + v->d->set.retry_us, commit_late);
    move_record(m, &next, v->route.epoch, m->stored);
}

/* All that a switch waits for is a flush of the director's own: that which the hold began. */
static bool is_flushing(const struct move *m)
{
    return !m->leg->lost && m->flushes && m->v->inflight == m->flushes && m->flushed &&
           blocks_complete(m->blocks);
}

void move_switch(struct move *m, struct control *c, uint64_t epoch)
{
    struct volume *v = m->v;
    if (move_busy(m, c) || move_is_stalled(m, c))
        return;
    if (m->phase != MOVE_HELD) {
        control_err(c, ETIMEDOUT, "there is no hold any more: the owner is '%s'", v->route.gateway);
        return;
    }
    /* The clock itself, not the timer: after a pause of this process both are due at once (S1). */
    if (clock_mono_us() >= m->hold_until_us) {
        move_end_hold(m);
        control_err(c, ETIMEDOUT, "the hold ran out: the owner is '%s'", v->route.gateway);
        return;
    }
    if (epoch != v->route.epoch) {
        control_err(c, ESTALE, "the route's epoch is %llu", (unsigned long long)v->route.epoch);
        return;
    }
    if (m->shared) {
        move_switch_shared(m, c);
        return;
    }
    if (is_flushing(m)) {
        move_wait_for(m, c, WAIT_SWITCH);
        return;
    }
    if (m->leg->lost || v->inflight || !m->flushed || !blocks_complete(m->blocks)) {
        struct blocks_counts n = blocks_counts(m->blocks);
        control_err(c, EBUSY, "not ready: %llu bytes not synced, %llu not proved%s%s",
                    (unsigned long long)(v->route.size_bytes - n.synced),
                    (unsigned long long)n.unproved, m->flushed ? "" : ", target not flushed",
                    v->inflight > m->flushes ? ", requests in flight" : "");
        return;
    }
    move_wait_for(m, c, WAIT_SWITCH);
    move_commit(m);
}

void move_retire(struct move *m, struct control *c)
{
    if (!c)
        return;
    if (m->phase != MOVE_RETIRE)
        control_err(c, EBUSY, "the volume has not switched");
    else if (!m->retired)
        move_wait_for(m, c, WAIT_RETIRE);
    else if (m->retired_ok)
        control_ok(c, "%s", "");
    else
        control_err(c, EIO, "the old owner could not be flushed: its copy is unknown");
}
