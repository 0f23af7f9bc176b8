/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An event loop for one thread: descriptors (epoll, level-triggered), timers, tasks that run at
 * the end of a round, and messages from other threads.  The structures are embedded in their
 * owners and must stay where they are while they are known to the loop.
 */
#ifndef GS_BASE_LOOP_H
#define GS_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;

struct loop_fd {
    int fd;          /* -1: not in the loop */
    uint32_t events; /* EPOLLIN, EPOLLOUT … asked for */
    void (*fn)(struct loop_fd *io, uint32_t events);
};

struct loop_timer {
    uint64_t due_us; /* on clock_mono_us() */
    size_t place;    /* in the heap, from 1; 0: not set */
    void (*fn)(struct loop_timer *t);
};

struct loop_task {
    struct loop_task *next;
    bool queued;
    void (*fn)(struct loop_task *t);
};

/* A message from another thread.  Its owner leaves it alone from loop_post() until FN runs. */
struct loop_msg {
    struct loop_msg *next;
    void (*fn)(struct loop_msg *m);
};

/* NULL: the system refuses (errno). */
struct loop *loop_new(void);
/* Messages that were not run are forgotten. */
void loop_free(struct loop *l);

/* Watches IO->fd for EVENTS and calls FN.  0 or -errno. */
int loop_add(struct loop *l, struct loop_fd *io, int fd, uint32_t events,
             void (*fn)(struct loop_fd *io, uint32_t events));
/* Changes what is watched; nothing happens if it is the same already. */
void loop_events(struct loop *l, struct loop_fd *io, uint32_t events);
/* Forgets IO (events of this round included) and sets its fd to -1; does not close. */
void loop_del(struct loop *l, struct loop_fd *io);

/* FN runs once, not before DUE_US.  Setting a set timer moves it.  0 or -ENOMEM. */
int loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t due_us,
                   void (*fn)(struct loop_timer *t));
void loop_timer_cancel(struct loop *l, struct loop_timer *t);

/* FN runs once after this round's events; a task queued by a task runs in the same round. */
void loop_task_add(struct loop *l, struct loop_task *t, void (*fn)(struct loop_task *t));
void loop_task_cancel(struct loop *l, struct loop_task *t);

/* The time at which this round began: one clock reading a round. */
uint64_t loop_now_us(const struct loop *l);

/*
 * Has FN run in the loop's thread, as an event: of this round's successors, never at once.  The one
 * call that any thread may make.  Messages of one sender run in their order; what the sender wrote
 * before is seen by FN, which may post M anew or free it.
 */
void loop_post(struct loop *l, struct loop_msg *m, void (*fn)(struct loop_msg *m));

/* Runs until loop_stop().  0 or -errno. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
