/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "volume.h"
#include "worker.h"

/*
 * FIRST_FD: where the protocol has the sockets begin.  STATUS_US: how often the status line is
 * renewed where no watchdog sets the pace.
 */
enum { FIRST_FD = 3, STATUS_US = 10000000 };

/* ---- the environment ---- */

static bool number(const char *name, uint64_t *n)
{
    const char *text = getenv(name);
    return text && parse_u64(text, n) == 0;
}

/* NAME holds a process id that is ours. */
static bool is_us(const char *name)
{
    uint64_t pid;
    return number(name, &pid) && pid == (uint64_t)getpid();
}

/* ---- sockets that were passed ---- */

bool service_has_sockets(void)
{
    return getenv("LISTEN_FDS") && is_us("LISTEN_PID");
}

static int int_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static bool is_door(int fd)
{
    int domain = int_option(fd, SO_DOMAIN);
    return (domain == AF_UNIX || domain == AF_INET || domain == AF_INET6) &&
           int_option(fd, SO_TYPE) == SOCK_STREAM && int_option(fd, SO_ACCEPTCONN) == 1;
}

/* Other commands find the director by the path of its control socket. */
static void take_path(struct service_socket *s)
{
    struct sockaddr_un a = {0};
    socklen_t len = sizeof(a);
    bool named = getsockname(s->fd, (struct sockaddr *)&a, &len) == 0 && a.sun_family == AF_UNIX &&
                 a.sun_path[0];
    if (!named)
        err_die(EX_CONFIG, "passed descriptor %d, 'control': not a unix socket with a path", s->fd);
    snprintf(s->path, sizeof(s->path), "%.*s", (int)sizeof(a.sun_path) - 1, a.sun_path);
}

static void take_socket(struct service_socket *s, int fd, const char *name, size_t len)
{
    static const char control[] = "control";
    *s = (struct service_socket){.fd = fd};
    s->control = len == strlen(control) && memcmp(name, control, len) == 0;
    if (!is_door(fd))
        err_die(EX_CONFIG, "passed descriptor %d, '%.*s': not a listening stream socket", fd,
                (int)len, name);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        err_die(EX_OSERR, "passed descriptor %d: %s", fd, err_text(errno));
    if (s->control)
        take_path(s);
}

static size_t count_names(const char *names)
{
    size_t n = 1;
    for (; *names; names++)
        n += *names == ':';
    return n;
}

size_t service_take_sockets(struct service_socket *s, size_t max)
{
    uint64_t n = 0;
    bool control = false;
    if (service_has_sockets()) {
        const char *names = getenv("LISTEN_FDNAMES");
        if (!number("LISTEN_FDS", &n) || n > max)
            err_die(EX_CONFIG, "LISTEN_FDS is '%s', not a number up to %zu", getenv("LISTEN_FDS"),
                    max);
        if (names && n && count_names(names) != n)
            err_die(EX_CONFIG, "LISTEN_FDNAMES has not as many names as LISTEN_FDS says");
        for (size_t i = 0; i < n; i++) {
            size_t len = names ? strcspn(names, ":") : 0;
            take_socket(&s[i], FIRST_FD + (int)i, names ? names : "", len);
            if (s[i].control && control)
                err_die(EX_CONFIG, "passed descriptor %d: a second control socket", s[i].fd);
            control |= s[i].control;
            if (names)
                names += len + (names[len] == ':');
        }
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return (size_t)n;
}

/* ---- how it fares ---- */

/* The manager's socket: a path, or a name in the abstract space behind an '@'. */
static int connect_manager(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(a.sun_path))
        return -EINVAL;
    memcpy(a.sun_path, name, len);
    if (name[0] == '@')
        a.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* A manager that is stuck must not stop the loop for longer. */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = 1}, sizeof(struct timeval));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (connect(fd, (struct sockaddr *)&a, size) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static uint64_t watchdog_us(void)
{
    uint64_t us = 0;
    bool ours = !getenv("WATCHDOG_PID") || is_us("WATCHDOG_PID");
    return ours && number("WATCHDOG_USEC", &us) ? us : 0;
}

void service_init(struct service *s)
{
    const char *name = getenv("NOTIFY_SOCKET");
    uint64_t us = watchdog_us();
    *s = (struct service){.fd = -1, .watched = us > 1};
    s->every_us = s->watched ? us / 2 : STATUS_US;
    if (name && *name) {
        s->fd = connect_manager(name);
        if (s->fd < 0)
            err_warn("cannot notify '%s': %s", name, err_text(s->fd));
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

/* A state that is lost is told again with the next tick, but READY and STOPPING are said once. */
static void tell(const struct service *s, const char *state, int flags)
{
    char text[256];
    int n = snprintf(text, sizeof(text), "%sSTATUS=%zu clients connected, %llu turned away\n",
                     state, atomic_load(&s->d->workers->n_clients),
                     (unsigned long long)s->d->workers->refused_clients);
    if (n > 0 && (size_t)n < sizeof(text))
        (void)!send(s->fd, text, (size_t)n, MSG_NOSIGNAL | flags);
}

static void tick(struct loop_timer *t)
{
    struct service *s = (struct service *)((char *)t - offsetof(struct service, tick));
    tell(s, s->watched ? "WATCHDOG=1\n" : "", MSG_DONTWAIT);
    loop_timer_set(s->d->loop, t, loop_now_us(s->d->loop) + s->every_us, tick);
}

void service_ready(struct service *s, struct director *d)
{
    s->d = d;
    if (s->fd < 0)
        return;
    tell(s, "READY=1\n", 0);
    loop_timer_set(d->loop, &s->tick, loop_now_us(d->loop) + s->every_us, tick);
}

void service_stopping(struct service *s)
{
    if (s->fd < 0)
        return;
    loop_timer_cancel(s->d->loop, &s->tick);
    tell(s, "STOPPING=1\n", 0);
    close(s->fd);
    s->fd = -1;
}
