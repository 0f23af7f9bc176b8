/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A leg of the director and a gateway that answers any bytes, for tests: the leg is opened over a
 * real socket, asks for some things at once, and is then told what the test gives, cut anywhere.
 * Everything that the leg may not do, whatever it is told, is held against it here.
 *
 *     world_begin(&w, how);            the leg is there, and ready
 *     i = world_ask(&w, NBD_CMD_READ, 0, 4096, 0);      …, all before
 *     world_tell(&w, bytes, len, cuts);
 *     … w.asked[i].answers, .error, .data, .delivered; w.lost, w.error; w.broken: a rule, NULL …
 *     world_end(&w);
 */
#ifndef GS_UNIT_LEGWORLD_H
#define GS_UNIT_LEGWORLD_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/route-director/director.h"
#include "cmd/route-director/leg.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/nbd/uri.h"

enum { WORLD_ASKED = 16, WORLD_SIZE = 64 << 20, WORLD_CONTEXT = 7 };

/* How the gateway is: what it negotiates, and whether it closes at the end. */
enum { WORLD_STRUCTURED = 1, WORLD_ALLOCATION = 2, WORLD_CLOSES = 4 };

/* A request, and what came of it. */
struct world_asked {
    struct request *r; /* NULL: answered */
    struct nbd_request nbd;
    unsigned answers;
    uint32_t error;
    size_t delivered;
    unsigned char *data; /* as it was when it was delivered … */
    struct outq kept;    /* … and what was delivered, which must stay as it is */
    struct buf status;   /* extents of a BLOCK_STATUS, as on the wire */
};

struct leg_world {
    struct director d;
    struct loop_fd always; /* readable at all times: called once a round */
    struct leg *leg;
    int gateway; /* the other end of its connection */
    unsigned how;
    struct world_asked asked[WORLD_ASKED];
    unsigned n_asked;
    const unsigned char *bytes; /* to be told */
    size_t len, told;
    unsigned cuts; /* 0: all at once; else they are cut, and so; 1: after each byte */
    bool ready, closed, lost, over;
    char error[512];    /* of the lost leg */
    const char *broken; /* what the leg may not do, and did */
};

static inline void world_hold(struct leg_world *w, bool ok, const char *rule)
{
    if (!ok && !w->broken)
        w->broken = rule;
}

/* ---- the leg's owner ---- */

static inline void world_ready(struct leg *l)
{
    struct leg_world *w = l->owner;
    w->ready = true;
    for (unsigned i = 0; i < w->n_asked; i++)
        leg_send(l, w->asked[i].r, ROLE_OWNER, 0);
}

static inline void world_lost(struct leg *l)
{
    struct leg_world *w = l->owner;
    world_hold(w, !w->lost, "a leg is lost once");
    w->lost = true;
    snprintf(w->error, sizeof(w->error), "%s", l->error);
}

static inline void world_data(struct leg *l, struct request *r, struct slice part, size_t room)
{
    struct leg_world *w = l->owner;
    struct world_asked *a = r->arg;
    bool fits = a->r == r && a->nbd.type == NBD_CMD_READ && !l->lost && part.len &&
                part.len <= a->nbd.length - a->delivered;
    world_hold(w, fits, "data are what was asked for, and not answered yet");
    if (!fits || outq_push(&a->kept, part) < 0) {
        chunk_put(&l->d->pool, part.chunk);
        return;
    }
    memcpy(a->data + a->delivered, part.data, part.len);
    a->delivered += part.len;
    memset(part.data - room, 0xaa, room); /* free to be used */
}

static inline void world_answered(struct leg *l, struct request *r, enum leg_role role,
                                  uint32_t error)
{
    struct leg_world *w = l->owner;
    struct world_asked *a = r->arg;
    world_hold(w, a->r == r && role == ROLE_OWNER && !l->lost, "an answer is to what was asked");
    a->answers++;
    a->error = error;
    world_hold(w, error || a->nbd.type != NBD_CMD_READ || a->delivered == a->nbd.length,
               "a READ that succeeds has all its data");
    world_hold(w, !error || !a->delivered, "a READ that fails has none");
    if (!error && a->nbd.type == NBD_CMD_BLOCK_STATUS) {
        world_hold(w, r->status.len >= 8 && r->status.len % 8 == 0, "a status has extents");
        buf_add(&a->status, r->status.data, r->status.len);
    }
    for (size_t i = 0; i < a->status.len; i += 8)
        world_hold(w, nbd_get32(a->status.data + i), "no extent is empty");
    a->r = NULL;
    request_free(&l->d->requests, &l->d->pool, r);
}

/* ---- the gateway ---- */

static inline void world_reply(struct buf *b, uint32_t option, uint32_t type, const void *data,
                               size_t len)
{
    unsigned char h[20];
    nbd_put64(h, NBD_REPLY_MAGIC);
    nbd_put32(h + 8, option);
    nbd_put32(h + 12, type);
    nbd_put32(h + 16, (uint32_t)len);
    buf_add(b, h, sizeof(h));
    buf_add(b, data, len);
}

/* All that a gateway of this kind says in a handshake. */
static inline void world_greeting(unsigned how, struct buf *b)
{
    static const char name[] = NBD_ALLOCATION;
    unsigned char hello[18], context[4 + sizeof(name) - 1], info[12];
    nbd_put64(hello, NBD_MAGIC);
    nbd_put64(hello + 8, NBD_OPTS_MAGIC);
    nbd_put16(hello + 16, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
    buf_add(b, hello, sizeof(hello));
    world_reply(b, NBD_OPT_STRUCTURED_REPLY,
                how & WORLD_STRUCTURED ? NBD_REP_ACK : NBD_REP_ERR_UNSUP, NULL, 0);
    if (how & WORLD_STRUCTURED) {
        nbd_put32(context, WORLD_CONTEXT);
        memcpy(context + 4, name, sizeof(context) - 4);
        if (how & WORLD_ALLOCATION)
            world_reply(b, NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, context,
                        sizeof(context));
        world_reply(b, NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, NULL, 0);
    }
    nbd_put16(info, NBD_INFO_EXPORT);
    nbd_put64(info + 2, WORLD_SIZE);
    nbd_put16(info + 10, NBD_TF_HAS_FLAGS | NBD_TF_FLUSH | NBD_TF_FUA | NBD_TF_TRIM |
                             NBD_TF_WRITE_ZEROES | NBD_TF_CACHE | NBD_TF_DF);
    world_reply(b, NBD_OPT_GO, NBD_REP_INFO, info, sizeof(info));
    world_reply(b, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
}

/* Is all read that the gateway has sent? */
static inline bool world_heard(const struct leg_world *w)
{
    const struct stream *s = &w->leg->conns[0]->stream;
    int left = 0;
    return !stream_is_open(s) || ioctl(s->io.fd, FIONREAD, &left) < 0 || left == 0;
}

static inline size_t world_piece(struct leg_world *w)
{
    size_t left = w->len - w->told, piece = left;
    if (w->cuts == 1)
        piece = 1;
    else if (w->cuts)
        piece = 1 + (w->cuts = w->cuts * 1103515245 + 12345) / 65536 % 61;
    return piece < left ? piece : left;
}

/* What is not answered must be waited for still, unless the leg is lost. */
static inline void world_over(struct leg_world *w)
{
    size_t waiting = 0;
    for (unsigned i = 0; i < w->n_asked; i++) {
        const struct world_asked *a = &w->asked[i];
        waiting += !a->answers;
        world_hold(w, a->answers == (a->r ? 0 : 1), "a request is answered once");
    }
    world_hold(w, w->lost || w->leg->conns[0]->pending == waiting,
               "pending is what is not answered");
    w->over = true;
    leg_free(w->leg);
}

/* The loop must begin anew to be run again, so that all of a run happens here. */
static inline void world_round(struct loop_fd *io, uint32_t events)
{
    struct leg_world *w = (struct leg_world *)((char *)io - offsetof(struct leg_world, always));
    (void)events;
    if (w->over)
        loop_stop(w->d.loop);
    if (w->over || (!w->lost && (!w->ready || !world_heard(w))))
        return;
    size_t n = w->lost ? 0 : world_piece(w);
    if (n) {
        ssize_t sent = send(w->gateway, w->bytes + w->told, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        w->told += sent > 0 ? (size_t)sent : 0;
    } else if (!w->lost && w->how & WORLD_CLOSES && !w->closed) {
        w->closed = shutdown(w->gateway, SHUT_WR) == 0;
    } else if (w->lost || !w->closed) {
        world_over(w);
    }
}

/* ---- a run ---- */

/* Where the gateways of this process listen; made at the first use, gone with the process. */
struct world_place {
    char path[64];
    int listener;
};

static inline struct world_place *world_place(void)
{
    static struct world_place p;
    return &p;
}

static inline void world_leave(void)
{
    unlink(world_place()->path);
}

static inline void world_listen(void)
{
    struct world_place *p = world_place();
    char spec[80];
    if (*p->path)
        return;
    snprintf(p->path, sizeof(p->path), "/tmp/gs-leg.%d", (int)getpid());
    snprintf(spec, sizeof(spec), "unix:%s", p->path);
    p->listener = nbd_listen(spec);
    if (p->listener < 0)
        abort();
    atexit(world_leave);
}

static inline void world_begin(struct leg_world *w, unsigned how)
{
    static const struct leg_ops ops = {
        .ready = world_ready, .lost = world_lost, .answered = world_answered, .data = world_data};
    char uri[128];
    world_listen();
    *w = (struct leg_world){.how = how};
    w->d.loop = loop_new();
    w->d.set.connect_us = w->d.set.silence_us = 600000000;
    w->d.set.gateway_conns = 1;
    int fd = eventfd(1, EFD_CLOEXEC);
    snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%s", world_place()->path);
    w->leg = leg_open(&w->d, "gw", uri, "v", &ops, w);
    w->gateway = accept4(world_place()->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!w->leg || w->gateway < 0 || loop_add(w->d.loop, &w->always, fd, EPOLLIN, world_round) < 0)
        abort();
}

/* Will be asked as soon as the leg is ready; the index into w->asked. */
static inline unsigned world_ask(struct leg_world *w, uint16_t type, uint64_t offset,
                                 uint32_t length, uint16_t flags)
{
    struct world_asked *a = &w->asked[w->n_asked];
    a->r = request_new(&w->d.requests, (struct volume *)w); /* a leg never looks into it */
    a->r->nbd = a->nbd = (struct nbd_request){flags, type, 99, offset, length};
    a->r->arg = a;
    a->r->waiting = ROLE_OWNER;
    a->data = calloc(1, length ? length : 1);
    if (type == NBD_CMD_WRITE) {
        struct chunk *k = chunk_get(&w->d.pool, (size_t)NBD_REQUEST_LEN + length);
        a->r->wire = (struct slice){k, k->data, (size_t)NBD_REQUEST_LEN + length};
        memset(k->data, 1, a->r->wire.len);
    }
    return w->n_asked++;
}

/* The cookie under which number I of the asked goes to the gateway. */
static inline uint64_t world_cookie(unsigned i)
{
    return UINT64_C(1) << 32 | i;
}

/* What was delivered must be what it was when it was. */
static inline void world_compare(struct leg_world *w, struct world_asked *a)
{
    struct slice sl;
    size_t at = 0;
    while (outq_pop(&a->kept, &sl)) {
        world_hold(w, memcmp(a->data + at, sl.data, sl.len) == 0, "data stay what they were");
        at += sl.len;
        chunk_put(&w->d.pool, sl.chunk);
    }
    outq_release(&a->kept, &w->d.pool);
}

static inline void world_tell(struct leg_world *w, const void *bytes, size_t len, unsigned cuts)
{
    struct buf hello = {0};
    world_greeting(w->how, &hello);
    if (send(w->gateway, hello.data, hello.len, MSG_NOSIGNAL) != (ssize_t)hello.len)
        abort();
    buf_release(&hello);
    w->bytes = bytes;
    w->len = len;
    w->cuts = cuts;
    if (loop_run(w->d.loop) < 0)
        abort();
    for (unsigned i = 0; i < w->n_asked; i++)
        world_compare(w, &w->asked[i]);
}

static inline void world_end(struct leg_world *w)
{
    int fd = w->always.fd;
    for (unsigned i = 0; i < w->n_asked; i++) {
        if (w->asked[i].r)
            request_free(&w->d.requests, &w->d.pool, w->asked[i].r);
        free(w->asked[i].data);
        buf_release(&w->asked[i].status);
    }
    loop_del(w->d.loop, &w->always);
    close(fd);
    close(w->gateway);
    requests_release(&w->d.requests);
    chunk_pool_release(&w->d.pool);
    loop_free(w->d.loop);
}

#endif
