/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "logwriter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/error.h"
#include "logkeep.h"

enum {
    QUEUE_MAX = 64, /* pieces, 4 MiB: what a slow file may leave before lines are dropped */
    SPARE_MAX = 8,  /* empty pieces that are kept */
};

struct logwriter {
    struct logfile file; /* the thread's own, once it runs */
    bool failing;
    uint64_t lost; /* lines, since it began to fail */
    struct logkeep *keep;
    pthread_t thread;
    atomic_uint_fast64_t dropped, written; /* lines; pieces */
    pthread_mutex_t mutex;                 /* for what follows */
    pthread_cond_t more;
    struct logpiece *first, **last;
    struct logpiece *spare;
    size_t n_queued, n_spare; /* queued: and not yet written */
    bool reopen, stop;
};

/* ---- in the thread ---- */

/* One line when it begins to fail, one when it is over. */
static void report(struct logwriter *w, int r, size_t lost)
{
    const char *path = w->file.set.path;
    if (r < 0) {
        atomic_fetch_add(&w->dropped, lost);
        w->lost += lost;
        if (!w->failing)
            err_warn("cannot write access log '%s': %s: records are dropped", path, err_text(r));
    } else if (w->failing) {
        err_warn("access log '%s' is written again: %llu records were dropped", path,
                 (unsigned long long)w->lost);
        w->lost = 0;
    }
    w->failing = r < 0;
}

static void write_piece(struct logwriter *w, const struct logpiece *p)
{
    size_t lost = 0;
    int r = logfile_write(&w->file, p->data, p->len, &lost);
    report(w, r, lost);
    atomic_fetch_add(&w->written, 1);
    if (!logfile_full(&w->file))
        return;
    r = logfile_turn(&w->file);
    if (r < 0)
        err_warn("cannot move access log '%s' aside: %s", w->file.set.path, err_text(r));
    else if (w->keep)
        logkeep_wake(w->keep);
}

static void reopen(struct logwriter *w)
{
    int r = logfile_reopen(&w->file);
    if (r < 0)
        err_warn("cannot reopen access log '%s': %s", w->file.set.path, logfile_error(r));
}

/* Under the mutex. */
static void put_spare(struct logwriter *w, struct logpiece *p)
{
    if (w->n_spare == SPARE_MAX) {
        free(p);
        return;
    }
    p->next = w->spare;
    w->spare = p;
    w->n_spare++;
}

static void write_all(struct logwriter *w, struct logpiece *first)
{
    struct logpiece *next;
    for (struct logpiece *p = first; p; p = next) {
        next = p->next;
        write_piece(w, p);
        pthread_mutex_lock(&w->mutex);
        put_spare(w, p);
        w->n_queued--;
        pthread_mutex_unlock(&w->mutex);
    }
}

static void *work(void *arg)
{
    struct logwriter *w = arg;
    size_t none;
    /* The header at once: who reads a pipe may wait for it. */
    report(w, logfile_write(&w->file, "", 0, &none), 0);
    pthread_mutex_lock(&w->mutex);
    while (w->first || w->reopen || !w->stop) {
        if (!w->first && !w->reopen) {
            pthread_cond_wait(&w->more, &w->mutex);
            continue;
        }
        struct logpiece *first = w->first;
        bool anew = w->reopen;
        w->first = NULL;
        w->last = &w->first;
        w->reopen = false;
        pthread_mutex_unlock(&w->mutex);
        write_all(w, first);
        if (anew) {
            reopen(w);
            report(w, logfile_write(&w->file, "", 0, &none), 0);
        }
        pthread_mutex_lock(&w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* ---- from any thread ---- */

struct logpiece *logwriter_piece(struct logwriter *w)
{
    pthread_mutex_lock(&w->mutex);
    struct logpiece *p = w->spare;
    if (p) {
        w->spare = p->next;
        w->n_spare--;
    }
    pthread_mutex_unlock(&w->mutex);
    if (!p)
        p = malloc(sizeof(*p));
    if (p) {
        p->next = NULL;
        p->len = 0;
        p->lines = 0;
    }
    return p;
}

bool logwriter_put(struct logwriter *w, struct logpiece *p, enum logwriter_when when)
{
    pthread_mutex_lock(&w->mutex);
    bool take = when == LOGWRITER_ALWAYS || w->n_queued < (when == LOGWRITER_IDLE ? 1 : QUEUE_MAX);
    if (take) {
        p->next = NULL;
        *w->last = p;
        w->last = &p->next;
        w->n_queued++;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->mutex);
    return take;
}

void logwriter_drop(struct logwriter *w, size_t lines)
{
    atomic_fetch_add(&w->dropped, lines);
}

uint64_t logwriter_dropped(const struct logwriter *w)
{
    return atomic_load(&w->dropped);
}

void logwriter_reopen(struct logwriter *w)
{
    pthread_mutex_lock(&w->mutex);
    w->reopen = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mutex);
}

/* ---- life ---- */

static void release(struct logwriter *w)
{
    struct logpiece *p;
    while ((p = w->spare)) {
        w->spare = p->next;
        free(p);
    }
    logkeep_free(w->keep);
    logfile_close(&w->file);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->more);
    free(w);
}

static int start_thread(struct logwriter *w)
{
    sigset_t all, before; /* signals belong to the loop's thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int logwriter_new(const struct logfile_opts *set, unsigned keep, struct logwriter **out)
{
    struct logwriter *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->file.fd = -1;
    w->last = &w->first;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->more, NULL);
    int r = logfile_open(&w->file, set);
    if (r == 0 && w->file.regular && set->size_bytes)
        r = logkeep_new(set->path, keep, &w->keep);
    if (r == 0)
        r = start_thread(w);
    if (r < 0) {
        release(w);
        return r;
    }
    *out = w;
    return 0;
}

/* Waits for the thread while it gets on. */
static bool join(struct logwriter *w)
{
    for (;;) {
        uint64_t before = atomic_load(&w->written);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (pthread_timedjoin_np(w->thread, NULL, &until) == 0)
            return true;
        if (atomic_load(&w->written) == before)
            return false;
    }
}

bool logwriter_free(struct logwriter *w)
{
    if (!w)
        return true;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->mutex);
    if (!join(w)) {
        err_warn("access log '%s' takes nothing: its last records are lost", w->file.set.path);
        return false;
    }
    release(w);
    return true;
}
