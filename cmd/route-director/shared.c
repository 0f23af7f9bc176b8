/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hand-over between two gateways that export the same bytes: nothing is copied, but what the
 * old owner may still do must have ended before the new one begins (S14).
 *
 *     begin … shared ▶ detach (drain, flush, close) ▶ [the driver fences the old owner] ▶ switch
 *
 * Until the commit everything leads back to the old owner, which is looked for as one that went
 * away: as long as it is fenced it is not found, and requests wait.  An owner that is dead is
 * handed over from just so; what it had not made durable, or not answered, the new one is given.
 *
 * Nothing is read of the new owner before the old one is fenced: it might keep what it read.  If it
 * was read and the old one stays the owner all the same, the move is over; a fence of the target
 * makes it forget.
 */
#include "move_priv.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "io.h"
#include "owner.h"
#include "track.h"

/* Whatever is in flight, both gateways have it or neither. */
static bool nobody_writes(void *arg, uint64_t offset, uint64_t length)
{
    (void)arg;
    (void)offset;
    (void)length;
    return false;
}

int move_adopt_all(struct move *m)
{
    uint64_t offset, length;
    int64_t id;
    while ((id = blocks_claim(m->blocks, CLAIM_COPY, UINT64_MAX, m, &offset, &length)) > 0) {
        blocks_claim_equal(m->blocks, (uint64_t)id, m);
        blocks_adopt(m->blocks, (uint64_t)id, m, nobody_writes, NULL);
    }
    return (int)id;
}

/* ---- detach ---- */

static void detached(struct move *m)
{
    uint64_t us = clock_mono_us() - m->held_at_us;
    owner_detach(m->v);
    m->detached = true;
    control_ok(move_take_waiter(m), "%llu", (unsigned long long)us);
}

static void not_detached(struct move *m, const char *why)
{
    struct control *c = move_take_waiter(m);
    move_end_hold(m);
    control_err(c, EIO, "%s", why);
}

/* Which hold it was sent in: one that is over waits for it no more. */
static void *token(const struct move *m)
{
    return (void *)(uintptr_t)m->held_at_us;
}

/* Does M wait for R, in the same hold? */
static bool is_awaited(const struct move *m, const struct request *r, enum move_wait what)
{
    return m && m->phase == MOVE_HELD && m->waits == what && r->arg == token(m);
}

static void owner_flushed_all(struct request *r)
{
    struct move *m = r->volume->move;
    if (!is_awaited(m, r, WAIT_DETACH))
        return;
    if (r->error)
        not_detached(m, "the owner could not flush");
    else if (m->v->owner.log.n)
        not_detached(m, "the owner did not flush all that it acknowledged");
    else
        detached(m);
}

void move_detach_drained(struct move *m)
{
    struct volume *v = m->v;
    /* One flush: a move is only of gateways whose connections share a cache (S9). */
    struct request *r = owner_request(v, NBD_CMD_FLUSH, 0, 0, owner_flushed_all);
    if (!r) {
        not_detached(m, err_text(ENOMEM));
        return;
    }
    r->arg = token(m);
    io_transmit(v, r);
}

/* Is the owner away, with nothing under way that may bring it back at this moment? */
static bool owner_is_away(const struct volume *v)
{
    return v->owner.place == OWNER_AWAY || v->owner.place == OWNER_CONNECTING;
}

void move_detach(struct move *m, struct control *c, uint64_t window_ms)
{
    struct volume *v = m->v;
    if (move_busy(m, c))
        return;
    bool away = m->phase == MOVE_STALLED && owner_is_away(v);
    if (!m->shared) {
        control_err(c, EINVAL, "the move is not on shared storage: see hold");
        return;
    }
    if (m->phase != MOVE_COPYING && !away) {
        if (!move_is_stalled(m, c))
            control_err(c, EBUSY, "the move is in phase %s", move_phase_name(m));
        return;
    }
    if (!away)
        m->held_at_us = clock_mono_us();
    move_start_hold(m, clock_mono_us(), window_ms);
    move_wait_for(m, c, WAIT_DETACH);
    if (away)
        detached(m);
    else if (!v->inflight)
        move_detach_drained(m);
}

void move_reattach(struct move *m)
{
    m->detached = false;
    move_stall(m);
    owner_look_again(m->v);
}

/* ---- switch ---- */

/* The store's answer comes while the hold lives on as a commit (S1). */
static void commit(struct move *m)
{
    if (clock_mono_us() < m->hold_until_us) {
        move_commit(m);
        return;
    }
    struct control *c = move_take_waiter(m);
    move_end_hold(m);
    control_err(c, ETIMEDOUT, "the hold ran out: the owner is '%s'", m->v->route.gateway);
}

static void refuse(struct move *m, int err, const char *why)
{
    struct control *c = move_take_waiter(m);
    move_end_hold(m);
    control_err(c, err, "%s", why);
}

/* A witness was read of the target, or could not be. */
static void compared(struct request *r)
{
    unsigned char block[WITNESS_BLOCK];
    struct volume *v = r->volume;
    struct move *m = v->move;
    bool whole = owner_gather(r, block);
    if (!is_awaited(m, r, WAIT_SWITCH))
        return;
    m->asked--;
    if (whole) {
        m->readable = true;
        m->other |= !witness_holds(&v->owner.witness, (unsigned)r->mark, block);
    }
    if (m->asked)
        return;
    if (m->other)
        refuse(m, EILSEQ, "the target does not have what the owner made durable");
    else if (!m->readable)
        refuse(m, EIO, "the target cannot read what the owner made durable");
    else
        commit(m);
}

/*
 * Has the target what is known to be durable (S13)?  Whoever says that two gateways share their
 * storage may be wrong; after the commit that could only be found out, not undone.
 */
static void compare_then_commit(struct move *m)
{
    struct volume *v = m->v;
    m->other = m->readable = false;
    m->asked = owner_ask_other(v, m->leg, compared, token(m));
    m->asked_once |= m->asked > 0;
    if (!m->asked)
        commit(m);
}

void move_switch_shared(struct move *m, struct control *c)
{
    if (!m->detached || m->leg->lost) {
        control_err(c, EBUSY, "not ready: %s",
                    m->detached ? "the target is lost" : "the owner is not detached");
        return;
    }
    move_wait_for(m, c, WAIT_SWITCH);
    compare_then_commit(m);
}

void move_switched_shared(struct move *m, const struct route *route)
{
    struct volume *v = m->v;
    struct leg *l = m->leg;
    loop_timer_cancel(v->d->loop, &m->deadline);
    loop_timer_cancel(v->d->loop, &m->tick);
    m->leg = NULL;
    m->detached = false;
    m->phase = MOVE_RETIRE;
    m->retired = m->retired_ok = true;
    blocks_free(m->blocks);
    m->blocks = NULL;
    v->pause_us = clock_mono_us() - m->held_at_us;
    v->users++; /* the last client may go when its request fails */
    owner_succeeds(v, l, route);
    track_switched(v, NULL);
    volume_open_gate(v);
    control_ok(move_take_waiter(m), "%llu %llu", (unsigned long long)route->epoch,
               (unsigned long long)v->pause_us);
    move_free_if_over(m);
    volume_unuse(v);
}
