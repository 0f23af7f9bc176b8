/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keepup.h"

#include <stddef.h>

#include "catchup.h"
#include "io.h"
#include "move_priv.h"
#include "owner.h"

/*
 * SHARE: a block is followed by a pause of so many times what it took.  FAILED_US: until the next
 * look where something went wrong.
 */
enum { SHARE = 3, FAILED_US = 200000 };

static bool may_begin(const struct move *m)
{
    const struct volume *v = m->v;
    return move_stands_by(m) && !m->back && !m->shared && !m->leg->lost &&
           v->owner.place == OWNER_HERE && v->owner.leg;
}

static void rested(struct loop_timer *t)
{
    struct keepup *k = (struct keepup *)((char *)t - offsetof(struct keepup, next));
    struct move *m = (struct move *)((char *)k - offsetof(struct move, keepup));
    k->rests = false;
    keepup_look(m);
}

static void rest(struct move *m, uint64_t us)
{
    m->keepup.rests = true;
    loop_timer_set(m->v->d->loop, &m->keepup.next, move_now_us(m) + us, rested);
}

/* The block is as it was: dirty. */
static void give_back(struct move *m)
{
    blocks_release(m->blocks, m->keepup.claim, m);
    rest(m, FAILED_US);
}

static void was_written(struct request *s)
{
    struct move *m = s->arg;
    if (!m)
        return; /* it has ended */
    struct keepup *k = &m->keepup;
    k->asked = NULL;
    ranges_drop(&m->copiers.writing, k->offset, k->length);
    m->flushed = false;
    if (!m->blocks)
        return;
    if (s->error) {
        give_back(m);
        return;
    }
    blocks_done(m->blocks, k->claim, CLAIM_COPY, m, volume_range_busy, m->v);
    rest(m, SHARE * (move_now_us(m) - k->began_us));
}

/* Gives DATA to the target; false: it was not taken. */
static bool give(struct move *m, struct slice data)
{
    struct volume *v = m->v;
    struct keepup *k = &m->keepup;
    if (ranges_take(&m->copiers.writing, k->offset, k->length) < 0)
        return false;
    struct request *s = request_new(&v->d->requests, v);
    if (!s) {
        ranges_drop(&m->copiers.writing, k->offset, k->length);
        return false;
    }
    s->nbd = (struct nbd_request){
        .type = NBD_CMD_WRITE, .offset = k->offset, .length = (uint32_t)k->length};
    s->arrived_us = s->mirrored_us = move_now_us(m);
    s->waiting = ROLE_TARGET;
    s->done = was_written;
    s->arg = m;
    s->wire = data;
    v->inflight++;
    m->flushed = false;
    k->asked = s;
    leg_send(m->leg, s, ROLE_TARGET, 0);
    return true;
}

static void was_read(struct request *r)
{
    struct move *m = r->arg;
    struct slice data;
    if (!m)
        return; /* it has ended */
    m->keepup.asked = NULL;
    if (!m->blocks)
        return;
    bool goes_on = !r->error && m->phase == MOVE_COPYING && !m->leg->lost;
    if (!goes_on || !catchup_gather(m->v, r, &data)) {
        give_back(m);
    } else if (!give(m, data)) {
        chunk_put(&m->v->d->pool, data.chunk);
        give_back(m);
    }
}

/* Can the block be had as it is, and in one piece? */
static bool may_read(const struct move *m)
{
    const struct keepup *k = &m->keepup;
    return k->length <= m->leg->export.max_block && k->length <= m->v->owner.has.max_block &&
           !owner_haunted(m->v, k->offset, k->length, true);
}

void keepup_look(struct move *m)
{
    struct keepup *k = &m->keepup;
    struct volume *v = m->v;
    if (k->asked || k->rests || !may_begin(m) || !blocks_counts(m->blocks).dirty)
        return;
    int64_t id = blocks_claim(m->blocks, CLAIM_COPY, BLOCK_SIZE, m, &k->offset, &k->length);
    if (id <= 0)
        return;
    k->claim = (uint64_t)id;
    k->began_us = move_now_us(m);
    struct request *r =
        may_read(m) ? owner_request(v, NBD_CMD_READ, k->offset, (uint32_t)k->length, was_read)
                    : NULL;
    if (!r) {
        give_back(m);
        return;
    }
    r->arg = m;
    k->asked = r;
    io_transmit(v, r);
}

void keepup_stop(struct move *m)
{
    struct keepup *k = &m->keepup;
    loop_timer_cancel(m->v->d->loop, &k->next);
    k->rests = false;
    if (k->asked)
        k->asked->arg = NULL;
    k->asked = NULL;
}
