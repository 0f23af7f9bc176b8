/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "accesslog.h"
#include "changes.h"
#include "client.h"
#include "common/base/error.h"
#include "copiers.h"
#include "intents.h"
#include "move.h"
#include "owner.h"
#include "reverse.h"

/* Zeros are written in pieces of so much where the gateway has no WRITE_ZEROES. */
enum { ZERO_STEP = 1 << 20 };
/* A READ that was unanswered on so many connections in a row is not sent again. */
enum { LOSSES_MAX = 6 };
/* What a target that stands by may owe, of writes whose clients have their answers. */
static const size_t lag_max = 4 << 20;

static bool changes(const struct request *r)
{
    return nbd_changes_data(r->nbd.type) && r->nbd.length > 0;
}

/* ---- what the owner lacks ---- */

uint32_t io_all_data(struct volume *v, struct request *r)
{
    struct chunk *k = chunk_get(&v->d->pool, 8);
    if (!k)
        return NBD_ENOMEM;
    r->status = (struct slice){k, k->data, 8};
    nbd_put32(k->data, r->nbd.length);
    nbd_put32(k->data + 4, 0);
    return 0;
}

bool io_answers_here(struct volume *v, struct request *r)
{
    const struct nbd_export *has = &v->owner.has;
    if (!r->nbd.length && r->nbd.type != NBD_CMD_FLUSH)
        return true; /* gateways differ in what they make of nothing */
    switch (r->nbd.type) {
    case NBD_CMD_FLUSH:
        if (!(has->flags & NBD_TF_FLUSH))
            return true; /* what was answered counts as durable (S23) */
        break;
    case NBD_CMD_TRIM:
        if (!(has->flags & NBD_TF_TRIM))
            return true; /* advice that nobody takes */
        break;
    case NBD_CMD_CACHE:
        if (!(has->flags & NBD_TF_CACHE))
            return true;
        break;
    case NBD_CMD_WRITE_ZEROES:
        if (r->nbd.flags & NBD_CMD_FLAG_FAST_ZERO && !(has->flags & NBD_TF_FAST_ZERO)) {
            r->error = NBD_ENOTSUP;
            return true;
        }
        break;
    case NBD_CMD_BLOCK_STATUS:
        if (!has->allocation) {
            r->error = io_all_data(v, r);
            return true;
        }
        break;
    default:
        break;
    }
    return false;
}

static void zero_step(struct volume *v, struct request *r);

static void zero_stepped(struct request *s)
{
    struct request *r = s->arg;
    struct volume *v = s->volume;
    if (v->owner.place == OWNER_AWAY)
        return; /* R begins anew, or is over */
    r->done_bytes += s->nbd.length;
    if (s->error || r->done_bytes == r->nbd.length)
        volume_answered(v->owner.leg, r, ROLE_OWNER, s->error);
    else
        zero_step(v, r);
}

/* WRITE_ZEROES as writes of zeros, one after the other. */
static void zero_step(struct volume *v, struct request *r)
{
    uint32_t max = v->owner.has.max_block < ZERO_STEP ? v->owner.has.max_block : ZERO_STEP;
    uint32_t left = r->nbd.length - r->done_bytes;
    uint32_t n = left < max ? left : max;
    struct chunk *k = chunk_get(&v->d->pool, (size_t)NBD_REQUEST_LEN + n);
    struct request *s =
        k ? owner_request(v, NBD_CMD_WRITE, r->nbd.offset + r->done_bytes, n, zero_stepped) : NULL;
    if (!s) {
        chunk_put(&v->d->pool, k);
        volume_answered(v->owner.leg, r, ROLE_OWNER, NBD_ENOMEM);
        return;
    }
    s->arg = r;
    s->nbd.flags = r->nbd.flags & NBD_CMD_FLAG_FUA;
    s->wire = (struct slice){k, k->data, (size_t)NBD_REQUEST_LEN + n};
    memset(k->data + NBD_REQUEST_LEN, 0, n);
    io_transmit(v, s);
}

void io_transmit(struct volume *v, struct request *r)
{
    r->conn[0] = NULL;
    if (changes(r) && !r->intended) {
        intents_begin(v->owner.intents, r->nbd.offset, r->nbd.length);
        r->intended = true;
    }
    r->stamp = v->owner.arrivals;
    if (r->nbd.type == NBD_CMD_FLUSH)
        owner_flush_leaves(v, r);
    if (r->nbd.type == NBD_CMD_WRITE_ZEROES && r->nbd.length &&
        !(v->owner.has.flags & NBD_TF_WRITE_ZEROES))
        zero_step(v, r);
    else
        leg_send(v->owner.leg, r, ROLE_OWNER, r->client ? client_index(r->client) : 0);
}

/* ---- starting ---- */

/* R is about to leave: the kept copy lacks it, unless it gets it too (S10, S16). */
static void mark_changed(struct volume *v, struct request *r)
{
    r->copied = v->reverse && reverse_write(v, r);
    if (!r->copied)
        changes_mark(v->changes, r->nbd.offset, r->nbd.length);
}

static void dispatch(struct volume *v, struct request *r)
{
    r->waiting = ROLE_OWNER;
    if (changes(r)) {
        v->owner.arrivals++;
        witness_changed(&v->owner.witness, r->nbd.offset, r->nbd.length);
        if (v->changes)
            mark_changed(v, r);
        if (v->move)
            move_write_arrives(v->move, r);
    }
    if (r->mirrored) {
        assert(v->move);
        r->waiting |= ROLE_TARGET;
        r->mirrored_us = loop_now_us(v->d->loop);
        leg_send(v->move->leg, r, ROLE_TARGET, r->client ? client_index(r->client) : 0);
    }
    /* While it is away R waits, and is sent when it is back. */
    if (v->owner.place == OWNER_HERE && v->owner.leg)
        io_transmit(v, r);
}

static bool overlap(const struct nbd_request *a, const struct nbd_request *b)
{
    return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

bool io_range_taken(const struct volume *v, uint64_t offset, uint64_t length)
{
    return ranges_busy(&v->ranges, offset, length) || ranges_busy(&v->lagging, offset, length);
}

static bool log_is_full(const struct volume *v)
{
    size_t max = v->d->set.replay_bytes;
    return max && v->owner.log.n && replay_bytes(&v->owner.log) >= max;
}

/*
 * Takes R's range, unless R must wait: also for those that wait already, or a large one might
 * starve.
 */
static bool may_start(struct volume *v, struct request *r)
{
    if (!r->nbd.length)
        return true;
    if (owner_haunted(v, r->nbd.offset, r->nbd.length, changes(r)))
        return false;
    if (!changes(r))
        return true;
    if (log_is_full(v) || io_range_taken(v, r->nbd.offset, r->nbd.length))
        return false;
    for (struct request *q = v->blocked.first; q; q = q->next)
        if (overlap(&q->nbd, &r->nbd))
            return false;
    r->ranged = ranges_take(&v->ranges, r->nbd.offset, r->nbd.length) == 0;
    return r->ranged;
}

static void finish(struct volume *v, struct request *r);

static void start(struct volume *v, struct request *r)
{
    if (io_answers_here(v, r)) {
        finish(v, r);
        return;
    }
    v->inflight++;
    if (may_start(v, r))
        dispatch(v, r);
    else
        requestq_push(&v->blocked, r);
}

void volume_unblock(struct volume *v)
{
    struct requestq waiting = v->blocked;
    if (!waiting.first)
        return;
    requestq_init(&v->blocked);
    struct request *r, *next;
    for (r = waiting.first; r; r = next) {
        next = r->next;
        if (may_start(v, r))
            dispatch(v, r);
        else
            requestq_push(&v->blocked, r);
    }
}

void volume_submit(struct volume *v, struct request *r)
{
    v->requests++;
    if (v->owner.expired) {
        v->expired++;
        r->error = NBD_EIO;
        finish(v, r);
    } else if (v->gate) {
        requestq_push(&v->held, r);
    } else {
        start(v, r);
    }
}

/* ---- ending ---- */

/* What is known of R's end is told. */
static void answer(struct volume *v, struct request *r)
{
    struct director *d = v->d;
    accesslog_add(d->tap, v, r, loop_now_us(d->loop));
    stats_add(&d->stats, v, r, loop_now_us(d->loop));
    if (r->done)
        r->done(r);
    else if (r->client)
        client_answer(r->client, r);
}

static void finish(struct volume *v, struct request *r)
{
    struct director *d = v->d;
    if (r->error && !r->done)
        v->errors++;
    if (r->error && r->copied && v->changes) /* one side may have it, and the other not */
        changes_mark(v->changes, r->nbd.offset, r->nbd.length);
    if (r->error && changes(r) && !r->done)
        owner_doubts(v, r);
    if (r->lags)
        v->lagging_bytes -= r->nbd.length;
    else
        answer(v, r);
    request_free(&d->requests, &d->pool, r);
}

/*
 * R, which the owner has carried out, waits for nobody but a target that stands by: its client does
 * not.  Its range stays taken, and whatever drains the volume waits for it.  Only so many bytes lag
 * at once: then clients wait, as in any move.
 */
static bool may_lag(const struct volume *v, const struct request *r)
{
    return !r->lags && !r->error && !r->done && r->mirrored && r->ranged &&
           r->nbd.length <= lag_max && v->lagging_bytes <= lag_max - r->nbd.length && v->move &&
           move_stands_by(v->move);
}

static void answer_early(struct volume *v, struct request *r)
{
    if (!may_lag(v, r) || ranges_take(&v->lagging, r->nbd.offset, r->nbd.length) < 0)
        return;
    ranges_drop(&v->ranges, r->nbd.offset, r->nbd.length);
    r->lags = true;
    v->lagging_bytes += r->nbd.length;
    answer(v, r);
    r->client = NULL;
}

/* Every leg has answered, or is gone. */
static void complete(struct volume *v, struct request *r)
{
    if (v->move && changes(r) && !r->done)
        move_write_ends(v->move, r);
    if (r->ranged)
        ranges_drop(r->lags ? &v->lagging : &v->ranges, r->nbd.offset, r->nbd.length);
    bool ranged = r->ranged;
    v->inflight--;
    v->aside -= r->aside;
    finish(v, r);
    if (ranged)
        volume_unblock(v);
    if (!v->inflight && v->move)
        move_drained(v->move);
    if (v->inflight == v->aside)
        volume_close_if_unused(v);
}

static void end_of_role(struct request *r, enum leg_role role, uint32_t error)
{
    r->waiting &= (uint8_t)~role;
    if (role == ROLE_OWNER && r->intended) {
        intents_end(r->volume->owner.intents, r->nbd.offset, r->nbd.length);
        r->intended = false;
    }
    if (role == ROLE_OWNER || r->done)
        r->error = error;
    bool missed = error && role == ROLE_TARGET && r->mirrored;
    /* Who answers reads may hang in writes still, which is what clients wait for. */
    if (role == ROLE_TARGET && !error && r->nbd.type != NBD_CMD_READ && r->volume->move)
        r->volume->move->heard_us = loop_now_us(r->volume->d->loop);
    if (error)
        r->mirrored = false;
    if (missed && r->volume->move) /* before the owner's answer, which may never come (S17) */
        move_write_ends(r->volume->move, r);
    if (!r->waiting)
        complete(r->volume, r);
    else if (r->waiting == ROLE_TARGET)
        answer_early(r->volume, r);
}

static void fua_flushed(struct request *s)
{
    if (s->volume->owner.place != OWNER_AWAY)
        end_of_role(s->arg, ROLE_OWNER, s->error);
}

/* FUA that the gateway does not know is a flush behind the command.  False: R ends, with *ERROR. */
static bool flush_behind(struct volume *v, struct request *r, uint32_t *error)
{
    if (!(r->nbd.flags & NBD_CMD_FLAG_FUA) || v->owner.has.flags & NBD_TF_FUA ||
        !(v->owner.has.flags & NBD_TF_FLUSH))
        return false;
    struct request *s = owner_request(v, NBD_CMD_FLUSH, 0, 0, fua_flushed);
    if (!s) {
        *error = NBD_ENOMEM;
        return false;
    }
    s->arg = r;
    io_transmit(v, s);
    return true;
}

/*
 * A flush that failed may be followed by one that succeeds although what the first should have
 * written is lost (S4): the connection is given up, so that all is replayed before the next.
 * Errors that say "not so, never" are the client's, and all are where nothing is logged.
 */
static bool flush_failed(struct volume *v, uint32_t error)
{
    char why[64];
    v->owner.doubts++;
    if (!v->owner.log.n || error == NBD_EINVAL || error == NBD_EPERM || error == NBD_ENOTSUP)
        return false;
    snprintf(why, sizeof(why), "could not flush (%s)", err_name((int)error));
    leg_give_up(v->owner.leg, -EIO, why);
    return true;
}

/* The owner has answered R.  True: R is not over yet. */
static bool goes_on(struct volume *v, struct request *r, uint32_t *error)
{
    if (r->nbd.type == NBD_CMD_FLUSH) {
        bool first = owner_flush_is_back(v, r);
        if (*error)
            return flush_failed(v, *error);
        if (first)
            owner_flushed(v, r);
        return false;
    }
    if (*error || r->done || !changes(r))
        return false;
    if (owner_keep(v, r) < 0) {
        *error = NBD_ENOMEM;
        return false;
    }
    return flush_behind(v, r, error);
}

void volume_answered(struct leg *l, struct request *r, enum leg_role role, uint32_t error)
{
    if (l && role == ROLE_OWNER && r->lost_us)
        r->volume->owner.silences = 0; /* what it was silent about is answered */
    if (l && role == ROLE_OWNER && goes_on(r->volume, r, &error)) {
        r->conn[0] = NULL; /* answered: no second answer is one to it */
        return;
    }
    end_of_role(r, role, error);
}

void volume_data(struct leg *l, struct request *r, struct slice part, size_t room)
{
    size_t skip = r->skip < part.len ? r->skip : part.len;
    r->skip -= (uint32_t)skip;
    part.data += skip;
    part.len -= skip;
    if (!part.len || (r->done && outq_push(&r->parts, part) < 0)) {
        chunk_put(&l->d->pool, part.chunk);
        return;
    }
    if (r->done)
        return;
    if (!r->delivered)
        owner_saw(r->volume, r, &part);
    uint32_t n = (uint32_t)part.len;
    if (r->client)
        client_data(r->client, r, part, room);
    else
        chunk_put(&l->d->pool, part.chunk);
    r->delivered += n;
}

/* ---- the director's own ---- */

struct request *io_copy_request(struct volume *v, const struct nbd_request *n,
                                void (*done)(struct request *r), void *arg)
{
    struct request *r = request_new(&v->d->requests, v);
    if (!r)
        return NULL;
    r->nbd = *n;
    r->arrived_us = r->mirrored_us = loop_now_us(v->d->loop);
    r->waiting = ROLE_TARGET;
    r->done = done;
    r->arg = arg;
    v->inflight++;
    return r;
}

void io_put_aside(struct request *r)
{
    r->aside = true;
    r->volume->aside++;
}

/* ---- all requests of a volume ---- */

bool volume_target_waits(const struct volume *v, uint64_t before_us, bool lagging)
{
    const struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++)
        if (t->slots[i]->volume == v && t->slots[i]->waiting & ROLE_TARGET && !t->slots[i]->done &&
            t->slots[i]->mirrored_us < before_us && (lagging || !t->slots[i]->lags))
            return true;
    return false;
}

bool io_haunt_waiting(struct volume *v)
{
    const struct requests *t = &v->d->requests;
    bool any = false;
    for (size_t i = 0; i < t->n; i++) {
        const struct request *r = t->slots[i];
        if (r->volume != v || !r->intended)
            continue;
        any = true;
        intents_haunt(v->owner.intents, r->nbd.offset, r->nbd.length);
    }
    return any;
}

/* OWN: the director's own requests, or the clients'. */
static void end_waiting(struct volume *v, enum leg_role role, uint32_t error, bool own)
{
    struct requests *t = &v->d->requests;
    /* Completing one may start another that waits for the same: so look until none does. */
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < t->n; i++) {
            struct request *r = t->slots[i];
            if (r->volume != v || !(r->waiting & role) || (r->done != NULL) != own)
                continue;
            again = true;
            end_of_role(r, role, error);
        }
    }
}

void volume_forget_role(struct volume *v, enum leg_role role, uint32_t error)
{
    /* The director's own first: they may be steps of the others. */
    end_waiting(v, role, error, true);
    end_waiting(v, role, error, false);
}

void io_cancel_own(struct volume *v)
{
    end_waiting(v, ROLE_OWNER, NBD_EIO, true);
}

void io_cancel_former(struct volume *v, const struct leg *l)
{
    const struct requests *t = &v->d->requests;
    for (size_t i = 0; l && i < t->n; i++) {
        struct request *r = t->slots[i];
        if (r->volume == v && r->done && r->waiting & ROLE_TARGET && leg_is_of(l, r->conn[1]))
            end_of_role(r, ROLE_TARGET, NBD_EIO);
    }
}

void io_fail_waiting(struct volume *v, uint32_t error)
{
    end_waiting(v, ROLE_OWNER, error, false);
}

/* Was R lost by BEFORE_US, or so often that it may be what the gateway ends connections for? */
static bool given_up(const struct request *r, uint64_t before_us)
{
    return r->lost_us &&
           (r->lost_us <= before_us || (r->nbd.type == NBD_CMD_READ && r->losses >= LOSSES_MAX));
}

void io_fail_lost(struct volume *v, uint64_t before_us, uint32_t error)
{
    struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++) {
        struct request *r = t->slots[i];
        if (r->volume == v && r->waiting & ROLE_OWNER && !r->done && given_up(r, before_us))
            end_of_role(r, ROLE_OWNER, error);
    }
}

void volume_fail_blocked(struct volume *v, uint32_t error)
{
    struct request *r;
    while ((r = requestq_pop(&v->blocked))) {
        r->error = error;
        v->inflight--;
        finish(v, r);
    }
}

void io_send_again(struct volume *v)
{
    struct requests *t = &v->d->requests;
    size_t n = t->n; /* what is sent now may be more requests */
    for (size_t i = 0; i < n; i++) {
        struct request *r = t->slots[i];
        if (r->volume != v || !(r->waiting & ROLE_OWNER) || r->done || r->conn[0])
            continue;
        v->replayed += r->sent;
        io_transmit(v, r);
    }
}

bool volume_range_busy(void *arg, uint64_t offset, uint64_t length)
{
    const struct volume *v = arg;
    return io_range_taken(v, offset, length) || copiers_write(v, offset, length);
}

/* ---- the gate ---- */

void volume_close_gate(struct volume *v)
{
    v->gate = true;
}

void volume_open_gate(struct volume *v)
{
    struct request *r;
    v->gate = false;
    while (!v->gate && (r = requestq_pop(&v->held)))
        start(v, r);
}

void volume_fail_held(struct volume *v, uint32_t error)
{
    struct request *r;
    while ((r = requestq_pop(&v->held))) {
        r->error = error;
        finish(v, r);
    }
}
