/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/record/schema.h"
#include "volume.h"

enum {
    WRITE_AT = 64 << 10,     /* write when so much has gathered … */
    WRITE_EVERY_US = 500000, /* … or after this time */
    KEEP_MAX = 4 << 20,      /* what a slow reader may leave before records are dropped */
    RECORD_MAX = 3 * NAME_LEN_MAX + 256,
};

struct accesslog {
    struct director *d;
    const char *path;
    int fd;
    struct buf buf;
    uint64_t dropped;
    uint64_t epoch_us; /* Unix time of the monotonic clock's zero */
    struct loop_timer timer;
};

/* ---- formatting ---- */

static char *put_text(char *p, const char *s)
{
    size_t n = strlen(s);
    memcpy(p, s, n);
    return p + n;
}

static char *put_u64(char *p, uint64_t v)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n)
        *p++ = digits[--n];
    return p;
}

/* Microseconds as seconds, as records print a time: up to 6 decimals, zeros trimmed. */
static char *put_time(char *p, uint64_t us)
{
    p = put_u64(p, us / 1000000);
    unsigned frac = (unsigned)(us % 1000000);
    if (!frac)
        return p;
    *p++ = '.';
    for (unsigned unit = 100000; frac; unit /= 10) {
        *p++ = (char)('0' + frac / unit);
        frac %= unit;
    }
    return p;
}

static const char *op_name(uint16_t type)
{
    switch (type) {
    case NBD_CMD_READ:
        return rec_op_words[OP_READ];
    case NBD_CMD_WRITE:
        return rec_op_words[OP_WRITE];
    case NBD_CMD_TRIM:
        return rec_op_words[OP_TRIM];
    case NBD_CMD_WRITE_ZEROES:
        return rec_op_words[OP_ZERO];
    case NBD_CMD_FLUSH:
        return rec_op_words[OP_FLUSH];
    default:
        return NULL; /* CACHE: no access that a record knows */
    }
}

/* ---- writing ---- */

static void write_out(struct accesslog *log)
{
    ssize_t n = write(log->fd, log->buf.data, log->buf.len);
    if (n > 0)
        buf_consume(&log->buf, (size_t)n);
}

static void on_timer(struct loop_timer *t)
{
    struct accesslog *log = (struct accesslog *)((char *)t - offsetof(struct accesslog, timer));
    if (log->buf.len)
        write_out(log);
    if (log->buf.len)
        loop_timer_set(log->d->loop, t, loop_now_us(log->d->loop) + WRITE_EVERY_US, on_timer);
}

void accesslog_add(struct accesslog *log, const struct volume *v, const struct request *r,
                   uint64_t now_us)
{
    const char *op;
    if (!log || !r->client_name || !(op = op_name(r->nbd.type)))
        return;
    if (log->buf.len > KEEP_MAX || buf_reserve(&log->buf, RECORD_MAX) < 0) {
        log->dropped++;
        return;
    }
    char *p = log->buf.data + log->buf.len;
    p = put_time(p, log->epoch_us + r->arrived_us);
    *p++ = ',';
    p = put_text(p, v->name);
    *p++ = ',';
    p = put_text(p, v->route.gateway);
    *p++ = ',';
    p = put_text(p, r->client_name);
    *p++ = ',';
    p = put_text(p, op);
    *p++ = ',';
    p = put_u64(p, r->nbd.offset);
    *p++ = ',';
    p = put_u64(p, r->nbd.length);
    *p++ = ',';
    p = put_u64(p, now_us - r->arrived_us);
    *p++ = ',';
    p = put_text(p, err_name((int)r->error));
    *p++ = '\n';
    log->buf.len = (size_t)(p - log->buf.data);
    if (log->buf.len >= WRITE_AT)
        write_out(log);
    if (log->buf.len && !log->timer.place)
        loop_timer_set(log->d->loop, &log->timer, now_us + WRITE_EVERY_US, on_timer);
}

uint64_t accesslog_dropped(const struct accesslog *log)
{
    return log ? log->dropped : 0;
}

/* ---- life ---- */

static int open_file(const char *path)
{
    if (strcmp(path, "-") == 0) {
        int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return fd < 0 ? -errno : fd;
}

/* A pipe whose reader is slow must not stop the data. */
static int start_file(struct accesslog *log)
{
    struct stat st;
    if (fstat(log->fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        fcntl(log->fd, F_SETFL, fcntl(log->fd, F_GETFL) | O_NONBLOCK);
    if (S_ISREG(st.st_mode) && st.st_size > 0)
        return 0;
    struct rec_writer *w = rec_writer_new(&rec_access, NULL);
    int r = w ? rec_format_header(w, &log->buf) : -ENOMEM;
    rec_writer_free(w);
    return r;
}

int accesslog_open(struct director *d, const char *path, struct accesslog **out)
{
    struct accesslog *log = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    log->d = d;
    log->path = path;
    log->epoch_us = (uint64_t)(clock_now() * 1e6) - clock_mono_us();
    log->fd = open_file(path);
    int r = log->fd < 0 ? log->fd : start_file(log);
    if (r < 0) {
        accesslog_close(log);
        return r;
    }
    *out = log;
    return 0;
}

int accesslog_reopen(struct accesslog *log)
{
    int fd = open_file(log->path);
    if (fd < 0)
        return fd;
    fsfile_write_all(log->fd, log->buf.data, log->buf.len);
    buf_clear(&log->buf);
    close(log->fd);
    log->fd = fd;
    return start_file(log);
}

void accesslog_close(struct accesslog *log)
{
    if (!log)
        return;
    loop_timer_cancel(log->d->loop, &log->timer);
    if (log->fd >= 0) {
        write_out(log);
        close(log->fd);
    }
    buf_release(&log->buf);
    free(log);
}
