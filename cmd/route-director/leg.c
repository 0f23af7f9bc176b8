/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "leg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"

/* FURTHER_US: a further connection must be there within this time; PATIENCE_MAX: doublings. */
enum { FURTHER_US = 1000000, PATIENCE_MAX = 6 };

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

/* What a chunk of these kinds may hold; more is hostile. */
enum { STATUS_MAX = 4 + (1 << 20), ERROR_MAX = 8 << 10 };
enum { DATA_HEAD = NBD_CHUNK_LEN + 8 }; /* of OFFSET_DATA: the offset is part of the payload */

static void malformed(struct leg *l)
{
    lose(l, -EPROTO, "%s: malformed reply, or to nothing that was asked", l->gateway);
}

/* The gateway's answer to R is complete. */
static void answered(struct leg_conn *c, struct request *r, enum leg_role role, uint32_t error)
{
    struct leg *l = c->leg;
    /* It ends, and says so: what it answers from then on is no answer to what was asked. */
    if (error == NBD_ESHUTDOWN) {
        lose(l, -ESHUTDOWN, "%s: the gateway shuts down", l->gateway);
        return;
    }
    c->pending--;
    l->ops->answered(l, r, role, error);
}

/* What the gateway sent in pieces goes on as one. */
static void deliver_whole(struct leg_conn *c, struct request *r, enum leg_role role)
{
    struct slice whole = r->whole;
    if (r->gathered != r->nbd.length) {
        malformed(c->leg);
        return;
    }
    r->whole = (struct slice){0};
    c->leg->ops->data(c->leg, r, whole, DATA_HEAD);
    answered(c, r, role, 0);
}

/* The chunk that ends R's answer is there. */
static void end_of_chunks(struct leg_conn *c, struct request *r, enum leg_role role)
{
    if (r->failed)
        answered(c, r, role, r->failed);
    else if (r->nbd.type == NBD_CMD_READ)
        deliver_whole(c, r, role);
    else if (r->nbd.type == NBD_CMD_BLOCK_STATUS && !r->status.chunk)
        malformed(c->leg);
    else
        answered(c, r, role, 0);
}

/* The payload that was announced is there. */
static void end_of_payload(struct leg_conn *c)
{
    struct request *r = c->reading;
    bool gathered = c->into;
    c->reading = NULL;
    c->into = NULL;
    if (!gathered)
        answered(c, r, c->role, 0);
    else if (c->last)
        end_of_chunks(c, r, c->role);
}

/* N bytes of payload at the front of the input; ROOM bytes before them are free. */
static void take_payload(struct leg_conn *c, const unsigned char *p, size_t n, size_t room)
{
    if (n > c->left)
        n = c->left;
    c->left -= (uint32_t)n;
    if (c->into) {
        memcpy(c->into, p, n);
        c->into += n;
        stream_eat(&c->stream, n);
    } else {
        c->leg->ops->data(c->leg, c->reading, stream_cut(&c->stream, n), room);
    }
    if (!c->left)
        end_of_payload(c);
}

static bool need(struct leg_conn *c, size_t n, size_t have)
{
    stream_want(&c->stream, have < n ? n : 0);
    return have < n;
}

/* A READ's data follow a header of ROOM bytes: all of them, in one go. */
static bool start_payload(struct leg_conn *c, struct request *r, enum leg_role role,
                          const unsigned char *p, size_t len, size_t room)
{
    /* With the first byte, so that the header's place is still there to be overwritten. */
    if (need(c, room + 1, len))
        return false;
    stream_eat(&c->stream, room);
    c->reading = r;
    c->role = role;
    c->left = r->nbd.length;
    c->last = true;
    take_payload(c, p + room, len - room, room);
    return true;
}

static bool take_simple(struct leg_conn *c, const unsigned char *p, size_t len)
{
    struct leg *l = c->leg;
    enum leg_role role;
    if (need(c, NBD_SIMPLE_LEN, len))
        return false;
    uint32_t error = nbd_get32(p + 4);
    struct request *r = request_find(&l->d->requests, nbd_get64(p + 8), c, &role);
    if (nbd_get32(p) != NBD_SIMPLE_MAGIC || !r || r->whole.chunk ||
        (!error && r->nbd.type == NBD_CMD_BLOCK_STATUS)) {
        malformed(l);
        return false;
    }
    c->role = role;
    if (!error && r->nbd.type == NBD_CMD_READ)
        return start_payload(c, r, role, p, len, NBD_SIMPLE_LEN);
    stream_eat(&c->stream, NBD_SIMPLE_LEN);
    answered(c, r, role, error);
    return true;
}

/* Where R's pieces are put together: zeros, so that holes are there already. */
static bool gathers(struct leg_conn *c, struct request *r)
{
    if (r->whole.chunk)
        return true;
    struct chunk *k = chunk_get(&c->leg->d->pool, (size_t)DATA_HEAD + r->nbd.length);
    if (!k) {
        lose(c->leg, -ENOMEM, "%s: %s", c->leg->gateway, err_text(ENOMEM));
        return false;
    }
    r->whole = (struct slice){k, k->data + DATA_HEAD, r->nbd.length};
    memset(r->whole.data, 0, r->whole.len);
    return true;
}

/* Does a piece of LENGTH bytes at OFFSET belong to what R asked for, without being too much? */
static bool piece_fits(const struct request *r, uint64_t offset, uint64_t length)
{
    return r->nbd.type == NBD_CMD_READ && length && offset >= r->nbd.offset &&
           offset - r->nbd.offset <= r->nbd.length &&
           length <= r->nbd.length - (offset - r->nbd.offset) &&
           length <= r->nbd.length - r->gathered;
}

static bool take_data_chunk(struct leg_conn *c, struct request *r, enum leg_role role,
                            const struct nbd_chunk *k, const unsigned char *p, size_t len)
{
    if (need(c, DATA_HEAD + 1, len))
        return false;
    uint64_t offset = nbd_get64(p + NBD_CHUNK_LEN);
    if (k->length <= 8 || !piece_fits(r, offset, k->length - 8)) {
        malformed(c->leg);
        return false;
    }
    bool all = k->length - 8 == r->nbd.length && k->flags & NBD_CHUNK_DONE && !r->failed;
    if (all && !r->whole.chunk)
        return start_payload(c, r, role, p, len, DATA_HEAD);
    if (!gathers(c, r))
        return false;
    stream_eat(&c->stream, DATA_HEAD);
    r->gathered += k->length - 8;
    c->reading = r;
    c->role = role;
    c->left = k->length - 8;
    c->into = r->whole.data + (offset - r->nbd.offset);
    c->last = k->flags & NBD_CHUNK_DONE;
    take_payload(c, p + DATA_HEAD, len - DATA_HEAD, 0);
    return true;
}

static bool take_hole(struct leg_conn *c, struct request *r, const unsigned char *payload)
{
    uint32_t length = nbd_get32(payload + 8);
    if (!piece_fits(r, nbd_get64(payload), length) || !gathers(c, r))
        return false;
    r->gathered += length;
    return true;
}

/* Clients go on behind an extent: one of no length would hold them for ever. */
static bool extents_are_real(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8)
        if (!nbd_get32(p + i))
            return false;
    return true;
}

/* Extents of the one context that was asked for; of others nothing is known. */
static bool take_status(struct leg_conn *c, struct request *r, const unsigned char *payload,
                        size_t n)
{
    const struct nbd_export *e = &c->leg->export;
    if (r->nbd.type != NBD_CMD_BLOCK_STATUS || !e->allocation || r->status.chunk ||
        nbd_get32(payload) != e->allocation_id || !extents_are_real(payload + 4, n - 4))
        return false;
    struct chunk *k = chunk_get(&c->leg->d->pool, n);
    if (!k)
        return false;
    r->status = (struct slice){k, k->data, n - 4};
    memcpy(k->data, payload + 4, n - 4);
    return true;
}

/* A chunk that is looked at whole: PAYLOAD of N bytes.  False: it makes no sense. */
static bool take_whole_chunk(struct leg_conn *c, struct request *r, const struct nbd_chunk *k,
                             const unsigned char *payload)
{
    switch (k->type) {
    case NBD_CHUNK_NONE:
        return k->length == 0 && k->flags & NBD_CHUNK_DONE;
    case NBD_CHUNK_OFFSET_HOLE:
        return k->length == 12 && take_hole(c, r, payload);
    case NBD_CHUNK_BLOCK_STATUS:
        return k->length >= 12 && k->length % 8 == 4 && take_status(c, r, payload, k->length);
    default:
        if (!(k->type & NBD_CHUNK_IS_ERROR) || k->length < 6)
            return false;
        if (!r->failed)
            r->failed = nbd_get32(payload) ? nbd_get32(payload) : NBD_EIO;
        return true;
    }
}

static bool take_chunk(struct leg_conn *c, const unsigned char *p, size_t len)
{
    struct leg *l = c->leg;
    struct nbd_chunk k;
    enum leg_role role;
    if (need(c, NBD_CHUNK_LEN, len))
        return false;
    struct request *r =
        nbd_chunk_parse(p, &k) == 0 ? request_find(&l->d->requests, k.cookie, c, &role) : NULL;
    if (!r || !l->export.structured) {
        malformed(l);
        return false;
    }
    c->role = role;
    if (k.type == NBD_CHUNK_OFFSET_DATA)
        return take_data_chunk(c, r, role, &k, p, len);
    size_t max = k.type == NBD_CHUNK_BLOCK_STATUS ? STATUS_MAX : ERROR_MAX;
    if (k.length <= max && need(c, NBD_CHUNK_LEN + (size_t)k.length, len))
        return false;
    if (k.length > max || !take_whole_chunk(c, r, &k, p + NBD_CHUNK_LEN)) {
        malformed(l);
        return false;
    }
    stream_eat(&c->stream, NBD_CHUNK_LEN + (size_t)k.length);
    if (k.flags & NBD_CHUNK_DONE)
        end_of_chunks(c, r, role);
    return true;
}

static void take_replies(struct leg_conn *c)
{
    unsigned char *p;
    size_t len;
    bool more = true;
    c->heard_us = loop_now_us(c->leg->d->loop);
    while (more && !c->leg->lost && (len = stream_data(&c->stream, &p)) > 0) {
        if (c->reading)
            take_payload(c, p, len, 0);
        else if (need(c, 4, len))
            return;
        else
            more = nbd_get32(p) == NBD_CHUNK_MAGIC ? take_chunk(c, p, len) : take_simple(c, p, len);
    }
}

/* ---- handshake ---- */

/* All are negotiated, or have failed? */
static void tell_if_ready(struct leg *l)
{
    for (unsigned i = 0; i < l->n_conns; i++)
        if (!l->conns[i]->ready && !l->conns[i]->failed)
            return;
    if (l->ready || l->lost)
        return;
    l->ready = true;
    loop_task_add(l->d->loop, &l->tell, tell);
}

/*
 * A gateway may take only so many connections, and refuse further ones or let them hang (S23): then
 * those that there are must do.  Only the first is needed.
 */
static void conn_failed(struct leg_conn *c, int err, const char *why)
{
    struct leg *l = c->leg;
    if (c->ready || c == l->conns[0]) {
        lose(l, err, "%s: %s", l->gateway, why);
        return;
    }
    c->failed = true;
    loop_timer_cancel(l->d->loop, &c->deadline);
    stream_close(&c->stream);
    tell_if_ready(l);
}

static bool same_export(const struct nbd_export *a, const struct nbd_export *b)
{
    return a->size == b->size && a->flags == b->flags && a->min_block == b->min_block &&
           a->structured == b->structured && a->allocation == b->allocation &&
           a->allocation_id == b->allocation_id;
}

static void open_further(struct leg *l);

static void negotiated(struct leg_conn *c)
{
    struct leg *l = c->leg;
    bool first = c == l->conns[0];
    loop_timer_cancel(l->d->loop, &c->deadline);
    peer_check(&l->peer);
    if (!first && !same_export(&l->export, &c->handshake.export)) {
        lose(l, -EPROTO, "%s: offers another size or other flags than before", l->gateway);
        return;
    }
    c->ready = true;
    for (unsigned i = 0; i < l->n_conns; i++)
        if (l->conns[i] == c)
            l->ready_conns[l->n_ready++] = i;
    if (first) {
        l->export = c->handshake.export;
        open_further(l);
    }
    tell_if_ready(l);
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

/* That it takes what it is sent is a sign of life, too. */
static void on_drained(struct stream *s)
{
    conn_of(s)->heard_us = loop_now_us(conn_of(s)->leg->d->loop);
}

static const struct stream_ops conn_ops = {
    .input = on_input, .lost = on_lost, .drained = on_drained};

/* A further one may be let hang on purpose: the volume waits no longer for it. */
static uint64_t conn_deadline_us(const struct leg *l)
{
    uint64_t us = l->d->set.connect_us;
    return l->n_conns > 1 && us > FURTHER_US ? FURTHER_US : us;
}

static void on_deadline(struct loop_timer *t)
{
    struct leg_conn *c = (struct leg_conn *)((char *)t - offsetof(struct leg_conn, deadline));
    char why[64];
    snprintf(why, sizeof(why), "no answer within %llu ms",
             (unsigned long long)(conn_deadline_us(c->leg) / 1000));
    conn_failed(c, -ETIMEDOUT, why);
}

/* ---- a gateway that says nothing ---- */

static void watch_silence(struct leg *l);

static void on_silence(struct loop_timer *t)
{
    struct leg *l = (struct leg *)((char *)t - offsetof(struct leg, silence));
    uint64_t now = loop_now_us(l->d->loop);
    bool pending = false;
    for (unsigned i = 0; i < l->n_conns && !l->lost; i++) {
        const struct leg_conn *c = l->conns[i];
        pending |= c->pending;
        if (c->pending && now - c->heard_us >= l->silence_us) {
            l->silent = true;
            lose(l, -ETIMEDOUT, "%s: has not answered for %llu ms", l->gateway,
                 (unsigned long long)((now - c->heard_us) / 1000));
        }
    }
    if (pending && !l->lost)
        watch_silence(l);
}

static void watch_silence(struct leg *l)
{
    loop_timer_set(l->d->loop, &l->silence, loop_now_us(l->d->loop) + l->silence_us / 4 + 1,
                   on_silence);
}

static void expect_answer(struct leg_conn *c)
{
    if (!c->pending++)
        c->heard_us = loop_now_us(c->leg->d->loop);
    if (!c->leg->silence.place)
        watch_silence(c->leg);
}

/* ---- opening ---- */

static int conn_open(struct leg *l)
{
    struct leg_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->leg = l;
    c->stream.io.fd = -1;
    nbd_client_start(&c->handshake, l->volume);
    c->handshake.want_structured = true;
    int fd = nbd_addr_connect(&l->addr);
    int r = fd < 0 ? fd : stream_open(&c->stream, l->d->loop, &l->d->pool, fd, true, &conn_ops);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        free(c);
        return r;
    }
    l->conns[l->n_conns++] = c;
    if (*l->addr.path && !l->d->set.proxied)
        peer_note(&l->peer, fd, l->addr.path);
    loop_timer_set(l->d->loop, &c->deadline, loop_now_us(l->d->loop) + conn_deadline_us(l),
                   on_deadline);
    return 0;
}

static void open_further(struct leg *l)
{
    unsigned max = l->export.flags & NBD_TF_MULTI_CONN ? l->d->set.gateway_conns : 1;
    while (l->n_conns < max && conn_open(l) == 0)
        ;
}

/* ---- the leg ---- */

static void found(void *arg, int err, const struct nbd_addr *addr)
{
    struct leg *l = arg;
    l->lookup = NULL;
    loop_timer_cancel(l->d->loop, &l->patience);
    if (l->lost)
        return;
    l->addr = *addr;
    if (err == 0)
        err = conn_open(l);
    if (err < 0)
        lose(l, err, "%s: cannot connect to '%s': %s", l->gateway, addr->host, err_text(err));
}

static void lookup_late(struct loop_timer *t)
{
    struct leg *l = (struct leg *)((char *)t - offsetof(struct leg, patience));
    lose(l, -ETIMEDOUT, "%s: the address of '%s' is not found in time", l->gateway, l->addr.host);
}

/* Connects, once it is known where to. */
static int start(struct leg *l)
{
    if (!nbd_addr_is_name(&l->addr))
        return conn_open(l);
    l->lookup = lookup_start(l->d->loop, &l->addr, found, l);
    if (!l->lookup)
        return -errno;
    return loop_timer_set(l->d->loop, &l->patience, loop_now_us(l->d->loop) + l->d->set.connect_us,
                          lookup_late);
}

struct leg *leg_open(struct director *d, const char *gateway, const char *uri, const char *volume,
                     const struct leg_ops *ops, void *owner)
{
    struct leg *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->d = d;
    l->peer.pidfd = -1;
    l->silence_us = d->set.silence_us;
    l->ops = ops;
    l->owner = owner;
    snprintf(l->gateway, sizeof(l->gateway), "%s", gateway);
    snprintf(l->volume, sizeof(l->volume), "%s", volume);
    int r = nbd_addr_parse(uri, &l->addr);
    if (r == 0)
        r = start(l);
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
    loop_timer_cancel(l->d->loop, &l->silence);
    loop_timer_cancel(l->d->loop, &l->patience);
    if (l->lookup)
        lookup_forget(l->lookup);
    l->lookup = NULL;
    peer_release(&l->peer);
    for (unsigned i = 0; i < l->n_conns; i++) {
        loop_timer_cancel(l->d->loop, &l->conns[i]->deadline);
        stream_close(&l->conns[i]->stream);
    }
    /* Its own functions may be on the stack above the caller. */
    loop_task_add(l->d->loop, &l->tell, free_leg);
}

void leg_be_patient(struct leg *l, unsigned times)
{
    l->silence_us = l->d->set.silence_us << (times < PATIENCE_MAX ? times : PATIENCE_MAX);
}

void leg_send(struct leg *l, struct request *r, enum leg_role role, unsigned index)
{
    if (l->lost || !l->n_ready)
        return;
    struct leg_conn *c = l->conns[l->ready_conns[index % l->n_ready]];
    struct stream *s = &c->stream;
    struct nbd_request n = r->nbd;
    n.cookie = request_sent(r, role, c);
    expect_answer(c);
    if (!nbd_changes_data(n.type) || !(l->export.flags & NBD_TF_FUA))
        n.flags &= (uint16_t)~NBD_CMD_FLAG_FUA;
    if (!(l->export.flags & NBD_TF_DF))
        n.flags &= (uint16_t)~NBD_CMD_FLAG_DF;
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

void leg_give_up(struct leg *l, int err, const char *why)
{
    lose(l, err, "%s: %s", l->gateway, why);
}

bool leg_is_of(const struct leg *l, const void *conn)
{
    for (unsigned i = 0; i < l->n_conns; i++)
        if (l->conns[i] == conn)
            return true;
    return false;
}

bool leg_is_private(const struct leg *l)
{
    return !(l->export.flags & NBD_TF_MULTI_CONN);
}

const char *leg_unfit(const struct leg *l, bool no_flush)
{
    if (!no_flush && !(l->export.flags & NBD_TF_FLUSH))
        return "cannot flush: what is copied could not be made durable";
    if (l->export.flags & NBD_TF_READ_ONLY)
        return "is read-only";
    return NULL;
}
