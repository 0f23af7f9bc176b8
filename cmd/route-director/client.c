/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admission.h"
#include "common/base/error.h"
#include "copiers.h"
#include "stream.h"
#include "worker.h"

/* In front of a READ's data: a chunk's header and the offset. */
enum { DATA_HEAD_MAX = NBD_CHUNK_LEN + 8 };

enum client_state {
    CLIENT_HANDSHAKE,
    CLIENT_OPENING, /* waits for the volume it asked for */
    CLIENT_LISTING, /* waits for the store's list */
    CLIENT_MOVING,  /* goes to the worker of the volume it asked for */
    CLIENT_SERVED,
    CLIENT_CLOSING, /* nothing more is read; goes when all is answered and sent */
    CLIENT_GONE,
};

/* A look at the store, which outlives a client that goes meanwhile. */
struct listing {
    struct storejob job;
    struct client *client; /* NULL: gone */
};

struct client {
    struct director *d;
    struct stream stream;
    enum client_state state;
    bool copier;        /* of a move; then VOLUME is the move's, … */
    enum leg_role side; /* … and this is what it reads or writes */
    const char *name;
    struct nbd_server handshake;
    struct loop_timer deadline;
    struct volume_wait wait;
    struct listing *listing; /* LISTING */
    struct volume *volume;
    struct nbd_export export; /* as negotiated */
    unsigned index;
    size_t inflight, inflight_bytes;
    struct request *streaming; /* whose READ data are on their way out */
    struct outq deferred;      /* whole replies that wait for the end of those */
    struct chunk *small;       /* where replies without data lie that wait */
    size_t small_used;
    struct client *next, **link; /* in the volume's list */
    struct loop_task resume, gone;
    struct loop_task leave; /* MOVING: at the end of the round … */
    struct loop_msg arrive; /* … and then on its way */
};

static void take_requests(struct client *c);
static void take_handshake(struct client *c);

static struct client *client_of(struct stream *s)
{
    return (struct client *)((char *)s - offsetof(struct client, stream));
}

/* ---- life ---- */

static void free_client(struct loop_task *t)
{
    struct client *c = (struct client *)((char *)t - offsetof(struct client, gone));
    free(c);
}

void client_drop(struct client *c)
{
    if (c->state == CLIENT_GONE)
        return;
    if (c->state == CLIENT_OPENING)
        volume_open_cancel(c->d, &c->wait);
    c->state = CLIENT_GONE;
    atomic_fetch_sub(&c->d->workers->n_clients, 1);
    loop_timer_cancel(c->d->loop, &c->deadline);
    loop_task_cancel(c->d->loop, &c->resume);
    loop_task_cancel(c->d->loop, &c->leave);
    stream_close(&c->stream);
    outq_release(&c->deferred, &c->d->pool);
    chunk_put(&c->d->pool, c->small);
    c->small = NULL;
    if (c->volume && c->copier)
        copiers_detach(c->volume, c);
    else if (c->volume)
        volume_detach(c->volume, c);
    c->volume = NULL;
    if (c->listing)
        c->listing->client = NULL;
    /* Whoever called may still look at it in this round. */
    loop_task_add(c->d->loop, &c->gone, free_client);
}

/* One line in the log, then good-bye. */
static void refuse(struct client *c, const char *why)
{
    err_warn("client %s: %s", c->name, why);
    client_drop(c);
}

static void go_if_done(struct client *c)
{
    if (c->state == CLIENT_CLOSING && !c->inflight && !stream_unsent(&c->stream))
        client_drop(c);
}

/* Answers what was asked, sends what is queued, then closes. */
static void leave(struct client *c)
{
    c->state = CLIENT_CLOSING;
    stream_pause(&c->stream, true);
    go_if_done(c);
}

void client_link(struct client *c, struct client **list)
{
    c->next = *list;
    c->link = list;
    if (c->next)
        c->next->link = &c->next;
    *list = c;
}

void client_unlink(struct client *c)
{
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
}

void client_set_index(struct client *c, unsigned index)
{
    c->index = index;
}

unsigned client_index(const struct client *c)
{
    return c->index;
}

/* ---- replies ---- */

static void out_of_memory(struct client *c)
{
    refuse(c, err_text(ENOMEM));
}

static void send_slice(struct client *c, struct slice sl)
{
    if (stream_send(&c->stream, sl) < 0)
        out_of_memory(c);
}

static void send_deferred(struct client *c)
{
    struct slice sl;
    while (c->state != CLIENT_GONE && outq_pop(&c->deferred, &sl))
        send_slice(c, sl);
    chunk_put(&c->d->pool, c->small);
    c->small = NULL;
}

static void defer(struct client *c, struct outq *q, struct slice sl)
{
    if (outq_push(q, sl) == 0)
        return;
    chunk_put(&c->d->pool, sl.chunk);
    out_of_memory(c);
}

/* The same for bytes that are copied, many into one chunk. */
static void defer_copy(struct client *c, struct outq *q, const void *data, size_t len)
{
    if (!c->small || c->small->size - c->small_used < len) {
        chunk_put(&c->d->pool, c->small);
        c->small = chunk_get(&c->d->pool, len);
        c->small_used = 0;
    }
    if (!c->small) {
        out_of_memory(c);
        return;
    }
    unsigned char *to = c->small->data + c->small_used;
    memcpy(to, data, len);
    c->small_used += len;
    defer(c, q, (struct slice){chunk_ref(c->small), to, len});
}

/* The header of the data of a READ: all of them are one chunk, or one simple reply. */
static size_t data_header(const struct client *c, const struct request *r,
                          unsigned char h[DATA_HEAD_MAX])
{
    const struct nbd_request *n = &r->nbd;
    if (!c->export.structured) {
        nbd_put32(h, NBD_SIMPLE_MAGIC);
        nbd_put32(h + 4, 0);
        nbd_put64(h + 8, n->cookie);
        return NBD_SIMPLE_LEN;
    }
    const struct nbd_chunk k = {NBD_CHUNK_DONE, NBD_CHUNK_OFFSET_DATA, n->cookie, n->length + 8};
    nbd_chunk_format(h, &k);
    nbd_put64(h + NBD_CHUNK_LEN, n->offset);
    return NBD_CHUNK_LEN + 8;
}

/* Bytes that are copied, for R's turn. */
static void part_copy(struct client *c, struct request *r, const unsigned char *data, size_t len)
{
    if (c->streaming == r && stream_send_copy(&c->stream, data, len) < 0)
        out_of_memory(c);
    else if (c->streaming != r)
        defer_copy(c, &r->parts, data, len);
}

void client_data(struct client *c, struct request *r, struct slice part, size_t room)
{
    if (!r->delivered) {
        unsigned char h[DATA_HEAD_MAX];
        size_t n = data_header(c, r, h);
        if (!c->streaming)
            c->streaming = r;
        if (n <= room) {
            part.data -= n;
            part.len += n;
            memcpy(part.data, h, n);
        } else {
            part_copy(c, r, h, n);
        }
    }
    if (c->state == CLIENT_GONE)
        chunk_put(&c->d->pool, part.chunk);
    else if (c->streaming == r)
        send_slice(c, part);
    else
        defer(c, &r->parts, part);
}

static void end_of_data(struct client *c, struct request *r)
{
    struct slice sl;
    if (c->streaming == r) {
        c->streaming = NULL;
        send_deferred(c);
        return;
    }
    while (c->state != CLIENT_GONE && outq_pop(&r->parts, &sl)) {
        if (c->streaming)
            defer(c, &c->deferred, sl);
        else
            send_slice(c, sl);
    }
}

/* A reply's bytes, copied: now, or behind the data that are on their way. */
static void send_bytes(struct client *c, const void *data, size_t len)
{
    if (c->streaming)
        defer_copy(c, &c->deferred, data, len);
    else if (stream_send_copy(&c->stream, data, len) < 0)
        out_of_memory(c);
}

static void send_simple(struct client *c, uint64_t cookie, uint32_t error)
{
    unsigned char h[NBD_SIMPLE_LEN];
    nbd_put32(h, NBD_SIMPLE_MAGIC);
    nbd_put32(h + 4, error);
    nbd_put64(h + 8, cookie);
    send_bytes(c, h, sizeof(h));
}

/* READ and BLOCK_STATUS are answered in chunks, once that is negotiated. */
static void send_failure(struct client *c, const struct nbd_request *n, uint32_t error)
{
    unsigned char h[NBD_CHUNK_LEN + 6];
    const struct nbd_chunk k = {NBD_CHUNK_DONE, NBD_CHUNK_ERROR, n->cookie, 6};
    if (!c->export.structured || (n->type != NBD_CMD_READ && n->type != NBD_CMD_BLOCK_STATUS)) {
        send_simple(c, n->cookie, error);
        return;
    }
    nbd_chunk_format(h, &k);
    nbd_put32(h + NBD_CHUNK_LEN, error);
    nbd_put16(h + NBD_CHUNK_LEN + 4, 0);
    send_bytes(c, h, sizeof(h));
}

/* The extents of a BLOCK_STATUS; nothing behind the volume's end is told (S24). */
static void send_status(struct client *c, struct request *r)
{
    unsigned char h[NBD_CHUNK_LEN + 4];
    struct slice sl = r->status;
    uint64_t left = c->export.size - r->nbd.offset;
    size_t n = 0;
    for (; left && n < sl.len; n += 8) {
        uint32_t length = nbd_get32(sl.data + n);
        if (length > left)
            nbd_put32(sl.data + n, (uint32_t)left);
        left -= length > left ? left : length;
    }
    sl.len = n;
    const struct nbd_chunk k = {NBD_CHUNK_DONE, NBD_CHUNK_BLOCK_STATUS, r->nbd.cookie,
                                (uint32_t)n + 4};
    nbd_chunk_format(h, &k);
    nbd_put32(h + NBD_CHUNK_LEN, NBD_ALLOCATION_ID);
    r->status = (struct slice){0};
    send_bytes(c, h, sizeof(h));
    if (c->state == CLIENT_GONE)
        chunk_put(&c->d->pool, sl.chunk);
    else if (c->streaming)
        defer(c, &c->deferred, sl);
    else
        send_slice(c, sl);
}

/* A READ of nothing has no data to send, but an end. */
static void send_nothing(struct client *c, const struct nbd_request *n)
{
    unsigned char h[NBD_CHUNK_LEN];
    const struct nbd_chunk k = {NBD_CHUNK_DONE, NBD_CHUNK_NONE, n->cookie, 0};
    nbd_chunk_format(h, &k);
    if (c->export.structured)
        send_bytes(c, h, sizeof(h));
    else
        send_simple(c, n->cookie, 0);
}

static size_t cost_of(const struct nbd_request *n)
{
    return n->type == NBD_CMD_READ || n->type == NBD_CMD_WRITE ? n->length : 0;
}

static bool throttled(const struct client *c)
{
    const struct settings *s = &c->d->set;
    size_t max = c->copier ? COPIER_BYTES : s->inflight_bytes;
    return c->inflight >= s->inflight_max ||
           c->inflight_bytes + c->deferred.bytes + stream_unsent(&c->stream) >= max;
}

static void resume_task(struct loop_task *t)
{
    struct client *c = (struct client *)((char *)t - offsetof(struct client, resume));
    if (c->state == CLIENT_HANDSHAKE) {
        stream_pause(&c->stream, false);
        take_handshake(c);
    } else if (c->state == CLIENT_SERVED && !throttled(c)) {
        stream_pause(&c->stream, false);
        take_requests(c);
    }
}

static void maybe_resume(struct client *c)
{
    if (c->state == CLIENT_SERVED && c->stream.paused && !throttled(c))
        loop_task_add(c->d->loop, &c->resume, resume_task);
}

void client_answer(struct client *c, struct request *r)
{
    c->inflight--;
    c->inflight_bytes -= cost_of(&r->nbd);
    if (r->error && c->streaming == r)
        /* So many data were promised: no error can be told now. */
        refuse(c, "a read could not be completed");
    else if (r->error)
        send_failure(c, &r->nbd, r->error);
    else if (r->nbd.type == NBD_CMD_READ && r->nbd.length)
        end_of_data(c, r);
    else if (r->nbd.type == NBD_CMD_READ)
        send_nothing(c, &r->nbd);
    else if (r->nbd.type == NBD_CMD_BLOCK_STATUS)
        send_status(c, r);
    else
        send_simple(c, r->nbd.cookie, 0);
    maybe_resume(c);
    go_if_done(c);
}

/* ---- requests ---- */

static void take_request(struct client *c, const struct nbd_request *n, size_t wire)
{
    uint32_t error = nbd_request_check(n, &c->export, c->export.size);
    if (error) {
        stream_eat(&c->stream, wire);
        send_failure(c, n, error);
        return;
    }
    struct request *r = request_new(&c->d->requests, c->volume);
    if (!r) {
        out_of_memory(c);
        return;
    }
    r->nbd = *n;
    r->client = c;
    r->client_name = c->name;
    r->arrived_us = loop_now_us(c->d->loop);
    r->wire = stream_cut(&c->stream, wire);
    c->inflight++;
    c->inflight_bytes += cost_of(n);
    if (c->copier)
        copiers_submit(c->volume, r, c->side);
    else
        volume_submit(c->volume, r);
}

static void take_requests(struct client *c)
{
    unsigned char *p;
    size_t len;
    struct nbd_request n;
    while (c->state == CLIENT_SERVED && !throttled(c)) {
        len = stream_data(&c->stream, &p);
        stream_want(&c->stream, NBD_REQUEST_LEN);
        if (len < NBD_REQUEST_LEN)
            return;
        if (nbd_request_parse(p, &n) < 0) {
            refuse(c, "malformed request: wrong magic number");
            return;
        }
        if (n.type == NBD_CMD_DISC) {
            leave(c);
            return;
        }
        size_t wire = NBD_REQUEST_LEN;
        if (n.type == NBD_CMD_WRITE) {
            if (n.length > NBD_PAYLOAD_MAX) {
                refuse(c, "write of more than 32 MiB");
                return;
            }
            wire += n.length;
        }
        if (len < wire) {
            stream_want(&c->stream, wire);
            return;
        }
        take_request(c, &n, wire);
    }
    if (c->state == CLIENT_SERVED)
        stream_pause(&c->stream, true);
}

/* ---- handshake ---- */

static bool send_buf(struct client *c, struct buf *out)
{
    bool ok = !out->len || stream_send_copy(&c->stream, out->data, out->len) == 0;
    buf_release(out);
    if (!ok)
        out_of_memory(c);
    return ok;
}

static void served(struct client *c, struct volume *v)
{
    loop_timer_cancel(c->d->loop, &c->deadline);
    c->export = c->copier ? copiers_export(v, c->side) : v->offered;
    c->export.structured = c->handshake.structured;
    c->export.allocation = nbd_server_allocation(&c->handshake);
    c->volume = v;
    c->state = CLIENT_SERVED;
    if (c->copier)
        copiers_attach(v, c, c->side);
    else
        volume_attach(v, c);
}

/* The answer to an option is known: sends it.  True: the client is served, and has taken over the
 * use of V. */
static bool answered_option(struct client *c, struct volume *v, int step, struct buf *out)
{
    if (!send_buf(c, out))
        return false;
    switch (step) {
    case NBD_SERVER_DONE:
        assert(v); /* nothing else is answered so */
        served(c, v);
        break;
    case NBD_SERVER_MORE:
        c->state = CLIENT_HANDSHAKE;
        break;
    case NBD_SERVER_ABORT:
        leave(c);
        return false;
    default:
        out_of_memory(c);
        return false;
    }
    /* Goes on with what was received meanwhile; not here, or many options would nest. */
    loop_task_add(c->d->loop, &c->resume, resume_task);
    return step == NBD_SERVER_DONE;
}

static void volume_opened(struct volume_wait *w, struct volume *v, const char *error)
{
    struct client *c = (struct client *)((char *)w - offsetof(struct client, wait));
    struct buf out = {0};
    int step;
    c->state = CLIENT_HANDSHAKE;
    if (v && c->d->ending) {
        step = nbd_server_refuse(&c->handshake, NBD_REP_ERR_SHUTDOWN, "the director ends", &out);
    } else if (v) {
        step = nbd_server_answer(&c->handshake, &v->offered, &out);
    } else {
        step = nbd_server_refuse(&c->handshake, NBD_REP_ERR_UNKNOWN, error, &out);
    }
    if (!answered_option(c, v, step, &out) && v)
        volume_unuse(v);
}

static void refuse_volume(struct client *c, uint32_t error, const char *why)
{
    struct buf out = {0};
    answered_option(c, NULL, nbd_server_refuse(&c->handshake, error, why, &out), &out);
}

static void change_worker(struct client *c);
static void on_deadline(struct loop_timer *t);

/* Whose thread has what it asked for; NULL: nobody can have it. */
static struct director *home_of(const struct client *c)
{
    return c->copier ? copiers_home(c->d, c->handshake.name) : worker_of(c->d, c->handshake.name);
}

static void open_private(struct client *c)
{
    struct director *home = home_of(c);
    struct buf out = {0};
    if (home && home != c->d) {
        change_worker(c);
        return;
    }
    struct volume *v = home ? copiers_find(c->d, c->handshake.name, &c->side) : NULL;
    if (!v) {
        refuse_volume(c, NBD_REP_ERR_UNKNOWN, "no private export of a move that has a driver");
        return;
    }
    const struct nbd_export e = copiers_export(v, c->side);
    int step = nbd_server_answer(&c->handshake, &e, &out);
    answered_option(c, v, step, &out);
}

static void open_volume(struct client *c)
{
    const char *why;
    stream_pause(&c->stream, true);
    if (c->copier) {
        open_private(c);
        return;
    }
    if (parse_name(c->handshake.name) < 0) {
        refuse_volume(c, NBD_REP_ERR_UNKNOWN, "no such volume: not a volume's name");
        return;
    }
    why = admission_refuses(c->d->admission, c->handshake.name, c->name);
    if (why) {
        refuse_volume(c, NBD_REP_ERR_POLICY, why);
        return;
    }
    if (home_of(c) != c->d) {
        change_worker(c);
        return;
    }
    c->state = CLIENT_OPENING;
    c->wait.done = volume_opened;
    volume_open(c->d, c->handshake.name, &c->wait);
}

/* In the new worker's thread: as if it had been there from the start. */
static void arrive(struct loop_msg *m)
{
    struct client *c = (struct client *)((char *)m - offsetof(struct client, arrive));
    c->d = home_of(c);
    int r = stream_attach(&c->stream, c->d->loop, &c->d->pool);
    long id = intern_add(&c->d->client_names, c->name);
    if (r == 0)
        r = loop_timer_set(c->d->loop, &c->deadline, c->deadline.due_us, on_deadline);
    if (r < 0 || id < 0) {
        refuse(c, err_text(r < 0 ? r : (int)id));
        return;
    }
    c->name = c->d->client_names.names[id];
    open_volume(c);
}

static void leave_worker(struct loop_task *t)
{
    struct client *c = (struct client *)((char *)t - offsetof(struct client, leave));
    loop_timer_cancel(c->d->loop, &c->deadline);
    stream_detach(&c->stream);
    loop_post(home_of(c)->loop, &c->arrive, arrive);
}

/* Not at once: the stream's functions are on the stack, and the events of this round know it. */
static void change_worker(struct client *c)
{
    c->state = CLIENT_MOVING;
    loop_task_cancel(c->d->loop, &c->resume);
    loop_task_add(c->d->loop, &c->leave, leave_worker);
}

static void send_list(struct client *c, const struct buf *names)
{
    struct buf out = {0};
    int r = 0;
    c->state = CLIENT_HANDSHAKE;
    admission_begin_list(c->d->admission);
    for (size_t i = 0; r == 0 && i < names->len; i += strlen(names->data + i) + 1)
        if (admission_lists(c->d->admission, names->data + i, c->name))
            r = nbd_server_list(&c->handshake, names->data + i, &out);
    if (r == 0)
        r = nbd_server_list(&c->handshake, NULL, &out);
    answered_option(c, NULL, r < 0 ? r : NBD_SERVER_MORE, &out);
}

static void listed(struct storejob *j)
{
    struct listing *l = j->arg;
    struct client *c = l->client;
    if (c) {
        c->listing = NULL;
        send_list(c, &j->names);
    }
    buf_release(&j->names);
    free(l);
}

/* The names of private exports are secrets. */
static void list_nothing(struct client *c)
{
    struct buf out = {0};
    int r = nbd_server_list(&c->handshake, NULL, &out);
    stream_pause(&c->stream, true);
    answered_option(c, NULL, r < 0 ? r : NBD_SERVER_MORE, &out);
}

static void list_volumes(struct client *c)
{
    struct listing *l = calloc(1, sizeof(*l));
    if (!l) {
        out_of_memory(c);
        return;
    }
    c->state = CLIENT_LISTING;
    stream_pause(&c->stream, true);
    c->listing = l;
    l->client = c;
    l->job = (struct storejob){.kind = STOREJOB_LIST, .done = listed, .arg = l};
    storejobs_queue(c->d->jobs, &l->job);
}

static void take_handshake(struct client *c)
{
    enum { UNREAD_MAX = 1 << 20 }; /* in answers to options */
    unsigned char *p;
    size_t used;
    struct buf out = {0};
    size_t len = stream_data(&c->stream, &p);
    int step = nbd_server_input(&c->handshake, p, len, &used, &out);
    stream_eat(&c->stream, used);
    stream_want(&c->stream, step == NBD_SERVER_MORE ? len - used + 1 : 0);
    if (!send_buf(c, &out))
        return;
    if (stream_unsent(&c->stream) > UNREAD_MAX) {
        refuse(c, "asks without reading answers");
        return;
    }
    switch (step) {
    case NBD_SERVER_MORE:
        return;
    case NBD_SERVER_EXPORT:
        open_volume(c);
        return;
    case NBD_SERVER_LIST:
        if (c->copier)
            list_nothing(c);
        else
            list_volumes(c);
        return;
    case NBD_SERVER_ABORT:
        leave(c);
        return;
    default:
        refuse(c, step == -EPROTO ? c->handshake.error : err_text(step));
    }
}

/* ---- the stream ---- */

static void on_input(struct stream *s)
{
    struct client *c = client_of(s);
    if (c->state == CLIENT_SERVED)
        take_requests(c);
    else if (c->state == CLIENT_HANDSHAKE)
        take_handshake(c);
}

/* What was asked is answered still; with a half of something nobody can do anything. */
static void on_ended(struct stream *s)
{
    struct client *c = client_of(s);
    if (c->state == CLIENT_SERVED)
        leave(c);
    else if (c->state != CLIENT_CLOSING)
        client_drop(c);
}

static void on_lost(struct stream *s, int err)
{
    (void)err; /* clients come and go; that is no news */
    client_drop(client_of(s));
}

static void on_drained(struct stream *s)
{
    struct client *c = client_of(s);
    maybe_resume(c);
    go_if_done(c);
}

static void on_deadline(struct loop_timer *t)
{
    struct client *c = (struct client *)((char *)t - offsetof(struct client, deadline));
    refuse(c, "asked for no export in time");
}

void client_new(struct director *d, int fd, const char *name, bool copier)
{
    static const struct stream_ops ops = {
        .input = on_input, .ended = on_ended, .lost = on_lost, .drained = on_drained};
    struct client *c = calloc(1, sizeof(*c));
    long id = intern_add(&d->client_names, name);
    struct buf out = {0};
    if (!c || id < 0 || stream_open(&c->stream, d->loop, &d->pool, fd, false, &ops) < 0) {
        err_warn("client %s: %s", name, err_text(ENOMEM));
        close(fd);
        free(c);
        return;
    }
    c->d = d;
    c->copier = copier;
    atomic_fetch_add(&d->workers->n_clients, 1);
    c->name = d->client_names.names[id];
    loop_timer_set(d->loop, &c->deadline, loop_now_us(d->loop) + d->set.handshake_us, on_deadline);
    if (nbd_server_start(&c->handshake, &out) < 0) {
        out_of_memory(c);
        return;
    }
    c->handshake.offer_structured = true;
    send_buf(c, &out);
}
