/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { WORKERS_MAX = 64 };

struct crew {
    atomic_size_t next;
    size_t jobs;
    int (*job)(void *ctx, size_t i);
    void *ctx;
    pthread_mutex_t lock; /* of what follows */
    size_t failed;        /* the first job that failed; jobs if none */
    int result;
};

size_t workers_available(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? (size_t)n : 1;
}

static void *work(void *arg)
{
    struct crew *c = arg;
    for (size_t i; (i = atomic_fetch_add(&c->next, 1)) < c->jobs;) {
        int r = c->job(c->ctx, i);
        if (r >= 0)
            continue;
        pthread_mutex_lock(&c->lock);
        if (i < c->failed) {
            c->failed = i;
            c->result = r;
        }
        pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

int workers_run(size_t jobs, size_t threads, int (*job)(void *ctx, size_t i), void *ctx)
{
    struct crew c = {.jobs = jobs, .job = job, .ctx = ctx, .failed = jobs};
    pthread_t thread[WORKERS_MAX];
    size_t n = 0;
    atomic_init(&c.next, 0);
    pthread_mutex_init(&c.lock, NULL);
    threads = threads < jobs ? threads : jobs;
    while (n + 1 < threads && n < WORKERS_MAX && pthread_create(&thread[n], NULL, work, &c) == 0)
        n++;
    work(&c);
    while (n)
        pthread_join(thread[--n], NULL);
    pthread_mutex_destroy(&c.lock);
    return c.result;
}
