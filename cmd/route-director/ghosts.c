/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may still write although its connection ended, and where (S2). */
#include "owner_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fsfile.h"
#include "intents.h"
#include "peer.h"

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

void ghosts_forget(struct owner *o)
{
    struct ghost *g;
    while ((g = o->ghosts)) {
        o->ghosts = g->next;
        end_ghost(g);
    }
}

static void ghost_gone(struct loop_fd *io, uint32_t events)
{
    struct ghost *g = (struct ghost *)((char *)io - offsetof(struct ghost, io));
    struct volume *v = g->volume;
    (void)events;
    haunts_lay(&v->owner.haunts, g);
    forget_ghost(g);
    ghosts_watch(v);
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
    ghosts_watch(owner_volume((struct owner *)((char *)t - offsetof(struct owner, exorcism))));
}

void ghosts_watch(struct volume *v)
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
        next = haunts_expire(&o->haunts, owner_now_us(v));
        o->doubts++; /* what landed there is as durable as anything else that was not flushed */
    }
    if (next)
        loop_timer_set(v->d->loop, &o->exorcism, next, haunts_due);
    else
        loop_timer_cancel(v->d->loop, &o->exorcism);
    if (!next)
        ghosts_forget(o);
    if (!o->haunts.n && o->intents)
        intents_lay(o->intents);
    if (o->place == OWNER_WAITED)
        owner_start_replay(v);
    volume_unblock(v);
    volume_close_if_unused(v);
}

void ghosts_of_leg(struct volume *v, struct leg *l)
{
    struct owner *o = &v->owner;
    const struct requests *t = &v->d->requests;
    int pidfd = peer_take(&l->peer);
    bool dead = peer_is_gone(pidfd);
    struct ghost *ghost = dead ? NULL : follow(v, pidfd);
    uint64_t until = owner_now_us(v) + v->d->set.quarantine_us;
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
    ghosts_watch(v);
}

/* ---- after a director that was killed ---- */

static void left_behind(void *arg, uint64_t offset, uint64_t length)
{
    struct volume *v = arg;
    const struct haunt h = {.start = offset,
                            .end = offset + length,
                            .until_us = owner_now_us(v) + v->d->set.quarantine_us};
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
        ghosts_watch(v);
    return r;
}
