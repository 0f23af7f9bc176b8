/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/route/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fsfile.h"
#include "common/route/line.h"
#include "common/route/past.h"

/* A log of this size is not ours. */
enum { LOG_BYTES_MAX = 1 << 30 };

/* One line of LEN bytes; LAST: nothing follows, so that it may be on its way still. */
static int take_line(struct route_tail *t, const char *data, size_t len, bool last,
                     route_tail_fn *fn, void *arg)
{
    struct route r;
    if (t->offset == 0)
        return len + 1 == strlen(LINE_HEADER) && memcmp(data, LINE_HEADER, len) == 0 ? 0 : -EBADMSG;
    if (line_parse(data, len, &r))
        return last ? -EAGAIN : -EBADMSG;
    return fn(&r, arg);
}

static int take_lines(struct route_tail *t, const struct buf *text, route_tail_fn *fn, void *arg)
{
    const char *at = text->data, *end = at + text->len;
    for (const char *nl; at < end && (nl = memchr(at, '\n', (size_t)(end - at))); at = nl + 1) {
        int r = take_line(t, at, (size_t)(nl - at), nl + 1 == end, fn, arg);
        if (r == -EAGAIN)
            return 0;
        if (r != 0)
            return r;
        t->offset += (uint64_t)(nl + 1 - at);
    }
    return 0;
}

static bool is_of(const struct route_tail *t, const struct stat *st)
{
    return st->st_dev == t->device && st->st_ino == t->inode;
}

static int read_fd(struct route_tail *t, int fd, route_tail_fn *fn, void *arg)
{
    struct stat st;
    struct buf text = {0};
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!is_of(t, &st) || (uint64_t)st.st_size < t->offset)
        *t = (struct route_tail){.device = st.st_dev, .inode = st.st_ino};
    int r = fsfile_read_from(fd, t->offset, LOG_BYTES_MAX, &text);
    if (r == 0 && text.len)
        r = take_lines(t, &text, fn, arg);
    buf_release(&text);
    return r;
}

static int read_path(struct route_tail *t, const char *path, route_tail_fn *fn, void *arg)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = read_fd(t, fd, fn, arg);
    close(fd);
    return r;
}

/*
 * Old log N of LOG; that it was pruned meanwhile is no failure, and if it is the file of LAST, too,
 * that will be read as such.
 */
static int read_past(const char *log, unsigned long n, const struct route_tail *last,
                     route_tail_fn *fn, void *arg)
{
    char path[PATH_MAX];
    struct stat st;
    struct route_tail t = {0};
    int r = past_path(log, n, path, sizeof(path));
    if (r < 0 || (stat(path, &st) == 0 && is_of(last, &st)))
        return r;
    r = read_path(&t, path, fn, arg);
    return r == -ENOENT ? 0 : r;
}

/* Which of the COUNT old logs N of LOG is the file that T has read; COUNT: none, or not now. */
static long find_past(const char *log, const unsigned long *n, long count,
                      const struct route_tail *t)
{
    char path[PATH_MAX];
    struct stat st;
    for (long i = count - 1; i >= 0; i--)
        if (past_path(log, n[i], path, sizeof(path)) == 0 && stat(path, &st) == 0 && is_of(t, &st))
            return i;
    return count;
}

/* What T's file, which LAST has replaced, got since, and the old logs that came behind it. */
static int read_missed(struct route_tail *t, const char *log, const struct route_tail *last,
                       route_tail_fn *fn, void *arg)
{
    unsigned long *n = NULL;
    char path[PATH_MAX];
    long count = past_list(log, &n);
    long i = count < 0 ? count : find_past(log, n, count, t);
    int r = count < 0 ? (int)count : 0;
    if (i >= 0 && i < count && past_path(log, n[i], path, sizeof(path)) == 0)
        r = read_path(t, path, fn, arg);
    for (i++; r == 0 && i < count; i++)
        r = read_past(log, n[i], last, fn, arg);
    free(n);
    return r == -ENOENT ? 0 : r;
}

int route_tail_read(struct route_tail *t, const char *path, route_tail_fn *fn, void *arg)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && t->offset && !is_of(t, &st)) {
        struct route_tail now = {.device = st.st_dev, .inode = st.st_ino};
        r = read_missed(t, path, &now, fn, arg);
    }
    if (r == 0)
        r = read_fd(t, fd, fn, arg);
    close(fd);
    return r;
}

static int read_pasts(const char *log, const struct route_tail *last, route_tail_fn *fn, void *arg)
{
    unsigned long *n = NULL;
    long count = past_list(log, &n);
    int r = count < 0 ? (int)count : 0;
    for (long i = 0; r == 0 && i < count; i++)
        r = read_past(log, n[i], last, fn, arg);
    free(n);
    return r;
}

int route_tail_history(const char *log, route_tail_fn *fn, void *arg)
{
    struct stat st;
    /* Opened before the others are listed: a compaction meanwhile takes nothing away. */
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fstat(fd, &st) < 0 ? -errno : 0;
    struct route_tail last = {.device = st.st_dev, .inode = st.st_ino};
    if (r == 0)
        r = read_pasts(log, &last, fn, arg);
    if (r == 0)
        r = read_fd(&last, fd, fn, arg);
    close(fd);
    return r;
}
