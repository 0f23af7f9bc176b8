/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A move whose owner is away (S17): it stalls, and goes on when the owner is back. */
#include "move_priv.h"

#include <errno.h>

#include "common/base/clock.h"
#include "owner.h"

bool move_is_stalled(const struct move *m, struct control *c)
{
    const struct volume *v = m->v;
    if (m->phase != MOVE_STALLED)
        return false;
    if (v->owner.place == OWNER_HERE)
        control_err(c, EAGAIN, "writes that '%s' was sent before it went away may still land",
                    v->route.gateway);
    else
        control_err(c, EAGAIN, "the owner '%s' is away", v->route.gateway);
    return true;
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
    loop_timer_cancel(v->d->loop, &m->deadline);
    m->phase = MOVE_STALLED;
    blocks_void(m->blocks);
    move_start_tick(m);
    if (m->waits != WAIT_NOTHING)
        control_err(move_take_waiter(m), EAGAIN, "the owner '%s' is away", v->route.gateway);
    if (v->gate)
        volume_open_gate(v);
}

/*
 * The owner has again what it had, and nothing that it was sent before can surprise it: what is
 * synced is as good as it was, but that both legs agree is to be proved again (S8).
 */
static void go_on(struct move *m)
{
    m->phase = MOVE_COPYING;
    blocks_unprove(m->blocks);
}

void move_stalled_tick(struct move *m)
{
    const struct owner *o = &m->v->owner;
    if (o->place == OWNER_HERE && !o->haunts.n)
        go_on(m);
}
