/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "settle.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "volume.h"

/* LONGEST_US: as long as gateways are waited for; POLL_US: between two looks. */
enum { LONGEST_US = 5000000, POLL_US = 5000 };

struct settling {
    struct loop_timer poll;
    struct director *d;
    uint64_t until_us;
};

static void look(struct loop_timer *t)
{
    struct settling *s = (struct settling *)((char *)t - offsetof(struct settling, poll));
    struct loop *loop = s->d->loop;
    volumes_flush(s->d); /* what was in flight when its client was let go */
    if (volumes_settled(s->d) || loop_now_us(loop) >= s->until_us)
        loop_stop(loop);
    else
        loop_timer_set(loop, t, loop_now_us(loop) + POLL_US, look);
}

void settle(struct director *d)
{
    /* The loop's time is that of its last round. */
    struct settling s = {.d = d, .until_us = clock_mono_us() + LONGEST_US};
    volumes_settle(d);
    loop_timer_set(d->loop, &s.poll, clock_mono_us() + POLL_US, look);
    loop_run(d->loop);
    loop_timer_cancel(d->loop, &s.poll);
    if (!volumes_durable(d))
        err_warn("ends with acknowledged writes that a gateway has not flushed");
    else if (!volumes_settled(d))
        err_warn("ends with requests that a gateway has not answered");
}
