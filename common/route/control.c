/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/route/control.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    REPLY_MAX = 64 << 20, /* bytes; a longer reply is no director's */
    CONNECT_TIMEOUT_S = 5 /* while the director's backlog is full */
};

struct control {
    int fd;           /* -1 once the connection is unusable */
    struct buf data;  /* of the reply being read, then of the last one */
    struct buf reply; /* text of its last line */
};

/* ---- connection ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(addr.sun_path))
        return -ENAMETOOLONG;
    memcpy(addr.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct timeval patience = {.tv_sec = CONNECT_TIMEOUT_S};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        int err = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return err;
    }
    return fd;
}

int control_open(const char *path, struct control **out)
{
    struct control *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->fd = connect_to(path);
    if (c->fd < 0) {
        int err = c->fd;
        free(c);
        return err;
    }
    *out = c;
    return 0;
}

void control_close(struct control *c)
{
    if (!c)
        return;
    if (c->fd >= 0)
        close(c->fd);
    buf_release(&c->data);
    buf_release(&c->reply);
    free(c);
}

/* ---- bytes, until a deadline ---- */

/* Waits for EVENTS; DEADLINE is clock_mono_us(), UINT64_MAX for none. */
static int wait_ready(int fd, short events, uint64_t deadline)
{
    for (;;) {
        int ms = -1;
        if (deadline != UINT64_MAX) {
            uint64_t now = clock_mono_us();
            uint64_t left = deadline > now ? (deadline - now + 999) / 1000 : 0;
            ms = left > INT32_MAX ? INT32_MAX : (int)left;
        }
        int n = poll(&(struct pollfd){.fd = fd, .events = events}, 1, ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0 && ms != INT32_MAX)
            return -ETIMEDOUT;
    }
}

static bool may_retry(int err)
{
    return err == EINTR || err == EAGAIN || err == EWOULDBLOCK;
}

static int send_all(int fd, const struct buf *request, uint64_t deadline)
{
    size_t done = 0;
    while (done < request->len) {
        int r = wait_ready(fd, POLLOUT, deadline);
        if (r < 0)
            return r;
        ssize_t n =
            send(fd, request->data + done, request->len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && !may_retry(errno))
            return errno == EPIPE ? -ECONNRESET : -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Appends what has come to B. */
static int receive(int fd, struct buf *b, uint64_t deadline)
{
    if (b->len > REPLY_MAX)
        return -EPROTO;
    if (buf_reserve(b, 4096) < 0)
        return -ENOMEM;
    int r = wait_ready(fd, POLLIN, deadline);
    if (r < 0)
        return r;
    ssize_t n = recv(fd, b->data + b->len, 4096, MSG_DONTWAIT);
    if (n < 0)
        return may_retry(errno) ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    b->len += (size_t)n;
    b->data[b->len] = 0;
    return 0;
}

/* ---- replies ---- */

/* Is LINE (LEN bytes, without newline) WORD, alone or followed by a blank and text? */
static bool starts_with(const char *line, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len >= n && memcmp(line, word, n) == 0 && (len == n || line[n] == ' ');
}

/* The negative errno of "err NAME TEXT"; *SKIP is where TEXT begins. */
static int parse_err(const char *line, size_t len, size_t *skip)
{
    char name[32];
    size_t start = strlen("err ");
    if (len <= start)
        return -EPROTO;
    const char *blank = memchr(line + start, ' ', len - start);
    size_t end = blank ? (size_t)(blank - line) : len;
    if (end - start >= sizeof(name))
        return -EPROTO;
    memcpy(name, line + start, end - start);
    name[end - start] = 0;
    int err = err_number(name);
    if (err <= 0)
        return -EPROTO;
    *skip = end;
    return -err;
}

/*
 * The last line of a reply stands at START in c->data, LEN bytes: moves its text to c->reply and
 * cuts it off.  The call's result.
 */
static int finish(struct control *c, size_t start, size_t len)
{
    const char *line = c->data.data + start;
    size_t skip = strlen("ok");
    int result = line[0] == 'o' ? 0 : parse_err(line, len, &skip);
    if (result == -EPROTO)
        skip = 0;
    if (skip < len && line[skip] == ' ')
        skip++;
    int r = buf_add(&c->reply, line + skip, len - skip);
    c->data.len = start;
    c->data.data[start] = 0;
    return r < 0 ? r : result;
}

/* Looks through the lines from *SCANNED on.  1 when the last one is there, *RESULT then set. */
static int scan(struct control *c, size_t *scanned, int *result)
{
    const char *nl;
    while ((nl = memchr(c->data.data + *scanned, '\n', c->data.len - *scanned))) {
        const char *line = c->data.data + *scanned;
        size_t len = (size_t)(nl - line);
        if (starts_with(line, len, "ok") || starts_with(line, len, "err")) {
            /* Nothing was asked that could be answered behind it. */
            if (*scanned + len + 1 != c->data.len)
                return -EPROTO;
            *result = finish(c, *scanned, len);
            return 1;
        }
        *scanned += len + 1;
    }
    return 0;
}

static int read_reply(struct control *c, uint64_t deadline, int *result)
{
    size_t scanned = 0;
    int r;
    do {
        r = receive(c->fd, &c->data, deadline);
        if (r == 0)
            r = scan(c, &scanned, result);
    } while (r == 0);
    return r < 0 ? r : 0;
}

__attribute__((format(printf, 2, 0))) static int format_request(struct buf *out, const char *fmt,
                                                                va_list ap)
{
    char *text;
    if (vasprintf(&text, fmt, ap) < 0)
        return -ENOMEM;
    int r = strchr(text, '\n') ? -EINVAL : buf_printf(out, "%s\n", text);
    free(text);
    return r;
}

/* Sends REQUEST and reads its reply: 0, then *RESULT, or -errno with the connection spoilt. */
static int exchange(struct control *c, const struct buf *request, int timeout_ms, int *result)
{
    uint64_t deadline = UINT64_MAX;
    if (timeout_ms >= 0)
        deadline = clock_mono_us() + (uint64_t)timeout_ms * 1000;
    int r = send_all(c->fd, request, deadline);
    return r < 0 ? r : read_reply(c, deadline, result);
}

int control_call(struct control *c, int timeout_ms, const char *fmt, ...)
{
    struct buf request = {0};
    va_list ap;
    buf_clear(&c->data);
    buf_clear(&c->reply);
    if (c->fd < 0)
        return -ECONNRESET;
    va_start(ap, fmt);
    int r = format_request(&request, fmt, ap);
    va_end(ap);
    if (r < 0)
        goto out;
    int result = 0;
    r = exchange(c, &request, timeout_ms, &result);
    if (r < 0) {
        /* A late reply would be taken for the next request's. */
        close(c->fd);
        c->fd = -1;
        buf_clear(&c->data);
    } else {
        r = result;
    }
out:
    buf_release(&request);
    return r;
}

const char *control_reply(const struct control *c)
{
    return c->reply.data ? c->reply.data : "";
}

const char *control_data(const struct control *c)
{
    return c->data.data ? c->data.data : "";
}
