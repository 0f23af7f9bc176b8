/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop: order of timers and tasks, what is cancelled within a round, messages from
 * threads.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/loop.h"
#include "common/base/rng.h"
#include "tests/unit/tap.h"

enum { TIMERS = 200 };

struct event {
    struct loop_timer timer;
    struct loop_task task;
    struct loop_fd io;
    struct world *w;
    unsigned number;
};

struct world {
    struct loop *loop;
    struct event events[TIMERS];
    unsigned fired[TIMERS * 2];
    size_t n, expected;
};

static void fired(struct event *e)
{
    struct world *w = e->w;
    if (w->n < sizeof(w->fired) / sizeof(w->fired[0]))
        w->fired[w->n++] = e->number;
    if (w->n >= w->expected)
        loop_stop(w->loop);
}

static struct event *of_timer(struct loop_timer *t)
{
    return (struct event *)((char *)t - offsetof(struct event, timer));
}

static struct event *of_task(struct loop_task *t)
{
    return (struct event *)((char *)t - offsetof(struct event, task));
}

static struct event *of_fd(struct loop_fd *io)
{
    return (struct event *)((char *)io - offsetof(struct event, io));
}

static void on_timer(struct loop_timer *t)
{
    fired(of_timer(t));
}

static void on_task(struct loop_task *t)
{
    fired(of_task(t));
}

static void world_init(struct world *w, size_t expected)
{
    memset(w, 0, sizeof(*w));
    w->loop = loop_new();
    w->expected = expected;
    for (unsigned i = 0; i < TIMERS; i++) {
        w->events[i].w = w;
        w->events[i].number = i;
        w->events[i].io.fd = -1;
    }
}

static void set_timer(struct world *w, unsigned i, uint64_t due_us)
{
    CHECK(loop_timer_set(w->loop, &w->events[i].timer, due_us, on_timer) == 0);
}

/* ---- timers ---- */

static void test_timers_fire_in_order(uint64_t seed)
{
    struct world w;
    struct rng rng;
    size_t cancelled = 0;
    world_init(&w, 0);
    rng_init(&rng, seed);
    uint64_t now = clock_mono_us();
    for (unsigned i = 0; i < TIMERS; i++)
        set_timer(&w, i, now + rng_below(&rng, 5000));
    for (unsigned i = 0; i < TIMERS; i++) {
        if (rng_below(&rng, 3) == 0) { /* an earlier or later time moves it */
            set_timer(&w, i, now + rng_below(&rng, 5000));
        } else if (rng_below(&rng, 3) == 0) {
            loop_timer_cancel(w.loop, &w.events[i].timer);
            loop_timer_cancel(w.loop, &w.events[i].timer);
            CHECK_EQ_U64(w.events[i].timer.place, 0);
            cancelled++;
        }
    }
    w.expected = TIMERS - cancelled;
    CHECK(loop_run(w.loop) == 0);
    CHECK_EQ_U64(w.n, w.expected);
    for (size_t k = 1; k < w.n; k++)
        CHECK(w.events[w.fired[k - 1]].timer.due_us <= w.events[w.fired[k]].timer.due_us);
    CHECK(loop_now_us(w.loop) >= w.events[w.fired[w.n - 1]].timer.due_us);
    loop_free(w.loop);
}

static void cancel_next(struct loop_timer *t)
{
    struct event *e = of_timer(t);
    loop_timer_cancel(e->w->loop, &e->w->events[e->number + 1].timer);
    fired(e);
}

static void test_timer_cancels_another_that_is_due(void)
{
    struct world w;
    world_init(&w, 2);
    uint64_t past = clock_mono_us() - 10;
    CHECK(loop_timer_set(w.loop, &w.events[0].timer, past, cancel_next) == 0);
    set_timer(&w, 1, past + 1);
    set_timer(&w, 2, past + 2);
    CHECK(loop_run(w.loop) == 0);
    CHECK_EQ_U64(w.n, 2);
    CHECK_EQ_U64(w.fired[0], 0);
    CHECK_EQ_U64(w.fired[1], 2);
    loop_free(w.loop);
}

static void set_again(struct loop_timer *t)
{
    struct event *e = of_timer(t);
    set_timer(e->w, e->number, loop_now_us(e->w->loop) + 1);
    fired(e);
}

static void test_timer_sets_itself_again(void)
{
    struct world w;
    world_init(&w, 2);
    CHECK(loop_timer_set(w.loop, &w.events[0].timer, 0, set_again) == 0);
    CHECK(loop_run(w.loop) == 0);
    CHECK_EQ_U64(w.n, 2);
    loop_free(w.loop);
}

/* ---- tasks ---- */

static void queue_two_more(struct loop_task *t)
{
    struct event *e = of_task(t);
    loop_task_add(e->w->loop, &e->w->events[5].task, on_task);
    loop_task_cancel(e->w->loop, &e->w->events[1].task);
    fired(e);
}

static void test_tasks(void)
{
    struct world w;
    world_init(&w, 4);
    loop_task_add(w.loop, &w.events[0].task, queue_two_more);
    for (unsigned i = 1; i < 5; i++)
        loop_task_add(w.loop, &w.events[i].task, on_task);
    loop_task_add(w.loop, &w.events[2].task, on_task); /* queued already: once is enough */
    loop_task_cancel(w.loop, &w.events[4].task);       /* the last: the queue's end moves */
    loop_task_cancel(w.loop, &w.events[4].task);
    set_timer(&w, 9, 0); /* a round begins without waiting; timers come before tasks */
    CHECK(loop_run(w.loop) == 0);
    static const unsigned order[] = {9, 0, 2, 3, 5};
    CHECK_EQ_U64(w.n, 5);
    for (size_t i = 0; i < w.n && i < 5; i++)
        CHECK_EQ_U64(w.fired[i], order[i]);
    loop_free(w.loop);
}

/* ---- descriptors ---- */

static void delete_both(struct loop_fd *io, uint32_t events)
{
    struct event *e = of_fd(io);
    (void)events;
    loop_del(e->w->loop, &e->w->events[0].io);
    loop_del(e->w->loop, &e->w->events[1].io);
    loop_del(e->w->loop, &e->w->events[1].io);
    fired(e);
}

static void test_deleted_within_the_round(void)
{
    struct world w;
    int fd[2][2];
    world_init(&w, 2);
    for (int i = 0; i < 2; i++) {
        CHECK(pipe(fd[i]) == 0);
        CHECK(write(fd[i][1], "x", 1) == 1);
        CHECK(loop_add(w.loop, &w.events[i].io, fd[i][0], EPOLLIN, delete_both) == 0);
    }
    set_timer(&w, 2, clock_mono_us() + 2000);
    CHECK(loop_run(w.loop) == 0);
    CHECK_EQ_U64(w.n, 2); /* one of the two, and the timer */
    CHECK_EQ_U64(w.fired[1], 2);
    CHECK(w.events[0].io.fd == -1 && w.events[1].io.fd == -1);
    for (int i = 0; i < 4; i++)
        close(fd[i / 2][i % 2]);
    loop_free(w.loop);
}

static void read_one(struct loop_fd *io, uint32_t events)
{
    char c;
    CHECK(events & EPOLLIN);
    CHECK(read(io->fd, &c, 1) == 1);
    loop_events(of_fd(io)->w->loop, io, 0);
    fired(of_fd(io));
}

static void test_events_switched_off(void)
{
    struct world w;
    int fd[2];
    world_init(&w, 2);
    CHECK(pipe(fd) == 0);
    CHECK(write(fd[1], "xyz", 3) == 3);
    CHECK(loop_add(w.loop, &w.events[0].io, fd[0], EPOLLIN, read_one) == 0);
    set_timer(&w, 1, clock_mono_us() + 2000);
    CHECK(loop_run(w.loop) == 0);
    CHECK_EQ_U64(w.n, 2); /* read once, though more was there */
    CHECK_EQ_U64(w.fired[1], 1);
    CHECK(loop_add(w.loop, &w.events[2].io, -1, EPOLLIN, read_one) < 0);
    loop_del(w.loop, &w.events[0].io);
    close(fd[0]);
    close(fd[1]);
    loop_free(w.loop);
}

/* ---- messages ---- */

enum { SENDERS = 4, LETTERS = 2000 };

struct sender;

struct letter {
    struct loop_msg msg;
    struct sender *from;
    unsigned number;
    unsigned plain; /* written without a lock before it is posted */
};

struct sender {
    pthread_t thread;
    struct loop *loop;
    struct letter *letters;
    unsigned next;  /* the number of the letter that must come now */
    unsigned *left; /* of all senders; the loop's thread's */
};

static void deliver(struct loop_msg *m)
{
    struct letter *l = (struct letter *)((char *)m - offsetof(struct letter, msg));
    struct sender *s = l->from;
    /* Letters of one sender come in order, with what was written before. */
    if (l->number != s->next || l->plain != l->number * 3)
        CHECK(l->number == s->next && l->plain == l->number * 3);
    s->next = l->number + 1;
    if (--*s->left == 0)
        loop_stop(s->loop);
}

static void *send_letters(void *arg)
{
    struct sender *s = arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        s->letters[i] = (struct letter){.from = s, .number = i, .plain = i * 3};
        loop_post(s->loop, &s->letters[i].msg, deliver);
    }
    return NULL;
}

static void test_messages_of_several_threads(void)
{
    struct sender senders[SENDERS];
    struct loop *loop = loop_new();
    unsigned left = SENDERS * LETTERS;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){
            .loop = loop, .letters = calloc(LETTERS, sizeof(struct letter)), .left = &left};
        CHECK(pthread_create(&senders[i].thread, NULL, send_letters, &senders[i]) == 0);
    }
    CHECK(loop_run(loop) == 0);
    for (int i = 0; i < SENDERS; i++) {
        CHECK(pthread_join(senders[i].thread, NULL) == 0);
        CHECK_EQ_U64(senders[i].next, LETTERS);
        free(senders[i].letters);
    }
    loop_free(loop);
}

/* One message goes to and fro between two loops in two threads. */
struct ball {
    struct loop_msg msg;
    struct loop *loops[2];
    unsigned hits;
};

static void hit(struct loop_msg *m)
{
    struct ball *b = (struct ball *)((char *)m - offsetof(struct ball, msg));
    unsigned here = b->hits++ % 2;
    if (b->hits > LETTERS)
        loop_stop(b->loops[here]);
    if (b->hits <= LETTERS + 1)
        loop_post(b->loops[!here], &b->msg, hit);
}

static void *run_loop(void *arg)
{
    return loop_run(arg) == 0 ? arg : NULL;
}

static void test_message_to_and_fro(void)
{
    pthread_t thread;
    void *result;
    struct ball b = {.loops = {loop_new(), loop_new()}};
    CHECK(pthread_create(&thread, NULL, run_loop, b.loops[1]) == 0);
    loop_post(b.loops[0], &b.msg, hit);
    CHECK(loop_run(b.loops[0]) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == b.loops[1]);
    CHECK_EQ_U64(b.hits, LETTERS + 2);
    loop_free(b.loops[0]);
    loop_free(b.loops[1]);
}

static void post_again(struct loop_msg *m)
{
    struct ball *b = (struct ball *)((char *)m - offsetof(struct ball, msg));
    if (++b->hits == 3)
        loop_stop(b->loops[0]);
    else
        loop_post(b->loops[0], m, post_again);
}

static void test_message_posted_anew_by_itself(void)
{
    struct ball b = {.loops = {loop_new()}};
    loop_post(b.loops[0], &b.msg, post_again);
    CHECK(loop_run(b.loops[0]) == 0);
    CHECK_EQ_U64(b.hits, 3);
    loop_free(b.loops[0]);
}

int main(void)
{
    test_begin("loop");
    for (uint64_t seed = 1; seed <= 5; seed++)
        test_timers_fire_in_order(seed);
    test_timer_cancels_another_that_is_due();
    test_timer_sets_itself_again();
    test_tasks();
    test_deleted_within_the_round();
    test_events_switched_off();
    test_messages_of_several_threads();
    test_message_to_and_fro();
    test_message_posted_anew_by_itself();
    return test_done();
}
