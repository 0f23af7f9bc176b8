/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A move whose owner is away (S17): it stalls, and goes on when the owner is back.  If the owner is
 * dead, and the target has all that it acknowledged, the target takes its place.
 */
#include "move_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "owner.h"
#include "quarantine.h"

/* Between two attempts to promote. */
enum { AGAIN_US = 1000000 };

bool move_is_stalled(const struct move *m, struct control *c)
{
    const struct volume *v = m->v;
    if (m->phase != MOVE_STALLED && m->phase != MOVE_PROMOTING &&
        (!m->promoted || m->phase == MOVE_RETIRE))
        return false;
    if (v->owner.place == OWNER_HERE)
        control_err(c, EAGAIN, "writes that '%s' was sent before it went away may still land",
                    v->route.gateway);
    else
        control_err(c, EAGAIN, "the owner '%s' is away", v->route.gateway);
    return true;
}

/*
 * Every block is synced: so every write that was acknowledged is on the target, having been copied
 * or mirrored, and so is every one whose answer by the owner is missing, or its block were dirty.
 */
bool move_may_promote(const struct move *m)
{
    /* On the way back what is unchanged rests on a map, and that on the owner's word. */
    bool has_all = m->stands_in || (!m->back && !m->shared && m->mirror);
    return has_all && m->v->d->set.promote_us != PROMOTE_NEVER && m->copies_flushed &&
           !m->leg->lost && blocks_counts(m->blocks).synced == m->v->route.size_bytes;
}

/*
 * While the target may have to take over nothing new is begun: a command that can't be mirrored
 * would make a block dirty that neither side can bring up to date.
 */
static void mind_gate(struct move *m)
{
    struct volume *v = m->v;
    bool shut =
        v->owner.place != OWNER_HERE && v->owner.place != OWNER_DISTRUSTED && move_may_promote(m);
    if (shut && !v->gate)
        volume_close_gate(v);
    else if (!shut && v->gate)
        volume_open_gate(v);
}

/*
 * What was read of the owner since a claim may be other than what it is given when it is back (I2),
 * so that all claims are void.
 */
void move_stall(struct move *m)
{
    struct volume *v = m->v;
    if (m->phase == MOVE_HELD)
        v->pause_us = clock_mono_us() - m->held_at_us;
    else
        m->held_at_us = clock_mono_us();
    loop_timer_cancel(v->d->loop, &m->deadline);
    m->phase = MOVE_STALLED;
    blocks_void(m->blocks);
    move_start_tick(m);
    if (m->waits != WAIT_NOTHING)
        control_err(move_take_waiter(m), EAGAIN, "the owner '%s' is away", v->route.gateway);
    if (move_may_promote(m))
        volume_close_gate(v);
    else if (v->gate)
        volume_open_gate(v);
}

/*
 * The owner has again what it had, and nothing that it was sent before can surprise it: what is
 * synced is as good as it was, but that both legs agree is to be proved again (S8).
 */
static void go_on(struct move *m)
{
    m->phase = MOVE_COPYING;
    if (!m->shared)
        blocks_unprove(m->blocks);
}

/* ---- promotion ---- */

/* Also what was not to be. */
static uint64_t never_proved(const struct move *m)
{
    struct blocks_counts n = blocks_counts(m->blocks);
    uint64_t bytes = n.unproved + n.exempt;
    return bytes < m->v->route.size_bytes ? bytes : m->v->route.size_bytes;
}

void move_promote_step(struct move *m)
{
    struct volume *v = m->v;
    if (m->flushes || volume_target_waits(v, UINT64_MAX, true) || copiers_wait(v, ROLE_TARGET))
        return; /* what it was sent before the flush is answered first (S5) */
    if (!move_may_promote(m)) {
        m->phase = MOVE_STALLED;
        owner_look_again(v);
    } else if (m->flushed) {
        m->promoted = true;
        m->unproved = never_proved(m);
        move_commit(m);
    } else {
        m->flushed = true; /* until a write to the target says otherwise */
        int r = move_flush_leg(m);
        if (r > 0)
            move_promote_step(m);
        else if (r < 0)
            move_give_up(m, r, "the target could not flush");
    }
}

static void promote(struct move *m)
{
    struct volume *v = m->v;
    err_warn("volume '%s': '%s' is dead, and '%s' has all that it acknowledged: it takes its place",
             v->name, v->route.gateway, m->target);
    owner_stop_looking(v);
    m->phase = MOVE_PROMOTING;
    move_promote_step(m);
}

void move_note_promotion(struct move *m, const struct route *route)
{
    struct volume *v = m->v;
    err_warn("volume '%s': '%s' is the owner at epoch %llu; %llu bytes of it are not proved",
             v->name, m->target, (unsigned long long)route->epoch, (unsigned long long)m->unproved);
    v->promoted_epoch = route->epoch;
    v->promoted_unproved = m->unproved;
    /* The old owner may have been sent writes which it still carries out, if only its end is not
     * certain: nobody builds on its copy before (S2). */
    quarantine_add(v->d, v->name, NULL);
    move_unmirror(v);
}

void move_not_promoted(struct move *m, const char *why)
{
    struct volume *v = m->v;
    err_warn("volume '%s': '%s' could not take the place of '%s': %s", v->name, m->target,
             v->route.gateway, why);
    m->phase = MOVE_STALLED;
    m->promote_us = move_now_us(m) + AGAIN_US;
    owner_look_again(v);
    move_start_tick(m);
}

void move_stalled_tick(struct move *m)
{
    struct volume *v = m->v;
    const struct owner *o = &v->owner;
    if (m->stands_in && (o->place == OWNER_HERE || o->place == OWNER_DISTRUSTED)) {
        move_give_up(m, -ECONNABORTED, "the owner is found");
        return;
    }
    if (o->place == OWNER_HERE && !o->haunts.n)
        go_on(m);
    mind_gate(m);
    if (owner_is_dead(v) && owner_away_us(v) >= v->d->set.promote_us && move_may_promote(m) &&
        move_now_us(m) >= m->promote_us)
        promote(m);
}

/* ---- without a driver ---- */

struct move *move_new_stand_in(struct volume *v, const char *gateway)
{
    struct move *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->v = v;
    m->phase = MOVE_STALLED;
    m->back = m->stands_in = true;
    m->verify = VERIFY_FULL;
    m->stored = ROUTE_STATE_UNCOMMITTED;
    m->copies_flushed = m->flushed = true;
    snprintf(m->target, sizeof(m->target), "%s", gateway);
    m->blocks = blocks_new(v->route.size_bytes);
    if (m->blocks && move_adopt_all(m) == 0)
        return m;
    blocks_free(m->blocks);
    free(m);
    return NULL;
}

void move_stand_in(struct move *m, struct leg *l)
{
    struct volume *v = m->v;
    m->leg = l;
    l->owner = m;
    l->ops = &move_target_ops;
    v->move = m;
    v->users++;
    move_start_tick(m);
    promote(m);
}
