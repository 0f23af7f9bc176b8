/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keepup.h"

#include <stddef.h>

#include "catchup.h"
#include "common/base/error.h"
#include "io.h"
#include "move_priv.h"
#include "owner.h"

/*
 * SHARE: a block is followed by a pause of so many times what it took, and LEAST_US at least.
 * FAILED_US: until the next look where something else than the block went wrong, or nothing can be
 * claimed.
 */
enum { SHARE = 3, FAILED_US = 200000, LEAST_US = 1000 };

static bool may_begin(const struct move *m)
{
    const struct volume *v = m->v;
    return move_stands_by(m) && !m->back && !m->shared && !m->leg->lost &&
           v->owner.place == OWNER_HERE && v->owner.leg && !v->d->ending;
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

/* As long as what was begun took, and some more. */
static void rest_a_while(struct move *m)
{
    uint64_t us = SHARE * (move_now_us(m) - m->keepup.began_us);
    rest(m, us > LEAST_US ? us : LEAST_US);
}

/* ---- what can't be copied ---- */

/* Is it the block that an error is about, and not a side that is gone? */
static bool sides_are_there(const struct move *m)
{
    return m->phase == MOVE_COPYING && !m->leg->lost && m->v->owner.place == OWNER_HERE &&
           m->v->owner.leg;
}

/* The block can't be had, as VERB at GATEWAY says: ERROR. */
static void leave_out(struct move *m, const char *verb, const char *gateway, uint32_t error)
{
    struct keepup *k = &m->keepup;
    bool full;
    if (stuck_add(&k->stuck, k->offset, k->length, move_now_us(m), &full))
        err_warn("volume '%s': %llu bytes at %llu cannot be %s '%s': %s: the standby on '%s' lacks "
                 "them; they are tried again, and others like them are not told of",
                 m->v->name, (unsigned long long)k->length, (unsigned long long)k->offset, verb,
                 gateway, err_text((int)error), m->target);
    blocks_release(m->blocks, k->claim, m);
    if (full)
        rest(m, k->stuck.pause_us);
    else
        rest_a_while(m);
}

static void is_had(struct move *m, uint64_t offset, uint64_t length)
{
    if (stuck_drop(&m->keepup.stuck, offset, length))
        err_warn("volume '%s': the standby on '%s' has all again that could not be copied",
                 m->v->name, m->target);
}

/* Of RANGE, what others have copied meanwhile is stuck no more. */
static void review_range(struct move *m, struct stuck_range range)
{
    uint64_t missing, length;
    for (uint64_t at = range.start; at < range.end; at = missing + length) {
        if (!blocks_missing(m->blocks, at, range.end, &missing, &length)) {
            missing = range.end;
            length = 0;
        }
        if (missing > at)
            is_had(m, at, missing - at);
    }
}

/* What is left is tried again when it is time. */
static void review(struct move *m)
{
    struct keepup *k = &m->keepup;
    if (!k->stuck.n)
        return;
    if (stuck_is_time(&k->stuck, move_now_us(m)))
        k->at = k->stuck.from;
    else if (blocks_counts(m->blocks).dirty)
        return;
    for (unsigned i = k->stuck.n; i-- > 0;)
        review_range(m, k->stuck.range[i]);
}

/* Claims the next block that is not to be left out, or none.  As blocks_claim(). */
static int64_t claim_next(struct move *m)
{
    struct keepup *k = &m->keepup;
    bool again = k->at > 0;
    if (!k->stuck.n)
        return blocks_claim(m->blocks, CLAIM_COPY, BLOCK_SIZE, m, &k->offset, &k->length);
    for (;;) {
        int64_t id =
            blocks_claim_in(m->blocks, k->at, UINT64_MAX, BLOCK_SIZE, m, &k->offset, &k->length);
        if (id < 0 || (id == 0 && !again))
            return id;
        again = again && id > 0;
        k->at = id > 0 ? k->offset + k->length : 0; /* round and round */
        if (id == 0)
            continue;
        const uint64_t until = stuck_until(&k->stuck, k->offset);
        if (until == k->offset)
            return id;
        k->at = until;
        blocks_release(m->blocks, (uint64_t)id, m);
    }
}

/* ---- a block ---- */

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
    if (s->error && sides_are_there(m)) {
        leave_out(m, "written to", m->target, s->error);
    } else if (s->error) {
        give_back(m);
    } else {
        blocks_done(m->blocks, k->claim, CLAIM_COPY, m, volume_range_busy, m->v);
        is_had(m, k->offset, k->length);
        rest_a_while(m);
    }
}

/* Gives DATA to the target; false: it was not taken. */
static bool give(struct move *m, struct slice data)
{
    struct keepup *k = &m->keepup;
    if (ranges_take(&m->copiers.writing, k->offset, k->length) < 0)
        return false;
    const struct nbd_request n = {
        .type = NBD_CMD_WRITE, .offset = k->offset, .length = (uint32_t)k->length};
    struct request *s = io_copy_request(m->v, &n, was_written, m);
    if (!s) {
        ranges_drop(&m->copiers.writing, k->offset, k->length);
        return false;
    }
    s->wire = data;
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
    if (r->error && sides_are_there(m)) {
        leave_out(m, "read from", m->v->route.gateway, r->error);
    } else if (!goes_on || !catchup_gather(m->v, r, &data)) {
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
    if (k->asked || k->rests || !may_begin(m))
        return;
    review(m);
    if (!blocks_counts(m->blocks).dirty)
        return;
    int64_t id = claim_next(m);
    if (id <= 0) {
        rest(m, FAILED_US);
        return;
    }
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
