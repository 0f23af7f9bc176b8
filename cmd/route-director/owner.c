/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "owner.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "intents.h"
#include "io.h"
#include "peer.h"

/* FIRST_US … LAST_US: between two looks for the owner, doubling. */
enum { FIRST_US = 50000, LAST_US = 2000000 };
/* Entries that are replayed at once. */
enum { REPLAY_DEPTH = 64 };
/* So far back, and among so many later commands, a witness is looked for. */
enum { WITNESS_BACK = 8, WITNESS_LATER = 1024 };
/* Of READs that might give a witness one in so many does, once there are a few. */
enum { WITNESS_FEW = 8, WITNESS_EVERY = 256 };

static struct volume *volume_of(struct owner *o)
{
    return (struct volume *)((char *)o - offsetof(struct volume, owner));
}

static uint64_t now_us(const struct volume *v)
{
    return loop_now_us(v->d->loop);
}

/* ---- requests of the director's own ---- */

struct request *owner_request(struct volume *v, uint16_t type, uint64_t offset, uint32_t length,
                              void (*done)(struct request *r))
{
    struct request *r = request_new(&v->d->requests, v);
    if (!r)
        return NULL;
    r->nbd = (struct nbd_request){.type = type, .offset = offset, .length = length};
    r->arrived_us = now_us(v);
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

/* ---- ghosts: processes whose connections ended, and that may still write ---- */

struct ghost {
    struct loop_fd io;
    struct volume *volume;
    struct ghost *next;
};

static void end_ghost(struct ghost *g)
{
    int fd = g->io.fd;
    loop_del(g->volume->d->loop, &g->io);
    close(fd);
    free(g);
}

static void forget_ghost(struct ghost *g)
{
    struct ghost **p = &g->volume->owner.ghosts;
    while (*p != g)
        p = &(*p)->next;
    *p = g->next;
    end_ghost(g);
}

static void forget_ghosts(struct owner *o)
{
    struct ghost *g;
    while ((g = o->ghosts)) {
        o->ghosts = g->next;
        end_ghost(g);
    }
}

static void watch_haunts(struct volume *v);
static void start_replay(struct volume *v);

static void ghost_gone(struct loop_fd *io, uint32_t events)
{
    struct ghost *g = (struct ghost *)((char *)io - offsetof(struct ghost, io));
    struct volume *v = g->volume;
    (void)events;
    haunts_lay(&v->owner.haunts, g);
    forget_ghost(g);
    watch_haunts(v);
}

/* Follows the process until it ends.  NULL: it can't be; time alone will tell. */
static struct ghost *follow(struct volume *v, int pidfd)
{
    struct ghost *g = pidfd < 0 ? NULL : calloc(1, sizeof(*g));
    if (g && loop_add(v->d->loop, &g->io, pidfd, EPOLLIN, ghost_gone) == 0) {
        g->volume = v;
        g->next = v->owner.ghosts;
        v->owner.ghosts = g;
        return g;
    }
    if (pidfd >= 0)
        close(pidfd);
    free(g);
    return NULL;
}

static void haunts_due(struct loop_timer *t)
{
    watch_haunts(volume_of((struct owner *)((char *)t - offsetof(struct owner, exorcism))));
}

/* What is over is forgotten, and what waited for it goes on. */
static void watch_haunts(struct volume *v)
{
    struct owner *o = &v->owner;
    uint64_t next = 0;
    /* A gateway that is away may be frozen: no time passes for what it was sent. */
    if (o->place == OWNER_AWAY || o->place == OWNER_CONNECTING) {
        loop_timer_cancel(v->d->loop, &o->exorcism);
        volume_close_if_unused(v);
        return;
    }
    if (o->haunts.n) {
        next = haunts_expire(&o->haunts, now_us(v));
        o->doubts++; /* what landed there is as durable as anything else that was not flushed */
    }
    if (next)
        loop_timer_set(v->d->loop, &o->exorcism, next, haunts_due);
    else
        loop_timer_cancel(v->d->loop, &o->exorcism);
    if (!next)
        forget_ghosts(o);
    if (!o->haunts.n && o->intents)
        intents_lay(o->intents);
    if (o->place == OWNER_WAITED)
        start_replay(v);
    volume_unblock(v);
    volume_close_if_unused(v);
}

/* The leg ended: what it had been sent, and has not answered, may land at any time (S2). */
static void haunt(struct volume *v, struct leg *l)
{
    struct owner *o = &v->owner;
    const struct requests *t = &v->d->requests;
    int pidfd = peer_take(&l->peer);
    bool dead = peer_is_gone(pidfd);
    struct ghost *ghost = dead ? NULL : follow(v, pidfd);
    uint64_t until = now_us(v) + v->d->set.quarantine_us;
    if (dead)
        close(pidfd);
    for (size_t i = 0; i < t->n; i++) {
        struct request *r = t->slots[i];
        if (r->volume != v || !(r->waiting & ROLE_OWNER) || !r->conn[0])
            continue;
        r->sent = true;
        if (r->losses < UINT8_MAX)
            r->losses++;
        if (dead || !nbd_changes_data(r->nbd.type) || !r->nbd.length)
            continue;
        const struct haunt h = {.start = r->nbd.offset,
                                .end = r->nbd.offset + r->nbd.length,
                                .until_us = until,
                                .ghost = ghost,
                                .replay = r->done && o->place == OWNER_REPLAYING};
        if (haunts_add(&o->haunts, &h) < 0)
            abort(); /* going on without the note could lose a write */
        intents_haunt(o->intents, r->nbd.offset, r->nbd.length);
    }
    watch_haunts(v);
}

/* ---- away ---- */

static void look_again(struct volume *v);

/* All that waits fails, and all that comes.  Returns how many failed. */
static uint64_t fail_all(struct volume *v)
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
    struct volume *v = volume_of(o);
    v->users++;
    uint64_t failed = fail_all(v);
    err_warn("volume '%s': its owner '%s' is away for %llu ms: %llu requests fail, and all that "
             "come until it is back",
             v->name, v->route.gateway, (unsigned long long)((now_us(v) - o->since_us) / 1000),
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
            r->lost_us = now_us(v);
    }
    v->owner.flushes = NULL;
}

/* What has waited for longer than --retry-for, over however many losses, waits no more. */
static void fail_old(struct volume *v)
{
    uint64_t now = now_us(v);
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

void owner_went_away(struct volume *v)
{
    struct owner *o = &v->owner;
    struct leg *l = o->leg;
    if (o->place == OWNER_HERE) {
        o->since_us = now_us(v);
        if (o->since_us - o->back_us > LAST_US)
            o->tries = 0; /* else the pauses go on growing */
        *v->error = 0;
        loop_timer_set(v->d->loop, &o->late, o->since_us + v->d->set.retry_us, expire);
    }
    if (l)
        say_why(v, l->error);
    if (l && l->silent)
        o->silences++;
    if (l)
        haunt(v, l);
    o->place = OWNER_AWAY;
    o->leg = NULL;
    o->flushing = o->other = false;
    io_cancel_own(v);
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
    struct volume *v = volume_of(o);
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
    loop_timer_set(v->d->loop, &o->again, now_us(v) + (wait < LAST_US ? wait : LAST_US),
                   connect_again);
    volume_close_if_unused(v);
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
    o->back_us = now_us(v);
    v->reconnects++;
    v->users++;
    io_send_again(v);
    volume_unblock(v);
    err_warn("volume '%s': '%s' is back after %llu ms; %llu requests were sent again", v->name,
             o->leg->gateway, (unsigned long long)((now_us(v) - o->since_us) / 1000),
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

static void start_replay(struct volume *v)
{
    v->owner.place = haunts_replay(&v->owner.haunts) ? OWNER_WAITED : OWNER_REPLAYING;
    if (v->owner.place == OWNER_WAITED)
        return;
    v->owner.next = v->owner.log.oldest;
    replay(v);
}

/* ---- is it the same copy? ---- */

static void record_verdict(struct volume *v);

static void verdict_late(struct loop_timer *t)
{
    record_verdict(volume_of((struct owner *)((char *)t - offsetof(struct owner, verdict))));
}

/* Until it is recorded the volume stays open, or the next client would be given the other data. */
static void verdict_recorded(struct storejob *j)
{
    struct volume *v = j->arg;
    if (j->result < 0 && j->result != -ESTALE) {
        err_warn("volume '%s': route state: %s", v->name, j->error);
        loop_timer_set(v->d->loop, &v->owner.verdict, now_us(v) + LAST_US, verdict_late);
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
    leg_free(o->leg);
    o->leg = NULL;
    o->place = OWNER_AWAY;
    io_cancel_own(v);
    o->place = OWNER_DISTRUSTED;
    fail_all(v);
    loop_timer_cancel(v->d->loop, &o->late);
    record_verdict(v);
    volume_unuse(v);
}

static void checked(struct request *r)
{
    struct volume *v = r->volume;
    struct owner *o = &v->owner;
    unsigned char block[WITNESS_BLOCK];
    struct slice part;
    size_t n = 0;
    if (o->place == OWNER_AWAY)
        return;
    while (outq_pop(&r->parts, &part)) {
        if (n + part.len <= sizeof(block))
            memcpy(block + n, part.data, part.len);
        n += part.len;
        chunk_put(&v->d->pool, part.chunk);
    }
    o->asked--;
    /* One that can't be read says nothing of the copy. */
    if (!r->error && n == sizeof(block)) {
        o->readable = true;
        o->other |= !witness_holds(&o->witness, (unsigned)(uintptr_t)r->arg, block);
    }
    if (o->asked)
        return;
    if (o->other)
        distrust(v);
    else if (o->readable)
        start_replay(v);
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
        start_replay(v);
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
    haunts_renew(&o->haunts, now_us(v) + v->d->set.quarantine_us);
    watch_haunts(v);
    check(v);
}

/* ---- after a director that was killed ---- */

static void left_behind(void *arg, uint64_t offset, uint64_t length)
{
    struct volume *v = arg;
    const struct haunt h = {
        .start = offset, .end = offset + length, .until_us = now_us(v) + v->d->set.quarantine_us};
    if (haunts_add(&v->owner.haunts, &h) < 0)
        abort(); /* going on without the note could lose a write */
}

/* In the folder of the sockets, which is memory; where there is none beside the volume's lock. */
static int intents_path(const struct volume *v, char path[PATH_MAX])
{
    const struct opts_dirs *dirs = &v->d->set.dirs;
    int n = snprintf(path, PATH_MAX, "%s/intents", dirs->run);
    if (n > 0 && n < PATH_MAX && fsfile_mkdirs(path) == 0 && access(path, W_OK) == 0)
        n = snprintf(path, PATH_MAX, "%s/intents/%s", dirs->run, v->name);
    else
        n = snprintf(path, PATH_MAX, "%s/serving/.%s.intents", dirs->state, v->name);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int owner_open_intents(struct volume *v)
{
    char path[PATH_MAX];
    struct intents_setup s = {.path = path,
                              .size = v->route.size_bytes,
                              .unclean = v->unclean,
                              .quarantine_us = UINT64_MAX,
                              .left = left_behind,
                              .arg = v};
    int r = intents_path(v, path);
    if (r == 0)
        r = intents_host(&s.host);
    if (r == 0)
        r = intents_open(&s, &v->owner.intents);
    if (r == 0)
        watch_haunts(v);
    return r;
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
    return v->owner.place == OWNER_HERE ? 0 : now_us(v) - v->owner.since_us;
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
    forget_ghosts(o);
    haunts_release(&o->haunts);
    ranges_release(&o->replaying);
    replay_release(&o->log, &v->d->pool);
}
