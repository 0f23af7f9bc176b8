/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "standby.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "owner.h"
#include "reverse.h"
#include "track.h"

/* Between two looks at an owner that is away. */
enum { TICK_US = 50000 };

/* ---- the gate ---- */

static void hold(struct standby *s, bool shut)
{
    struct volume *v = s->v;
    if (shut == s->holding || (shut && v->gate))
        return;
    s->holding = shut;
    if (shut) {
        s->held_at_us = clock_mono_us();
        v->users++; /* what is held must not outlive it */
        volume_close_gate(v);
    } else {
        v->pause_us = clock_mono_us() - s->held_at_us;
        volume_open_gate(v);
        volume_unuse(v);
    }
}

uint64_t standby_hand_over(struct standby *s)
{
    if (!s->holding)
        return clock_mono_us();
    s->holding = false;
    volume_unuse(s->v);
    return s->held_at_us;
}

/* ---- the watch ---- */

bool standby_is_ready(const struct standby *s, const char *gateway)
{
    const struct volume *v = s->v;
    bool sure = !s->doubted || (s->server >= 0 && peer_is_gone(s->server));
    return sure && v->state == VOLUME_SERVING && v->owner.place != OWNER_DISTRUSTED && !v->move &&
           v->d->set.promote_us != PROMOTE_NEVER && track_is_kept(&v->route, gateway);
}

bool standby_is_due(const struct standby *s)
{
    const struct volume *v = s->v;
    return owner_is_dead(v) && owner_away_us(v) >= v->d->set.promote_us;
}

static void watch(struct loop_timer *t)
{
    struct standby *s = (struct standby *)((char *)t - offsetof(struct standby, watch));
    struct volume *v = s->v;
    bool away = s->on && v->owner.place != OWNER_HERE && v->owner.place != OWNER_DISTRUSTED;
    if (away)
        loop_timer_set(v->d->loop, t, loop_now_us(v->d->loop) + TICK_US, watch);
    hold(s, away && reverse_may_promote(v));
    /* What was let go may have ended the mirror. */
    if (s->on && s->holding && standby_is_due(s))
        s->drain(s->arg);
}

void standby_owner_away(struct standby *s)
{
    if (s->on)
        watch(&s->watch);
}

void standby_begin(struct standby *s)
{
    s->on = true;
    watch(&s->watch);
}

void standby_end(struct standby *s)
{
    struct loop *loop = s->v->d->loop;
    s->on = false;
    loop_timer_cancel(loop, &s->watch);
    if (s->holding) /* a request may be on its way through the volume at this moment */
        loop_timer_set(loop, &s->watch, loop_now_us(loop), watch);
}

/* ---- doubts ---- */

void standby_doubt(struct standby *s, struct peer *p)
{
    bool known = s->server >= 0 && p->pidfd >= 0;
    bool another = s->doubted && !(s->server >= 0 && peer_is_gone(s->server));
    s->doubted = true;
    if (another && known && p->pid == s->pid)
        return; /* as it lives, nobody else has its number */
    if (s->server >= 0)
        close(s->server);
    s->server = another ? -1 : peer_take(p); /* one is followed, and two would have to end */
    s->pid = p->pid;
}

/* ---- life ---- */

void standby_init(struct standby *s, struct volume *v, void (*drain)(void *arg), void *arg)
{
    *s = (struct standby){.v = v, .server = -1, .drain = drain, .arg = arg};
}

void standby_release(struct standby *s)
{
    s->on = false;
    loop_timer_cancel(s->v->d->loop, &s->watch);
    hold(s, false);
    if (s->server >= 0)
        close(s->server);
    s->server = -1;
}
