/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "leg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"

/* News are told from a task: whoever hears them may free the leg, and nobody below is using it. */
static void tell(struct loop_task *t)
{
    struct leg *l = (struct leg *)((char *)t - offsetof(struct leg, tell));
    if (l->lost)
        l->ops->lost(l);
    else
        l->ops->ready(l);
}

__attribute__((format(printf, 3, 4))) static void lose(struct leg *l, int err, const char *fmt, ...)
{
    if (l->lost)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(l->error, sizeof(l->error), fmt, ap);
    va_end(ap);
    l->lost = true;
    l->ready = false;
    l->err = err;
    loop_task_add(l->d->loop, &l->tell, tell);
}

/* ---- transmission: replies ---- */

static void read_part(struct leg_conn *c, struct slice part, bool first)
{
    struct request *r = c->reading;
    if (!c->left)
        c->reading = NULL;
    c->leg->ops->data(c->leg, r, part, first);
    if (!c->left)
        c->leg->ops->answered(c->leg, r, ROLE_OWNER, 0);
}

/* One simple reply, or the first part of a READ's.  False: more input is needed, or it is over. */
static bool take_reply(struct leg_conn *c, const unsigned char *p, size_t len)
{
    struct leg *l = c->leg;
    enum leg_role role;
    if (len < NBD_SIMPLE_LEN)
        return false;
    uint32_t error = nbd_get32(p + 4);
    struct request *r = request_find(&l->d->requests, nbd_get64(p + 8), c, &role);
    if (nbd_get32(p) != NBD_SIMPLE_MAGIC || !r) {
        lose(l, -EPROTO, "%s: malformed reply, or to nothing that was asked", l->gateway);
        return false;
    }
    if (error || r->nbd.type != NBD_CMD_READ) {
        stream_eat(&c->stream, NBD_SIMPLE_LEN);
        l->ops->answered(l, r, role, error);
        return true;
    }
    size_t total = NBD_SIMPLE_LEN + (size_t)r->nbd.length;
    size_t n = len < total ? len : total;
    c->reading = r;
    c->left = (uint32_t)(total - n);
    read_part(c, stream_cut(&c->stream, n), true);
    return true;
}

static void take_replies(struct leg_conn *c)
{
    unsigned char *p;
    size_t len;
    while (!c->leg->lost && (len = stream_data(&c->stream, &p)) > 0) {
        if (c->reading) {
            size_t n = len < c->left ? len : c->left;
            c->left -= (uint32_t)n;
            read_part(c, stream_cut(&c->stream, n), false);
        } else if (!take_reply(c, p, len)) {
            break;
        }
    }
}

/* ---- handshake ---- */

/*
 * A gateway may take only so many connections, and refuse further ones or let them hang (S23): then
 * those that there are must do.  Only the first is needed.
 */
static void conn_failed(struct leg_conn *c, int err, const char *why)
{
    if (c->leg->ready && !c->ready)
        stream_close(&c->stream);
    else
        lose(c->leg, err, "%s: %s", c->leg->gateway, why);
}

static bool same_export(const struct nbd_export *a, const struct nbd_export *b)
{
    return a->size == b->size && a->flags == b->flags && a->min_block == b->min_block;
}

static void negotiated(struct leg_conn *c)
{
    struct leg *l = c->leg;
    loop_timer_cancel(l->d->loop, &c->deadline);
    if (l->ready && !same_export(&l->export, &c->handshake.export)) {
        lose(l, -EPROTO, "%s: offers another size or other flags than before", l->gateway);
        return;
    }
    c->ready = true;
    for (unsigned i = 0; i < l->n_conns; i++)
        if (l->conns[i] == c)
            l->ready_conns[l->n_ready++] = i;
    if (l->ready)
        return;
    l->export = c->handshake.export;
    l->ready = true;
    loop_task_add(l->d->loop, &l->tell, tell);
}

static void take_handshake(struct leg_conn *c)
{
    unsigned char *p;
    size_t used;
    struct buf out = {0};
    size_t len = stream_data(&c->stream, &p);
    int r = nbd_client_input(&c->handshake, p, len, &used, &out);
    stream_eat(&c->stream, used);
    /* An incomplete option reply must fit into the input in one piece. */
    stream_want(&c->stream, r == NBD_CLIENT_MORE ? len - used + 1 : 0);
    if (out.len && r >= 0)
        r = stream_send_copy(&c->stream, out.data, out.len) < 0 ? -ENOMEM : r;
    buf_release(&out);
    if (r < 0)
        conn_failed(c, r, c->handshake.error[0] ? c->handshake.error : err_text(r));
    else if (r == NBD_CLIENT_DONE)
        negotiated(c);
}

/* ---- the connection's stream ---- */

static struct leg_conn *conn_of(struct stream *s)
{
    return (struct leg_conn *)((char *)s - offsetof(struct leg_conn, stream));
}

static void on_input(struct stream *s)
{
    struct leg_conn *c = conn_of(s);
    if (c->leg->lost)
        return;
    if (!c->ready)
        take_handshake(c);
    if (c->ready)
        take_replies(c);
}

static void on_lost(struct stream *s, int err)
{
    struct leg_conn *c = conn_of(s);
    conn_failed(c, err ? err : -ECONNRESET,
                err ? err_text(err) : "the gateway closed the connection");
    /* Whoever has the leg may keep it for a while: a closed descriptor does not wake the loop. */
    stream_close(s);
}

static const struct stream_ops conn_ops = {.input = on_input, .lost = on_lost};

static void on_deadline(struct loop_timer *t)
{
    struct leg_conn *c = (struct leg_conn *)((char *)t - offsetof(struct leg_conn, deadline));
    char why[64];
    snprintf(why, sizeof(why), "no answer within %llu ms",
             (unsigned long long)(c->leg->d->set.connect_us / 1000));
    conn_failed(c, -ETIMEDOUT, why);
}

static int conn_open(struct leg *l)
{
    struct leg_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->leg = l;
    c->stream.io.fd = -1;
    nbd_client_start(&c->handshake, l->volume);
    int fd = nbd_addr_connect(&l->addr);
    int r = fd < 0 ? fd : stream_open(&c->stream, l->d->loop, &l->d->pool, fd, true, &conn_ops);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        free(c);
        return r;
    }
    l->conns[l->n_conns++] = c;
    loop_timer_set(l->d->loop, &c->deadline, loop_now_us(l->d->loop) + l->d->set.connect_us,
                   on_deadline);
    return 0;
}

/* ---- the leg ---- */

struct leg *leg_open(struct director *d, const char *gateway, const char *uri, const char *volume,
                     const struct leg_ops *ops, void *owner)
{
    struct leg *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->d = d;
    l->ops = ops;
    l->owner = owner;
    snprintf(l->gateway, sizeof(l->gateway), "%s", gateway);
    snprintf(l->volume, sizeof(l->volume), "%s", volume);
    int r = nbd_addr_parse(uri, &l->addr);
    if (r == 0)
        r = conn_open(l);
    if (r < 0)
        lose(l, r, "%s: cannot connect to '%s': %s", gateway, uri, err_text(r));
    return l;
}

static void free_leg(struct loop_task *t)
{
    struct leg *l = (struct leg *)((char *)t - offsetof(struct leg, tell));
    for (unsigned i = 0; i < l->n_conns; i++)
        free(l->conns[i]);
    free(l);
}

void leg_free(struct leg *l)
{
    if (!l)
        return;
    l->lost = true;
    loop_task_cancel(l->d->loop, &l->tell);
    for (unsigned i = 0; i < l->n_conns; i++) {
        loop_timer_cancel(l->d->loop, &l->conns[i]->deadline);
        stream_close(&l->conns[i]->stream);
    }
    /* Its own functions may be on the stack above the caller. */
    loop_task_add(l->d->loop, &l->tell, free_leg);
}

void leg_widen(struct leg *l, unsigned n)
{
    unsigned max = l->d->set.gateway_conns;
    if (!l->ready || !(l->export.flags & NBD_TF_MULTI_CONN))
        return;
    while (l->n_conns < n && l->n_conns < max && conn_open(l) == 0)
        ;
}

void leg_send(struct leg *l, struct request *r, enum leg_role role, unsigned index)
{
    if (l->lost || !l->n_ready)
        return;
    struct leg_conn *c = l->conns[l->ready_conns[index % l->n_ready]];
    struct stream *s = &c->stream;
    struct nbd_request n = r->nbd;
    n.cookie = request_sent(r, role, c);
    if (!nbd_changes_data(n.type))
        n.flags &= (uint16_t)~NBD_CMD_FLAG_FUA;
    int err;
    if (role == ROLE_OWNER && r->wire.chunk) {
        /* The header is rewritten where it lies and leaves together with the payload. */
        nbd_request_format(r->wire.data, &n);
        err = stream_send(s, (struct slice){chunk_ref(r->wire.chunk), r->wire.data, r->wire.len});
    } else {
        unsigned char h[NBD_REQUEST_LEN];
        nbd_request_format(h, &n);
        err = stream_send_copy(s, h, sizeof(h));
        if (err == 0 && r->wire.len > NBD_REQUEST_LEN)
            err = stream_send(s, (struct slice){chunk_ref(r->wire.chunk),
                                                r->wire.data + NBD_REQUEST_LEN,
                                                r->wire.len - NBD_REQUEST_LEN});
    }
    if (err < 0)
        lose(l, err, "%s: %s", l->gateway, err_text(err));
}

const char *leg_unfit(const struct leg *l)
{
    if (!(l->export.flags & NBD_TF_MULTI_CONN))
        return "does not advertise multi-conn: copier and clients might see different caches";
    if (!(l->export.flags & NBD_TF_FLUSH))
        return "cannot flush: what is copied could not be made durable";
    if (l->export.flags & NBD_TF_READ_ONLY)
        return "is read-only";
    return NULL;
}
