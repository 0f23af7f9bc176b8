/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The owner goes away, is looked for, and is given what it may have lost. */
#include "owner_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"

/* Half the first pause between two looks for the owner; they double. */
enum { FIRST_US = 50000 };
/* Entries that are replayed at once. */
enum { REPLAY_DEPTH = 64 };

/* ---- away ---- */

static void look_again(struct volume *v);

uint64_t owner_fail_all(struct volume *v)
{
    struct owner *o = &v->owner;
    uint64_t before = v->errors;
    o->expired = true;
    o->silences = 0; /* what it was silent about is over */
    v->users++;      /* the last client may go when it hears of it */
    io_fail_waiting(v, NBD_EIO);
    volume_fail_blocked(v, NBD_EIO);
    volume_fail_held(v, NBD_EIO);
    uint64_t failed = v->errors - before;
    v->expired += failed;
    volume_unuse(v);
    return failed;
}

static void expire(struct loop_timer *t)
{
    struct owner *o = (struct owner *)((char *)t - offsetof(struct owner, late));
    struct volume *v = owner_volume(o);
    v->users++;
    uint64_t failed = owner_fail_all(v);
    err_warn("volume '%s': its owner '%s' is away for %llu ms: %llu requests fail, and all that "
             "come until it is back",
             v->name, v->route.gateway,
             (unsigned long long)((owner_now_us(v) - o->since_us) / 1000),
             (unsigned long long)failed);
    volume_unuse(v);
}

/* All clients' requests are as if they had not been sent yet. */
static void unsend(struct volume *v)
{
    struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++) {
        struct request *r = t->slots[i];
        if (r->volume != v || !(r->waiting & ROLE_OWNER))
            continue;
        request_reset(&v->d->pool, r);
        if (!r->lost_us)
            r->lost_us = owner_now_us(v);
    }
    v->owner.flushes = NULL;
}

/* What has waited for longer than --retry-for, over however many losses, waits no more. */
static void fail_old(struct volume *v)
{
    uint64_t now = owner_now_us(v);
    uint64_t before = v->errors;
    io_fail_lost(v, now > v->d->set.retry_us ? now - v->d->set.retry_us : 0, NBD_EIO);
    if (v->errors != before)
        v->owner.silences = 0; /* what it was silent about is over */
    v->expired += v->errors - before;
}

/* One line for each new reason, not for each try. */
static void say_why(struct volume *v, const char *why)
{
    if (strcmp(v->error, why) == 0)
        return;
    snprintf(v->error, sizeof(v->error), "%s", why);
    err_warn("volume '%s': %s", v->name, why);
}

void owner_forget_process(struct owner *o)
{
    if (o->process >= 0)
        close(o->process);
    o->process = -1;
    o->refused = false;
}

/* The leg L is lost: what does it tell of the gateway's death? */
static void note_process(struct owner *o, const struct leg *l)
{
    if (l->peer.pidfd >= 0 || l->n_ready)
        owner_forget_process(o); /* of the one before */
    if (l->peer.pidfd >= 0)
        o->process = fcntl(l->peer.pidfd, F_DUPFD_CLOEXEC, 0);
    else if (l->err == -ECONNREFUSED || l->err == -ENOENT)
        o->refused = true;
}

bool owner_is_dead(const struct volume *v)
{
    const struct owner *o = &v->owner;
    if (o->place != OWNER_AWAY && o->place != OWNER_CONNECTING)
        return false;
    return o->process >= 0 ? peer_is_gone(o->process) : o->refused;
}

void owner_went_away(struct volume *v)
{
    struct owner *o = &v->owner;
    struct leg *l = o->leg;
    if (o->place == OWNER_HERE) {
        o->since_us = owner_now_us(v);
        if (o->since_us - o->back_us > OWNER_PAUSE_US)
            o->tries = 0; /* else the pauses go on growing */
        *v->error = 0;
        loop_timer_set(v->d->loop, &o->late, o->since_us + v->d->set.retry_us, expire);
    }
    if (l)
        say_why(v, l->error);
    if (l && l->silent)
        o->silences++;
    if (l)
        note_process(o, l);
    if (l)
        ghosts_of_leg(v, l);
    o->place = OWNER_AWAY;
    o->leg = NULL;
    o->flushing = o->other = false;
    io_cancel_own(v);
    io_cancel_former(v, l);
    o->asked = 0;
    ranges_release(&o->replaying);
    unsend(v);
    leg_free(l);
    v->users++; /* the last client may go when its request fails */
    fail_old(v);
    look_again(v);
    volume_unuse(v);
}

static void connect_again(struct loop_timer *t)
{
    struct owner *o = (struct owner *)((char *)t - offsetof(struct owner, again));
    struct volume *v = owner_volume(o);
    char uri[1024], why[512];
    o->tries++;
    o->place = OWNER_CONNECTING;
    int r = volume_gateway_uri(v->d, v->route.gateway, NULL, uri, sizeof(uri), why, sizeof(why));
    if (r == 0)
        o->leg = leg_open(v->d, v->route.gateway, uri, v->name, &volume_owner_ops, v);
    else
        say_why(v, why);
    if (o->leg)
        leg_be_patient(o->leg, o->silences);
    else
        owner_went_away(v);
}

static void look_again(struct volume *v)
{
    struct owner *o = &v->owner;
    uint64_t wait = o->tries ? (uint64_t)FIRST_US << (o->tries < 7 ? o->tries : 7) : 0;
    loop_timer_set(v->d->loop, &o->again,
                   owner_now_us(v) + (wait < OWNER_PAUSE_US ? wait : OWNER_PAUSE_US),
                   connect_again);
    volume_close_if_unused(v);
}

void owner_stop_looking(struct volume *v)
{
    struct owner *o = &v->owner;
    loop_timer_cancel(v->d->loop, &o->again);
    if (o->place != OWNER_CONNECTING)
        return;
    leg_free(o->leg);
    o->leg = NULL;
    o->place = OWNER_AWAY;
}

void owner_look_again(struct volume *v)
{
    look_again(v);
}

void owner_replaced(struct volume *v)
{
    struct owner *o = &v->owner;
    o->tries = o->silences = 0;
    haunts_release(&o->haunts);
    v->users++;
    io_send_again(v);
    ghosts_watch(v);
    volume_unuse(v);
}

/* ---- let go on purpose ---- */

void owner_detach(struct volume *v)
{
    struct owner *o = &v->owner;
    if (o->place != OWNER_HERE) {
        owner_stop_looking(v);
        return;
    }
    o->since_us = owner_now_us(v);
    o->tries = 0;
    *v->error = 0;
    loop_timer_set(v->d->loop, &o->late, o->since_us + v->d->set.retry_us, expire);
    owner_forget_process(o);
    leg_free(o->leg);
    o->leg = NULL;
    o->place = OWNER_AWAY;
    ghosts_watch(v);
}

void owner_succeeds(struct volume *v, struct leg *l, const struct route *route)
{
    struct owner *o = &v->owner;
    bool owed = o->log.n || v->inflight;
    haunts_release(&o->haunts);
    ghosts_forget(o);
    o->tries = o->silences = 0;
    if (!owed) {
        volume_change_owner(v, l, route);
        ghosts_watch(v);
    } else {
        v->route = *route;
        l->owner = v;
        l->ops = &volume_owner_ops;
        o->leg = l;
        o->has = l->export;
        o->place = OWNER_CONNECTING;
    }
    if (l->lost)
        owner_went_away(v);
    else if (owed)
        owner_came_back(v);
}

/* ---- back ---- */

static void back(struct volume *v)
{
    struct owner *o = &v->owner;
    struct loop *loop = v->d->loop;
    uint64_t before = v->replayed;
    loop_timer_cancel(loop, &o->late);
    o->place = OWNER_HERE;
    o->expired = false;
    o->back_us = owner_now_us(v);
    v->reconnects++;
    v->users++;
    io_send_again(v);
    volume_unblock(v);
    err_warn("volume '%s': '%s' is back after %llu ms; %llu requests were sent again", v->name,
             o->leg->gateway, (unsigned long long)((owner_now_us(v) - o->since_us) / 1000),
             (unsigned long long)(v->replayed - before));
    volume_unuse(v);
}

static void replay_flushed(struct request *r)
{
    struct volume *v = r->volume;
    if (v->owner.place == OWNER_AWAY)
        return;
    if (r->error)
        leg_give_up(v->owner.leg, -EIO, "could not flush what was replayed");
    else
        back(v);
}

/* The flush that follows: what is durable need not be replayed again. */
static void end_replay(struct volume *v)
{
    struct owner *o = &v->owner;
    o->place = OWNER_FLUSHING;
    ranges_release(&o->replaying);
    if (!o->log.n) {
        back(v);
        return;
    }
    struct request *r = owner_request(v, NBD_CMD_FLUSH, 0, 0, replay_flushed);
    if (r)
        io_transmit(v, r);
    else
        leg_give_up(o->leg, -ENOMEM, err_text(ENOMEM));
}

static void replay(struct volume *v);

static void replayed(struct request *r)
{
    struct volume *v = r->volume;
    struct owner *o = &v->owner;
    if (o->place == OWNER_AWAY)
        return;
    o->asked--;
    ranges_drop(&o->replaying, r->nbd.offset, r->nbd.length);
    if (r->error) {
        char why[96];
        snprintf(why, sizeof(why), "failed a write that it had acknowledged (%s)",
                 err_name((int)r->error));
        leg_give_up(o->leg, -EIO, why);
        return;
    }
    v->replayed++;
    replay(v);
}

/* The next entries, as far as they may be in flight together. */
static void replay(struct volume *v)
{
    struct owner *o = &v->owner;
    uint64_t end = replay_mark(&o->log);
    while (o->next < end && o->asked < REPLAY_DEPTH) {
        const struct replay_entry *e = replay_at(&o->log, o->next);
        if (ranges_take(&o->replaying, e->nbd.offset, e->nbd.length) < 0)
            break;
        struct request *r = owner_request(v, e->nbd.type, e->nbd.offset, e->nbd.length, replayed);
        if (!r) {
            leg_give_up(o->leg, -ENOMEM, err_text(ENOMEM));
            return;
        }
        r->nbd.flags = e->nbd.flags;
        r->wire = e->wire;
        if (r->wire.chunk)
            chunk_ref(r->wire.chunk);
        o->next++;
        o->asked++;
        io_transmit(v, r);
    }
    if (!o->asked && o->next == end)
        end_replay(v);
    else if (!o->asked)
        leg_give_up(o->leg, -ENOMEM, err_text(ENOMEM));
}

void owner_start_replay(struct volume *v)
{
    v->owner.place = haunts_replay(&v->owner.haunts) ? OWNER_WAITED : OWNER_REPLAYING;
    if (v->owner.place == OWNER_WAITED)
        return;
    v->owner.next = v->owner.log.oldest;
    replay(v);
}
