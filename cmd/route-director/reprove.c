/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reprove.h"

#include <stddef.h>
#include <string.h>

#include "blocks.h"
#include "catchup.h"
#include "common/base/error.h"
#include "io.h"
#include "leg.h"
#include "owner.h"

/*
 * SHARE: a piece is followed by a pause of so many times what it took, and LEAST_US at least.
 * FAILED_US: … of so long at least where one could not be read, doubled with each one more that
 * fails than succeeds, at most DOUBLED times.  TAKEN_US: until the next look where another volume's
 * piece is read at the same gateway, doubled with each look in vain, at most TAKEN_DOUBLED times,
 * or a thousand volumes would do nothing but look.  HANGS_US: one that takes so long is not waited
 * for.
 */
enum {
    SHARE = 15,
    LEAST_US = 1000,
    FAILED_US = 200000,
    DOUBLED = 8,
    TAKEN_US = 5000,
    TAKEN_DOUBLED = 5,
    HANGS_US = 5000000
};

static uint64_t now_us(const struct reprove *p)
{
    return loop_now_us(p->v->d->loop);
}

static void rested(struct loop_timer *t)
{
    struct reprove *p = (struct reprove *)((char *)t - offsetof(struct reprove, next));
    p->rests = false;
    reprove_look(p);
}

static void rest(struct reprove *p, uint64_t us)
{
    p->rests = true;
    loop_timer_set(p->v->d->loop, &p->next, now_us(p) + us, rested);
}

static void rest_a_while(struct reprove *p)
{
    const uint64_t us = SHARE * (now_us(p) - p->began_us);
    const unsigned times = p->failures < DOUBLED ? p->failures : DOUBLED;
    const uint64_t least = p->failures ? (uint64_t)FAILED_US << times : LEAST_US;
    rest(p, us > least ? us : least);
}

/* The owner's data are of no use any more. */
static void drop_data(struct reprove *p)
{
    chunk_put(&p->v->d->pool, p->owners.chunk);
    p->owners = (struct slice){0};
}

/* ---- one piece at a time of a gateway ---- */

static bool reads_at(const struct reprove *p, const char *gateway)
{
    return strcmp(p->gateway, gateway) == 0 || strcmp(p->v->route.gateway, gateway) == 0;
}

/* Is a piece of another volume read at one of the gateways of P's? */
static bool is_taken(const struct reprove *p)
{
    for (const struct reprove *q = p->v->d->proving; q; q = q->other)
        if (now_us(p) - q->began_us < HANGS_US &&
            (reads_at(q, p->gateway) || reads_at(q, p->v->route.gateway)))
            return true;
    return false;
}

static void begins(struct reprove *p)
{
    p->began_us = now_us(p);
    p->other = p->v->d->proving;
    p->v->d->proving = p;
}

/* No more is read; if P has not begun nothing happens. */
static void ends(struct reprove *p)
{
    struct reprove **q = &p->v->d->proving;
    while (*q && *q != p)
        q = &(*q)->other;
    if (*q)
        *q = p->other;
}

/* ---- a piece ---- */

static void tell_difference(const struct reprove *p)
{
    err_warn("volume '%s': %llu bytes at %llu of the copy on '%s' are not what '%s' has, though "
             "nobody wrote there: they are copied again",
             p->v->name, (unsigned long long)p->length, (unsigned long long)p->offset, p->gateway,
             p->v->route.gateway);
}

/* Both sides have answered, or one can't. */
static void settle(struct reprove *p, enum reprove_result result)
{
    drop_data(p);
    ends(p);
    if (result == REPROVE_UNKNOWN)
        p->failures++;
    else
        p->failures -= p->failures > 0; /* what fails is tried as seldom, whatever else succeeds */
    if (p->ops->end(p->arg, result) && result == REPROVE_DIFFERS)
        tell_difference(p);
    rest_a_while(p);
}

static void copy_was_read(struct request *r)
{
    struct reprove *p = r->arg;
    struct slice copys;
    if (!p)
        return; /* stopped */
    p->asked = NULL;
    if (r->error || !catchup_gather(p->v, r, &copys)) {
        settle(p, REPROVE_UNKNOWN);
        return;
    }
    const bool equal =
        memcmp(p->owners.data + NBD_REQUEST_LEN, copys.data + NBD_REQUEST_LEN, p->length) == 0;
    chunk_put(&p->v->d->pool, copys.chunk);
    settle(p, equal ? REPROVE_EQUAL : REPROVE_DIFFERS);
}

static void owner_was_read(struct request *r)
{
    struct reprove *p = r->arg;
    if (!p)
        return; /* stopped */
    p->asked = NULL;
    struct request *copy = NULL;
    struct leg *leg = p->ops->copy(p->arg);
    if (!leg) { /* somebody works at the copy now, or it is lost */
        ends(p);
        p->ops->end(p->arg, REPROVE_UNKNOWN);
        return;
    }
    if (!r->error && catchup_gather(p->v, r, &p->owners))
        copy = io_copy_request(p->v, &r->nbd, copy_was_read, p);
    if (!copy) {
        settle(p, REPROVE_UNKNOWN);
        return;
    }
    p->asked = copy;
    io_put_aside(copy);
    leg_send(leg, copy, ROLE_TARGET, 0);
}

/* Can a side with E be asked for just this piece? */
static bool may_ask(const struct reprove *p, const struct nbd_export *e)
{
    const uint64_t unit = e->min_block > 1 ? e->min_block : 1;
    return p->length <= e->max_block && p->offset % unit == 0 && p->length % unit == 0;
}

/* So long a piece may be for both sides. */
static uint64_t most(const struct reprove *p, const struct leg *copy)
{
    const uint64_t owners = p->v->owner.has.max_block, copys = copy->export.max_block;
    const uint64_t both = owners < copys ? owners : copys;
    return both < BLOCK_SIZE ? both : BLOCK_SIZE;
}

/* The owner's read, not sent yet; NULL: it can't be made now. */
static struct request *first_request(struct reprove *p, const struct leg *copy)
{
    struct volume *v = p->v;
    if (!may_ask(p, &v->owner.has) || !may_ask(p, &copy->export) ||
        owner_haunted(v, p->offset, p->length, true))
        return NULL;
    return owner_request(v, NBD_CMD_READ, p->offset, (uint32_t)p->length, owner_was_read);
}

void reprove_look(struct reprove *p)
{
    struct volume *v = p->v;
    if (!v || p->rests || p->asked || v->owner.place != OWNER_HERE || !v->owner.leg || v->d->ending)
        return;
    const struct leg *copy = p->ops->copy(p->arg);
    if (!copy || !p->ops->any(p->arg))
        return;
    if (is_taken(p)) {
        rest(p, (uint64_t)TAKEN_US << p->looks);
        p->looks += p->looks < TAKEN_DOUBLED;
        return;
    }
    p->looks = 0;
    if (!p->ops->claim(p->arg, most(p, copy), &p->offset, &p->length))
        return;
    begins(p);
    struct request *r = first_request(p, copy);
    if (!r) {
        settle(p, REPROVE_UNKNOWN);
        return;
    }
    r->arg = p;
    p->asked = r;
    io_put_aside(r);
    io_transmit(v, r);
}

void reprove_init(struct reprove *p, struct volume *v, const char *gateway,
                  const struct reprove_ops *ops, void *arg)
{
    *p = (struct reprove){.v = v, .gateway = gateway, .ops = ops, .arg = arg};
}

void reprove_stop(struct reprove *p)
{
    if (!p->v)
        return;
    loop_timer_cancel(p->v->d->loop, &p->next);
    if (p->asked)
        p->asked->arg = NULL;
    p->asked = NULL;
    p->rests = false;
    ends(p);
    drop_data(p);
    p->v = NULL;
}
