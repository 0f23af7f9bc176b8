/* links: cmd/route-director */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who listens on a unix socket: processes that are forked here, and that end when told to. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/route-director/peer.h"
#include "tests/unit/tap.h"

enum { DEADLINE_MS = 20000 };

/* The test cannot go on. */
static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return a;
}

static void listen_at(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
        die("listen");
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die("connect");
    return fd;
}

/* Told through a pipe: the child is there, and listens; its end is a closed pipe. */
static void wait_until_told(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char c;
    if (poll(&p, 1, DEADLINE_MS) != 1 || read(fd, &c, 1) != 1)
        die("a child did not begin");
}

/* A process that listens at PATH until it is killed, with or without a child of its own. */
static pid_t start_family(const char *path, bool child)
{
    int told[2];
    if (pipe(told) < 0)
        die("pipe");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        listen_at(path);
        pid_t own = child ? fork() : -1;
        alarm(120);
        if (own && write(told[1], "", 1) != 1)
            _exit(1);
        prctl(PR_SET_PDEATHSIG, own ? 0 : SIGKILL);
        for (;;)
            pause();
    }
    wait_until_told(told[0]);
    close(told[0]);
    close(told[1]);
    return pid;
}

static pid_t start_listener(const char *path)
{
    return start_family(path, false);
}

static void end_listener(pid_t pid)
{
    kill(pid, SIGKILL);
    if (waitpid(pid, NULL, 0) != pid)
        die("waitpid");
}

/* Notes who listens at PATH, by a connection of its own. */
static void note(struct peer *p, const char *path)
{
    int fd = connect_to(path);
    peer_note(p, fd, path);
    close(fd);
}

/* ---- one listener ---- */

static void test_known_until_it_ends(const char *path)
{
    struct peer p = {.pidfd = -1};
    pid_t pid = start_listener(path);
    note(&p, path);
    note(&p, path);
    CHECK_EQ_U64((uint64_t)p.pid, (uint64_t)pid);
    int pidfd = peer_take(&p);
    CHECK(pidfd >= 0);
    CHECK(p.pidfd == -1);
    CHECK(peer_take(&p) == -1);
    CHECK(!peer_is_gone(pidfd));
    kill(pid, SIGSTOP);
    CHECK(!peer_is_gone(pidfd));
    kill(pid, SIGKILL);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    CHECK(poll(&end, 1, DEADLINE_MS) == 1);
    CHECK(peer_is_gone(pidfd)); /* also while nobody has asked for its status */
    end_listener(pid);
    CHECK(peer_is_gone(pidfd));
    close(pidfd);
}

static void test_nobody(void)
{
    struct peer p = {.pidfd = -1};
    CHECK(!peer_is_gone(-1));
    CHECK(peer_take(&p) == -1);
    peer_release(&p);
    CHECK(p.pidfd == -1);
}

static void test_release(const char *path)
{
    struct peer p = {.pidfd = -1};
    pid_t pid = start_listener(path);
    note(&p, path);
    int pidfd = p.pidfd;
    CHECK(pidfd >= 0);
    peer_release(&p);
    CHECK(p.pidfd == -1);
    CHECK(fcntl(pidfd, F_GETFD) < 0 && errno == EBADF);
    end_listener(pid);
}

/* ---- listeners of which nothing is known ---- */

/* A descriptor that names no process. */
static void test_no_credentials(const char *path)
{
    struct peer p = {.pidfd = -1};
    int tcp = socket(AF_INET, SOCK_STREAM, 0), ends[2];
    pid_t pid = start_listener(path);
    if (tcp < 0 || pipe(ends) < 0)
        die("socket");
    peer_note(&p, tcp, path);
    CHECK(p.pidfd == -1);
    peer_note(&p, ends[0], path);
    CHECK(p.pidfd == -1);
    close(tcp);
    close(ends[0]);
    close(ends[1]);
    end_listener(pid);
}

/* Once nothing is known, a connection that would tell does not help: the other led elsewhere. */
static void test_unknown_after_known(const char *path)
{
    struct peer p = {.pidfd = -1};
    int ends[2];
    pid_t pid = start_listener(path);
    if (pipe(ends) < 0)
        die("pipe");
    note(&p, path);
    CHECK(p.pidfd >= 0);
    peer_note(&p, ends[0], path);
    CHECK(p.pidfd == -1);
    note(&p, path);
    CHECK(p.pidfd == -1);
    close(ends[0]);
    close(ends[1]);
    end_listener(pid);
}

static void test_two_on_one_path(const char *path)
{
    struct peer p = {.pidfd = -1};
    pid_t first = start_listener(path);
    note(&p, path);
    CHECK(p.pidfd >= 0);
    pid_t second = start_listener(path); /* takes the path over; the first is alive */
    note(&p, path);
    CHECK(p.pidfd == -1);
    note(&p, path);
    CHECK(p.pidfd == -1);
    end_listener(first);
    end_listener(second);
}

/* The process that called listen() has ended; a child of its serves on. */
static void test_forked_and_exited(const char *path)
{
    struct peer p = {.pidfd = -1};
    int told[2], status;
    if (pipe(told) < 0)
        die("pipe");
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        listen_at(path);
        pid_t heir = fork();
        if (heir == 0) {
            alarm(120);
            for (;;)
                pause();
        }
        _exit(heir < 0 || write(told[1], &heir, sizeof(heir)) != sizeof(heir));
    }
    pid_t heir = -1;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(read(told[0], &heir, sizeof(heir)) == sizeof(heir));
    note(&p, path);
    CHECK(p.pidfd == -1);
    if (heir > 1)
        kill(heir, SIGKILL);
    close(told[0]);
    close(told[1]);
}

/* A server that left the connection to a child: its end is not the child's. */
static void test_children(const char *path)
{
    struct peer p = {.pidfd = -1};
    peer_check(&p);
    CHECK(p.pidfd == -1);
    pid_t alone = start_family(path, false);
    note(&p, path);
    peer_check(&p);
    CHECK(p.pidfd >= 0);
    peer_release(&p);
    end_listener(alone);
    p = (struct peer){.pidfd = -1};
    pid_t parent = start_family(path, true);
    note(&p, path);
    CHECK(p.pidfd >= 0);
    peer_check(&p);
    CHECK(p.pidfd == -1);
    note(&p, path);
    CHECK(p.pidfd == -1);
    end_listener(parent);
}

/* Who began after the socket was made cannot have made it: it has but inherited a number. */
static void test_younger_than_its_socket(const char *path)
{
    const struct timespec past[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct peer p = {.pidfd = -1};
    pid_t pid = start_listener(path);
    if (utimensat(AT_FDCWD, path, past, 0) < 0)
        die("utimensat");
    note(&p, path);
    CHECK(p.pidfd == -1);
    peer_release(&p);
    p = (struct peer){.pidfd = -1};
    int fd = connect_to(path);
    unlink(path);
    peer_note(&p, fd, path);
    CHECK(p.pidfd == -1);
    close(fd);
    end_listener(pid);
}

/* ---- init ---- */

/* In a name space of its own a first process is init there.  Its status: is it known to nobody? */
static int init_and_another(const char *path)
{
    int told[2];
    if (pipe(told) < 0)
        die("pipe");
    pid_t init = fork();
    if (init == 0) {
        alarm(120);
        listen_at(path);
        if (getpid() != 1 || write(told[1], "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    wait_until_told(told[0]);
    pid_t other = fork();
    if (other == 0) {
        struct peer p = {.pidfd = -1};
        note(&p, path);
        _exit(p.pidfd == -1 ? 0 : 1);
    }
    int status = 0;
    bool ok = waitpid(other, &status, 0) == other && status == 0;
    end_listener(init);
    return ok ? 0 : 1;
}

/* Init listens for others; what it began may go on when it hands the socket over. */
static void test_init(const char *path)
{
    enum { NOT_ALLOWED = 77 };
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
            _exit(NOT_ALLOWED);
        _exit(init_and_another(path));
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_ALLOWED)
        fprintf(stderr, "peer: no name space of process ids: init is not tested\n");
    else
        CHECK_EQ_U64((uint64_t)WEXITSTATUS(status), 0);
}

int main(void)
{
    char folder[] = "/tmp/peer.XXXXXX", path[64];
    test_begin("peer");
    if (!mkdtemp(folder))
        die("mkdtemp");
    snprintf(path, sizeof(path), "%s/sock", folder);
    test_nobody();
    test_known_until_it_ends(path);
    test_release(path);
    test_no_credentials(path);
    test_unknown_after_known(path);
    test_two_on_one_path(path);
    test_forked_and_exited(path);
    test_children(path);
    test_younger_than_its_socket(path);
    test_init(path);
    unlink(path);
    rmdir(folder);
    return test_done();
}
