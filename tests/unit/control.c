/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control client, against a server that replies whatever a case wants. */
#include "common/route/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/nbd/uri.h"
#include "tests/unit/tap.h"

enum {
    BYTEWISE = 1, /* each byte of the reply in a packet of its own */
    HANG_UP = 2,  /* close behind it */
};

/* What the server does with one connection: for each request a reply. */
struct script {
    const char *replies[3]; /* "" says nothing */
    unsigned how;
};

struct server {
    char path[64];
    int fd;
    pthread_t thread;
    struct script script;
    char requests[256]; /* all that came, whole lines */
};

static void reply(int fd, const char *text, unsigned how)
{
    size_t step = how & BYTEWISE ? 1 : strlen(text);
    for (size_t len = strlen(text); len; len -= step, text += step)
        if (send(fd, text, step, MSG_NOSIGNAL) < 0)
            return;
}

static void *serve(void *arg)
{
    struct server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    size_t len = 0;
    for (size_t i = 0; i < 3 && s->script.replies[i]; i++) {
        while (!memchr(s->requests + len, '\n', strlen(s->requests + len))) {
            size_t have = strlen(s->requests);
            ssize_t n = recv(fd, s->requests + have, sizeof(s->requests) - 1 - have, 0);
            if (n <= 0)
                goto out;
        }
        len = strlen(s->requests);
        reply(fd, s->script.replies[i], s->script.how);
    }
    /* Until the client is through, unless this case is about losing the server. */
    char byte;
    if (!(s->script.how & HANG_UP))
        while (recv(fd, &byte, 1, 0) > 0)
            continue;
out:
    close(fd);
    return NULL;
}

/* A connection to a server that follows SCRIPT. */
static struct control *start(struct server *s, struct script script)
{
    char spec[80];
    struct control *c = NULL;
    static unsigned counter;
    *s = (struct server){.script = script};
    snprintf(s->path, sizeof(s->path), "/tmp/gs-control.%d.%u", (int)getpid(), counter++);
    snprintf(spec, sizeof(spec), "unix:%s", s->path);
    s->fd = nbd_listen(spec);
    if (s->fd < 0)
        abort();
    /* Before the thread starts, so that its accept() finds the connection. */
    CHECK(control_open(s->path, &c) == 0);
    pthread_create(&s->thread, NULL, serve, s);
    return c;
}

static void stop(struct server *s, struct control *c)
{
    control_close(c);
    pthread_join(s->thread, NULL);
    close(s->fd);
    unlink(s->path);
}

static void test_ok(unsigned how)
{
    struct server s;
    struct control *c = start(
        &s, (struct script){{"ok\n", "volume=v dirty=0\nokay=1\nok 65536 new\n", "ok \n"}, how});
    CHECK(control_call(c, 5000, "hold %s %d", "v", 100) == 0);
    CHECK_STR(control_reply(c), "");
    CHECK_STR(control_data(c), "");
    CHECK(control_call(c, -1, "status") == 0);
    CHECK_STR(control_reply(c), "65536 new");
    CHECK_STR(control_data(c), "volume=v dirty=0\nokay=1\n");
    CHECK(control_call(c, 5000, "help") == 0);
    CHECK_STR(control_reply(c), "");
    CHECK_STR(control_data(c), "");
    CHECK_STR(s.requests, "hold v 100\nstatus\nhelp\n");
    stop(&s, c);
}

static void test_err(void)
{
    struct server s;
    struct control *c = start(
        &s, (struct script){{"err ESTALE epoch is 3\n", "some\nerr EBUSY\n", "err EIO  two\n"}, 0});
    CHECK(control_call(c, 5000, "begin v 2 gw-b") == -ESTALE);
    CHECK_STR(control_reply(c), "epoch is 3");
    CHECK(control_call(c, 5000, "x") == -EBUSY);
    CHECK_STR(control_reply(c), "");
    CHECK_STR(control_data(c), "some\n");
    CHECK(control_call(c, 5000, "y") == -EIO); /* an error leaves the connection usable */
    CHECK_STR(control_reply(c), " two");
    stop(&s, c);
}

static void test_bad_reply(void)
{
    static const char *const replies[] = {"err\n", "err \n", "err NONSENSE text\n", "err  EIO\n",
                                          "err EAVERYLONGNAMETHATISNOTANERRNONAMEATALL\n"};
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct server s;
        struct control *c = start(&s, (struct script){{replies[i]}, 0});
        CHECK(control_call(c, 5000, "x") == -EPROTO);
        stop(&s, c);
    }
}

static void test_trailing(void)
{
    struct server s;
    struct control *c = start(&s, (struct script){{"ok\nok\n"}, 0});
    CHECK(control_call(c, 5000, "x") == -EPROTO);
    CHECK(control_call(c, 5000, "x") == -ECONNRESET);
    stop(&s, c);
}

static void test_lost(void)
{
    static const char *const replies[] = {"", "o", "ok", "data\n", "data\nerr EI"};
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct server s;
        struct control *c = start(&s, (struct script){{replies[i]}, HANG_UP});
        CHECK(control_call(c, 5000, "x") == -ECONNRESET);
        CHECK_STR(control_data(c), "");
        CHECK(control_call(c, 5000, "x") == -ECONNRESET);
        stop(&s, c);
    }
}

static void test_timeout(void)
{
    struct server s;
    struct control *c = start(&s, (struct script){{"data\n", "ok\n"}, 0});
    CHECK(control_call(c, 30, "x") == -ETIMEDOUT);
    CHECK(control_call(c, 30, "x") == -ECONNRESET); /* a late reply is not taken for this one's */
    stop(&s, c);
}

static void test_refused(void)
{
    struct control *c = NULL;
    char path[128];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = 0;
    CHECK(control_open(path, &c) == -ENAMETOOLONG);
    CHECK(control_open("/nonexistent/s", &c) == -ENOENT);
    CHECK(c == NULL);
    control_close(NULL);

    struct server s;
    c = start(&s, (struct script){{"ok\n"}, 0});
    CHECK(control_call(c, 5000, "x\ny") == -EINVAL); /* and nothing was sent */
    CHECK(control_call(c, 5000, "z") == 0);
    CHECK_STR(s.requests, "z\n");
    stop(&s, c);
}

int main(void)
{
    test_begin("control");
    test_ok(0);
    test_ok(BYTEWISE);
    test_err();
    test_bad_reply();
    test_trailing();
    test_lost();
    test_timeout();
    test_refused();
    return test_done();
}
