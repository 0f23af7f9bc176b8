/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accesslog.h"
#include "client.h"
#include "common/base/error.h"
#include "common/fleet/fleet.h"
#include "move.h"
#include "quarantine.h"

/* What the director passes on; anything else a gateway offers is hidden from clients. */
enum {
    FLAGS_KNOWN = NBD_TF_HAS_FLAGS | NBD_TF_READ_ONLY | NBD_TF_FLUSH | NBD_TF_FUA |
                  NBD_TF_ROTATIONAL | NBD_TF_TRIM | NBD_TF_WRITE_ZEROES | NBD_TF_MULTI_CONN |
                  NBD_TF_CACHE | NBD_TF_FAST_ZERO
};

/* ---- life ---- */

static void unlink_volume(struct volume *v)
{
    struct volume **p = &v->d->volumes;
    while (*p && *p != v)
        p = &(*p)->next;
    if (*p)
        *p = v->next;
}

static void close_volume(struct loop_task *t)
{
    struct volume *v = (struct volume *)((char *)t - offsetof(struct volume, close_task));
    if (v->users)
        return;
    loop_timer_cancel(v->d->loop, &v->close_late);
    unlink_volume(v);
    /* What is still in flight nobody waits for: the gateway goes on with what it has read, as it
     * would when a client without a director goes away. */
    volume_forget_role(v, ROLE_OWNER, NBD_ESHUTDOWN);
    leg_free(v->owner);
    if (v->lock_fd >= 0)
        route_serve_unlock(v->lock_fd);
    ranges_release(&v->ranges);
    free(v);
}

static void close_if_unused(struct volume *v);

static void quarantine_over(struct loop_timer *t)
{
    close_if_unused((struct volume *)((char *)t - offsetof(struct volume, close_late)));
}

/* Closes outside of whatever call noticed that nobody uses it, and not while writes are in flight:
 * a client that is gone may have left some, and the next director must not race with them.  Nor in
 * a quarantine, of which the next director would know nothing. */
static void close_if_unused(struct volume *v)
{
    struct loop *loop = v->d->loop;
    bool busy = v->inflight && v->owner && !v->owner->lost;
    if (v->users || busy)
        return;
    uint64_t left = v->state == VOLUME_SERVING ? quarantine_left_us(v->d, v->name) : 0;
    if (left)
        loop_timer_set(loop, &v->close_late, loop_now_us(loop) + left, quarantine_over);
    else
        loop_task_add(loop, &v->close_task, close_volume);
}

void volume_unuse(struct volume *v)
{
    v->users--;
    close_if_unused(v);
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
    close_if_unused(v);
}

static void fail(struct volume *v, const char *why)
{
    err_warn("volume '%s': %s", v->name, why);
    snprintf(v->error, sizeof(v->error), "%s", why);
    v->state = VOLUME_FAILED;
    tell_waiters(v);
}

static void serve(struct volume *v)
{
    v->state = VOLUME_SERVING;
    tell_waiters(v);
}

static void size_recorded(struct storejob *j)
{
    struct volume *v = j->arg;
    v->users--;
    if (v->state == VOLUME_FAILED) {
        close_if_unused(v);
        return;
    }
    if (j->result < 0) {
        fail(v, j->error);
        return;
    }
    v->route = j->route;
    serve(v);
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
    v->job.route.size_bytes = v->owner->export.size;
    v->users++;
    storejobs_queue(v->d->jobs, &v->job);
}

static void owner_ready(struct leg *l)
{
    struct volume *v = l->owner;
    if (v->route.size_bytes == 0 && l->export.size) {
        record_size(v);
    } else if (l->export.size < v->route.size_bytes) {
        char why[256];
        snprintf(why, sizeof(why), "%s: export has %llu bytes, the volume %llu", l->gateway,
                 (unsigned long long)l->export.size, (unsigned long long)v->route.size_bytes);
        fail(v, why);
    } else {
        serve(v);
    }
}

static void owner_lost(struct leg *l)
{
    struct volume *v = l->owner;
    if (v->state != VOLUME_SERVING) {
        fail(v, l->error);
        return;
    }
    if (v->move && move_owner_lost(v->move))
        return;
    volume_drop(v, l->error);
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
    } else if (!fleet_allowed(&f, volume, name)) {
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
    bool unclean = false;
    v->lock_fd = route_serve_lock(v->d->set.dirs.state, v->name, v->d->set.control_path, &unclean);
    if (unclean)
        quarantine_add(v->d, v->name, NULL);
    if (v->lock_fd >= 0)
        return 0;
    snprintf(why, size, "%s",
             v->lock_fd == -EAGAIN ? "another director serves it" : err_text(v->lock_fd));
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
    int r = volume_gateway_uri(v->d, v->route.gateway, v->name, uri, sizeof(uri), why, sizeof(why));
    if (r < 0) {
        fail(v, why);
        return;
    }
    v->state = VOLUME_CONNECT;
    v->owner = leg_open(v->d, v->route.gateway, uri, v->name, &volume_owner_ops, v);
    if (!v->owner)
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
    leg_widen(v->owner, v->n_clients);
    if (v->move)
        move_widen(v->move);
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

struct nbd_export volume_export(const struct volume *v)
{
    struct nbd_export e = v->owner->export;
    e.size = v->route.size_bytes;
    e.flags &= FLAGS_KNOWN;
    if (e.max_block > NBD_PAYLOAD_MAX)
        e.max_block = NBD_PAYLOAD_MAX;
    return e;
}

/* ---- requests ---- */

static void dispatch(struct volume *v, struct request *r)
{
    unsigned index = r->client ? client_index(r->client) : 0;
    r->waiting = ROLE_OWNER;
    if (v->move && nbd_changes_data(r->nbd.type))
        move_write_arrives(v->move, r);
    if (r->mirrored) {
        assert(v->move);
        r->waiting |= ROLE_TARGET;
        leg_send(v->move->leg, r, ROLE_TARGET, index);
    }
    if (v->owner)
        leg_send(v->owner, r, ROLE_OWNER, index);
}

static bool wants_range(const struct request *r)
{
    return nbd_changes_data(r->nbd.type) && r->nbd.length > 0;
}

static bool overlap(const struct nbd_request *a, const struct nbd_request *b)
{
    return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/* Takes R's range, unless it must wait: also for those that wait already, or a large one might
 * starve. */
static bool take_range(struct volume *v, struct request *r)
{
    for (struct request *q = v->blocked.first; q; q = q->next)
        if (overlap(&q->nbd, &r->nbd))
            return false;
    if (ranges_take(&v->ranges, r->nbd.offset, r->nbd.length) < 0)
        return false;
    r->ranged = true;
    return true;
}

static void start(struct volume *v, struct request *r)
{
    v->inflight++;
    if (wants_range(r) && !take_range(v, r)) {
        requestq_push(&v->blocked, r);
        return;
    }
    dispatch(v, r);
}

/* A range became free: starts those of the blocked that can go now, in their order. */
static void unblock(struct volume *v)
{
    struct requestq waiting = v->blocked;
    if (!waiting.first)
        return;
    requestq_init(&v->blocked);
    struct request *r, *next;
    for (r = waiting.first; r; r = next) {
        next = r->next;
        if (take_range(v, r))
            dispatch(v, r);
        else
            requestq_push(&v->blocked, r);
    }
}

void volume_submit(struct volume *v, struct request *r)
{
    v->requests++;
    if (v->gate)
        requestq_push(&v->held, r);
    else
        start(v, r);
}

static void finish(struct volume *v, struct request *r)
{
    struct director *d = v->d;
    if (r->error)
        v->errors++;
    accesslog_add(d->tap, v, r, loop_now_us(d->loop));
    stats_add(&d->stats, v, r, loop_now_us(d->loop));
    if (r->done)
        r->done(r);
    else if (r->client)
        client_answer(r->client, r);
    request_free(&d->requests, &d->pool, r);
}

/* Every leg has answered, or is gone. */
static void complete(struct volume *v, struct request *r)
{
    if (v->move && nbd_changes_data(r->nbd.type))
        move_write_ends(v->move, r);
    if (r->ranged)
        ranges_drop(&v->ranges, r->nbd.offset, r->nbd.length);
    bool ranged = r->ranged;
    v->inflight--;
    finish(v, r);
    if (ranged)
        unblock(v);
    if (!v->inflight && v->move)
        move_drained(v->move);
    if (!v->inflight)
        close_if_unused(v);
}

void volume_answered(struct leg *l, struct request *r, enum leg_role role, uint32_t error)
{
    (void)l;
    r->waiting &= (uint8_t)~role;
    if (role == ROLE_OWNER || r->done)
        r->error = error;
    if (error)
        r->mirrored = false;
    if (!r->waiting)
        complete(r->volume, r);
}

void volume_data(struct leg *l, struct request *r, struct slice part, bool first)
{
    if (r->client)
        client_data(r->client, r, part, first);
    else
        chunk_put(&l->d->pool, part.chunk);
}

bool volume_role_waits(const struct volume *v, enum leg_role role, uint64_t before_us)
{
    const struct requests *t = &v->d->requests;
    for (size_t i = 0; i < t->n; i++)
        if (t->slots[i]->volume == v && t->slots[i]->waiting & role && !t->slots[i]->done &&
            t->slots[i]->arrived_us < before_us)
            return true;
    return false;
}

void volume_forget_role(struct volume *v, enum leg_role role, uint32_t error)
{
    struct requests *t = &v->d->requests;
    /* Completing one may start another, which a lost leg swallows: so look until none waits. */
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < t->n; i++) {
            struct request *r = t->slots[i];
            if (r->volume != v || !(r->waiting & role))
                continue;
            again = true;
            volume_answered(NULL, r, role, error);
        }
    }
}

bool volume_range_busy(void *arg, uint64_t offset, uint64_t length)
{
    const struct volume *v = arg;
    return ranges_busy(&v->ranges, offset, length);
}

/* ---- gate and owner ---- */

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

struct leg *volume_change_owner(struct volume *v, struct leg *l, const struct route *r)
{
    struct leg *old = v->owner;
    v->owner = l;
    v->route = *r;
    l->owner = v;
    l->ops = &volume_owner_ops;
    leg_widen(l, v->n_clients);
    return old;
}

void volume_drop(struct volume *v, const char *why)
{
    if (v->state == VOLUME_FAILED)
        return;
    if (v->state == VOLUME_CONNECT) {
        leg_free(v->owner);
        v->owner = NULL;
        fail(v, why);
        return;
    }
    err_warn("volume '%s': %s: its %u client connections are closed", v->name, why, v->n_clients);
    v->state = VOLUME_FAILED; /* the next client opens it anew */
    snprintf(v->error, sizeof(v->error), "%s", why);
    v->users++;
    while (v->clients)
        client_drop(v->clients);
    volume_fail_held(v, NBD_ESHUTDOWN);
    leg_free(v->owner);
    v->owner = NULL;
    volume_forget_role(v, ROLE_OWNER, NBD_ESHUTDOWN);
    close(v->lock_fd);
    v->lock_fd = -1;
    volume_unuse(v);
}
