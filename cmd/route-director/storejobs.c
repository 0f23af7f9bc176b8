/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "storejobs.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct queue todo; /* under the mutex */
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
    case STOREJOB_CALL: /* not the store's */
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
    if (j->kind == STOREJOB_CALL) {
        j->call(j, s->state);
        return;
    }
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

/* In the loop again. */
static void job_done(struct loop_msg *m)
{
    struct storejob *j = (struct storejob *)((char *)m - offsetof(struct storejob, msg));
    j->done(j);
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
        loop_post(s->loop, &j->msg, job_done);
        pthread_mutex_lock(&s->mutex);
    }
    return NULL; /* never: the thread ends with the process, at worst in a torn line */
}

/* ---- in the loop ---- */

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
    *s = (struct storejobs){.loop = l, .state = state};
    s->todo.last = &s->todo.first;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->more, NULL);
    /* Signals belong to the main thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = -pthread_create(&s->thread, NULL, work, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0) {
        free(s);
        return r;
    }
    *out = s;
    return 0;
}
