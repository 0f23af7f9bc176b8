/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "routewatch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/base/error.h"
#include "move.h"
#include "reread.h"
#include "volume.h"

/* Until a volume is looked at again whose record a move of ours is about to write. */
enum { RETRY_US = 100000 };

struct routewatch {
    struct director *d;
    struct loop_fd io;
    struct loop_timer retry;
    size_t pending; /* jobs of the pass under way */
    bool again;     /* something changed meanwhile */
};

/* One volume's record, being read. */
struct reading {
    struct routewatch *w;
    struct storejob job;
};

static void pass(struct routewatch *w);
static void retry(struct loop_timer *t);

/* A move of ours writes the record now; what it finds is acted on by itself. */
static bool is_being_written(const struct volume *v)
{
    return v->move && (v->move->phase == MOVE_RECORDING || v->move->phase == MOVE_COMMIT ||
                       v->move->phase == MOVE_DOUBT || v->move->phase == MOVE_ENDING);
}

static void read_later(struct routewatch *w, struct volume *v)
{
    struct loop *loop = w->d->loop;
    v->reread_due = true;
    loop_timer_set(loop, &w->retry, loop_now_us(loop) + RETRY_US, retry);
}

static void was_read(struct storejob *j)
{
    struct reading *r = j->arg;
    struct routewatch *w = r->w;
    struct volume *v = volume_find(w->d, j->route.volume);
    if (j->result < 0)
        err_warn("volume '%s': %s", j->route.volume, j->error);
    else if (v && (is_being_written(v) || reread_apply(w->d, j) < 0))
        read_later(w, v);
    free(r);
    if (--w->pending == 0 && w->again)
        pass(w);
}

static void read_now(struct routewatch *w, struct volume *v)
{
    struct reading *r = is_being_written(v) ? NULL : calloc(1, sizeof(*r));
    if (!r) {
        read_later(w, v);
        return;
    }
    r->w = w;
    r->job.kind = STOREJOB_GET;
    r->job.done = was_read;
    r->job.arg = r;
    memcpy(r->job.route.volume, v->name, sizeof(v->name));
    v->reread_due = false;
    w->pending++;
    storejobs_queue(w->d->jobs, &r->job);
}

static void retry(struct loop_timer *t)
{
    struct routewatch *w = (struct routewatch *)((char *)t - offsetof(struct routewatch, retry));
    for (struct volume *v = w->d->volumes; v; v = v->next)
        if (v->state != VOLUME_FAILED && v->reread_due)
            read_now(w, v);
}

/* Looks at every open volume; one pass at a time, however often the log changes. */
static void pass(struct routewatch *w)
{
    w->again = w->pending > 0;
    if (w->again)
        return;
    for (struct volume *v = w->d->volumes; v; v = v->next)
        if (v->state != VOLUME_FAILED)
            read_now(w, v);
}

static bool concerns_log(const struct inotify_event *e)
{
    return e->mask & IN_Q_OVERFLOW || (e->len && strcmp(e->name, ROUTE_STORE_LOG) == 0);
}

static void on_change(struct loop_fd *io, uint32_t events)
{
    struct routewatch *w = (struct routewatch *)((char *)io - offsetof(struct routewatch, io));
    _Alignas(struct inotify_event) char buf[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    bool changed = false;
    ssize_t n;
    (void)events;
    while ((n = read(io->fd, buf, sizeof(buf))) > 0) {
        const struct inotify_event *e;
        for (const char *p = buf; p < buf + n; p += sizeof(*e) + e->len) {
            e = (const struct inotify_event *)p;
            changed |= concerns_log(e);
            if (e->mask & IN_IGNORED)
                err_warn("the state folder is gone: changes of routes are not noticed any more");
        }
    }
    if (changed)
        pass(w);
}

int routewatch_new(struct director *d, struct routewatch **out)
{
    struct routewatch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->d = d;
    w->io.fd = -1;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    /* The folder, not the file: settling and compaction put another one under its name. */
    int r = fd < 0 || inotify_add_watch(fd, d->set.dirs.state, IN_MODIFY | IN_MOVED_TO) < 0
                ? -errno
                : loop_add(d->loop, &w->io, fd, EPOLLIN, on_change);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        free(w);
        return r;
    }
    *out = w;
    return 0;
}

void routewatch_free(struct routewatch *w)
{
    if (!w)
        return;
    int fd = w->io.fd;
    loop_timer_cancel(w->d->loop, &w->retry);
    loop_del(w->d->loop, &w->io);
    close(fd);
    free(w);
}
