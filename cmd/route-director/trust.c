/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is what came back the copy that it was? (S13) */
#include "owner_priv.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"

/* ---- is it the same copy? ---- */

static void record_verdict(struct volume *v);

static void verdict_late(struct loop_timer *t)
{
    record_verdict(owner_volume((struct owner *)((char *)t - offsetof(struct owner, verdict))));
}

/* Until it is recorded the volume stays open, or the next client would be given the other data. */
static void verdict_recorded(struct storejob *j)
{
    struct volume *v = j->arg;
    if (j->result < 0 && j->result != -ESTALE) {
        err_warn("volume '%s': route state: %s", v->name, j->error);
        loop_timer_set(v->d->loop, &v->owner.verdict, owner_now_us(v) + OWNER_PAUSE_US,
                       verdict_late);
        return;
    }
    if (j->result == 0)
        v->route = j->route;
    volume_unuse(v);
}

static void record_verdict(struct volume *v)
{
    v->job = (struct storejob){.kind = STOREJOB_CAS,
                               .route = v->route,
                               .expect = v->route.epoch,
                               .expect_state = -1,
                               .done = verdict_recorded,
                               .arg = v};
    v->job.route.state = ROUTE_STATE_MANUAL_RECOVERY;
    v->job.route.time = clock_now();
    storejobs_queue(v->d->jobs, &v->job);
}

/*
 * It came back with other data in what it had made durable (S13): nothing is sent to it any more,
 * and an operator has to look.
 */
static void distrust(struct volume *v)
{
    struct owner *o = &v->owner;
    err_warn("volume '%s': '%s' came back with other data than it had: manual recovery; nothing "
             "is replayed",
             v->name, v->route.gateway);
    v->users += 2; /* ours, and the verdict's */
    io_cancel_former(v, o->leg);
    leg_free(o->leg);
    o->leg = NULL;
    o->place = OWNER_AWAY;
    io_cancel_own(v);
    o->place = OWNER_DISTRUSTED;
    owner_fail_all(v);
    loop_timer_cancel(v->d->loop, &o->late);
    record_verdict(v);
    volume_unuse(v);
}

bool owner_gather(struct request *r, unsigned char block[WITNESS_BLOCK])
{
    struct slice part;
    size_t n = 0;
    while (outq_pop(&r->parts, &part)) {
        if (n + part.len <= WITNESS_BLOCK)
            memcpy(block + n, part.data, part.len);
        n += part.len;
        chunk_put(&r->volume->d->pool, part.chunk);
    }
    return !r->error && n == WITNESS_BLOCK;
}

static void checked(struct request *r)
{
    struct volume *v = r->volume;
    struct owner *o = &v->owner;
    unsigned char block[WITNESS_BLOCK];
    if (o->place == OWNER_AWAY)
        return;
    bool whole = owner_gather(r, block);
    o->asked--;
    /* One that can't be read says nothing of the copy. */
    if (whole) {
        o->readable = true;
        o->other |= !witness_holds(&o->witness, (unsigned)(uintptr_t)r->arg, block);
    }
    if (o->asked)
        return;
    if (o->other)
        distrust(v);
    else if (o->readable)
        owner_start_replay(v);
    else
        leg_give_up(o->leg, -EIO, "cannot read any of the blocks that it should have");
}

static void check(struct volume *v)
{
    struct owner *o = &v->owner;
    o->other = o->readable = false;
    for (unsigned i = 0; i < WITNESS_MAX; i++) {
        uint64_t offset = o->witness.blocks[i].offset;
        if (offset == UINT64_MAX)
            continue;
        struct request *r = owner_request(v, NBD_CMD_READ, offset, WITNESS_BLOCK, checked);
        if (!r) {
            leg_give_up(o->leg, -ENOMEM, err_text(ENOMEM));
            return;
        }
        r->arg = (void *)(uintptr_t)i;
        o->asked++;
        io_transmit(v, r);
    }
    if (!o->asked)
        owner_start_replay(v);
}

size_t owner_ask_other(struct volume *v, struct leg *l, void (*done)(struct request *r), void *arg)
{
    const struct witness *w = &v->owner.witness;
    size_t n = 0;
    for (unsigned i = 0; i < WITNESS_MAX; i++) {
        if (w->blocks[i].offset == UINT64_MAX)
            continue;
        const struct nbd_request ask = {
            .type = NBD_CMD_READ, .offset = w->blocks[i].offset, .length = WITNESS_BLOCK};
        struct request *r = io_copy_request(v, &ask, done, arg);
        if (!r)
            continue; /* the others tell as well */
        r->mark = i;
        n++;
        leg_send(l, r, ROLE_TARGET, i);
    }
    return n;
}

/* What clients were told, and what was logged, must hold on what is there now (S13, S22, S24). */
static const char *other_export(const struct volume *v, const struct nbd_export *e)
{
    const struct nbd_export *had = &v->owner.has;
    const uint16_t needed = NBD_TF_FLUSH | NBD_TF_FUA | NBD_TF_TRIM | NBD_TF_WRITE_ZEROES |
                            NBD_TF_MULTI_CONN | NBD_TF_CACHE | NBD_TF_FAST_ZERO;
    if (e->size != had->size)
        return "came back with another size";
    if (had->flags & ~e->flags & needed || (had->allocation && !e->allocation) ||
        e->flags & ~had->flags & NBD_TF_READ_ONLY)
        return "came back with less than it had";
    if (e->min_block > v->offered.min_block || e->max_block < v->offered.max_block)
        return "came back with narrower block-size limits";
    return NULL;
}

void owner_came_back(struct volume *v)
{
    struct owner *o = &v->owner;
    const char *why = other_export(v, &o->leg->export);
    if (why) {
        leg_give_up(o->leg, -EPROTO, why);
        return;
    }
    o->has = o->leg->export;
    o->place = OWNER_CHECKING;
    /* It runs: only from now on can time tell that it is done with what it was sent before. */
    haunts_renew(&o->haunts, owner_now_us(v) + v->d->set.quarantine_us);
    ghosts_watch(v);
    check(v);
}
