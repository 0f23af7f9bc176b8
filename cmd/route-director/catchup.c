/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "catchup.h"

#include <string.h>

#include "changes.h"
#include "io.h"
#include "owner.h"

/*
 * SHARE: a block is followed by a pause of so many times what it took.  BUSY_US: until another is
 * looked at when a client writes to this one; IDLE_US: until the next look where there is nothing
 * to do, or nothing can be done.
 */
enum { SHARE = 3, BUSY_US = 1000, IDLE_US = 200000 };

static uint64_t now_us(const struct catchup *c)
{
    return loop_now_us(c->v->d->loop);
}

static void step(struct loop_timer *t);

static void again_in(struct catchup *c, uint64_t us)
{
    loop_timer_set(c->v->d->loop, &c->next, now_us(c) + us, step);
}

/* May anything be landing there that was not answered yet? */
static bool is_busy(struct volume *v, uint64_t offset, uint64_t length)
{
    return io_range_taken(v, offset, length) || owner_haunted(v, offset, length, true);
}

bool catchup_gather(struct volume *v, struct request *r, struct slice *out)
{
    struct slice part;
    size_t n = 0;
    struct chunk *k = chunk_get(&v->d->pool, (size_t)NBD_REQUEST_LEN + r->nbd.length);
    while (outq_pop(&r->parts, &part)) {
        if (k && n + part.len <= r->nbd.length)
            memcpy(k->data + NBD_REQUEST_LEN + n, part.data, part.len);
        n += part.len;
        chunk_put(&v->d->pool, part.chunk);
    }
    if (k && n == r->nbd.length) {
        *out = (struct slice){k, k->data, NBD_REQUEST_LEN + n};
        return true;
    }
    chunk_put(&v->d->pool, k);
    return false;
}

static void was_read(struct request *r)
{
    struct catchup *c = r->arg;
    struct slice data;
    if (!c)
        return; /* stopped */
    struct volume *v = c->v;
    uint64_t offset = r->nbd.offset;
    c->reading = NULL;
    if (c->touched || is_busy(v, offset, r->nbd.length)) {
        again_in(c, BUSY_US);
    } else if (r->error || !catchup_gather(v, r, &data)) {
        again_in(c, IDLE_US);
    } else if (!c->give(c->arg, offset, data)) {
        chunk_put(&v->d->pool, data.chunk);
        again_in(c, IDLE_US);
    } else {
        changes_caught_up(v->changes, offset, r->nbd.length);
    }
}

static void read_block(struct catchup *c, uint64_t offset, uint64_t length)
{
    struct volume *v = c->v;
    struct request *r = owner_request(v, NBD_CMD_READ, offset, (uint32_t)length, was_read);
    if (!r) {
        again_in(c, IDLE_US);
        return;
    }
    r->arg = c;
    c->reading = r;
    c->touched = false;
    c->began_us = now_us(c);
    io_transmit(v, r);
}

static void step(struct loop_timer *t)
{
    struct catchup *c = (struct catchup *)((char *)t - offsetof(struct catchup, next));
    struct volume *v = c->v;
    uint64_t offset = c->cursor, length;
    bool any = changes_behind(v->changes, &offset, &length);
    c->cursor = any ? offset + length : 0; /* round and round */
    if (!any || v->owner.place != OWNER_HERE || !v->owner.leg || length > c->max_block ||
        length > v->owner.has.max_block)
        again_in(c, IDLE_US);
    else if (is_busy(v, offset, length))
        again_in(c, BUSY_US);
    else
        read_block(c, offset, length);
}

void catchup_goes_on(struct catchup *c)
{
    if (c->v)
        again_in(c, SHARE * (now_us(c) - c->began_us));
}

void catchup_written(struct catchup *c, uint64_t offset, uint64_t length)
{
    const struct request *r = c->reading;
    if (r && offset < r->nbd.offset + r->nbd.length && r->nbd.offset < offset + length)
        c->touched = true;
}

void catchup_start(struct catchup *c, struct volume *v, uint32_t max_block, catchup_give *give,
                   void *arg)
{
    *c = (struct catchup){.v = v, .max_block = max_block, .give = give, .arg = arg};
    again_in(c, 0);
}

void catchup_stop(struct catchup *c)
{
    if (!c->v)
        return;
    loop_timer_cancel(c->v->d->loop, &c->next);
    if (c->reading)
        c->reading->arg = NULL;
    c->reading = NULL;
    c->v = NULL;
}
