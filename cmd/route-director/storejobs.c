/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "storejobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/error.h"

struct queue {
    struct storejob *first, **last;
};

struct storejobs {
    struct loop *loop;
    const char *state;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t more;
    struct queue todo, done; /* under the mutex */
    int wake_fd;             /* an eventfd: something is done */
    struct loop_fd io;
};

static void push(struct queue *q, struct storejob *j)
{
    j->next = NULL;
    *q->last = j;
    q->last = &j->next;
}

static struct storejob *pop(struct queue *q)
{
    struct storejob *j = q->first;
    if (j && !(q->first = j->next))
        q->last = &q->first;
    return j;
}

/* ---- in the thread ---- */

/* The thread's own. */
struct thread_store {
    struct route_store *store; /* NULL: not opened yet */
    bool doubt;                /* to be settled before the next job */
};

static int list_one(const struct route *r, void *arg)
{
    return buf_add(arg, r->volume, strlen(r->volume) + 1);
}

static void run(struct storejob *j, struct route_store *s)
{
    switch (j->kind) {
    case STOREJOB_GET:
        j->result = route_store_get(s, j->route.volume, &j->route);
        break;
    case STOREJOB_LIST:
        j->result = route_store_each(s, list_one, &j->names);
        break;
    case STOREJOB_CAS:
        j->result = route_store_cas(s, j->expect, j->expect_state, &j->route, -1);
        break;
    case STOREJOB_SETTLE:
        j->result = route_store_settle(s);
        break;
    }
    if (j->result < 0) {
        const char *text = route_store_error(s);
        snprintf(j->error, sizeof(j->error), "%s", *text ? text : err_text(j->result));
    }
}

/*
 * Only what is durable may be acted on.  A sync that failed leaves the store in doubt, whoever's
 * job it was; and a director that died may have left it so.
 */
static void settle_if_in_doubt(struct thread_store *t)
{
    if (t->doubt && route_store_settle(t->store) == 0)
        t->doubt = false;
}

static void run_job(struct storejobs *s, struct storejob *j, struct thread_store *t)
{
    int r = t->store ? 0 : route_store_open(s->state, true, &t->store);
    if (r < 0) {
        j->result = r;
        snprintf(j->error, sizeof(j->error), "cannot open route store in '%s': %s", s->state,
                 err_text(r));
        return;
    }
    settle_if_in_doubt(t);
    run(j, t->store);
    if (j->result == -EINPROGRESS)
        t->doubt = true;
}

static void *work(void *arg)
{
    struct storejobs *s = arg;
    struct thread_store t = {.doubt = true};
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        struct storejob *j = pop(&s->todo);
        if (!j) {
            pthread_cond_wait(&s->more, &s->mutex);
            continue;
        }
        pthread_mutex_unlock(&s->mutex);
        run_job(s, j, &t);
        pthread_mutex_lock(&s->mutex);
        push(&s->done, j);
        eventfd_write(s->wake_fd, 1);
    }
    return NULL; /* never: the thread ends with the process, at worst in a torn line */
}

/* ---- in the loop ---- */

static void on_done(struct loop_fd *io, uint32_t events)
{
    struct storejobs *s = (struct storejobs *)((char *)io - offsetof(struct storejobs, io));
    eventfd_t n;
    (void)events;
    eventfd_read(s->wake_fd, &n);
    for (;;) {
        pthread_mutex_lock(&s->mutex);
        struct storejob *j = pop(&s->done);
        pthread_mutex_unlock(&s->mutex);
        if (!j)
            return;
        j->done(j);
    }
}

void storejobs_queue(struct storejobs *s, struct storejob *j)
{
    pthread_mutex_lock(&s->mutex);
    push(&s->todo, j);
    pthread_cond_signal(&s->more);
    pthread_mutex_unlock(&s->mutex);
}

int storejobs_new(struct loop *l, const char *state, struct storejobs **out)
{
    struct storejobs *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct storejobs){.loop = l, .state = state, .io.fd = -1};
    s->todo.last = &s->todo.first;
    s->done.last = &s->done.first;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->more, NULL);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = s->wake_fd < 0 ? -errno : loop_add(l, &s->io, s->wake_fd, EPOLLIN, on_done);
    if (r == 0) {
        /* Signals belong to the loop's thread. */
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        r = -pthread_create(&s->thread, NULL, work, s);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (r < 0) {
        loop_del(l, &s->io);
        if (s->wake_fd >= 0)
            close(s->wake_fd);
        free(s);
        return r;
    }
    *out = s;
    return 0;
}
