/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a service takes from its environment, and lines that come too often. */
#include "cmd/route-director/service.h"
#include "cmd/route-director/worker.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/route-director/ratelog.h"
#include "common/base/loop.h"
#include "tests/unit/tap.h"

static void put(const char *name, const char *value)
{
    setenv(name, value, 1);
}

static void put_pid(const char *name, long more)
{
    char text[24];
    snprintf(text, sizeof(text), "%ld", (long)getpid() + more);
    put(name, text);
}

static void test_sockets(void)
{
    struct service_socket s[2];
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    CHECK(!service_has_sockets());
    CHECK_EQ_U64(service_take_sockets(s, 2), 0);
    put("LISTEN_FDS", "2");
    put("LISTEN_FDNAMES", "a:b");
    CHECK(!service_has_sockets());
    put_pid("LISTEN_PID", 1);
    CHECK(!service_has_sockets());
    CHECK_EQ_U64(service_take_sockets(s, 2), 0);
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    put("LISTEN_FDS", "0");
    put("LISTEN_FDNAMES", "");
    put_pid("LISTEN_PID", 0);
    CHECK(service_has_sockets());
    CHECK_EQ_U64(service_take_sockets(s, 2), 0);
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
}

static void test_watchdog(void)
{
    struct service s;
    unsetenv("NOTIFY_SOCKET");
    put("WATCHDOG_USEC", "3000000");
    put_pid("WATCHDOG_PID", 0);
    service_init(&s);
    CHECK(s.watched && s.fd == -1);
    CHECK_EQ_U64(s.every_us, 1500000);
    CHECK(!getenv("WATCHDOG_USEC") && !getenv("WATCHDOG_PID"));
    put("WATCHDOG_USEC", "3000000");
    service_init(&s);
    CHECK(s.watched);
    put("WATCHDOG_USEC", "3000000");
    put_pid("WATCHDOG_PID", 1);
    service_init(&s);
    CHECK(!s.watched);
    put("WATCHDOG_USEC", "soon");
    service_init(&s);
    CHECK(!s.watched);
}

/* What the manager, FD, is told; "" if nothing. */
static const char *told(int fd)
{
    static char text[256];
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void test_notify(void)
{
    struct workers w = {.n = 1};
    struct director d = {.loop = loop_new(), .workers = &w};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(a);
    struct service s;
    char name[sizeof(a.sun_path) + 1];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* An abstract name that the kernel chooses. */
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    len -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
    snprintf(name, sizeof(name), "@%.*s", (int)len - 1, a.sun_path + 1);
    put("NOTIFY_SOCKET", name);
    service_init(&s);
    CHECK(s.fd >= 0 && !getenv("NOTIFY_SOCKET"));
    service_ready(&s, &d);
    atomic_store(&w.n_clients, 3);
    w.refused_clients = 4;
    CHECK_STR(told(fd), "READY=1\nSTATUS=0 clients connected, 0 turned away\n");
    service_stopping(&s);
    CHECK_STR(told(fd), "STOPPING=1\nSTATUS=3 clients connected, 4 turned away\n");
    CHECK(s.fd == -1);
    service_stopping(&s);
    CHECK_STR(told(fd), "");
    close(fd);
    loop_free(d.loop);
}

static void test_ratelog(void)
{
    struct ratelog r = {0};
    CHECK(ratelog_due(&r, 5));
    CHECK_STR(r.note, "");
    CHECK(!ratelog_due(&r, 6));
    CHECK(!ratelog_due(&r, 1000004));
    CHECK(ratelog_due(&r, 1000005));
    CHECK_STR(r.note, " (2 more since the last line)");
    CHECK(!ratelog_due(&r, 1000006));
    CHECK(ratelog_due(&r, 9000000));
    CHECK_STR(r.note, " (1 more since the last line)");
    CHECK(ratelog_due(&r, 19000000));
    CHECK_STR(r.note, "");
}

int main(void)
{
    test_begin("service");
    test_sockets();
    test_watchdog();
    test_notify();
    test_ratelog();
    return test_done();
}
