/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/route/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/intern.h"
#include "common/route/line.h"
#include "common/route/past.h"

enum {
    LOG_BYTES_MAX = 1 << 30, /* a log of this size is not ours */
    COMPACT_LINES = 256,     /* shorter logs are left alone */
    COMPACT_RATIO = 4,       /* compact when 3 of 4 lines are superseded */
    REREAD_WAIT_MS = 5000,   /* for the lock, to tell damage from a race */
    LOCK_POLL_NS = 2 * 1000 * 1000
};

struct route_store {
    char *path;
    int fd; /* of the inode that was last seen under the path */
    bool writable;
    bool name_durable; /* the folder was synced since fd was opened */
    bool doubt;        /* an fdatasync failed: nobody knows what the disk holds */

    /* What was read of fd: the log only grows, so the next refresh goes on from here. */
    uint64_t length;     /* bytes of whole valid lines */
    uint64_t synced;     /* of them known to be durable */
    uint64_t lines;      /* the header included */
    bool torn;           /* more bytes stood behind length */
    struct intern names; /* id = index in routes */
    struct route *routes;
    size_t cap;

    struct rec_writer *writer; /* formats lines */
    char error[PATH_MAX + 256];
};

__attribute__((format(printf, 3, 4))) static int fail(struct route_store *s, int err,
                                                      const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s->error, sizeof(s->error), fmt, ap);
    va_end(ap);
    return err;
}

/* "VERB 'path': reason" from errno. */
static int fail_errno(struct route_store *s, const char *verb)
{
    int err = -errno;
    return fail(s, err, "%s '%s': %s", verb, s->path, err_text(err));
}

/* ---- the table of current records ---- */

static void forget(struct route_store *s)
{
    intern_release(&s->names);
    free(s->routes);
    s->routes = NULL;
    s->cap = 0;
    s->length = s->synced = s->lines = 0;
    s->torn = false;
}

static const struct route *find(const struct route_store *s, const char *volume)
{
    long id = intern_find(&s->names, volume);
    return id < 0 ? NULL : &s->routes[id];
}

/* Puts R in place of its volume's record.  *WHY is set when R cannot follow that record. */
static int remember(struct route_store *s, const struct route *r, const char **why)
{
    const struct route *old = find(s, r->volume);
    if (old && r->epoch < old->epoch)
        *why = "epoch goes back";
    else if (old && r->epoch == old->epoch && strcmp(r->gateway, old->gateway) != 0)
        *why = "owner changes within an epoch";
    if (*why)
        return 0;
    if (vec_room(&s->routes, s->names.n, &s->cap, sizeof(*s->routes)) < 0)
        return -ENOMEM;
    long id = intern_add(&s->names, r->volume);
    if (id < 0)
        return -ENOMEM;
    s->routes[id] = *r;
    return 0;
}

/* Takes in one line of LEN bytes without newline. */
static int take_line(struct route_store *s, const char *data, size_t len, const char **why)
{
    struct route r;
    *why = NULL;
    if (s->lines == 0) {
        if (len + 1 != strlen(LINE_HEADER) || memcmp(data, LINE_HEADER, len) != 0)
            *why = "not the header of a route log";
        return 0;
    }
    *why = line_parse(data, len, &r);
    return *why ? 0 : remember(s, &r, why);
}

/*
 * Takes in the lines of DATA, which stands at s->length in the log and reaches to its end.  A bad
 * line at the very end is torn; elsewhere it is damage.
 */
static int take_lines(struct route_store *s, const char *data, size_t len)
{
    const char *end = data + len;
    s->torn = false;
    while (data < end) {
        const char *nl = memchr(data, '\n', (size_t)(end - data));
        const char *why = "no newline";
        int r = nl ? take_line(s, data, (size_t)(nl - data), &why) : 0;
        if (r < 0)
            return fail(s, r, "cannot read '%s': %s", s->path, err_text(r));
        /* The header lies within one sector: a whole but different one is somebody else's file. */
        if (why && nl && (nl + 1 < end || s->lines == 0))
            return fail(s, -EBADMSG, "%s:%" PRIu64 ": %s", s->path, s->lines + 1, why);
        s->torn = why != NULL;
        if (why)
            break;
        s->lines++;
        s->length += (uint64_t)(nl + 1 - data);
        data = nl + 1;
    }
    return 0;
}

/* ---- the file ---- */

static int open_log(struct route_store *s, bool create)
{
    const int flags = O_RDWR | O_APPEND | O_CLOEXEC;
    bool writable = true;
    int fd = create ? fsfile_open(s->path, flags) : open(s->path, flags);
    if (create && fd < 0)
        errno = -fd;
    if (fd < 0 && (errno == EACCES || errno == EROFS)) {
        const int refusal = errno;
        writable = false;
        fd = open(s->path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 && create && errno == ENOENT) /* which is why it was to be made */
            errno = refusal;
    }
    if (fd < 0)
        return fail_errno(s, "cannot open");
    if (s->fd >= 0)
        close(s->fd);
    s->fd = fd;
    s->writable = writable;
    s->name_durable = false;
    forget(s);
    return 0;
}

/* Is fd still what the path names?  A compaction by another process puts a new file there. */
static bool is_current(const struct route_store *s)
{
    struct stat held;
    struct stat named;
    return s->fd >= 0 && fstat(s->fd, &held) == 0 && stat(s->path, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* Takes in what the file has beyond s->length. */
static int take_rest(struct route_store *s)
{
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return fail_errno(s, "cannot read");
    if ((uint64_t)st.st_size < s->length)
        forget(s); /* somebody put an older copy in place */
    struct buf rest = {0};
    int r = fsfile_read_from(s->fd, s->length, LOG_BYTES_MAX - (size_t)s->length, &rest);
    if (r < 0)
        fail(s, r, "cannot read '%s': %s", s->path, err_text(r));
    else
        r = take_lines(s, rest.data, rest.len);
    buf_release(&rest);
    return r;
}

static void pause_for_lock(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_NS}, NULL);
}

static int lock_fd(int fd, int how, int wait_ms)
{
    uint64_t deadline = clock_mono_us() + (wait_ms > 0 ? (uint64_t)wait_ms * 1000 : 0);
    while (flock(fd, wait_ms < 0 ? how : how | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return -errno;
        if (clock_mono_us() >= deadline)
            return -EAGAIN;
        pause_for_lock();
    }
    return 0;
}

/* Locks the file that the path names now, and takes in all of it. */
static int lock_log(struct route_store *s, int how, int wait_ms)
{
    for (;;) {
        int r = is_current(s) ? 0 : open_log(s, false);
        if (r < 0)
            return r;
        r = lock_fd(s->fd, how, wait_ms);
        if (r < 0)
            return fail(s, r, "cannot lock '%s': %s", s->path, err_text(r));
        if (!is_current(s))
            continue; /* compacted while we waited; closing the old file lets go of its lock */
        r = take_rest(s);
        if (r < 0)
            flock(s->fd, LOCK_UN);
        return r;
    }
}

static void unlock_log(struct route_store *s)
{
    flock(s->fd, LOCK_UN);
}

/*
 * What was read may be of a writer that was killed before its fdatasync: nobody may act on it
 * before it would survive a power failure.
 */
static int sync_read(struct route_store *s)
{
    if (s->synced == s->length)
        return 0;
    if (fdatasync(s->fd) < 0 && errno != EROFS && errno != EINVAL)
        return fail_errno(s, "cannot sync");
    s->synced = s->length;
    return 0;
}

/*
 * Brings the table up to date.  Without the lock: a line that is being appended looks torn and is
 * not there yet.  While a torn tail is being replaced a reader can even see a mix of both, which
 * looks like damage: that is believed only under the lock.
 */
static int refresh(struct route_store *s)
{
    if (s->doubt)
        return fail(s, -EINPROGRESS, "'%s' could not be synced: its end is in doubt", s->path);
    int r = is_current(s) ? 0 : open_log(s, false);
    if (r == 0)
        r = take_rest(s);
    if (r == -EBADMSG) {
        forget(s);
        r = lock_log(s, LOCK_SH, REREAD_WAIT_MS);
        if (r == 0)
            unlock_log(s);
    }
    return r == 0 ? sync_read(s) : r;
}

int route_store_open(const char *state, bool create, struct route_store **out)
{
    struct route_store *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->fd = -1;
    s->writer = rec_writer_new(&rec_route, NULL);
    int r = -ENOMEM;
    if (!s->writer || asprintf(&s->path, "%s/" ROUTE_STORE_LOG, state) < 0)
        goto out;
    r = create ? fsfile_mkdirs(state) : 0;
    if (r == 0)
        r = open_log(s, create);
    if (r == 0) {
        *out = s;
        return 0;
    }
out:
    route_store_close(s);
    return r;
}

void route_store_close(struct route_store *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    forget(s);
    rec_writer_free(s->writer);
    free(s->path);
    free(s);
}

/* ---- reading ---- */

int route_store_get(struct route_store *s, const char *volume, struct route *out)
{
    s->error[0] = 0;
    int r = refresh(s);
    if (r < 0)
        return r;
    const struct route *found = find(s, volume);
    if (!found)
        return 0;
    *out = *found;
    return 1;
}

static int by_volume(const void *a, const void *b)
{
    return strcmp(((const struct route *)a)->volume, ((const struct route *)b)->volume);
}

/* A sorted copy of the table: *OUT is owned by the caller, NULL when it is empty. */
static int snapshot(const struct route_store *s, struct route **out)
{
    *out = NULL;
    if (s->names.n == 0)
        return 0;
    assert(s->routes);
    struct route *all = reallocarray(NULL, s->names.n, sizeof(*all));
    if (!all)
        return -ENOMEM;
    memcpy(all, s->routes, s->names.n * sizeof(*all));
    qsort(all, s->names.n, sizeof(*all), by_volume);
    *out = all;
    return 0;
}

int route_store_each(struct route_store *s, int (*fn)(const struct route *r, void *arg), void *arg)
{
    struct route *all = NULL;
    s->error[0] = 0;
    int r = refresh(s);
    if (r == 0)
        r = snapshot(s, &all);
    if (r < 0)
        return r;
    size_t n = s->names.n; /* FN may use the store */
    for (size_t i = 0; i < n && r == 0; i++)
        r = fn(&all[i], arg);
    free(all);
    return r;
}

/* ---- writing ---- */

/* Replaces the log by the current records alone.  The exclusive lock is held. */
static int rewrite(struct route_store *s)
{
    struct buf text = {0};
    struct route *all = NULL;
    int r = buf_adds(&text, LINE_HEADER);
    if (r == 0)
        r = snapshot(s, &all);
    for (size_t i = 0; r == 0 && i < s->names.n; i++)
        r = line_format(s->writer, &all[i], &text);
    if (r == 0)
        r = fsfile_replace(s->path, text.data, text.len);
    free(all);
    buf_release(&text);
    if (r < 0)
        return fail(s, r, "cannot rewrite '%s': %s", s->path, err_text(r));
    return 0;
}

/* The folder must know the file's name before any line in it counts. */
static int sync_name(struct route_store *s)
{
    if (s->name_durable)
        return 0;
    int r = fsfile_sync_parent(s->path);
    if (r < 0)
        return fail(s, r, "cannot sync the folder of '%s': %s", s->path, err_text(r));
    s->name_durable = true;
    return 0;
}

/*
 * Appends TEXT as one write.  A failed or short one leaves no newline at the end, so whatever
 * happens to the undoing truncation, the line never happened.
 */
static int append(struct route_store *s, const struct buf *text)
{
    if (s->torn && ftruncate(s->fd, (off_t)s->length) < 0)
        return fail_errno(s, "cannot truncate");
    int r = fsfile_write_all(s->fd, text->data, text->len);
    if (r < 0) {
        if (ftruncate(s->fd, (off_t)s->length) < 0)
            s->torn = true;
        return fail(s, r, "cannot write '%s': %s", s->path, err_text(r));
    }
    if (fdatasync(s->fd) < 0) {
        s->doubt = true;
        fail_errno(s, "cannot sync");
        return -EINPROGRESS;
    }
    return 0;
}

static int append_route(struct route_store *s, const struct route *next)
{
    struct buf text = {0};
    int r = s->lines == 0 ? buf_adds(&text, LINE_HEADER) : 0;
    if (r == 0)
        r = line_format(s->writer, next, &text);
    if (r < 0)
        fail(s, r, "cannot format a record for '%s': %s", s->path, err_text(r));
    else
        r = sync_name(s);
    if (r == 0)
        r = append(s, &text);
    buf_release(&text);
    return r;
}

static bool is_valid(const struct route *r)
{
    return parse_name(r->volume) == 0 && parse_name(r->gateway) == 0 &&
           (!r->target[0] || parse_name(r->target) == 0) && r->epoch > 0;
}

/* May NEXT replace the record that is there?  Epochs only grow, and with every change of owner. */
static int check(struct route_store *s, uint64_t expect, int expect_state, const struct route *next)
{
    const struct route *now = find(s, next->volume);
    uint64_t epoch = now ? now->epoch : 0;
    if (epoch != expect)
        return fail(s, -ESTALE, "volume '%s' is at epoch %" PRIu64 ", not %" PRIu64, next->volume,
                    epoch, expect);
    if (expect_state >= 0 && (!now || now->state != (enum rec_route_state)expect_state))
        return fail(s, -ESTALE, "volume '%s' is %s, not %s", next->volume,
                    now ? rec_route_state_words[now->state] : "unknown",
                    rec_route_state_words[expect_state]);
    bool same_owner = now && strcmp(now->gateway, next->gateway) == 0;
    /* The first record may be one that was saved. */
    if ((expect && next->epoch - expect > 1) || (next->epoch == expect && !same_owner))
        return fail(s, -EINVAL, "epoch %" PRIu64 " cannot follow %" PRIu64, next->epoch, expect);
    return 0;
}

/*
 * Compaction only behind a steady record: a switch is written inside a hold, where clients wait.
 * Its failure harms nothing, the log stands as it is.  What it drops stays in an old log.
 */
static void compact_if_due(struct route_store *s, const struct route *last)
{
    if (last->state != ROUTE_STATE_STEADY || s->lines < COMPACT_LINES)
        return;
    if (s->lines / COMPACT_RATIO > s->names.n && past_keep(s->path) == 0)
        rewrite(s);
}

static int cas_locked(struct route_store *s, uint64_t expect, int expect_state,
                      const struct route *next)
{
    if (s->doubt)
        return fail(s, -EINPROGRESS, "'%s' could not be synced: its end is in doubt", s->path);
    int r = check(s, expect, expect_state, next);
    if (r == 0)
        r = append_route(s, next);
    if (r < 0)
        return r;
    if (take_rest(s) == 0) {
        s->synced = s->length;
        compact_if_due(s, next);
    }
    return 0;
}

int route_store_cas(struct route_store *s, uint64_t expect, int expect_state,
                    const struct route *next, int wait_ms)
{
    s->error[0] = 0;
    if (!is_valid(next))
        return fail(s, -EINVAL, "not a route record");
    int r = lock_log(s, LOCK_EX, wait_ms);
    if (r < 0)
        return r;
    if (!s->writable)
        r = fail(s, -EACCES, "cannot write '%s': %s", s->path, err_text(EACCES));
    else
        r = cas_locked(s, expect, expect_state, next);
    unlock_log(s);
    return r;
}

int route_store_settle(struct route_store *s)
{
    s->error[0] = 0;
    int r = lock_log(s, LOCK_EX, -1);
    if (r < 0)
        return r;
    if (s->lines > s->names.n + 1) /* what can't be kept besides must not keep it in doubt */
        past_keep(s->path);
    r = rewrite(s);
    if (r == 0)
        s->doubt = false;
    unlock_log(s);
    return r;
}

const char *route_store_error(const struct route_store *s)
{
    return s->error;
}

const char *route_store_path(const struct route_store *s)
{
    return s->path;
}
