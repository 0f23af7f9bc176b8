/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

struct lookup {
    struct loop *loop;
    struct loop_msg answer;
    struct nbd_addr addr;
    int result;
    void (*done)(void *arg, int err, const struct nbd_addr *addr); /* the loop's; NULL: forgotten */
    void *arg;
};

static void answered(struct loop_msg *m)
{
    struct lookup *l = (struct lookup *)((char *)m - offsetof(struct lookup, answer));
    if (l->done)
        l->done(l->arg, l->result, &l->addr);
    free(l);
}

static void *resolve(void *arg)
{
    struct lookup *l = arg;
    l->result = nbd_addr_resolve(&l->addr);
    loop_post(l->loop, &l->answer, answered);
    return NULL;
}

struct lookup *lookup_start(struct loop *loop, const struct nbd_addr *addr,
                            void (*done)(void *arg, int err, const struct nbd_addr *addr),
                            void *arg)
{
    pthread_t thread;
    sigset_t all, old;
    struct lookup *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    *l = (struct lookup){.loop = loop, .addr = *addr, .done = done, .arg = arg};
    /* Signals belong to the main thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&thread, NULL, resolve, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0) {
        free(l);
        errno = r;
        return NULL;
    }
    pthread_detach(thread);
    return l;
}

void lookup_forget(struct lookup *l)
{
    l->done = NULL;
}
