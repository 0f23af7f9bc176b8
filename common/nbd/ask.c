/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/nbd/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/nbd/handshake.h"
#include "common/nbd/uri.h"

/* A server's answer to GO is short; one that goes on and on is none. */
enum { INPUT_MAX = 64 << 10 };

struct talk {
    int fd;
    uint64_t deadline_us;
    struct nbd_client client;
    struct buf in, out;
};

static int wait_for(const struct talk *t, short events)
{
    for (;;) {
        uint64_t now = clock_mono_us();
        if (now >= t->deadline_us)
            return -ETIMEDOUT;
        int ms = (int)((t->deadline_us - now + 999) / 1000);
        int n = poll(&(struct pollfd){.fd = t->fd, .events = events}, 1, ms);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static int finish_connect(const struct talk *t)
{
    int err = 0;
    socklen_t len = sizeof(err);
    int r = wait_for(t, POLLOUT);
    if (r < 0)
        return r;
    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        return -errno;
    return -err;
}

static int send_out(struct talk *t)
{
    size_t done = 0;
    while (done < t->out.len) {
        int r = wait_for(t, POLLOUT);
        if (r < 0)
            return r;
        ssize_t n = send(t->fd, t->out.data + done, t->out.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&t->out);
    return 0;
}

static int receive(struct talk *t)
{
    if (t->in.len > INPUT_MAX)
        return -EPROTO;
    if (buf_reserve(&t->in, 4096) < 0)
        return -ENOMEM;
    int r = wait_for(t, POLLIN);
    if (r < 0)
        return r;
    ssize_t n = recv(t->fd, t->in.data + t->in.len, 4096, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    t->in.len += (size_t)n;
    return 0;
}

/* Until the client's side is done.  0 or -errno. */
static int shake_hands(struct talk *t)
{
    int r = finish_connect(t);
    while (r == 0) {
        size_t used = 0;
        r = receive(t);
        if (r < 0)
            break;
        int step =
            nbd_client_input(&t->client, (unsigned char *)t->in.data, t->in.len, &used, &t->out);
        if (step < 0 || step == NBD_CLIENT_DONE)
            return step < 0 ? step : 0;
        memmove(t->in.data, t->in.data + used, t->in.len - used);
        t->in.len -= used;
        r = send_out(t);
    }
    return r;
}

int nbd_ask(const char *uri, const char *volume, int timeout_ms, uint64_t *size_bytes, char *why,
            size_t why_size)
{
    struct nbd_addr addr;
    struct talk t = {.fd = -1, .deadline_us = clock_mono_us() + (uint64_t)timeout_ms * 1000};
    int r = nbd_addr_parse(uri, &addr);
    if (r == 0)
        r = t.fd = nbd_addr_connect(&addr);
    if (r >= 0) {
        nbd_client_start(&t.client, volume);
        r = shake_hands(&t);
        close(t.fd);
    }
    snprintf(why, why_size, "%s", t.client.error[0] ? t.client.error : r < 0 ? err_text(r) : "");
    if (t.fd < 0 && (r == -ENOENT || r == -EPERM))
        r = -ECONNREFUSED; /* so it is no answer about the export */
    *size_bytes = r == 0 ? t.client.export.size : 0;
    buf_release(&t.in);
    buf_release(&t.out);
    return r;
}
