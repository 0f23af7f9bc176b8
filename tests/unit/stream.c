/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Buffered connections: frames of any size go through two of them and come back as the same bytes,
 * however the sockets cut them, while the readers pause and keep what they received.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/route-director/stream.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/nbd/proto.h"
#include "tests/unit/tap.h"

enum { FRAMES = 400, HEADER = 8, KEPT = 16 };

/* Sends FRAMES frames from one end; the other sends each back; the first compares. */
struct world {
    struct loop *loop;
    struct chunk_pool pool;
    struct rng rng;
    struct stream client, server;
    struct loop_timer pause;
    uint32_t sent, received;
    struct slice kept[KEPT]; /* of the server's input, for a while */
    size_t n_kept;
    bool bad;
    int lost;
};

/* Byte I of frame NUMBER. */
static unsigned char pattern(uint32_t number, size_t i)
{
    return (unsigned char)(number * 31 + i * 7 + i / 251);
}

static size_t frame_size(struct rng *r)
{
    switch (rng_below(r, 8)) {
    case 0:
        return rng_below(r, 400 << 10);
    case 1:
        return rng_below(r, 40) ? 4096 : 3 << 20;
    default:
        return rng_below(r, 600);
    }
}

static void send_frame(struct world *w)
{
    size_t size = frame_size(&w->rng);
    unsigned char header[HEADER];
    nbd_put32(header, w->sent);
    nbd_put32(header + 4, (uint32_t)size);
    CHECK(stream_send_copy(&w->client, header, sizeof(header)) == 0);
    struct chunk *c = chunk_get(&w->pool, size + 1);
    CHECK(c != NULL);
    if (!c)
        return;
    for (size_t i = 0; i < size; i++)
        c->data[i] = pattern(w->sent, i);
    if (rng_below(&w->rng, 2)) {
        CHECK(stream_send(&w->client, (struct slice){c, c->data, size}) == 0);
    } else {
        CHECK(stream_send_copy(&w->client, c->data, size) == 0);
        chunk_put(&w->pool, c);
    }
    w->sent++;
}

/* ---- the server: sends back slices of what it received ---- */

static void keep(struct world *w, struct slice sl)
{
    size_t i = w->n_kept < KEPT ? w->n_kept++ : rng_below(&w->rng, KEPT);
    chunk_put(&w->pool, w->kept[i].chunk);
    chunk_ref(sl.chunk);
    w->kept[i] = sl;
}

static void server_input(struct stream *s)
{
    struct world *w = (struct world *)((char *)s - offsetof(struct world, server));
    unsigned char *p;
    size_t len;
    while ((len = stream_data(s, &p)) >= HEADER) {
        size_t frame = HEADER + nbd_get32(p + 4);
        stream_want(s, frame); /* in one piece, as a WRITE is */
        if (len < frame)
            return;
        struct slice sl = stream_cut(s, frame);
        if (rng_below(&w->rng, 4) == 0)
            keep(w, sl);
        CHECK(stream_send(s, sl) == 0);
        stream_want(s, HEADER);
    }
    if (rng_below(&w->rng, 4) == 0)
        stream_pause(s, true);
}

/* ---- the client ---- */

static void client_input(struct stream *s)
{
    struct world *w = (struct world *)((char *)s - offsetof(struct world, client));
    unsigned char *p;
    size_t len;
    while ((len = stream_data(s, &p)) >= HEADER && len >= HEADER + nbd_get32(p + 4)) {
        uint32_t size = nbd_get32(p + 4);
        w->bad |= nbd_get32(p) != w->received;
        for (size_t i = 0; i < size; i++)
            w->bad |= p[HEADER + i] != pattern(w->received, i);
        stream_eat(s, HEADER + size);
        if (++w->received == FRAMES || w->bad)
            loop_stop(w->loop);
    }
    stream_want(s, len < HEADER ? HEADER : HEADER + nbd_get32(p + 4));
    while (w->sent < FRAMES && stream_unsent(s) < 1 << 20)
        send_frame(w);
}

static void client_drained(struct stream *s)
{
    struct world *w = (struct world *)((char *)s - offsetof(struct world, client));
    if (w->sent < FRAMES && stream_unsent(s) < 1 << 20)
        send_frame(w);
}

static void server_lost(struct stream *s, int err)
{
    struct world *w = (struct world *)((char *)s - offsetof(struct world, server));
    w->lost = err ? err : 1;
    stream_close(s);
    stream_close(s);
    loop_stop(w->loop);
}

static void client_lost(struct stream *s, int err)
{
    struct world *w = (struct world *)((char *)s - offsetof(struct world, client));
    w->lost = err ? err : 1;
    loop_stop(w->loop);
}

/* Wakes up whoever paused. */
static void resume(struct loop_timer *t)
{
    struct world *w = (struct world *)((char *)t - offsetof(struct world, pause));
    stream_pause(&w->server, false);
    loop_timer_set(w->loop, t, clock_mono_us() + 500, resume);
}

/* ---- both ---- */

static const struct stream_ops client_ops = {
    .input = client_input, .lost = client_lost, .drained = client_drained};
static const struct stream_ops server_ops = {.input = server_input, .lost = server_lost};

static void world_init(struct world *w, uint64_t seed)
{
    int fd[2];
    *w = (struct world){.loop = loop_new()};
    rng_init(&w->rng, seed);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    CHECK(stream_open(&w->client, w->loop, &w->pool, fd[0], false, &client_ops) == 0);
    CHECK(stream_open(&w->server, w->loop, &w->pool, fd[1], false, &server_ops) == 0);
}

static void world_release(struct world *w)
{
    loop_timer_cancel(w->loop, &w->pause);
    stream_close(&w->client);
    stream_close(&w->server);
    for (size_t i = 0; i < w->n_kept; i++)
        chunk_put(&w->pool, w->kept[i].chunk);
    chunk_pool_release(&w->pool);
    loop_free(w->loop);
}

static void test_echo(uint64_t seed)
{
    struct world w;
    world_init(&w, seed);
    resume(&w.pause);
    send_frame(&w);
    CHECK(loop_run(w.loop) == 0);
    CHECK(!w.bad && !w.lost);
    CHECK_EQ_U64(w.received, FRAMES);
    if (test_state()->failed)
        fprintf(stderr, "seed %" PRIu64 "\n", seed);
    world_release(&w);
}

static void test_the_other_side_closes(void)
{
    struct world w;
    world_init(&w, 1);
    stream_close(&w.client);
    CHECK(!stream_is_open(&w.client));
    CHECK(loop_run(w.loop) == 0);
    CHECK(w.lost == 1);
    world_release(&w);
}

/* Sends back where it lies what it received. */
static void reflect(struct stream *s)
{
    unsigned char *p;
    size_t len = stream_data(s, &p);
    CHECK(stream_send(s, stream_cut(s, len)) == 0);
}

static void stop_after_answer(struct stream *s)
{
    struct world *w = (struct world *)((char *)s - offsetof(struct world, client));
    unsigned char *p;
    stream_eat(s, stream_data(s, &p));
    loop_stop(w->loop);
}

static void test_idle_holds_no_buffer(void)
{
    static const struct stream_ops to = {.input = stop_after_answer, .lost = client_lost};
    static const struct stream_ops fro = {.input = reflect, .lost = server_lost};
    struct world w;
    world_init(&w, 1);
    w.client.ops = &to;
    w.server.ops = &fro;
    resume(&w.pause); /* a task alone wakes no loop */
    CHECK(stream_send_copy(&w.client, "ping", 4) == 0);
    CHECK(loop_run(w.loop) == 0);
    CHECK(!w.client.in && !w.client.small && !w.client.out.n);
    CHECK(!w.server.in && !w.server.small && !w.server.out.n);
    world_release(&w);
}

/* ---- large pieces in a row ---- */

enum { LARGE = 1 << 20, LARGES = 8 };

/* Keeps the pieces that it was sent, all of one size. */
struct collector {
    struct stream s;
    struct loop *loop;
    struct slice pieces[LARGES];
    size_t n;
    struct loop_timer begin;
    struct chunk *sent;
};

static void send_pieces(struct loop_timer *t)
{
    struct collector *c = (struct collector *)((char *)t - offsetof(struct collector, begin));
    for (size_t i = 0; i < LARGES; i++)
        CHECK(stream_send(&c->s,
                          (struct slice){chunk_ref(c->sent), c->sent->data, HEADER + LARGE}) == 0);
}

static void collector_input(struct stream *s)
{
    struct collector *c = (struct collector *)s;
    unsigned char *p;
    while (c->n < LARGES && stream_data(s, &p) >= HEADER) {
        stream_want(s, HEADER + LARGE);
        if (stream_data(s, &p) < HEADER + LARGE)
            return;
        c->pieces[c->n++] = stream_cut(s, HEADER + LARGE);
        stream_want(s, HEADER);
    }
    if (c->n == LARGES)
        loop_stop(c->loop);
}

static void collector_lost(struct stream *s, int err)
{
    (void)err;
    CHECK(false);
    loop_stop(((struct collector *)s)->loop);
}

static const struct stream_ops collector_ops = {.input = collector_input, .lost = collector_lost};

/* From the second on each is received into a chunk of its own, and never moved. */
static void test_large_pieces(void)
{
    struct chunk_pool pool = {.kept_bytes = 0};
    struct loop *loop = loop_new();
    struct collector from = {.loop = loop}, to = {.loop = loop};
    int fd[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    CHECK(stream_open(&from.s, loop, &pool, fd[0], false, &collector_ops) == 0);
    CHECK(stream_open(&to.s, loop, &pool, fd[1], false, &collector_ops) == 0);
    struct chunk *sent = chunk_get(&pool, HEADER + LARGE);
    for (size_t i = 0; i < HEADER + LARGE; i++)
        sent->data[i] = pattern(0, i);
    from.sent = sent;
    CHECK(loop_timer_set(loop, &from.begin, 0, send_pieces) == 0);
    CHECK(loop_run(loop) == 0);
    CHECK_EQ_U64(to.n, LARGES);
    for (size_t i = 0; i < to.n; i++) {
        struct slice *sl = &to.pieces[i];
        CHECK(memcmp(sl->data, sent->data, HEADER + LARGE) == 0);
        CHECK(i == 0 || sl->data == sl->chunk->data);
        CHECK_EQ_U64(sl->chunk->size, LARGE + CHUNK_SLACK);
        chunk_put(&pool, sl->chunk);
    }
    chunk_put(&pool, sent);
    stream_close(&from.s);
    stream_close(&to.s);
    chunk_pool_release(&pool);
    loop_free(loop);
}

/* ---- to another loop ---- */

/* Stops its loop when the unread input is as long as wanted. */
struct traveller {
    struct stream s;
    size_t stop_at;
};

static void traveller_input(struct stream *s)
{
    unsigned char *p;
    struct traveller *t = (struct traveller *)((char *)s - offsetof(struct traveller, s));
    if (stream_data(s, &p) >= t->stop_at)
        loop_stop(s->loop);
}

static void traveller_lost(struct stream *s, int err)
{
    (void)err;
    loop_stop(s->loop);
}

static const struct stream_ops traveller_ops = {.input = traveller_input, .lost = traveller_lost};

static void test_moves_to_another_loop(void)
{
    struct chunk_pool pools[2] = {{.kept_bytes = 0}, {.kept_bytes = 0}};
    struct loop *loops[2] = {loop_new(), loop_new()};
    struct traveller t = {.stop_at = 3};
    int fd[2];
    char got[4] = "";
    unsigned char *p;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    CHECK(stream_open(&t.s, loops[0], &pools[0], fd[0], false, &traveller_ops) == 0);
    CHECK(write(fd[1], "abc", 3) == 3);
    CHECK(loop_run(loops[0]) == 0);
    stream_eat(&t.s, 1);
    stream_pause(&t.s, true);
    CHECK(stream_send_copy(&t.s, "xyz", 3) == 0); /* queued, not sent */
    stream_detach(&t.s);
    CHECK(!stream_is_open(&t.s));
    CHECK(write(fd[1], "def", 3) == 3);
    CHECK(stream_attach(&t.s, loops[1], &pools[1]) == 0);
    CHECK(stream_is_open(&t.s));
    stream_pause(&t.s, false);
    t.stop_at = 5;
    CHECK(loop_run(loops[1]) == 0);
    CHECK(stream_data(&t.s, &p) == 5 && memcmp(p, "bcdef", 5) == 0);
    CHECK(read(fd[1], got, 4) == 3 && memcmp(got, "xyz", 3) == 0);
    stream_detach(&t.s);
    stream_close(&t.s);
    stream_close(&t.s);
    CHECK(read(fd[1], got, 1) == 0); /* closed */
    CHECK_EQ_U64(pools[0].kept_bytes, 0);
    close(fd[1]);
    for (int i = 0; i < 2; i++) {
        chunk_pool_release(&pools[i]);
        loop_free(loops[i]);
    }
}

static void test_ring_of_slices(void)
{
    struct chunk_pool pool = {.kept_bytes = 0};
    struct outq q = {.n = 0};
    struct slice sl;
    struct chunk *c = chunk_get(&pool, 1000);
    size_t in = 0, out = 0;
    for (size_t round = 1; round < 60; round++) {
        for (size_t i = 0; i < round; i++)
            CHECK(outq_push(&q, (struct slice){chunk_ref(c), c->data, in++}) == 0);
        for (size_t i = 0; i < round / 2; i++) {
            CHECK(outq_pop(&q, &sl) && sl.len == out++);
            chunk_put(&pool, sl.chunk);
        }
    }
    CHECK_EQ_U64(q.n, in - out);
    CHECK_EQ_U64(c->refs, 1 + in - out);
    outq_release(&q, &pool);
    CHECK_EQ_U64(c->refs, 1);
    CHECK(!outq_pop(&q, &sl));
    chunk_put(&pool, c);
    chunk_pool_release(&pool);
}

static void test_chunks(void)
{
    struct chunk_pool pool = {.kept_bytes = 0};
    CHECK(chunk_get(&pool, (size_t)CHUNK_MAX + 1) == NULL);
    struct chunk *c = chunk_get(&pool, CHUNK_SIZE + 1);
    CHECK_EQ_U64(c->size, CHUNK_SIZE + CHUNK_SLACK);
    chunk_put(&pool, c);
    chunk_pool_release(&pool);
    c = chunk_get(&pool, CHUNK_SIZE + CHUNK_SLACK + 1);
    CHECK_EQ_U64(c->size, 2 * CHUNK_SIZE + CHUNK_SLACK);
    CHECK((uintptr_t)c->data % CHUNK_ALIGN == 0);
    chunk_put(&pool, c);
    CHECK(chunk_get(&pool, 2 * CHUNK_SIZE) == c); /* kept, and given again */
    CHECK_EQ_U64(pool.kept_bytes, 0);
    chunk_put(&pool, c);
    chunk_put(&pool, NULL);
    chunk_pool_release(&pool);
    CHECK_EQ_U64(pool.kept_bytes, 0);
}

int main(void)
{
    test_begin("stream");
    test_chunks();
    test_ring_of_slices();
    for (uint64_t seed = 1; seed <= 4; seed++)
        test_echo(seed);
    test_the_other_side_closes();
    test_idle_holds_no_buffer();
    test_large_pieces();
    test_moves_to_another_loop();
    return test_done();
}
