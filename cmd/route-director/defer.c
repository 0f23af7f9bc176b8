/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A move that waits for somebody: mirrored, and "deferred" in the route store, so that it can be
 * told from one that is being worked at.  Clients do not wait for the target meanwhile; what they
 * have answers for and the target has not is in flight, as everything else that a hand-over or a
 * promotion drains first.  Nothing else changes; begin attaches to it, and without this director a
 * later one begins it again.  The record of a way back says "uncommitted" all the
 * time: without that a later begin would not know of the copy that is kept.
 */
#include "move_priv.h"

#include <errno.h>

#include "common/base/clock.h"

static void recorded(struct storejob *j)
{
    struct move *m = j->arg;
    struct control *c = m->waits == WAIT_DEFER ? move_take_waiter(m) : NULL;
    m->deferring = false;
    if (j->result == 0)
        m->stored = ROUTE_STATE_DEFERRED;
    else if (j->result == -EINPROGRESS)
        m->stored = -1; /* either; the epoch is what guards the next compare-and-set */
    if (m->phase == MOVE_ENDING) {
        move_record_end(m);
        return;
    }
    if (j->result == 0)
        m->v->route = j->route;
    m->in_order = c && j->result == 0;
    if (c && j->result < 0)
        control_err(c, j->result, "%s", j->error);
    else if (c)
        control_ok(c, "%s", "");
}

bool move_stands_by(const struct move *m)
{
    return m->phase == MOVE_COPYING && m->mirror && !m->driver && !m->deferring &&
           m->stored == ROUTE_STATE_DEFERRED;
}

void move_defer(struct move *m, struct control *c)
{
    if (move_busy(m, c))
        return;
    if (m->phase != MOVE_COPYING || m->deferring) {
        control_err(c, EBUSY, "the move is in phase %s", move_phase_name(m));
        return;
    }
    if (m->back) {
        control_ok(c, "%s", "");
        return;
    }
    m->defer = (struct storejob){.kind = STOREJOB_CAS,
                                 .route = m->v->route,
                                 .expect = m->v->route.epoch,
                                 .expect_state = m->stored,
                                 .done = recorded,
                                 .arg = m};
    m->defer.route.state = ROUTE_STATE_DEFERRED;
    m->defer.route.verify = m->verify;
    m->defer.route.time = clock_now();
    m->deferring = true;
    move_wait_for(m, c, WAIT_DEFER);
    storejobs_queue(m->v->d->jobs, &m->defer);
}
