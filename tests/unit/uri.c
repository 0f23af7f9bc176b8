/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gateway addresses: parsing, printing, connecting, listening. */
#include "common/nbd/uri.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tap.h"

static void test_good(void)
{
    static const struct {
        const char *uri, *host, *port, *path;
    } cases[] = {
        {"nbd://gw-a", "gw-a", "10809", ""},
        {"nbd://gw-a/", "gw-a", "10809", ""},
        {"nbd://192.0.2.1:1", "192.0.2.1", "1", ""},
        {"nbd://[2001:db8::1]:65535/", "2001:db8::1", "65535", ""},
        {"nbd://[::1]", "::1", "10809", ""},
        {"nbd+unix:///?socket=/run/a.sock", "", "", "/run/a.sock"},
        {"nbd+unix:///?socket=%2Frun%2fa%26b%20c%25", "", "", "/run/a&b c%"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nbd_addr a = {0};
        CHECK(nbd_addr_parse(cases[i].uri, &a) == 0);
        CHECK_STR(a.host, cases[i].host);
        CHECK_STR(a.port, cases[i].port);
        CHECK_STR(a.path, cases[i].path);
    }
}

static void test_bad(void)
{
    static const char *const cases[] = {
        "",
        "nbd",
        "nbd:",
        "nbd://",
        "nbd:///",
        "nbd://:10809",
        "nbd://gw:",
        "nbd://gw:0",
        "nbd://gw:00",
        "nbd://gw:65536",
        "nbd://gw:-1",
        "nbd://gw:10x",
        "nbd://gw:1:2",
        "nbd://gw/export",
        "nbd://gw//",
        "nbd://gw?x=1",
        "nbd://gw#x",
        "nbd://user@gw",
        "nbd://g w",
        "nbd://g%77",
        "nbd://gw]",
        "nbd://[::1",
        "nbd://[::1]x",
        "nbd://[]:1",
        "nbd://[gw]:1",
        "nbd+unix://",
        "nbd+unix:///",
        "nbd+unix:///?socket=",
        "nbd+unix:///?socket=/a&socket=/b",
        "nbd+unix:///?socket=/a#b",
        "nbd+unix:///?socket=/a%0",
        "nbd+unix:///?socket=/a%",
        "nbd+unix:///?socket=/a%00b",
        "nbd+unix:///?socket=/a%zz",
        "nbd+unix:///?sock=/a",
        "nbd+unix:///export?socket=/a",
        "nbd+unix://host/?socket=/a",
    };
    struct nbd_addr a = {.host = "as it was"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int r = nbd_addr_parse(cases[i], &a);
        if (r != -EINVAL)
            fprintf(stderr, "case '%s':\n", cases[i]);
        CHECK(r == -EINVAL);
    }
    CHECK(nbd_addr_parse("nbds://gw", &a) == -EPROTONOSUPPORT);
    CHECK(nbd_addr_parse("nbds+unix:///?socket=/a", &a) == -EPROTONOSUPPORT);
    CHECK(nbd_addr_parse("http://gw", &a) == -EPROTONOSUPPORT);
    CHECK_STR(a.host, "as it was");
}

/* The longest path that fits into a sockaddr_un, and one byte more. */
static void test_long_path(void)
{
    struct nbd_addr a;
    char uri[256];
    char path[109];
    memset(path, 'p', sizeof(path));
    snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%.107s", path);
    CHECK(nbd_addr_parse(uri, &a) == 0);
    CHECK_EQ_U64(strlen(a.path), 107);
    snprintf(uri, sizeof(uri), "nbd+unix:///?socket=%.108s", path);
    CHECK(nbd_addr_parse(uri, &a) == -EINVAL);
}

static bool connects(const struct nbd_addr *a)
{
    int fd = nbd_addr_connect(a);
    if (fd < 0)
        return false;
    int err = 0;
    socklen_t len = sizeof(err);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    bool ok =
        poll(&p, 1, 5000) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err == 0;
    close(fd);
    return ok;
}

static void test_unix(void)
{
    char dir[] = "/tmp/gs-uri.XXXXXX";
    char spec[128];
    struct nbd_addr a = {0};
    CHECK(mkdtemp(dir) != NULL);
    snprintf(a.path, sizeof(a.path), "%s/s", dir);
    snprintf(spec, sizeof(spec), "unix:%s", a.path);
    CHECK(nbd_addr_connect(&a) == -ENOENT);
    int fd = nbd_listen(spec);
    CHECK(fd >= 0);
    CHECK(connects(&a));
    CHECK(nbd_listen(spec) == -EADDRINUSE);
    close(fd);

    /* What a killed process leaves is replaced. */
    CHECK(nbd_addr_connect(&a) == -ECONNREFUSED);
    fd = nbd_listen(spec);
    CHECK(fd >= 0);
    CHECK(connects(&a));
    close(fd);
    unlink(a.path);

    /* But never a file that is no socket. */
    CHECK(mkdir(a.path, 0700) == 0);
    CHECK(nbd_listen(spec) == -EADDRINUSE);
    CHECK(rmdir(a.path) == 0);
    rmdir(dir);
}

static void test_tcp(void)
{
    struct nbd_addr a = {.host = "127.0.0.1"};
    struct sockaddr_in bound = {0};
    socklen_t len = sizeof(bound);
    int fd = nbd_listen("127.0.0.1:0");
    CHECK(fd >= 0);
    CHECK(getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    snprintf(a.port, sizeof(a.port), "%u", ntohs(bound.sin_port));
    CHECK(connects(&a));
    close(fd);
    CHECK(!connects(&a));
}

static void test_bad_listen(void)
{
    char spec[128] = "unix:";
    memset(spec + 5, 'p', 108);
    CHECK(nbd_listen(spec) == -ENAMETOOLONG);
    CHECK(nbd_listen("unix:") == -EINVAL);
    CHECK(nbd_listen("") == -EINVAL);
    CHECK(nbd_listen("127.0.0.1") == -EINVAL);
    CHECK(nbd_listen(":10809") == -EINVAL);
    CHECK(nbd_listen("127.0.0.1:") == -EINVAL);
    CHECK(nbd_listen("127.0.0.1:65536") == -EINVAL);
    CHECK(nbd_listen("unix:/nonexistent/s") == -ENOENT);
}

int main(void)
{
    test_begin("uri");
    test_good();
    test_bad();
    test_long_path();
    test_unix();
    test_tcp();
    test_bad_listen();
    return test_done();
}
