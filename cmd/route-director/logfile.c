/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/error.h"

enum { TAIL = 4096 /* no line of a log is longer */ };

static bool is_stdout(const struct logfile *f)
{
    return strcmp(f->set.path, "-") == 0;
}

void logfile_like(int fd, const struct stat *old)
{
    if (fchown(fd, old->st_uid, old->st_gid) == 0)
        fchmod(fd, old->st_mode & 07777);
}

/* ---- opening ---- */

/* Reading is for the header and the last line; and a FIFO that nobody reads could not be opened for
 * writing alone. */
static int open_path(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
    return fd < 0 ? -errno : fd;
}

static int open_file(const struct logfile *f)
{
    if (!is_stdout(f))
        return open_path(f->set.path);
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

/* Does the file begin with the first LEN bytes of HEADER? */
static bool begins_with(int fd, const char *header, size_t len)
{
    char first[512];
    return len <= sizeof(first) && pread(fd, first, len, 0) == (ssize_t)len &&
           memcmp(first, header, len) == 0;
}

/* What a killed director may have left: a line without an end, to which the next would be joined.
 * The new size in *SIZE. */
static int cut_torn_line(int fd, uint64_t *size)
{
    char tail[TAIL];
    uint64_t from = *size > TAIL ? *size - TAIL : 0;
    ssize_t n = pread(fd, tail, (size_t)(*size - from), (off_t)from);
    if (n != (ssize_t)(*size - from))
        return n < 0 ? -errno : -EIO;
    const char *nl = memrchr(tail, '\n', (size_t)n);
    if (!nl)
        return -EEXIST; /* no line of ours */
    uint64_t end = from + (uint64_t)(nl + 1 - tail);
    if (end != *size && ftruncate(fd, (off_t)end) < 0)
        return -errno;
    *size = end;
    return 0;
}

/* Looks at a regular file that is not empty.  1: it must be moved aside first. */
static int look_inside(struct logfile *f)
{
    size_t header = strlen(f->set.header);
    bool old = begins_with(f->fd, f->set.old_header, strlen(f->set.old_header));
    if (!old && f->size_bytes < header) {
        /* Killed within its first line. */
        if (!begins_with(f->fd, f->set.header, f->size_bytes))
            return -EEXIST;
        f->size_bytes = 0;
        return ftruncate(f->fd, 0) < 0 ? -errno : 0;
    }
    f->headed = begins_with(f->fd, f->set.header, header);
    if (!f->headed && !old)
        return -EEXIST;
    int r = cut_torn_line(f->fd, &f->size_bytes);
    return r == 0 && !f->headed ? 1 : r;
}

/* The same for any file that was just opened. */
static int look(struct logfile *f)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return -errno;
    uint64_t size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    /* Of a shared standard output only as much is known: it is not cut or moved. */
    f->regular = S_ISREG(st.st_mode) && !is_stdout(f);
    f->headed = !f->regular && size;
    f->size_bytes = f->regular ? size : 0;
    f->turn_bytes = f->set.size_bytes;
    return f->size_bytes ? look_inside(f) : 0;
}

int logfile_open(struct logfile *f, const struct logfile_opts *set)
{
    *f = (struct logfile){.set = *set};
    f->fd = open_file(f);
    if (f->fd < 0)
        return f->fd;
    int r = look(f);
    if (r == 1)
        r = logfile_turn(f);
    if (r < 0)
        logfile_close(f);
    return r;
}

const char *logfile_error(int err)
{
    return err == -EEXIST ? "what is in it is no such log" : err_text(err);
}

void logfile_close(struct logfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

/* The same pipe, say, whose reader has the header. */
static bool same_file(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int logfile_reopen(struct logfile *f)
{
    if (is_stdout(f))
        return 0;
    struct logfile new;
    int r = logfile_open(&new, &f->set);
    if (r < 0)
        return r;
    if (!new.regular && same_file(new.fd, f->fd))
        new.headed = f->headed;
    memcpy(new.last_stamp, f->last_stamp, sizeof(new.last_stamp));
    new.last_number = f->last_number;
    logfile_close(f);
    *f = new;
    return 0;
}

/* ---- writing ---- */

/* All or an error; *DONE is what is written. */
static int write_some(int fd, const char *data, size_t len, size_t *done)
{
    for (*done = 0; *done < len;) {
        ssize_t n = write(fd, data + *done, len - *done);
        if (n > 0)
            *done += (size_t)n;
        else if (n == 0)
            return -EIO;
        else if (errno == EAGAIN) /* somebody else has made standard output so */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

static size_t count_lines(const char *data, size_t len)
{
    size_t n = 0;
    const char *end = data + len;
    for (const char *p = data; (p = memchr(p, '\n', (size_t)(end - p))); p++)
        n++;
    return n;
}

/* Cuts the file to TO bytes if it has FROM still.  Should that fail a torn line stays. */
static void cut_to(const struct logfile *f, uint64_t from, uint64_t to)
{
    struct stat st;
    if (f->regular && fstat(f->fd, &st) == 0 && (uint64_t)st.st_size == from &&
        ftruncate(f->fd, (off_t)to) < 0)
        return;
}

/* Writes whole lines; of an attempt that failed only whole ones stay.  *DONE is what does. */
static int write_lines(struct logfile *f, const char *data, size_t len, size_t *done)
{
    int r = write_some(f->fd, data, len, done);
    if (r < 0) {
        const char *nl = memrchr(data, '\n', *done);
        size_t whole = nl ? (size_t)(nl + 1 - data) : 0;
        if (whole < *done)
            cut_to(f, f->size_bytes + *done, f->size_bytes + whole);
        *done = whole;
    }
    f->size_bytes += *done;
    return r;
}

int logfile_write(struct logfile *f, const char *data, size_t len, size_t *lost)
{
    struct stat st;
    size_t done = 0;
    int r = 0;
    /* logrotate's copytruncate leaves us at the beginning. */
    if (f->regular && fstat(f->fd, &st) == 0) {
        f->size_bytes = (uint64_t)st.st_size;
        f->headed &= st.st_size > 0;
    }
    if (!f->headed) {
        r = write_lines(f, f->set.header, strlen(f->set.header), &done);
        f->headed = r == 0;
        done = 0;
    }
    if (r == 0)
        r = write_lines(f, data, len, &done);
    *lost = count_lines(data + done, len - done);
    return r;
}

/* ---- moving aside ---- */

bool logfile_full(const struct logfile *f)
{
    return f->regular && f->set.size_bytes && f->size_bytes >= f->turn_bytes;
}

static bool taken(const char *name, const char *suffix)
{
    struct buf path = {0};
    bool yes = buf_printf(&path, "%s%s", name, suffix) < 0 || access(path.data, F_OK) == 0;
    buf_release(&path);
    return yes;
}

/*
 * A name that neither a file nor its packed form has.  Within a second the numbers grow, whatever
 * was removed meanwhile, so that names sort by age.
 */
static int free_name(struct logfile *f, struct buf *name)
{
    char stamp[sizeof(f->last_stamp)];
    time_t now = time(NULL);
    struct tm tm;
    if (!gmtime_r(&now, &tm) || !strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm))
        return -EOVERFLOW;
    unsigned n = strcmp(stamp, f->last_stamp) == 0 ? f->last_number + 1 : 0;
    for (;; n++) {
        buf_clear(name);
        int r = buf_printf(name, "%s.%s", f->set.path, stamp);
        if (r == 0 && n)
            r = buf_printf(name, "-%u", n);
        if (r < 0)
            return r;
        if (!taken(name->data, "") && !taken(name->data, ".lz4"))
            break;
    }
    memcpy(f->last_stamp, stamp, sizeof(stamp));
    f->last_number = n;
    return 0;
}

/* The new file is opened before the old one loses its name: without descriptors or space the log
 * goes on in the old one. */
static int begin_new(struct logfile *f, const struct stat *old, const char *new, const char *aside)
{
    int fd = open(new, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    logfile_like(fd, old);
    int r = rename(f->set.path, aside) < 0 ? -errno : 0;
    if (r == 0 && rename(new, f->set.path) < 0) {
        r = -errno;
        if (rename(aside, f->set.path) < 0)
            r = -errno;
    }
    if (r < 0) {
        close(fd);
        unlink(new);
        return r;
    }
    close(f->fd);
    f->fd = fd;
    f->headed = false;
    f->size_bytes = 0;
    return 0;
}

int logfile_turn(struct logfile *f)
{
    struct stat own, there = {0};
    struct buf aside = {0}, new = {0};
    if (fstat(f->fd, &own) < 0)
        return -errno;
    if (lstat(f->set.path, &there) == 0 && S_ISLNK(there.st_mode))
        return -ELOOP;
    /* Somebody has renamed or removed it: what has its name now is not ours to move. */
    if (there.st_dev != own.st_dev || there.st_ino != own.st_ino)
        return logfile_reopen(f);
    int r = buf_printf(&new, "%s.new", f->set.path);
    if (r == 0)
        r = free_name(f, &aside);
    if (r == 0)
        r = begin_new(f, &own, new.data, aside.data);
    f->turn_bytes = f->size_bytes + f->set.size_bytes;
    buf_release(&aside);
    buf_release(&new);
    return r;
}
