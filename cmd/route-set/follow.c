/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/route-set/follow.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/route-set/print.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/intern.h"
#include "common/route/tail.h"

struct follow {
    const char *volume; /* "": all */
    struct rec_writer *writer;
    bool quiet; /* only remember */
    bool any;
    struct intern names; /* id = index in last */
    struct route *last;  /* what was printed of each volume */
    size_t cap;
};

static bool same(const struct route *a, const struct route *b)
{
    return a->epoch == b->epoch && a->state == b->state && a->time == b->time &&
           a->size_bytes == b->size_bytes && a->verify == b->verify &&
           strcmp(a->gateway, b->gateway) == 0 && strcmp(a->target, b->target) == 0;
}

/* Is R news?  What a compaction kept, or an old log shares with the present one, is not. */
static bool is_news(struct follow *f, const struct route *r)
{
    size_t known = f->names.n;
    long id = intern_add(&f->names, r->volume);
    if (id < 0 || vec_room(&f->last, known, &f->cap, sizeof(*f->last)) < 0)
        print_check(-ENOMEM);
    bool news = (size_t)id == known || !same(&f->last[id], r);
    f->last[id] = *r;
    return news;
}

static int take(const struct route *r, void *arg)
{
    struct follow *f = arg;
    if ((*f->volume && strcmp(f->volume, r->volume) != 0) || !is_news(f, r))
        return 0;
    f->any = true;
    if (!f->quiet) {
        route_put(f->writer, r);
        print_check(rec_write_now(f->writer));
    }
    return 0;
}

static void log_path(const char *state, char path[PATH_MAX])
{
    if (snprintf(path, PATH_MAX, "%s/" ROUTE_STORE_LOG, state) >= PATH_MAX)
        err_die(EX_NOINPUT, "cannot open '%s': %s", state, err_text(ENAMETOOLONG));
}

static _Noreturn void die_of_log(const char *path, int err)
{
    if (err == -EBADMSG)
        err_die(EX_DATAERR, "'%s', or an old log beside it, is no route log, or is damaged%s", path,
                PRINT_WHAT_TO_DO);
    err_die(err == -ENOMEM ? EX_OSERR : EX_IOERR, "cannot read '%s': %s", path, err_text(err));
}

static struct follow begin(const char *volume)
{
    struct follow f = {.volume = volume, .writer = print_new_routes(stdout)};
    print_check(rec_writer_header(f.writer));
    return f;
}

bool follow_history(const char *state, const char *volume)
{
    char path[PATH_MAX];
    struct stat st;
    log_path(state, path);
    if (stat(state, &st) < 0)
        err_die(EX_NOINPUT, "cannot open '%s': %s", state, err_text(errno));
    struct follow f = begin(volume);
    int r = route_tail_history(path, take, &f);
    if (r < 0 && r != -ENOENT)
        die_of_log(path, r);
    rec_writer_free(f.writer);
    intern_release(&f.names);
    free(f.last);
    return f.any;
}

static int by_volume(const void *a, const void *b)
{
    return strcmp(((const struct route *)a)->volume, ((const struct route *)b)->volume);
}

/* Prints what F remembers, sorted by volume. */
static void print_last(const struct follow *f)
{
    size_t n = f->names.n;
    struct route *all = reallocarray(NULL, n + 1, sizeof(*all));
    if (!all)
        err_die(EX_OSERR, "cannot print: %s", err_text(ENOMEM));
    if (n)
        memcpy(all, f->last, n * sizeof(*all));
    qsort(all, n, sizeof(*all), by_volume);
    for (size_t i = 0; i < n; i++)
        print_route(&all[i], f->writer);
    print_check(rec_flush(f->writer));
    free(all);
}

static int watch_folder(const char *state)
{
    int fd = inotify_init1(IN_CLOEXEC);
    if (fd < 0)
        err_die(EX_OSERR, "cannot watch '%s': %s", state, err_text(errno));
    if (inotify_add_watch(fd, state,
                          IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR) < 0)
        err_die(EX_NOINPUT, "cannot watch '%s': %s", state, err_text(errno));
    return fd;
}

/* Waits until something happens to the log in the watched folder. */
static void wait_for_change(int fd)
{
    union {
        struct inotify_event event;
        char bytes[sizeof(struct inotify_event) + NAME_MAX + 1];
    } buffer;
    for (;;) {
        ssize_t n = read(fd, buffer.bytes, sizeof(buffer.bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err_die(EX_IOERR, "cannot watch the store: %s", err_text(errno));
        for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
            const struct inotify_event *e = (const void *)(buffer.bytes + at);
            if (e->mask & (IN_DELETE_SELF | IN_Q_OVERFLOW | IN_IGNORED) ||
                (e->len && strcmp(e->name, ROUTE_STORE_LOG) == 0))
                return;
            at += (ssize_t)(sizeof(*e) + e->len);
        }
    }
}

/* Takes in what is new; that there is no log yet is fine. */
static void catch_up(struct follow *f, struct route_tail *t, const char *path)
{
    int r = route_tail_read(t, path, take, f);
    if (r < 0 && r != -ENOENT)
        die_of_log(path, r);
}

_Noreturn void follow_watch(const char *state, const char *volume)
{
    char path[PATH_MAX];
    struct route_tail tail = {0};
    log_path(state, path);
    int fd = watch_folder(state); /* before the first look: nothing falls between the two */
    struct follow f = begin(volume);
    f.quiet = true;
    catch_up(&f, &tail, path);
    print_last(&f);
    f.quiet = false;
    for (;;) {
        wait_for_change(fd);
        catch_up(&f, &tail, path);
    }
}
