/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Less room than this at the end of a chunk is not worth a recv(). */
enum { ROOM_MIN = 32 << 10 };
/* So much unread input may be moved by less than CHUNK_ALIGN, to receive at an aligned place. */
enum { SHIFT_MAX = 4096 };
/*
 * A piece of LARGE_MIN bytes or more is received without what follows it, which then needs not be
 * moved into another chunk; the next is expected to be as large, if that is at most EXPECT_MAX.
 */
enum { LARGE_MIN = 64 << 10, EXPECT_MAX = 4 << 20 };
enum { IOV = 64 };

/* ---- rings of slices ---- */

static int outq_grow(struct outq *q)
{
    size_t cap = q->cap ? q->cap * 2 : 16;
    struct slice *items = malloc(cap * sizeof(*items));
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < q->n; i++)
        items[i] = q->items[(q->head + i) & (q->cap - 1)];
    free(q->items);
    q->items = items;
    q->head = 0;
    q->cap = cap;
    return 0;
}

int outq_push(struct outq *q, struct slice sl)
{
    if (q->n == q->cap && outq_grow(q) < 0)
        return -ENOMEM;
    q->items[(q->head + q->n++) & (q->cap - 1)] = sl;
    q->bytes += sl.len;
    return 0;
}

bool outq_pop(struct outq *q, struct slice *sl)
{
    if (!q->n)
        return false;
    *sl = q->items[q->head];
    q->head = (q->head + 1) & (q->cap - 1);
    q->n--;
    q->bytes -= sl->len;
    return true;
}

void outq_release(struct outq *q, struct chunk_pool *pool)
{
    struct slice sl;
    while (outq_pop(q, &sl))
        chunk_put(pool, sl.chunk);
    free(q->items);
    *q = (struct outq){0};
}

/* ---- state ---- */

bool stream_is_open(const struct stream *s)
{
    return s->io.fd >= 0 && s->loop;
}

static void watch(struct stream *s)
{
    uint32_t ev = 0;
    if (!s->paused && !s->connecting && !s->ended)
        ev |= EPOLLIN;
    if (s->connecting || (s->out.n && !s->flush.queued))
        ev |= EPOLLOUT;
    loop_events(s->loop, &s->io, ev);
}

static void lose(struct stream *s, int err)
{
    if (s->lost)
        return;
    s->lost = true;
    loop_events(s->loop, &s->io, 0);
    s->ops->lost(s, err);
}

void stream_close(struct stream *s)
{
    int fd = s->io.fd;
    if (s->loop) {
        loop_task_cancel(s->loop, &s->flush);
        if (fd >= 0)
            loop_del(s->loop, &s->io);
    } else if (!s->detached) {
        return;
    }
    if (fd >= 0)
        close(fd);
    chunk_put(s->pool, s->in);
    chunk_put(s->pool, s->small);
    s->in = s->small = NULL;
    s->in_start = s->in_end = 0;
    outq_release(&s->out, s->pool);
    s->loop = NULL;
    s->detached = false;
}

/* ---- output ---- */

static void sent(struct stream *s, size_t n)
{
    s->out.bytes -= n;
    while (n) {
        struct slice *sl = &s->out.items[s->out.head];
        size_t part = n < sl->len ? n : sl->len;
        sl->data += part;
        sl->len -= part;
        n -= part;
        if (sl->len == 0) {
            chunk_put(s->pool, sl->chunk);
            s->out.head = (s->out.head + 1) & (s->out.cap - 1);
            s->out.n--;
        }
    }
}

/* An idle connection holds no buffer; the pool gives the warm one to the next. */
static void drop_read_input(struct stream *s)
{
    if (!s->in || s->in_start != s->in_end)
        return;
    if (s->in->refs > 1 && s->in->size - s->in_end >= ROOM_MIN)
        return; /* its rest is for what comes: others hold the whole chunk */
    chunk_put(s->pool, s->in);
    s->in = NULL;
    s->in_start = s->in_end = 0;
}

/* Sends what the socket takes: 0, or -errno of a broken connection. */
static int send_some(struct stream *s)
{
    while (s->out.n) {
        struct iovec iov[IOV];
        size_t k = 0;
        for (; k < s->out.n && k < IOV; k++) {
            struct slice *sl = &s->out.items[(s->out.head + k) & (s->out.cap - 1)];
            iov[k] = (struct iovec){sl->data, sl->len};
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = k};
        ssize_t n = sendmsg(s->io.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        sent(s, (size_t)n);
    }
    chunk_put(s->pool, s->small);
    s->small = NULL;
    /* What was answered now may have been the last that lay there. */
    drop_read_input(s);
    return 0;
}

static void flush(struct stream *s)
{
    if (s->connecting || s->lost || !stream_is_open(s))
        return;
    size_t before = s->out.bytes;
    int r = send_some(s);
    if (r < 0) {
        lose(s, r);
        return;
    }
    watch(s);
    if (s->ops->drained && s->out.bytes < before)
        s->ops->drained(s);
}

static void flush_task(struct loop_task *t)
{
    flush((struct stream *)((char *)t - offsetof(struct stream, flush)));
}

int stream_send(struct stream *s, struct slice sl)
{
    struct outq *q = &s->out;
    loop_task_add(s->loop, &s->flush, flush_task);
    if (q->n) {
        struct slice *last = &q->items[(q->head + q->n - 1) & (q->cap - 1)];
        if (last->chunk == sl.chunk && last->data + last->len == sl.data) {
            last->len += sl.len;
            q->bytes += sl.len;
            chunk_put(s->pool, sl.chunk);
            return 0;
        }
    }
    int r = outq_push(q, sl);
    if (r < 0)
        chunk_put(s->pool, sl.chunk);
    return r;
}

int stream_send_copy(struct stream *s, const void *data, size_t len)
{
    if (!s->small || s->small->size - s->small_used < len) {
        struct chunk *c = chunk_get(s->pool, len);
        if (!c)
            return -ENOMEM;
        chunk_put(s->pool, s->small);
        s->small = c;
        s->small_used = 0;
    }
    unsigned char *to = s->small->data + s->small_used;
    memcpy(to, data, len);
    s->small_used += len;
    return stream_send(s, (struct slice){chunk_ref(s->small), to, len});
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.bytes;
}

/* ---- input ---- */

size_t stream_data(const struct stream *s, unsigned char **data)
{
    *data = s->in ? s->in->data + s->in_start : NULL;
    return s->in_end - s->in_start;
}

void stream_eat(struct stream *s, size_t n)
{
    s->in_start += n;
    if (n < LARGE_MIN)
        s->expect = 0;
}

struct slice stream_cut(struct stream *s, size_t n)
{
    struct slice sl = {chunk_ref(s->in), s->in->data + s->in_start, n};
    stream_eat(s, n);
    return sl;
}

void stream_want(struct stream *s, size_t n)
{
    s->want = n;
    if (n >= LARGE_MIN)
        s->expect = n <= EXPECT_MAX ? n : 0;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Moves the unread input into a chunk that holds all that is wanted. */
static int renew_chunk(struct stream *s, size_t unread)
{
    size_t size = larger(larger(s->want, s->expect), unread + ROOM_MIN);
    struct chunk *c = chunk_get(s->pool, size + CHUNK_ALIGN);
    if (!c)
        return -ENOMEM;
    size_t start = (CHUNK_ALIGN - unread % CHUNK_ALIGN) % CHUNK_ALIGN;
    if (unread)
        memcpy(c->data + start, s->in->data + s->in_start, unread);
    chunk_put(s->pool, s->in);
    s->in = c;
    s->in_start = start;
    s->in_end = start + unread;
    return 0;
}

static int make_room(struct stream *s)
{
    size_t unread = s->in_end - s->in_start;
    if (!s->in)
        return renew_chunk(s, 0);
    if (!unread && s->in->refs == 1)
        s->in_start = s->in_end = 0;
    size_t shift = -s->in_end % CHUNK_ALIGN;
    if (shift && unread <= SHIFT_MAX && s->in_end + shift <= s->in->size) {
        unsigned char *from = s->in->data + s->in_start;
        memmove(from + shift, from, unread);
        s->in_start += shift;
        s->in_end += shift;
    }
    size_t missing = s->want > unread ? s->want - unread : 0;
    size_t room = s->in->size - s->in_end;
    if (room < missing || (room < ROOM_MIN && !missing) || (!unread && room < s->expect))
        return renew_chunk(s, unread);
    return 0;
}

/* How much is received at once: what there is room for, or the rest of a large piece. */
static size_t portion(const struct stream *s)
{
    size_t unread = s->in_end - s->in_start;
    size_t room = s->in->size - s->in_end;
    size_t piece = larger(s->want, s->expect);
    if (piece < LARGE_MIN || piece <= unread || piece - unread >= room)
        return room;
    return piece - unread;
}

static void end_input(struct stream *s)
{
    if (!s->ops->ended) {
        lose(s, 0);
        return;
    }
    s->ended = true;
    watch(s);
    s->ops->ended(s);
}

static void receive(struct stream *s)
{
    int r = make_room(s);
    if (r < 0) {
        lose(s, r);
        return;
    }
    ssize_t n = recv(s->io.fd, s->in->data + s->in_end, portion(s), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        lose(s, -errno);
        return;
    }
    if (n == 0) {
        end_input(s);
        return;
    }
    s->in_end += (size_t)n;
    if (s->in_end - s->in_start >= s->want)
        s->ops->input(s);
    drop_read_input(s);
}

static void connected(struct stream *s)
{
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err) {
        lose(s, -err);
        return;
    }
    s->connecting = false;
    flush(s);
}

static void ready(struct loop_fd *io, uint32_t events)
{
    struct stream *s = (struct stream *)((char *)io - offsetof(struct stream, io));
    if (s->connecting) {
        connected(s);
        return;
    }
    if (events & EPOLLOUT)
        flush(s);
    if (!stream_is_open(s) || s->lost)
        return;
    if (events & EPOLLIN && !s->paused && !s->ended)
        receive(s);
    else if (events & (EPOLLERR | EPOLLHUP))
        lose(s, -ECONNRESET);
}

void stream_pause(struct stream *s, bool paused)
{
    if (s->paused == paused || !stream_is_open(s))
        return;
    s->paused = paused;
    watch(s);
}

int stream_open(struct stream *s, struct loop *loop, struct chunk_pool *pool, int fd,
                bool connecting, const struct stream_ops *ops)
{
    *s = (struct stream){
        .loop = loop, .pool = pool, .ops = ops, .connecting = connecting, .io.fd = -1};
    int r = loop_add(loop, &s->io, fd, connecting ? EPOLLOUT : EPOLLIN, ready);
    if (r < 0)
        s->loop = NULL;
    return r;
}

void stream_detach(struct stream *s)
{
    int fd = s->io.fd;
    loop_task_cancel(s->loop, &s->flush);
    loop_del(s->loop, &s->io);
    s->io.fd = fd;
    s->loop = NULL;
    s->detached = true;
}

int stream_attach(struct stream *s, struct loop *loop, struct chunk_pool *pool)
{
    uint32_t ev = (s->paused || s->ended ? 0 : EPOLLIN) | (s->out.n ? EPOLLOUT : 0);
    s->pool = pool;
    int r = loop_add(loop, &s->io, s->io.fd, ev, ready);
    if (r < 0)
        return r;
    s->loop = loop;
    s->detached = false;
    return 0;
}
