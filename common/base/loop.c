/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"

enum { BATCH = 256 };

struct loop {
    int epfd;
    bool stop;
    uint64_t now_us;
    struct epoll_event events[BATCH];
    int n_events; /* of the round under way */
    struct loop_timer **heap;
    size_t n_timers, cap_timers;
    struct loop_task *tasks, **last;
    int wake_fd; /* an eventfd: there are messages */
    struct loop_fd wake;
    pthread_mutex_t mutex;
    struct loop_msg *msgs, **last_msg; /* under the mutex */
};

static void on_wake(struct loop_fd *io, uint32_t events);

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->last = &l->tasks;
    l->last_msg = &l->msgs;
    l->now_us = clock_mono_us();
    l->wake.fd = -1;
    pthread_mutex_init(&l->mutex, NULL);
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epfd < 0 || l->wake_fd < 0 || loop_add(l, &l->wake, l->wake_fd, EPOLLIN, on_wake) < 0) {
        int err = errno;
        loop_free(l);
        errno = err;
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->epfd >= 0)
        close(l->epfd);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    pthread_mutex_destroy(&l->mutex);
    free(l->heap);
    free(l);
}

uint64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

/* ---- descriptors ---- */

int loop_add(struct loop *l, struct loop_fd *io, int fd, uint32_t events,
             void (*fn)(struct loop_fd *io, uint32_t events))
{
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return -errno;
    io->fd = fd;
    io->events = events;
    io->fn = fn;
    return 0;
}

void loop_events(struct loop *l, struct loop_fd *io, uint32_t events)
{
    if (io->fd < 0 || io->events == events)
        return;
    struct epoll_event ev = {.events = events, .data.ptr = io};
    if (epoll_ctl(l->epfd, EPOLL_CTL_MOD, io->fd, &ev) == 0)
        io->events = events;
}

void loop_del(struct loop *l, struct loop_fd *io)
{
    if (io->fd < 0)
        return;
    epoll_ctl(l->epfd, EPOLL_CTL_DEL, io->fd, NULL);
    io->fd = -1;
    for (int i = 0; i < l->n_events; i++)
        if (l->events[i].data.ptr == io)
            l->events[i].data.ptr = NULL;
}

/* ---- timers: a binary heap, the earliest in heap[0] ---- */

static void heap_put(struct loop *l, size_t i, struct loop_timer *t)
{
    l->heap[i] = t;
    t->place = i + 1;
}

static void heap_up(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];
    for (; i && l->heap[(i - 1) / 2]->due_us > t->due_us; i = (i - 1) / 2)
        heap_put(l, i, l->heap[(i - 1) / 2]);
    heap_put(l, i, t);
}

static void heap_down(struct loop *l, size_t i)
{
    struct loop_timer *t = l->heap[i];
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= l->n_timers)
            break;
        if (c + 1 < l->n_timers && l->heap[c + 1]->due_us < l->heap[c]->due_us)
            c++;
        if (l->heap[c]->due_us >= t->due_us)
            break;
        heap_put(l, i, l->heap[c]);
        i = c;
    }
    heap_put(l, i, t);
}

void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
    if (!t->place)
        return;
    size_t i = t->place - 1;
    t->place = 0;
    struct loop_timer *moved = l->heap[--l->n_timers];
    if (moved == t)
        return;
    heap_put(l, i, moved);
    heap_up(l, i);
    heap_down(l, moved->place - 1);
}

int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due_us,
                   void (*fn)(struct loop_timer *t))
{
    loop_timer_cancel(l, t);
    if (vec_room(&l->heap, l->n_timers, &l->cap_timers, sizeof(struct loop_timer *)) < 0)
        return -ENOMEM;
    t->due_us = due_us;
    t->fn = fn;
    heap_put(l, l->n_timers++, t);
    heap_up(l, l->n_timers - 1);
    return 0;
}

static void run_timers(struct loop *l)
{
    while (l->n_timers && l->heap[0]->due_us <= l->now_us) {
        struct loop_timer *t = l->heap[0];
        loop_timer_cancel(l, t);
        t->fn(t);
    }
}

/* Milliseconds until the next timer, rounded up, so that it is due on wake-up. */
static int wait_ms(const struct loop *l)
{
    if (!l->n_timers)
        return -1;
    uint64_t now = clock_mono_us();
    uint64_t due = l->heap[0]->due_us;
    if (due <= now)
        return 0;
    uint64_t ms = (due - now + 999) / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* ---- tasks ---- */

void loop_task_add(struct loop *l, struct loop_task *t, void (*fn)(struct loop_task *t))
{
    if (t->queued)
        return;
    t->queued = true;
    t->fn = fn;
    t->next = NULL;
    *l->last = t;
    l->last = &t->next;
}

void loop_task_cancel(struct loop *l, struct loop_task *t)
{
    if (!t->queued)
        return;
    t->queued = false;
    struct loop_task **p = &l->tasks;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    if (!*p)
        l->last = p;
}

static void run_tasks(struct loop *l)
{
    struct loop_task *t;
    while ((t = l->tasks)) {
        l->tasks = t->next;
        if (!l->tasks)
            l->last = &l->tasks;
        t->queued = false;
        t->fn(t);
    }
}

/* ---- messages ---- */

void loop_post(struct loop *l, struct loop_msg *m, void (*fn)(struct loop_msg *m))
{
    m->next = NULL;
    m->fn = fn;
    pthread_mutex_lock(&l->mutex);
    bool first = !l->msgs;
    *l->last_msg = m;
    l->last_msg = &m->next;
    /* Under the mutex: once it is free the message may run, and stop and free the loop. */
    if (first)
        eventfd_write(l->wake_fd, 1);
    pthread_mutex_unlock(&l->mutex);
}

static void on_wake(struct loop_fd *io, uint32_t events)
{
    struct loop *l = (struct loop *)((char *)io - offsetof(struct loop, wake));
    eventfd_t n;
    (void)events;
    pthread_mutex_lock(&l->mutex);
    eventfd_read(l->wake_fd, &n);
    struct loop_msg *m = l->msgs, *next;
    l->msgs = NULL;
    l->last_msg = &l->msgs;
    pthread_mutex_unlock(&l->mutex);
    for (; m; m = next) {
        next = m->next;
        m->fn(m);
    }
}

/* ---- the round ---- */

int loop_run(struct loop *l)
{
    l->stop = false;
    while (!l->stop) {
        int n = epoll_wait(l->epfd, l->events, BATCH, wait_ms(l));
        if (n < 0 && errno != EINTR)
            return -errno;
        l->now_us = clock_mono_us();
        l->n_events = n < 0 ? 0 : n;
        for (int i = 0; i < l->n_events; i++) {
            struct loop_fd *io = l->events[i].data.ptr;
            if (io)
                io->fn(io, l->events[i].events);
        }
        l->n_events = 0;
        run_timers(l);
        run_tasks(l);
    }
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stop = true;
}
