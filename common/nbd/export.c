/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/nbd/export.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/nbd/proto.h"
#include "common/nbd/uri.h"

/* One request; it joins its export's list of ended ones when libnbd reports it. */
struct op {
    struct nbd_export *conn;
    nbd_export_done *fn;
    void *arg;
    nbd_export_zeroes *zeroes; /* of a status request, for [from, to) */
    uint64_t from, to;
    int result;
    struct op *next;     /* among the ended, or the free ones */
    struct op *next_all; /* every request ever made: what nbd_export_free() frees */
};

struct nbd_export {
    struct nbd_handle *nbd;
    struct nbd_export_info info;
    unsigned in_flight;
    struct op *all;
    struct op *spare; /* free for the next request */
    struct op *done;  /* reported by libnbd, callback not yet called; oldest first */
    struct op **done_tail;
    bool flushing; /* a flush is unanswered */
    int flush_result;
    char error[256];
};

struct nbd_export *nbd_export_new(void)
{
    struct nbd_export *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->done_tail = &e->done;
    e->nbd = nbd_create();
    if (!e->nbd) {
        free(e);
        return NULL;
    }
    return e;
}

void nbd_export_free(struct nbd_export *e)
{
    if (!e)
        return;
    if (nbd_aio_is_ready(e->nbd) == 1)
        nbd_aio_disconnect(e->nbd, 0);
    nbd_close(e->nbd);
    while (e->all) {
        struct op *op = e->all;
        e->all = op->next_all;
        free(op);
    }
    free(e);
}

const struct nbd_export_info *nbd_export_info(const struct nbd_export *e)
{
    return &e->info;
}

const char *nbd_export_error(const struct nbd_export *e)
{
    return e->error;
}

unsigned nbd_export_in_flight(const struct nbd_export *e)
{
    return e->in_flight;
}

/* As far as libnbd has noticed. */
static bool usable(const struct nbd_export *e)
{
    return nbd_aio_is_dead(e->nbd) == 0 && nbd_aio_is_closed(e->nbd) == 0;
}

bool nbd_export_alive(const struct nbd_export *e)
{
    if (!usable(e))
        return false;
    struct pollfd p = {.fd = nbd_aio_get_fd(e->nbd), .events = POLLRDHUP};
    return poll(&p, 1, 0) == 0;
}

/* Keeps the text of ERR, a positive or negative errno, and returns it negative. */
static int failed(struct nbd_export *e, int err)
{
    snprintf(e->error, sizeof(e->error), "%s", err_text(err));
    return err < 0 ? err : -err;
}

/* As failed(), from libnbd's last error in this thread: its errno is 0 for protocol faults. */
static int failed_nbd(struct nbd_export *e)
{
    int err = nbd_get_errno();
    const char *text = nbd_get_error();
    snprintf(e->error, sizeof(e->error), "%s", text ? text : "unknown error");
    return err ? -err : -EPROTO;
}

/* Lets libnbd's state machine see what poll() reported. */
static int notify(struct nbd_export *e, short revents)
{
    unsigned want = nbd_aio_get_direction(e->nbd);
    int r = 0;
    if ((want & LIBNBD_AIO_DIRECTION_READ) && (revents & (POLLIN | POLLHUP | POLLERR)))
        r = nbd_aio_notify_read(e->nbd);
    else if ((want & LIBNBD_AIO_DIRECTION_WRITE) && (revents & (POLLOUT | POLLHUP | POLLERR)))
        r = nbd_aio_notify_write(e->nbd);
    return r < 0 ? failed_nbd(e) : 0;
}

/* What to poll for; false if the connection has ended. */
static bool poll_entry(struct nbd_export *e, struct pollfd *p)
{
    *p = (struct pollfd){.fd = -1};
    if (!usable(e))
        return false;
    p->fd = nbd_aio_get_fd(e->nbd);
    unsigned want = nbd_aio_get_direction(e->nbd);
    if (want & LIBNBD_AIO_DIRECTION_READ)
        p->events |= POLLIN;
    if (want & LIBNBD_AIO_DIRECTION_WRITE)
        p->events |= POLLOUT;
    return p->fd >= 0;
}

/* Milliseconds from now to DEADLINE_US (clock_mono_us()), rounded up, at least 0. */
static int ms_left(uint64_t deadline_us)
{
    uint64_t now = clock_mono_us();
    return now >= deadline_us ? 0 : (int)((deadline_us - now + 999) / 1000);
}

void nbd_export_part(struct nbd_export *e, int timeout_ms)
{
    uint64_t deadline = clock_mono_us() + (uint64_t)timeout_ms * 1000;
    struct pollfd p;
    if (nbd_aio_is_ready(e->nbd) == 1)
        nbd_aio_disconnect(e->nbd, 0);
    while (poll_entry(e, &p)) {
        int n = poll(&p, 1, ms_left(deadline));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || notify(e, p.revents) < 0)
            break;
    }
    nbd_export_free(e);
}

static int start_connect(struct nbd_export *e, const struct nbd_addr *a, const char *volume)
{
    if (nbd_set_export_name(e->nbd, volume) < 0 || nbd_set_pread_initialize(e->nbd, false) < 0 ||
        nbd_add_meta_context(e->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
        return failed_nbd(e);
    int r = a->path[0] ? nbd_aio_connect_unix(e->nbd, a->path)
                       : nbd_aio_connect_tcp(e->nbd, a->host, a->port);
    return r < 0 ? failed_nbd(e) : 0;
}

static int shake_hands(struct nbd_export *e, int timeout_ms)
{
    uint64_t deadline = clock_mono_us() + (uint64_t)timeout_ms * 1000;
    while (nbd_aio_is_ready(e->nbd) != 1) {
        struct pollfd p;
        if (!poll_entry(e, &p))
            return failed(e, ECONNRESET);
        int n = poll(&p, 1, ms_left(deadline));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(e, errno);
        if (n == 0)
            return failed(e, ETIMEDOUT);
        int r = notify(e, p.revents);
        if (r < 0)
            return r;
    }
    return 0;
}

static uint32_t block_size(struct nbd_export *e, int kind, uint32_t otherwise)
{
    int64_t v = nbd_get_block_size(e->nbd, kind);
    return v > 0 && v <= UINT32_MAX ? (uint32_t)v : otherwise;
}

static int ask_info(struct nbd_export *e)
{
    int64_t size = nbd_get_size(e->nbd);
    if (size < 0)
        return failed_nbd(e);
    e->info = (struct nbd_export_info){
        .size_bytes = (uint64_t)size,
        .block_min = block_size(e, LIBNBD_SIZE_MINIMUM, 1),
        .block_max = block_size(e, LIBNBD_SIZE_MAXIMUM, NBD_PAYLOAD_MAX),
        .read_only = nbd_is_read_only(e->nbd) != 0,
        .flush = nbd_can_flush(e->nbd) == 1,
        .fua = nbd_can_fua(e->nbd) == 1,
        .zeroes = nbd_can_zero(e->nbd) == 1,
        .multi_conn = nbd_can_multi_conn(e->nbd) == 1,
        .status = nbd_can_meta_context(e->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1,
    };
    return 0;
}

static int connect_to(struct nbd_export *e, const struct nbd_addr *a, const char *name,
                      int timeout_ms)
{
    int r = start_connect(e, a, name);
    if (r == 0)
        r = shake_hands(e, timeout_ms);
    if (r == 0)
        r = ask_info(e);
    return r;
}

int nbd_export_connect(struct nbd_export *e, const char *uri, const char *volume, int timeout_ms)
{
    struct nbd_addr addr;
    int r = nbd_addr_parse(uri, &addr);
    return r < 0 ? failed(e, r) : connect_to(e, &addr, volume, timeout_ms);
}

int nbd_export_connect_unix(struct nbd_export *e, const char *path, const char *name,
                            int timeout_ms)
{
    struct nbd_addr addr = {.host = ""};
    int n = snprintf(addr.path, sizeof(addr.path), "%s", path);
    if (n < 0 || (size_t)n >= sizeof(addr.path))
        return failed(e, ENAMETOOLONG);
    return connect_to(e, &addr, name, timeout_ms);
}

/*
 * libnbd's callback.  It runs under the handle's lock, where no call on the handle is allowed: so
 * the request is only put on the list that nbd_export_wait() works off.
 */
static int op_ended(void *arg, int *error)
{
    struct op *op = arg;
    struct nbd_export *e = op->conn;
    op->result = -*error;
    op->next = NULL;
    *e->done_tail = op;
    e->done_tail = &op->next;
    return 1; /* libnbd forgets the request by itself */
}

static struct op *op_new(struct nbd_export *e, nbd_export_done *fn, void *arg)
{
    struct op *op = e->spare;
    if (op) {
        e->spare = op->next;
    } else {
        op = calloc(1, sizeof(*op));
        if (!op)
            return NULL;
        op->conn = e;
        op->next_all = e->all;
        e->all = op;
    }
    op->fn = fn;
    op->arg = arg;
    return op;
}

static void op_spare(struct op *op)
{
    op->next = op->conn->spare;
    op->conn->spare = op;
}

/* COOKIE is what libnbd's start function returned. */
static int op_started(struct nbd_export *e, struct op *op, int64_t cookie)
{
    if (cookie < 0) {
        op_spare(op);
        return failed_nbd(e);
    }
    e->in_flight++;
    return 0;
}

static nbd_completion_callback completion(struct op *op)
{
    return (nbd_completion_callback){.callback = op_ended, .user_data = op};
}

int nbd_export_read(struct nbd_export *e, void *buf, size_t len, uint64_t offset,
                    nbd_export_done *fn, void *arg)
{
    struct op *op = op_new(e, fn, arg);
    if (!op)
        return failed(e, ENOMEM);
    return op_started(e, op, nbd_aio_pread(e->nbd, buf, len, offset, completion(op), 0));
}

int nbd_export_write(struct nbd_export *e, const void *buf, size_t len, uint64_t offset,
                     nbd_export_done *fn, void *arg)
{
    struct op *op = op_new(e, fn, arg);
    if (!op)
        return failed(e, ENOMEM);
    return op_started(e, op, nbd_aio_pwrite(e->nbd, buf, len, offset, completion(op), 0));
}

int nbd_export_zero(struct nbd_export *e, uint64_t len, uint64_t offset, nbd_export_done *fn,
                    void *arg)
{
    struct op *op = op_new(e, fn, arg);
    if (!op)
        return failed(e, ENOMEM);
    return op_started(e, op, nbd_aio_zero(e->nbd, len, offset, completion(op), 0));
}

/* ENTRIES: pairs of a length and flags, the first at OFFSET.  Under the handle's lock. */
static int op_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries, size_t n,
                      int *error)
{
    struct op *op = arg;
    if (*error || strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    for (size_t i = 0; i + 1 < n && offset < op->to; i += 2) {
        uint64_t from = offset > op->from ? offset : op->from;
        uint64_t to = offset + entries[i];
        offset = to;
        if (to > op->to)
            to = op->to;
        if ((entries[i + 1] & LIBNBD_STATE_ZERO) && from < to)
            op->zeroes(op->arg, from, to - from);
    }
    return 0;
}

int nbd_export_status(struct nbd_export *e, uint64_t len, uint64_t offset,
                      nbd_export_zeroes *zeroes, nbd_export_done *fn, void *arg)
{
    struct op *op = op_new(e, fn, arg);
    if (!op)
        return failed(e, ENOMEM);
    op->zeroes = zeroes;
    op->from = offset;
    op->to = offset + len;
    nbd_extent_callback extents = {.callback = op_extents, .user_data = op};
    return op_started(e, op, nbd_aio_block_status(e->nbd, len, offset, extents, completion(op), 0));
}

/* Calls the callbacks of what has ended; how many. */
static int dispatch(struct nbd_export *e)
{
    int n = 0;
    while (e->done) {
        struct op *op = e->done;
        e->done = op->next;
        if (!e->done)
            e->done_tail = &e->done;
        e->in_flight--;
        if (op->result < 0)
            failed(e, op->result);
        op->fn(op->arg, op->result);
        op_spare(op);
        n++;
    }
    return n;
}

static int dispatch_all(struct nbd_export *const *exports, size_t n)
{
    int called = 0;
    for (size_t i = 0; i < n; i++)
        called += dispatch(exports[i]);
    return called;
}

/* Polls the exports once and feeds libnbd.  1, 0 when the time is up, or -errno. */
static int poll_once(struct nbd_export *const *exports, size_t n, int timeout_ms)
{
    struct pollfd p[8];
    size_t live = 0;
    for (size_t i = 0; i < n; i++)
        live += poll_entry(exports[i], &p[i]);
    if (live == 0)
        return 0;
    int r = poll(p, n, timeout_ms);
    if (r < 0)
        return -errno;
    for (size_t i = 0; i < n; i++)
        if (p[i].fd >= 0 && p[i].revents)
            notify(exports[i], p[i].revents); /* a failure shows as requests ended by ENOTCONN */
    return r > 0;
}

static unsigned total_in_flight(struct nbd_export *const *exports, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exports[i]->in_flight;
    return sum;
}

int nbd_export_wait(struct nbd_export *const *exports, size_t n, int timeout_ms)
{
    if (n > 8)
        return -EINVAL;
    uint64_t deadline = clock_mono_us() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms) * 1000;
    for (;;) {
        int called = dispatch_all(exports, n);
        if (called || total_in_flight(exports, n) == 0)
            return called;
        int r = poll_once(exports, n, timeout_ms < 0 ? -1 : ms_left(deadline));
        if (r <= 0)
            return r < 0 ? r : dispatch_all(exports, n);
    }
}

static void flush_ended(void *arg, int result)
{
    struct nbd_export *e = arg;
    e->flushing = false;
    e->flush_result = result;
}

static int start_flush(struct nbd_export *e)
{
    if (e->flushing) /* an earlier one, given up */
        return failed(e, EBUSY);
    struct op *op = op_new(e, flush_ended, e);
    if (!op)
        return failed(e, ENOMEM);
    int r = op_started(e, op, nbd_aio_flush(e->nbd, completion(op), 0));
    e->flushing = r == 0;
    return r;
}

static bool any_flushing(struct nbd_export *const *exports, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (exports[i]->flushing)
            return true;
    return false;
}

static int await_flushes(struct nbd_export *const *exports, size_t n, int timeout_ms)
{
    uint64_t deadline = clock_mono_us() + (uint64_t)timeout_ms * 1000;
    while (any_flushing(exports, n)) {
        int left = ms_left(deadline);
        if (left == 0)
            return failed(exports[0], ETIMEDOUT);
        int r = nbd_export_wait(exports, n, left);
        if (r < 0 && r != -EINTR)
            return failed(exports[0], r);
    }
    return 0;
}

int nbd_export_flush_all(struct nbd_export *const *exports, size_t n, int timeout_ms)
{
    size_t started = 0;
    int first = 0;
    while (started < n && first == 0) {
        first = start_flush(exports[started]);
        started += first == 0;
    }
    size_t at_fault = started;
    int r = await_flushes(exports, started, timeout_ms);
    if (r < 0)
        return r;
    for (size_t i = 0; i < started && first == 0; i++) {
        first = exports[i]->flush_result;
        at_fault = i;
    }
    if (first < 0 && at_fault > 0)
        snprintf(exports[0]->error, sizeof(exports[0]->error), "%s", exports[at_fault]->error);
    return first;
}

int nbd_export_flush(struct nbd_export *e, int timeout_ms)
{
    return nbd_export_flush_all(&e, 1, timeout_ms);
}
