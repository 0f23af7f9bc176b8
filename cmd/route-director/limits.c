/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "limits.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "worker.h"

/*
 * A TCP peer that answers nothing is given up after IDLE_S + PROBES * PROBE_S, two minutes: longer
 * than a network takes to find another way, short enough that a machine that came back does not
 * find its volume's old connections still there for hours (the system's default is two).
 */
enum { IDLE_S = 60, PROBE_S = 10, PROBES = 6 };

/* Descriptors that are neither a client's nor counted: doors, store, gateways of some volumes. */
enum { OTHER_FILES = 64 };

void limits_open_files(const struct settings *set)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    if (r.rlim_cur != r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
        getrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur != RLIM_INFINITY && r.rlim_cur < set->max_clients + OTHER_FILES)
        err_warn("%zu clients (--max-clients) do not fit in the limit of %llu open files",
                 set->max_clients, (unsigned long long)r.rlim_cur);
}

bool limits_take(struct director *d)
{
    struct workers *w = d->workers;
    size_t n = atomic_load(&w->n_clients);
    if (n < d->set.max_clients)
        return true;
    w->refused_clients++;
    if (ratelog_due(&w->crowd, clock_mono_us()))
        err_warn("a client was turned away: %zu are connected (--max-clients)%s", n, w->crowd.note);
    return false;
}

static void set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

void limits_socket(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t len = sizeof(domain);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    if (domain != AF_INET && domain != AF_INET6)
        return;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    /* Keep-alive does not look at a connection with data on their way. */
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (IDLE_S + PROBES * PROBE_S) * 1000);
}
