/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "move_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "changes.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "owner.h"
#include "quarantine.h"
#include "reverse.h"
#include "track.h"
#include "worker.h"

enum { TICK_US = 50000 };

uint64_t move_now_us(const struct move *m)
{
    return loop_now_us(m->v->d->loop);
}

/* ---- answering the driver ---- */

void move_wait_for(struct move *m, struct control *c, enum move_wait what)
{
    m->waiter = c;
    m->waits = what;
}

/* The waiting verb's connection, which waits no longer. */
struct control *move_take_waiter(struct move *m)
{
    struct control *c = m->waiter;
    m->waiter = NULL;
    m->waits = WAIT_NOTHING;
    return c;
}

bool move_busy(struct move *m, struct control *c)
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
    case MOVE_STALLED:
        return "stalled";
    case MOVE_PROMOTING:
        return "promote";
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
    keepup_stop(m);
    reprove_stop(&m->reprove);
    copiers_shut_out(m);
    ranges_release(&m->copiers.writing);
    leg_free(m->leg);
    blocks_free(m->blocks);
    changes_drop(m->next);
    v->move = NULL;
    free(m);
    volume_unuse(v);
}

/* Nobody asks any more for how it ended. */
void move_free_if_over(struct move *m)
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
        move_give_up(m, l->err, why);
    }
}

/* What a side lacks of what a move needs; NULL: nothing. */
static const char *side_misfit(const struct leg *l, bool no_flush)
{
    if (leg_is_private(l) && !l->d->workers->copy_path)
        return "does not advertise multi-conn, and there is no socket for copiers to go through";
    return leg_unfit(l, no_flush);
}

/*
 * What clients negotiated must hold on the target too (S22); what is copied must fit (S24).
 * Commands that it lacks are made of others (io.c).
 */
const char *move_misfit(const struct volume *v, const struct leg *l, bool no_flush)
{
    const struct nbd_export *a = &v->offered, *b = &l->export;
    if (b->size < v->route.size_bytes)
        return "is smaller than the volume";
    if (b->min_block > a->min_block || b->max_block < a->max_block)
        return "has narrower block-size limits than clients were told";
    return side_misfit(l, no_flush);
}

void move_record(struct move *m, const struct route *next, uint64_t expect, int expect_state)
{
    m->job = (struct storejob){.kind = STOREJOB_CAS,
                               .route = *next,
                               .expect = expect,
                               .expect_state = expect_state,
                               .done = move_store_outcome,
                               .arg = m};
    m->job.route.time = clock_now();
    storejobs_queue(m->v->d->jobs, &m->job);
}

static void target_ready(struct leg *l)
{
    struct move *m = l->owner;
    struct volume *v = m->v;
    const char *misfit = move_misfit(v, m->leg, m->no_flush);
    if (misfit) {
        char why[512];
        snprintf(why, sizeof(why), "target '%s' %s", m->target, misfit);
        move_give_up(m, -EOPNOTSUPP, why);
        return;
    }
    /* The record may have changed since the volume was opened: a kept copy let go, say. */
    m->phase = MOVE_RECORDING;
    m->job = (struct storejob){.kind = STOREJOB_GET, .done = move_store_outcome, .arg = m};
    snprintf(m->job.route.volume, sizeof(m->job.route.volume), "%s", v->name);
    storejobs_queue(v->d->jobs, &m->job);
}

const struct leg_ops move_target_ops = {
    .ready = target_ready, .lost = target_lost, .answered = volume_answered, .data = volume_data};

/* ---- begin ---- */

static void tick(struct loop_timer *t);

void move_start_tick(struct move *m)
{
    loop_timer_set(m->v->d->loop, &m->tick, move_now_us(m) + TICK_US, tick);
}

/* Is a flush, of the target or of the old owner, unanswered for longer than anybody should wait? */
static bool flush_is_late(const struct move *m)
{
    return m->flushes && move_now_us(m) > m->flushing_since_us + m->v->d->set.retry_us;
}

/* Haunted blocks whose time is over; a target that keeps clients waiting (S16). */
static void tick_copying(struct move *m)
{
    struct director *d = m->v->d;
    uint64_t now = move_now_us(m);
    /* Without an owner it is not the target that clients wait for. */
    bool stalled = m->phase == MOVE_STALLED || m->phase == MOVE_PROMOTING;
    uint64_t late = stalled ? d->set.retry_us : d->set.leg_us;
    /* What lags keeps nobody waiting, as long as there is an answer now and then. */
    bool lagging = stalled || m->heard_us + late < now;
    if (!m->copiers.orphans) /* what is known to be in flight still may land still */
        blocks_exorcise(m->blocks, now);
    if (m->mirror && now > late && volume_target_waits(m->v, now - late, lagging)) {
        move_give_up(m, -ETIMEDOUT, "the target is too slow for mirrored writes (--leg-timeout)");
    } else if (flush_is_late(m)) {
        move_give_up(m, -ETIMEDOUT, "the target does not answer a flush (--retry-for)");
    } else {
        move_start_tick(m);
        keepup_look(m);
        move_reprove(m);
    }
}

static void tick(struct loop_timer *t)
{
    struct move *m = (struct move *)((char *)t - offsetof(struct move, tick));
    const struct volume *v = m->v;
    if (m->phase == MOVE_STALLED)
        move_stalled_tick(m);
    else if (m->phase == MOVE_PROMOTING)
        move_promote_step(m);
    if (v->move != m)
        return; /* it was given up */
    if (move_is_open(m))
        tick_copying(m);
    else if (m->phase != MOVE_RETIRE || m->retired)
        return;
    else if (flush_is_late(m))
        volume_forget_role(m->v, ROLE_TARGET, NBD_EIO); /* retired, with an unknown copy */
    else
        move_start_tick(m);
}

/* The begin of C, the driver, has succeeded: HOW. */
static void tell_begun(struct move *m, struct control *c, const char *how)
{
    char words[COPIER_WORDS];
    int r = copiers_let_in(m, words);
    if (r < 0)
        control_err(c, r, "no private export can be made: %s", err_text(r));
    else
        control_ok(c, "%d %llu %s%s", BLOCK_SIZE, (unsigned long long)m->v->route.size_bytes, how,
                   words);
}

static void begun(struct move *m)
{
    m->blocks = blocks_new(m->v->route.size_bytes);
    if (!m->blocks) {
        move_give_up(m, -ENOMEM, err_text(ENOMEM));
        return;
    }
    blocks_set_verify(m->blocks, m->verify);
    int r = m->shared ? move_adopt_all(m) : 0;
    if (r < 0) {
        move_give_up(m, r, err_text(r));
        return;
    }
    m->phase = m->v->owner.place == OWNER_HERE ? MOVE_COPYING : MOVE_STALLED;
    m->held_at_us = clock_mono_us(); /* for one that begins without its owner */
    move_start_tick(m);
    tell_begun(m, move_take_waiter(m), "new");
}

/* In the store's thread. */
static void prepare_map(struct storejob *j, const char *state)
{
    struct move *m = j->arg;
    m->next =
        track_prepare(state, &j->route, m->target, m->v->incarnation, j->error, sizeof(j->error));
}

/* The record is as it should be.  Next, a map for what changes after the switch. */
static void prepare(struct move *m)
{
    m->job = (struct storejob){.kind = STOREJOB_CALL,
                               .route = m->v->route,
                               .call = prepare_map,
                               .done = move_store_outcome,
                               .arg = m};
    storejobs_queue(m->v->d->jobs, &m->job);
}

/* The record as it is now: may a move begin?  Then it says so; on the way back it does already. */
static void begin_read(struct move *m)
{
    const struct storejob *j = &m->job;
    const struct route *now = &j->route;
    struct volume *v = m->v;
    char why[512];
    if (j->result <= 0) {
        snprintf(why, sizeof(why), "%s", j->result < 0 ? j->error : "the volume has no route");
        move_give_up(m, j->result < 0 ? j->result : -ENOENT, why);
    } else if (now->epoch != v->route.epoch || strcmp(now->gateway, v->route.gateway) != 0) {
        move_give_up(m, -ESTALE, "the route was changed by somebody else");
    } else if (m->back && track_is_kept(now, m->target)) {
        v->route = *now;
        m->stored = ROUTE_STATE_UNCOMMITTED;
        prepare(m);
    } else if (m->back) {
        snprintf(why, sizeof(why), "no copy of an uncommitted move is kept on '%s'", m->target);
        move_give_up(m, -EINVAL, why);
    } else if (now->state == ROUTE_STATE_UNCOMMITTED) {
        snprintf(why, sizeof(why), "the last move is not committed: a copy is kept on '%s'",
                 now->target);
        move_give_up(m, -EBUSY, why);
    } else if (now->state == ROUTE_STATE_MANUAL_RECOVERY) {
        move_give_up(m, -EPERM, "the volume is in manual recovery: nothing is touched");
    } else {
        struct route next = *now;
        next.state = ROUTE_STATE_MOVING;
        next.verify = m->verify;
        snprintf(next.target, sizeof(next.target), "%s", m->target);
        m->stored = ROUTE_STATE_MOVING;
        move_record(m, &next, now->epoch, now->state);
    }
}

static void begin_prepared(struct move *m);

static void begin_recorded(struct move *m)
{
    struct storejob *j = &m->job;
    /* In doubt it may be "moving" all the same: the end of the move says "steady" then. */
    m->recorded = j->result == 0 || j->result == -EINPROGRESS;
    if (j->result < 0) {
        move_give_up(m, j->result, j->error);
        return;
    }
    m->v->route = j->route;
    if (m->shared)
        begin_prepared(m);
    else
        prepare(m);
}

static void begin_prepared(struct move *m)
{
    if (!m->next && !m->shared)
        err_warn("volume '%s': no change map for the way back from '%s': %s", m->v->name, m->target,
                 m->job.error);
    if (m->leg->lost)
        move_give_up(m, m->leg->err, m->leg->error);
    else if (m->v->state != VOLUME_SERVING)
        move_give_up(m, -ECONNABORTED, m->v->error);
    else if (m->v->owner.place != OWNER_HERE && !m->shared)
        move_give_up(m, -ECONNABORTED, "the owner went away");
    else if (!m->driver)
        move_give_up(m, -ECONNABORTED, "who began the move is gone");
    else
        begun(m);
}

/*
 * The former driver is gone: another goes on with what is synced; proofs are void (S15), unless
 * that one had left the move in order.  What it wants proved is in the record with the switch at
 * the latest.
 */
static void attach(struct move *m, struct control *c, enum rec_verify verify)
{
    bool proved = m->in_order && !m->copiers.orphans;
    m->driver = c;
    m->in_order = false;
    m->flushed = false;
    m->verify = verify;
    blocks_set_verify(m->blocks, verify);
    if (!m->shared && !proved)
        blocks_unprove(m->blocks);
    tell_begun(m, c, "attached");
}

static bool lacks_flush(const struct nbd_export *e)
{
    return !(e->flags & NBD_TF_FLUSH);
}

/* Is there a move already?  True: C has its answer. */
static bool answer_from_present(struct volume *v, struct control *c, const struct move_order *o)
{
    struct move *m = v->move;
    /* A driver that lives will ask how the old owner's end went. */
    bool told = m && (!m->driver || m->driver == c);
    bool retired = m && m->phase == MOVE_RETIRE && m->retired && told;
    if (m && (m->phase == MOVE_GONE || retired) && !m->waiter) {
        move_free(m);
        m = NULL;
    }
    if (!m)
        return false;
    bool stalled = m->shared && m->phase == MOVE_STALLED; /* it may be moved off a dead owner */
    if (m->driver)
        control_err(c, EBUSY, "the volume is being moved to '%s' by another run", m->target);
    else if (!stalled && move_is_stalled(m, c))
        return true;
    else if ((!stalled && m->phase != MOVE_COPYING) || m->deferring)
        control_err(c, EAGAIN, "the last move is not over yet");
    else if (!o->no_flush && (lacks_flush(&m->leg->export) || lacks_flush(&v->owner.has)))
        control_err(c, EOPNOTSUPP, "the move was begun with no-flush");
    else if (strcmp(m->target, o->target) != 0 || m->v->route.epoch != o->epoch ||
             m->back != o->back || m->shared != o->shared)
        control_err(c, EBUSY, "a move to '%s' is open: resume or abort it", m->target);
    else
        attach(m, c, o->verify);
    return true;
}

/* Reasons against a move that need no connection.  True: C has its answer. */
static bool refuse_begin(struct volume *v, struct control *c, const struct move_order *o)
{
    const char *unfit =
        v->owner.place == OWNER_HERE ? side_misfit(v->owner.leg, o->no_flush) : NULL;
    uint64_t left = quarantine_left_us(v->d, v->name);
    uint64_t haunted = haunts_last_us(&v->owner.haunts);
    uint64_t now = loop_now_us(v->d->loop);
    /* Fencing the owner ends what its connections may still do. */
    if (haunted > now + left && !o->shared)
        left = haunted - now;
    if (o->epoch != v->route.epoch)
        control_err(c, ESTALE, "the route's epoch is %llu", (unsigned long long)v->route.epoch);
    else if (strcmp(o->target, v->route.gateway) == 0)
        control_err(c, EINVAL, "the volume is on '%s' already", o->target);
    else if (v->owner.place != OWNER_HERE && !o->shared)
        control_err(c, EAGAIN, "source '%s' is away", v->route.gateway);
    else if (unfit)
        control_err(c, EOPNOTSUPP, "source '%s' %s", v->route.gateway, unfit);
    else if (left)
        control_err(c, EAGAIN, "writes of a connection that ended may still land: wait %llu ms",
                    (unsigned long long)(left / 1000 + 1));
    else
        return false;
    return true;
}

/*
 * While the kept copy gets writes from its mirror nobody else writes there: that ends first, in
 * order, so that what it kept equal is known.  True: C has its answer.
 */
static bool wait_for_mirror(struct volume *v, struct control *c, bool back)
{
    if (!reverse_is_open(v))
        return false;
    if (back)
        reverse_give_way(v);
    control_err(c, back ? EAGAIN : EBUSY,
                back ? "the mirror of the kept copy ends first: try again"
                     : "the last move is not committed, and its copy mirrored");
    return true;
}

void move_begin(struct volume *v, struct control *c, const struct move_order *o)
{
    char uri[1024], why[512];
    struct move *m = NULL;
    int r;
    quarantine_writer_gone(v->d, c);
    if (answer_from_present(v, c, o) || refuse_begin(v, c, o) || wait_for_mirror(v, c, o->back))
        goto unuse;
    r = volume_gateway_uri(v->d, o->target, v->name, uri, sizeof(uri), why, sizeof(why));
    if (r < 0) {
        control_err(c, r, "%s", why);
        goto unuse;
    }
    m = calloc(1, sizeof(*m));
    if (m)
        m->leg = leg_open(v->d, o->target, uri, v->name, &move_target_ops, m);
    if (!m || !m->leg) {
        free(m);
        control_err(c, ENOMEM, "%s", err_text(ENOMEM));
        goto unuse;
    }
    m->v = v;
    m->phase = MOVE_OPENING;
    m->back = o->back;
    m->shared = o->shared;
    m->verify = o->verify;
    m->no_flush = o->no_flush;
    snprintf(m->target, sizeof(m->target), "%s", o->target);
    m->driver = c;
    move_wait_for(m, c, WAIT_BEGIN);
    v->move = m;
    return;
unuse:
    volume_unuse(v);
}

/* ---- giving up ---- */

void move_unmirror(struct volume *v)
{
    const struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++)
        if (t->slots[i]->volume == v)
            t->slots[i]->mirrored = false;
}

static void drop_target(struct move *m)
{
    struct volume *v = m->v;
    bool unanswered = volume_target_waits(v, UINT64_MAX, true) || m->copiers.writing.n;
    const void *writer = NULL;
    copiers_close(m, ROLE_TARGET);
    leg_free(m->leg);
    m->leg = NULL;
    move_unmirror(v);
    volume_forget_role(v, ROLE_TARGET, NBD_EIO);
    if (m->blocks) {
        struct blocks_counts n = blocks_counts(m->blocks);
        unanswered |= n.copying || n.haunted;
        writer = n.copying ? m->driver : NULL;
    }
    if (unanswered)
        quarantine_add(v->d, v->name, writer);
    blocks_free(m->blocks);
    m->blocks = NULL;
    changes_drop(m->next);
    m->next = NULL;
}

static void gone(struct move *m)
{
    m->phase = MOVE_GONE;
    if (m->waits == WAIT_ABORT)
        control_ok(move_take_waiter(m), "the volume stays on '%s'", m->v->route.gateway);
    move_free_if_over(m);
}

void move_record_end(struct move *m)
{
    struct route next = m->v->route;
    route_settle(&next);
    move_record(m, &next, m->v->route.epoch, m->stored);
}

/*
 * Back to the owner alone.  Whoever waits is told; an abort that waits is answered when the store
 * says "steady" again.
 */
void move_give_up(struct move *m, int err, const char *why)
{
    struct volume *v = m->v;
    bool promoting = m->phase == MOVE_PROMOTING;
    loop_timer_cancel(v->d->loop, &m->deadline);
    loop_timer_cancel(v->d->loop, &m->tick);
    snprintf(m->why, sizeof(m->why), "%s", why);
    if (m->waits != WAIT_ABORT) {
        bool beginning = m->waits == WAIT_BEGIN;
        struct control *c = move_take_waiter(m);
        if (beginning && c == m->driver)
            m->driver = NULL; /* a begin that failed drives nothing */
        control_err(c, beginning ? err : ECONNABORTED, "%s", why);
        err_warn("volume '%s': move to '%s' given up: %s", v->name, m->target, why);
    }
    m->phase = MOVE_ENDING;
    drop_target(m);
    if (promoting || m->detached)
        owner_look_again(v);
    m->detached = false;
    if (v->gate)
        volume_open_gate(v);
    if (!m->recorded)
        gone(m);
    else if (!m->deferring) /* else when that is known */
        move_record_end(m);
}

static void end_recorded(struct move *m)
{
    if (m->job.result < 0)
        err_warn("volume '%s': route state: %s", m->v->name, m->job.error);
    else
        m->v->route = m->job.route;
    gone(m);
}

void move_store_outcome(struct storejob *j)
{
    struct move *m = j->arg;
    if (m->phase == MOVE_RECORDING && j->kind == STOREJOB_GET)
        begin_read(m);
    else if (m->phase == MOVE_RECORDING && j->kind == STOREJOB_CALL)
        begin_prepared(m);
    else if (m->phase == MOVE_RECORDING)
        begin_recorded(m);
    else if (m->phase == MOVE_ENDING)
        end_recorded(m);
    else
        move_commit_outcome(m);
}

void move_abort(struct move *m, struct control *c)
{
    switch (m->phase) {
    case MOVE_OPENING:
    case MOVE_COPYING:
    case MOVE_HELD:
    case MOVE_STALLED:
        if (m->waits != WAIT_NOTHING)
            control_err(move_take_waiter(m), ECONNABORTED, "aborted");
        move_wait_for(m, c, WAIT_ABORT);
        move_give_up(m, -ECONNABORTED, "aborted");
        return;
    case MOVE_PROMOTING:
    case MOVE_RECORDING:
    case MOVE_ENDING:
        control_err(c, EAGAIN, "the store is being written: try again");
        return;
    case MOVE_GONE:
        m->driver = NULL;
        control_ok(c, "the volume stays on '%s'", m->v->route.gateway);
        move_free_if_over(m);
        return;
    default:
        control_err(c, EBUSY, "the switch was sent: too late to abort");
    }
}
/* ---- who goes away ---- */

bool move_owner_lost(struct move *m, const char *why)
{
    copiers_close(m, ROLE_OWNER);
    switch (m->phase) {
    case MOVE_COMMIT:
    case MOVE_DOUBT:
        return true; /* nothing is in flight on it, and the store decides */
    case MOVE_OPENING:
        if (!m->shared) /* else it may begin without its owner */
            move_give_up(m, -ECONNABORTED, why);
        return false;
    case MOVE_COPYING:
    case MOVE_HELD:
        err_warn("volume '%s': move to '%s' stalls: %s", m->v->name, m->target, why);
        move_stall(m);
        return false;
    default:
        return false;
    }
}

void move_overtaken(struct move *m, const char *why)
{
    switch (m->phase) {
    case MOVE_OPENING:
    case MOVE_COPYING:
    case MOVE_HELD:
    case MOVE_STALLED:
    case MOVE_PROMOTING:
        move_give_up(m, -ECONNABORTED, why);
        break;
    default:
        break;
    }
}

static void driver_gone(struct move *m)
{
    m->driver = NULL;
    copiers_shut_out(m);
    switch (m->phase) {
    case MOVE_OPENING:
        move_give_up(m, -ECONNABORTED, "who began the move is gone");
        return;
    case MOVE_HELD:
        move_end_hold(m);
        break;
    default:
        break;
    }
    if (m->blocks)
        m->flushed = false;
}

void move_control_gone(struct move *m, const struct control *c)
{
    if (m->blocks && blocks_driver_gone(m->blocks, c, move_now_us(m) + m->v->d->set.quarantine_us))
        err_warn("volume '%s': a copier is gone with writes unanswered: they are waited for",
                 m->v->name);
    if (m->waiter == c)
        m->waiter = NULL, m->waits = WAIT_NOTHING;
    if (m->driver == c) {
        struct volume *v = m->v;
        v->users++; /* driver_gone() may free the move */
        driver_gone(m);
        if (v->move)
            move_free_if_over(v->move);
        volume_unuse(v);
    }
}
