/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "accesslog.h"
#include "admission.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "quarantine.h"
#include "routewatch.h"
#include "settle.h"
#include "storejobs.h"

struct worker {
    struct director d;
    pthread_t thread; /* not worker 0's */
    bool running;
    int result; /* of its loop */
    struct loop_msg stop;
    struct loop_msg failed; /* to worker 0 */
    struct loop_msg flush_log, log_flushed;
};

/* ---- making ---- */

static int make_worker(struct workers *all, const struct settings *set, unsigned i,
                       struct accesslog *log)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    all->all[i] = w;
    w->d = (struct director){.set = *set, .workers = all, .worker = i, .log = log};
    w->d.loop = loop_new();
    if (!w->d.loop)
        return -errno;
    w->d.admission = admission_new(set->dirs.config);
    if (!w->d.admission)
        return -ENOMEM;
    int r = storejobs_new(w->d.loop, set->dirs.state, &w->d.jobs);
    if (r == 0 && log)
        r = accesslog_tap_new(log, w->d.loop, &w->d.tap);
    if (r < 0)
        return r;
    r = routewatch_new(&w->d, &w->d.watch);
    if (r < 0)
        err_warn("changes of the route store are seen by 'reload' only: %s", err_text(r));
    return 0;
}

int workers_new(struct workers *w, const struct settings *set, unsigned n, struct accesslog *log)
{
    int r = 0;
    *w = (struct workers){.n = n};
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = make_worker(w, set, i, log);
    return r;
}

struct director *workers_director(const struct workers *w, unsigned i)
{
    return &w->all[i]->d;
}

struct director *worker_of(const struct director *d, const char *name)
{
    const struct workers *w = d->workers;
    unsigned i = w->n == 1 ? 0 : (unsigned)(hash64(name, strlen(name)) % w->n);
    return &w->all[i]->d;
}

/* ---- running ---- */

static void stop_all(struct loop_msg *m)
{
    struct worker *w = (struct worker *)((char *)m - offsetof(struct worker, failed));
    loop_stop(w->d.workers->all[0]->d.loop);
}

static void *run_thread(void *arg)
{
    struct worker *w = arg;
    w->result = loop_run(w->d.loop);
    if (w->result < 0)
        loop_post(w->d.workers->all[0]->d.loop, &w->failed, stop_all);
    return NULL;
}

static int start(struct worker *w, void *(*run)(void *arg))
{
    /* Signals belong to the main thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = -pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    w->running = r == 0;
    return r;
}

static void stop(struct loop_msg *m)
{
    struct worker *w = (struct worker *)((char *)m - offsetof(struct worker, stop));
    loop_stop(w->d.loop);
}

int workers_run(struct workers *w)
{
    int r = 0;
    for (unsigned i = 1; r == 0 && i < w->n; i++)
        r = start(w->all[i], run_thread);
    if (r == 0)
        r = loop_run(w->all[0]->d.loop);
    for (unsigned i = 1; i < w->n; i++) {
        if (!w->all[i]->running)
            continue;
        loop_post(w->all[i]->d.loop, &w->all[i]->stop, stop);
        pthread_join(w->all[i]->thread, NULL);
        r = r < 0 ? r : w->all[i]->result;
    }
    return r;
}

/* Worker W has handed over; back in worker 0. */
static void log_flushed(struct loop_msg *m)
{
    struct worker *w = (struct worker *)((char *)m - offsetof(struct worker, log_flushed));
    struct workers *all = w->d.workers;
    if (--all->reopen_from == 0)
        accesslog_reopen(w->d.log);
}

static void flush_log(struct loop_msg *m)
{
    struct worker *w = (struct worker *)((char *)m - offsetof(struct worker, flush_log));
    accesslog_tap_flush(w->d.tap);
    loop_post(w->d.workers->all[0]->d.loop, &w->log_flushed, log_flushed);
}

void workers_reopen_log(struct workers *w)
{
    if (w->reopen_from)
        return; /* under way: the new file is as good for this call */
    w->reopen_from = w->n - 1;
    accesslog_tap_flush(w->all[0]->d.tap);
    for (unsigned i = 1; i < w->n; i++)
        loop_post(w->all[i]->d.loop, &w->all[i]->flush_log, flush_log);
    if (w->n == 1)
        accesslog_reopen(w->all[0]->d.log);
}

static void *settle_thread(void *arg)
{
    struct worker *w = arg;
    settle(&w->d);
    return NULL;
}

/* At once: each may have to wait for a gateway. */
void workers_settle(struct workers *w)
{
    for (unsigned i = 1; i < w->n; i++)
        if (start(w->all[i], settle_thread) < 0)
            settle(&w->all[i]->d);
    settle(&w->all[0]->d);
    for (unsigned i = 1; i < w->n; i++)
        if (w->all[i]->running)
            pthread_join(w->all[i]->thread, NULL);
}

void workers_release(struct workers *w)
{
    for (unsigned i = 0; i < w->n; i++) {
        struct director *d = &w->all[i]->d;
        accesslog_tap_free(d->tap);
        stats_release(&d->stats);
        quarantine_release(d);
        routewatch_free(d->watch);
        admission_free(d->admission);
    }
}
