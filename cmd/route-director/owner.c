/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner_priv.h"

#include <errno.h>

/* So far back, and among so many later commands, a witness is looked for. */
enum { WITNESS_BACK = 8, WITNESS_LATER = 1024 };
/* Of READs that might give a witness one in so many does, once there are a few. */
enum { WITNESS_FEW = 8, WITNESS_EVERY = 256 };

/* ---- requests of the director's own ---- */

struct request *owner_request(struct volume *v, uint16_t type, uint64_t offset, uint32_t length,
                              void (*done)(struct request *r))
{
    struct request *r = request_new(&v->d->requests, v);
    if (!r)
        return NULL;
    r->nbd = (struct nbd_request){.type = type, .offset = offset, .length = length};
    r->arrived_us = owner_now_us(v);
    r->waiting = ROLE_OWNER;
    r->done = done;
    v->inflight++;
    return r;
}

/* Before the log is full, and writes wait for room in it. */
static void flush_if_half_full(struct volume *v)
{
    if (v->owner.log.n && replay_bytes(&v->owner.log) >= v->d->set.replay_bytes / 2)
        owner_flush(v);
}

static void flushed(struct request *r)
{
    struct volume *v = r->volume;
    v->owner.flushing = false;
    if (v->owner.place == OWNER_AWAY)
        return;
    if (r->error)
        leg_give_up(v->owner.leg, -EIO, "could not flush");
    else
        flush_if_half_full(v);
}

void owner_flush(struct volume *v)
{
    struct owner *o = &v->owner;
    if (o->flushing || o->place != OWNER_HERE || !o->leg || !(o->has.flags & NBD_TF_FLUSH))
        return;
    struct request *r = owner_request(v, NBD_CMD_FLUSH, 0, 0, flushed);
    if (!r)
        return; /* the next write asks again */
    o->flushing = true;
    io_transmit(v, r);
}

int owner_keep(struct volume *v, const struct request *r)
{
    struct owner *o = &v->owner;
    /* Without FLUSH a reply is all that there is (S23). */
    bool durable = !(o->has.flags & NBD_TF_FLUSH) ||
                   (r->nbd.flags & NBD_CMD_FLAG_FUA && o->has.flags & NBD_TF_FUA && !o->log.n);
    if (durable)
        return 0;
    if (!v->d->set.replay_bytes) {
        o->doubts++;
        return 0;
    }
    /* What was fast once need not be when it is replayed. */
    struct nbd_request n = r->nbd;
    n.flags &= (uint16_t)~NBD_CMD_FLAG_FAST_ZERO;
    int e = replay_add(&o->log, &n, r->wire);
    if (e == 0)
        flush_if_half_full(v);
    return e;
}

void owner_doubts(struct volume *v, const struct request *r)
{
    v->owner.doubts++;
    if (v->owner.haunts.n)
        haunts_fail(&v->owner.haunts, r->nbd.offset, r->nbd.length);
}

void owner_flush_leaves(struct volume *v, struct request *r)
{
    struct request **p = &v->owner.flushes;
    while (*p)
        p = &(*p)->next;
    *p = r;
    r->next = NULL;
    r->mark = replay_mark(&v->owner.log);
    r->stamp = v->owner.doubts;
}

bool owner_flush_is_back(struct volume *v, struct request *r)
{
    struct request **p = &v->owner.flushes;
    bool first = *p == r;
    while (*p && *p != r)
        p = &(*p)->next;
    if (*p)
        *p = r->next;
    return first;
}

/* ---- witnesses ---- */

static bool touches(const struct nbd_request *n, uint64_t offset, uint64_t length)
{
    return n->offset < offset + length && offset < n->offset + n->length;
}

/* Was nothing of entry NUMBER written again, by later entries or by what is in flight? */
static bool is_last_word(const struct volume *v, uint64_t number)
{
    const struct replay *l = &v->owner.log;
    const struct nbd_request *n = &replay_at(l, number)->nbd;
    if (replay_mark(l) - number > WITNESS_LATER || ranges_busy(&v->ranges, n->offset, n->length))
        return false;
    for (uint64_t i = number + 1; i < replay_mark(l); i++)
        if (touches(&replay_at(l, i)->nbd, n->offset, n->length))
            return false;
    return true;
}

static void take_witness(struct volume *v, uint64_t mark)
{
    struct owner *o = &v->owner;
    for (uint64_t i = mark; i > o->log.oldest && mark - i < WITNESS_BACK; i--) {
        const struct replay_entry *e = replay_at(&o->log, i - 1);
        if (e->nbd.type != NBD_CMD_WRITE || e->nbd.length < WITNESS_BLOCK)
            continue;
        if (is_last_word(v, i - 1))
            witness_durable(&o->witness, e->nbd.offset, e->wire.data + NBD_REQUEST_LEN,
                            e->nbd.length);
        return;
    }
}

/* May what is read or flushed be held against the owner one day? */
static bool is_sure(const struct owner *o)
{
    return o->doubts == o->settled && o->has.min_block <= WITNESS_BLOCK;
}

void owner_flushed(struct volume *v, const struct request *r)
{
    struct owner *o = &v->owner;
    o->settled = r->stamp;
    if (r->mark <= o->log.oldest)
        return;
    if (is_sure(o))
        take_witness(v, r->mark);
    replay_trim(&o->log, &v->d->pool, r->mark);
    flush_if_half_full(v);
    volume_unblock(v);
    volume_close_if_unused(v);
}

void owner_saw(struct volume *v, const struct request *r, const struct slice *part)
{
    struct owner *o = &v->owner;
    if (o->log.n || v->ranges.n || r->stamp != o->arrivals || part->len < WITNESS_BLOCK ||
        !is_sure(o))
        return;
    if (o->witness.n < WITNESS_FEW || o->data_seen++ % WITNESS_EVERY == 0)
        witness_durable(&o->witness, r->nbd.offset, part->data, part->len);
}

/* ---- for status ---- */

const char *owner_place_name(const struct volume *v)
{
    static const char *const names[] = {
        [OWNER_HERE] = "here",
        [OWNER_AWAY] = "away",
        [OWNER_CONNECTING] = "connecting",
        [OWNER_CHECKING] = "checking",
        [OWNER_WAITED] = "waiting",
        [OWNER_REPLAYING] = "replaying",
        [OWNER_FLUSHING] = "flushing",
        [OWNER_DISTRUSTED] = "distrusted",
    };
    return names[v->owner.place];
}

uint64_t owner_away_us(const struct volume *v)
{
    return v->owner.place == OWNER_HERE ? 0 : owner_now_us(v) - v->owner.since_us;
}

/* ---- life ---- */

void owner_take(struct volume *v, struct leg *l)
{
    struct owner *o = &v->owner;
    o->leg = l;
    o->has = l->export;
    o->place = OWNER_HERE;
    o->expired = o->flushing = false;
    o->flushes = NULL;
    o->settled = o->doubts;
    loop_timer_cancel(v->d->loop, &o->again);
    loop_timer_cancel(v->d->loop, &o->late);
    replay_trim(&o->log, &v->d->pool, UINT64_MAX);
}

void owner_release(struct volume *v)
{
    struct owner *o = &v->owner;
    io_cancel_former(v, o->leg);
    leg_free(o->leg);
    o->leg = NULL;
    o->place = OWNER_AWAY;
    loop_timer_cancel(v->d->loop, &o->again);
    loop_timer_cancel(v->d->loop, &o->late);
    loop_timer_cancel(v->d->loop, &o->exorcism);
    if (o->verdict.place) {
        loop_timer_cancel(v->d->loop, &o->verdict);
        v->users--; /* the verdict's */
    }
    ghosts_forget(o);
    owner_forget_process(o);
    haunts_release(&o->haunts);
    ranges_release(&o->replaying);
    replay_release(&o->log, &v->d->pool);
}
