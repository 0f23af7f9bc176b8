/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/nbd/probe.h"

#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/rng.h"

/* What the probe waits for. */
enum phase {
    PHASE_IDLE,    /* nothing: not begun, or over */
    PHASE_CONNECT, /* the socket's connection */
    PHASE_GREET,   /* the server's greeting, up to the options */
    PHASE_LIST,    /* answer to LIST */
    PHASE_GO,      /* answer to GO */
    PHASE_READ,    /* answer to a read */
};

struct nbd_probe {
    struct nbd_addr addr;
    char *volume; /* NULL: choose one */
    unsigned reads;
    struct rng rng;
    char *export; /* chosen by an earlier list; NULL: none yet */

    enum phase phase;
    struct nbd_handle *nbd;
    int fd; /* while connecting; then libnbd owns it */
    uint64_t begun_us;
    uint64_t asked_us;   /* when the request that is waited for was sent */
    uint64_t listing_us; /* time that LIST took */
    uint64_t deadline_us;
    bool listed;   /* in this probe */
    bool answered; /* the request that is waited for */
    int answer;    /* its error, 0 or an errno */
    char *first;   /* smallest name that LIST brought so far */
    uint64_t good_us[NBD_PROBE_READS_MAX];
    unsigned char data[NBD_PROBE_READ_LEN];
    struct nbd_probe_report report;
    char error[256];
};

struct nbd_probe *nbd_probe_new(const struct nbd_addr *addr, const char *volume, unsigned reads,
                                uint64_t seed)
{
    struct nbd_probe *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->addr = *addr;
    p->reads = reads < NBD_PROBE_READS_MAX ? reads : NBD_PROBE_READS_MAX;
    p->fd = -1;
    rng_init(&p->rng, seed);
    if (volume && !(p->volume = strdup(volume))) {
        free(p);
        return NULL;
    }
    return p;
}

static void hang_up(struct nbd_probe *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    /* A goodbye, as far as it goes without waiting. */
    if (p->nbd && nbd_aio_is_negotiating(p->nbd) == 1)
        nbd_aio_opt_abort(p->nbd);
    else if (p->nbd && nbd_aio_is_ready(p->nbd) == 1)
        nbd_aio_disconnect(p->nbd, 0);
    nbd_close(p->nbd);
    p->nbd = NULL;
    free(p->first);
    p->first = NULL;
    p->phase = PHASE_IDLE;
}

void nbd_probe_free(struct nbd_probe *p)
{
    if (!p)
        return;
    hang_up(p);
    free(p->volume);
    free(p->export);
    free(p);
}

/* Keeps the first failure. */
static void note(struct nbd_probe *p, int err, const char *text)
{
    if (p->report.error)
        return;
    p->report.error = err > 0 ? -err : err;
    snprintf(p->error, sizeof(p->error), "%s", text);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool over(struct nbd_probe *p)
{
    unsigned good = p->report.reads - p->report.failed;
    if (good) {
        qsort(p->good_us, good, sizeof(p->good_us[0]), by_size);
        p->report.read_us = p->good_us[good / 2];
    }
    hang_up(p);
    return true;
}

/* Ends the probe with ERR, a read that is waited for being a failed one. */
static bool fail(struct nbd_probe *p, int err)
{
    if (p->phase == PHASE_READ)
        p->report.failed++;
    note(p, err, err_text(err));
    return over(p);
}

/* As fail(), with libnbd's reason; its errno is 0 for faults of protocol. */
static bool fail_nbd(struct nbd_probe *p)
{
    int err = nbd_get_errno();
    const char *text = nbd_get_error();
    note(p, err ? err : EPROTO, text ? text : err_text(EPROTO));
    return fail(p, EPROTO);
}

static int on_answer(void *arg, int *error)
{
    struct nbd_probe *p = arg;
    p->answered = true;
    p->answer = *error;
    return 1;
}

static int on_export(void *arg, const char *name, const char *description)
{
    struct nbd_probe *p = arg;
    (void)description;
    if (p->first && strcmp(p->first, name) <= 0)
        return 0;
    char *copy = strdup(name);
    if (!copy)
        return -1;
    free(p->first);
    p->first = copy;
    return 0;
}

static void expect(struct nbd_probe *p, enum phase phase)
{
    p->phase = phase;
    p->answered = false;
    p->answer = 0;
    p->asked_us = clock_mono_us();
}

static bool ask_list(struct nbd_probe *p)
{
    expect(p, PHASE_LIST);
    p->listed = true;
    int r = nbd_aio_opt_list(p->nbd, (nbd_list_callback){.callback = on_export, .user_data = p},
                             (nbd_completion_callback){.callback = on_answer, .user_data = p});
    return r < 0 ? fail_nbd(p) : false;
}

static bool ask_go(struct nbd_probe *p)
{
    const char *name = p->volume ? p->volume : p->export ? p->export : "";
    expect(p, PHASE_GO);
    if (nbd_set_export_name(p->nbd, name) < 0 ||
        nbd_aio_opt_go(p->nbd, (nbd_completion_callback){.callback = on_answer, .user_data = p}) <
            0)
        return fail_nbd(p);
    return false;
}

/* The next read, or the end. */
static bool ask_read(struct nbd_probe *p)
{
    int64_t size = nbd_get_size(p->nbd);
    uint64_t pages = size > 0 ? (uint64_t)size / NBD_PROBE_READ_LEN : 0;
    if (p->report.reads == p->reads || pages == 0)
        return over(p);
    uint64_t offset = rng_below(&p->rng, pages) * NBD_PROBE_READ_LEN;
    expect(p, PHASE_READ);
    p->report.reads++;
    int64_t r = nbd_aio_pread(p->nbd, p->data, sizeof(p->data), offset,
                              (nbd_completion_callback){.callback = on_answer, .user_data = p}, 0);
    return r < 0 ? fail_nbd(p) : false;
}

static bool connected(struct nbd_probe *p)
{
    p->report.connected = true;
    p->report.connect_us = clock_mono_us() - p->begun_us - p->listing_us;
    return nbd_aio_is_ready(p->nbd) == 1 ? ask_read(p) : over(p);
}

static bool after_connect(struct nbd_probe *p)
{
    int err = 0;
    socklen_t len = sizeof(err);
    if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err)
        return fail(p, err);
    int fd = p->fd;
    p->fd = -1; /* libnbd closes it from here on, also when it fails */
    expect(p, PHASE_GREET);
    return nbd_aio_connect_socket(p->nbd, fd) < 0 ? fail_nbd(p) : false;
}

static bool after_greeting(struct nbd_probe *p)
{
    bool choose = !p->volume && !p->export;
    return choose ? ask_list(p) : ask_go(p);
}

static bool after_list(struct nbd_probe *p)
{
    p->listing_us += clock_mono_us() - p->asked_us;
    free(p->export);
    p->export = p->first;
    p->first = NULL;
    /* A gateway without exports answered well; there is only nothing to read. */
    bool empty = p->answer == 0 && !p->export;
    return empty ? connected(p) : ask_go(p);
}

static bool after_go(struct nbd_probe *p)
{
    if (p->answer == 0)
        return connected(p);
    /* What an earlier list had may be gone: choose anew, once. */
    if (p->volume || p->listed)
        return fail(p, p->answer);
    p->listing_us += clock_mono_us() - p->asked_us;
    return ask_list(p);
}

static bool after_read(struct nbd_probe *p)
{
    if (p->answer) {
        p->report.failed++;
        note(p, p->answer, err_text(p->answer));
    } else {
        p->good_us[p->report.reads - p->report.failed - 1] = clock_mono_us() - p->asked_us;
    }
    return ask_read(p);
}

/* Acts on what has come; true if the probe is over. */
static bool advance(struct nbd_probe *p)
{
    /* A good answer counts, even if the connection ended right behind it. */
    bool ended = nbd_aio_is_dead(p->nbd) == 1 || nbd_aio_is_closed(p->nbd) == 1;
    if (ended && !(p->answered && p->answer == 0))
        return fail(p, p->answer ? p->answer : ECONNRESET);
    switch (p->phase) {
    case PHASE_GREET:
        return nbd_aio_is_negotiating(p->nbd) == 1 ? after_greeting(p) : false;
    case PHASE_LIST:
        return p->answered ? after_list(p) : false;
    case PHASE_GO:
        return p->answered ? after_go(p) : false;
    case PHASE_READ:
        return p->answered ? after_read(p) : false;
    case PHASE_IDLE:
    case PHASE_CONNECT:
        break;
    }
    return false;
}

static bool notify(struct nbd_probe *p, short revents)
{
    unsigned want = nbd_aio_get_direction(p->nbd);
    int r = 0;
    if ((want & LIBNBD_AIO_DIRECTION_READ) && (revents & (POLLIN | POLLHUP | POLLERR)))
        r = nbd_aio_notify_read(p->nbd);
    else if ((want & LIBNBD_AIO_DIRECTION_WRITE) && (revents & (POLLOUT | POLLHUP | POLLERR)))
        r = nbd_aio_notify_write(p->nbd);
    return r < 0 ? fail_nbd(p) : false;
}

bool nbd_probe_begin(struct nbd_probe *p, uint64_t deadline_us)
{
    p->report = (struct nbd_probe_report){0};
    p->error[0] = 0;
    p->begun_us = clock_mono_us();
    p->deadline_us = deadline_us;
    p->listing_us = 0;
    p->listed = false;
    p->answered = false;
    p->nbd = nbd_create();
    if (!p->nbd || nbd_set_opt_mode(p->nbd, true) < 0)
        return fail_nbd(p);
    p->fd = nbd_addr_connect(&p->addr);
    if (p->fd < 0)
        return fail(p, p->fd);
    p->phase = PHASE_CONNECT;
    return false;
}

struct pollfd nbd_probe_pollfd(const struct nbd_probe *p)
{
    struct pollfd pfd = {.fd = -1};
    if (p->phase == PHASE_CONNECT) {
        pfd.fd = p->fd;
        pfd.events = POLLOUT;
    } else if (p->phase != PHASE_IDLE) {
        unsigned want = nbd_aio_get_direction(p->nbd);
        pfd.fd = nbd_aio_get_fd(p->nbd);
        pfd.events = (short)((want & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                             (want & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
    }
    return pfd;
}

uint64_t nbd_probe_deadline_us(const struct nbd_probe *p)
{
    return p->deadline_us;
}

/* Acts on all that has come: one packet may bring several answers. */
static bool advance_all(struct nbd_probe *p)
{
    enum phase before;
    bool ended;
    do {
        before = p->phase;
        ended = advance(p);
    } while (!ended && (p->phase != before || p->answered));
    return ended;
}

bool nbd_probe_step(struct nbd_probe *p, short revents)
{
    bool ended = p->phase == PHASE_IDLE;
    if (!ended && revents && p->phase == PHASE_CONNECT)
        ended = after_connect(p);
    else if (!ended && revents)
        ended = notify(p, revents);
    if (!ended && revents && p->phase != PHASE_CONNECT)
        ended = advance_all(p);
    if (!ended && clock_mono_us() >= p->deadline_us)
        ended = fail(p, ETIMEDOUT);
    return ended;
}

void nbd_probe_run(struct nbd_probe *p, uint64_t timeout_us)
{
    bool over = nbd_probe_begin(p, clock_mono_us() + timeout_us);
    while (!over) {
        struct pollfd fd = nbd_probe_pollfd(p);
        uint64_t now = clock_mono_us();
        uint64_t end = nbd_probe_deadline_us(p);
        int n = poll(&fd, 1, end > now ? (int)((end - now) / 1000) + 1 : 0);
        over = nbd_probe_step(p, n > 0 ? fd.revents : 0);
    }
}

const struct nbd_probe_report *nbd_probe_report(const struct nbd_probe *p)
{
    return &p->report;
}

const char *nbd_probe_error(const struct nbd_probe *p)
{
    return p->error;
}
