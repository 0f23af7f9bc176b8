/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "common/base/error.h"
#include "common/fleet/fleet.h"
#include "intents.h"
#include "io.h"
#include "move.h"
#include "owner.h"
#include "quarantine.h"
#include "reverse.h"
#include "track.h"

/* A gateway that accepts a connection and closes it: asked again so often, for so long. */
enum { ACCEPT_PAUSE_US = 100000, ACCEPT_PATIENCE_US = 2000000 };

/* ---- life ---- */

static void unlink_volume(struct volume *v)
{
    struct volume **p = &v->d->volumes;
    while (*p && *p != v)
        p = &(*p)->next;
    if (*p)
        *p = v->next;
}

static void close_late(struct loop_timer *t)
{
    volume_close_if_unused((struct volume *)((char *)t - offsetof(struct volume, close_late)));
}

/*
 * Is there anything left to be done for it?  Not while writes are in flight: a client that is gone
 * may have left some, and the next director must not race with them.  Nor while the owner may lose
 * what it has acknowledged (S18), nor in a quarantine, of which the next director would know
 * nothing.
 */
static bool is_wanted(struct volume *v)
{
    const struct owner *o = &v->owner;
    if (v->users)
        return true;
    if (v->state != VOLUME_SERVING || o->place == OWNER_DISTRUSTED)
        return false;
    if (o->log.n)
        owner_flush(v);
    if (o->log.n || v->inflight > v->aside)
        return true;
    uint64_t now = loop_now_us(v->d->loop);
    uint64_t until = now + quarantine_left_us(v->d, v->name);
    if (haunts_last_us(&o->haunts) > until)
        until = haunts_last_us(&o->haunts);
    if (until <= now)
        return false;
    loop_timer_set(v->d->loop, &v->close_late, until, close_late);
    return true;
}

/* In order only where nothing is left that the next director has to see to first (S18). */
static void let_go(struct volume *v)
{
    bool served = v->state == VOLUME_SERVING && v->owner.place != OWNER_DISTRUSTED;
    intents_close(v->owner.intents);
    v->owner.intents = NULL;
    reverse_forget(v, "the volume is closed");
    track_close(v, served);
    if (v->lock_fd < 0)
        return;
    if (served || !v->unclean)
        route_serve_unlock(v->lock_fd);
    else
        close(v->lock_fd);
    v->lock_fd = -1;
}

static void close_volume(struct loop_task *t)
{
    struct volume *v = (struct volume *)((char *)t - offsetof(struct volume, close_task));
    if (is_wanted(v))
        return;
    loop_timer_cancel(v->d->loop, &v->close_late);
    unlink_volume(v);
    volume_forget_role(v, ROLE_OWNER, NBD_ESHUTDOWN);
    let_go(v);
    owner_release(v);
    loop_task_cancel(v->d->loop, &v->close_task);
    ranges_release(&v->ranges);
    ranges_release(&v->lagging);
    free(v);
}

/* Outside of whatever call noticed that nobody uses it. */
void volume_close_if_unused(struct volume *v)
{
    if (!is_wanted(v))
        loop_task_add(v->d->loop, &v->close_task, close_volume);
}

void volume_unuse(struct volume *v)
{
    v->users--;
    volume_close_if_unused(v);
}

struct volume *volume_find(struct director *d, const char *name)
{
    for (struct volume *v = d->volumes; v; v = v->next)
        if (strcmp(v->name, name) == 0 && v->state != VOLUME_FAILED)
            return v;
    return NULL;
}

/* ---- opening: look up, lock, connect, agree on the size ---- */

static void tell_waiters(struct volume *v)
{
    struct volume_wait *w;
    while ((w = v->waiters)) {
        v->waiters = w->next;
        if (v->state == VOLUME_SERVING) {
            w->done(w, v, NULL);
        } else {
            w->done(w, NULL, v->error);
            v->users--;
        }
    }
    volume_close_if_unused(v);
}

static void fail(struct volume *v, const char *why)
{
    err_warn("volume '%s': %s", v->name, why);
    snprintf(v->error, sizeof(v->error), "%s", why);
    v->state = VOLUME_FAILED;
    tell_waiters(v);
}

/*
 * What clients are told: the route's size, and what the director can make of any gateway that
 * flushes (io.c), so that what they negotiate holds wherever the volume goes (S22).
 */
static struct nbd_export offer(const struct volume *v)
{
    const uint16_t changing = NBD_TF_TRIM | NBD_TF_WRITE_ZEROES | NBD_TF_FAST_ZERO;
    struct nbd_export e = v->owner.has;
    uint16_t kept = e.flags & (NBD_TF_READ_ONLY | NBD_TF_ROTATIONAL | NBD_TF_FLUSH);
    e.flags = NBD_TF_HAS_FLAGS | NBD_TF_CACHE | NBD_TF_MULTI_CONN | kept;
    if (!(kept & NBD_TF_READ_ONLY))
        e.flags |= changing;
    if (kept & NBD_TF_FLUSH)
        e.flags |= NBD_TF_FUA;
    e.size = v->route.size_bytes;
    if (e.max_block > NBD_PAYLOAD_MAX)
        e.max_block = NBD_PAYLOAD_MAX;
    return e;
}

static void serve(struct volume *v)
{
    int r = owner_open_intents(v);
    if (r < 0) {
        char why[128];
        snprintf(why, sizeof(why), "cannot note where writes are in flight: %s", err_text(r));
        fail(v, why);
        return;
    }
    track_open(v);
    v->offered = offer(v);
    v->state = VOLUME_SERVING;
    tell_waiters(v);
}

static void flushed_first(struct request *r)
{
    struct volume *v = r->volume;
    if (v->state == VOLUME_FAILED)
        return;
    if (r->error)
        fail(v, "its owner could not flush what the last director left");
    else
        serve(v);
}

/*
 * A director that died took its log along: what clients were told that is written is made durable
 * before anything is built on it (S18).
 */
static void settle_then_serve(struct volume *v)
{
    struct request *r = NULL;
    if (!v->unclean || !(v->owner.has.flags & NBD_TF_FLUSH)) {
        serve(v);
        return;
    }
    r = owner_request(v, NBD_CMD_FLUSH, 0, 0, flushed_first);
    if (r)
        io_transmit(v, r);
    else
        fail(v, err_text(ENOMEM));
}

static void size_recorded(struct storejob *j)
{
    struct volume *v = j->arg;
    v->users--;
    if (v->state == VOLUME_FAILED) {
        volume_close_if_unused(v);
        return;
    }
    if (j->result < 0) {
        fail(v, j->error);
        return;
    }
    v->route = j->route;
    settle_then_serve(v);
}

/* The first time a volume is served, its size is what its owner says, for good (S24). */
static void record_size(struct volume *v)
{
    v->state = VOLUME_SIZE;
    v->job = (struct storejob){.kind = STOREJOB_CAS,
                               .route = v->route,
                               .expect = v->route.epoch,
                               .expect_state = v->route.state,
                               .done = size_recorded,
                               .arg = v};
    v->job.route.size_bytes = v->owner.has.size;
    v->users++;
    storejobs_queue(v->d->jobs, &v->job);
}

static void owner_ready(struct leg *l)
{
    struct volume *v = l->owner;
    if (v->state == VOLUME_SERVING) {
        owner_came_back(v);
        return;
    }
    owner_take(v, l);
    if (v->route.size_bytes == 0 && l->export.size) {
        record_size(v);
    } else if (l->export.size < v->route.size_bytes) {
        char why[256];
        snprintf(why, sizeof(why), "%s: export has %llu bytes, the volume %llu", l->gateway,
                 (unsigned long long)l->export.size, (unsigned long long)v->route.size_bytes);
        fail(v, why);
    } else {
        settle_then_serve(v);
    }
}

static void connect_owner(struct volume *v);

static void connect_anew(struct loop_timer *t)
{
    struct owner *o = (struct owner *)((char *)t - offsetof(struct owner, again));
    connect_owner((struct volume *)((char *)o - offsetof(struct volume, owner)));
}

/*
 * A gateway that takes few connections may not have noticed yet that the last one ended, and one
 * that starts may close those that came too soon: it is asked again for a while.
 */
static bool may_accept_soon(struct volume *v)
{
    const struct leg *l = v->owner.leg;
    uint64_t now = loop_now_us(v->d->loop);
    if (v->state != VOLUME_CONNECT || l->n_ready || l->err != -ECONNRESET ||
        now - v->asked_us > ACCEPT_PATIENCE_US)
        return false;
    leg_free(v->owner.leg);
    v->owner.leg = NULL;
    loop_timer_set(v->d->loop, &v->owner.again, now + ACCEPT_PAUSE_US, connect_anew);
    return true;
}

static void owner_lost(struct leg *l)
{
    struct volume *v = l->owner;
    if (v->state != VOLUME_SERVING) {
        if (!may_accept_soon(v))
            fail(v, l->error);
        return;
    }
    if (v->move && move_owner_lost(v->move, l->error))
        return;
    owner_went_away(v);
    reverse_owner_away(v);
}

const struct leg_ops volume_owner_ops = {
    .ready = owner_ready, .lost = owner_lost, .answered = volume_answered, .data = volume_data};

int volume_gateway_uri(struct director *d, const char *name, const char *volume, char *uri,
                       size_t size, char *why, size_t why_size)
{
    struct fleet f = {0};
    int r = fleet_load(&f, d->set.dirs.config, FLEET_GATEWAYS | FLEET_VOLUMES);
    const struct fleet_gateway *g = r < 0 ? NULL : fleet_gateway(&f, name);
    if (r < 0) {
        snprintf(why, why_size, "%s", f.error);
    } else if (!g) {
        r = -ENOENT;
        snprintf(why, why_size, "gateway '%s' is not in gateways.csv", name);
    } else if (volume && !fleet_allowed(&f, volume, name)) {
        r = -EPERM;
        snprintf(why, why_size, "volumes.csv does not allow the volume on gateway '%s'", name);
    } else if (strlen(g->uri) >= size) {
        r = -ENAMETOOLONG;
        snprintf(why, why_size, "gateway '%s': URI too long", name);
    } else {
        memcpy(uri, g->uri, strlen(g->uri) + 1);
    }
    fleet_release(&f);
    return r;
}

/* Only one director serves a volume (I1, S14). */
static int lock_volume(struct volume *v, char *why, size_t size)
{
    v->lock_fd =
        route_serve_lock(v->d->set.dirs.state, v->name, v->d->set.control_path, &v->unclean);
    if (v->unclean)
        quarantine_add(v->d, v->name, NULL);
    if (v->lock_fd >= 0)
        return 0;
    if (v->lock_fd == -EAGAIN)
        snprintf(why, size, "another director serves it");
    else
        snprintf(why, size, "cannot lock it in '%s/serving': %s", v->d->set.dirs.state,
                 err_text(v->lock_fd));
    return v->lock_fd;
}

static void connect_owner(struct volume *v)
{
    char uri[1024], why[512];
    if (v->route.state == ROUTE_STATE_MANUAL_RECOVERY) {
        fail(v, "is in manual recovery: nothing is touched");
        return;
    }
    /* An owner that volumes.csv no longer allows still has the data. */
    int r = volume_gateway_uri(v->d, v->route.gateway, NULL, uri, sizeof(uri), why, sizeof(why));
    if (r < 0) {
        fail(v, why);
        return;
    }
    v->state = VOLUME_CONNECT;
    v->owner.leg = leg_open(v->d, v->route.gateway, uri, v->name, &volume_owner_ops, v);
    if (!v->owner.leg)
        fail(v, err_text(ENOMEM));
}

static void looked_up(struct storejob *j)
{
    struct volume *v = j->arg;
    v->users--;
    if (j->result <= 0) {
        fail(v, j->result < 0 ? j->error : "has no route");
        return;
    }
    v->route = j->route;
    v->asked_us = loop_now_us(v->d->loop);
    connect_owner(v);
}

static void look_up(struct volume *v)
{
    char why[256];
    /* The lock comes first: what is read under it nobody changes but with --force. */
    if (lock_volume(v, why, sizeof(why)) < 0) {
        fail(v, why);
        return;
    }
    v->job = (struct storejob){.kind = STOREJOB_GET, .done = looked_up, .arg = v};
    snprintf(v->job.route.volume, sizeof(v->job.route.volume), "%s", v->name);
    v->users++;
    storejobs_queue(v->d->jobs, &v->job);
}

void volume_open(struct director *d, const char *name, struct volume_wait *w)
{
    struct volume *v = volume_find(d, name);
    if (v && v->owner.place == OWNER_DISTRUSTED) {
        w->done(w, NULL, "is in manual recovery: nothing is touched");
        return;
    }
    if (v && v->state == VOLUME_SERVING) {
        v->users++;
        w->done(w, v, NULL);
        return;
    }
    bool new = !v;
    if (new) {
        v = calloc(1, sizeof(*v));
        if (!v) {
            w->done(w, NULL, err_text(ENOMEM));
            return;
        }
        v->d = d;
        v->lock_fd = -1;
        snprintf(v->name, sizeof(v->name), "%s", name);
        requestq_init(&v->blocked);
        requestq_init(&v->held);
        v->owner.process = -1;
        witness_init(&v->owner.witness);
        v->next = d->volumes;
        d->volumes = v;
    }
    v->users++;
    w->next = v->waiters;
    v->waiters = w;
    if (new)
        look_up(v);
}

void volume_open_cancel(struct director *d, struct volume_wait *w)
{
    for (struct volume *v = d->volumes; v; v = v->next)
        for (struct volume_wait **p = &v->waiters; *p; p = &(*p)->next)
            if (*p == w) {
                *p = w->next;
                volume_unuse(v);
                return;
            }
}

/* ---- clients ---- */

void volume_attach(struct volume *v, struct client *c)
{
    client_link(c, &v->clients);
    client_set_index(c, v->next_index++);
    v->n_clients++;
}

void volume_detach(struct volume *v, struct client *c)
{
    client_unlink(c);
    v->n_clients--;
    struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++)
        if (t->slots[i]->client == c)
            t->slots[i]->client = NULL;
    volume_unuse(v);
}

/* ---- another owner ---- */

struct leg *volume_change_owner(struct volume *v, struct leg *l, const struct route *r)
{
    struct leg *old = v->owner.leg;
    v->route = *r;
    l->owner = v;
    l->ops = &volume_owner_ops;
    owner_take(v, l);
    return old;
}

void volume_drop(struct volume *v, const char *why)
{
    if (v->state == VOLUME_FAILED)
        return;
    if (v->state == VOLUME_CONNECT) {
        owner_release(v);
        fail(v, why);
        return;
    }
    err_warn("volume '%s': %s: its %u client connections are closed", v->name, why, v->n_clients);
    v->state = VOLUME_FAILED; /* the next client opens it anew */
    snprintf(v->error, sizeof(v->error), "%s", why);
    v->users++;
    while (v->clients)
        client_drop(v->clients);
    bool haunted = io_haunt_waiting(v) || v->owner.haunts.n ||
                   quarantine_left_us(v->d, v->name) > 0; /* what a dropped target may do (S2) */
    owner_release(v);
    volume_fail_held(v, NBD_ESHUTDOWN);
    volume_fail_blocked(v, NBD_ESHUTDOWN);
    volume_forget_role(v, ROLE_OWNER, NBD_ESHUTDOWN);
    intents_close(v->owner.intents);
    v->owner.intents = NULL;
    reverse_forget(v, why);
    track_close(v, !haunted);
    if (haunted)
        close(v->lock_fd);
    else
        route_serve_unlock(v->lock_fd);
    v->lock_fd = -1;
    volume_unuse(v);
}

/* ---- an orderly end ---- */

void volumes_settle(struct director *d)
{
    d->ending = true;
    for (struct volume *v = d->volumes; v; v = v->next) {
        while (v->clients)
            client_drop(v->clients);
        if (v->move) /* or a copy that goes on would keep the volume busy */
            copiers_shut_out(v->move);
        reverse_settle(v);
    }
    volumes_flush(d);
}

void volumes_flush(struct director *d)
{
    for (struct volume *v = d->volumes; v; v = v->next)
        if (v->owner.log.n)
            owner_flush(v);
}

static bool is_served(const struct volume *v)
{
    return v->state == VOLUME_SERVING && v->owner.place != OWNER_DISTRUSTED;
}

bool volumes_durable(const struct director *d)
{
    for (const struct volume *v = d->volumes; v; v = v->next)
        if (is_served(v) && v->owner.log.n)
            return false;
    return true;
}

bool volumes_settled(const struct director *d)
{
    for (const struct volume *v = d->volumes; v; v = v->next)
        if (is_served(v) && v->inflight > v->aside)
            return false;
    return volumes_durable(d);
}
