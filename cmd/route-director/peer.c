/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "peer.h"

#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fsfile.h"

/* When process PID began, in seconds of Unix time; negative: no such process. */
static double began(int pid)
{
    char path[64];
    struct buf text = {0};
    struct timespec now, up;
    double ticks = -1;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    /* Behind the name in parentheses, which may hold anything, field 22 is the 20th. */
    const char *p = fsfile_read(path, 4096, &text) == 0 ? strrchr(text.data, ')') : NULL;
    for (int i = 0; p && i < 20; i++)
        p = strchr(p + 1, ' ');
    if (p)
        ticks = strtod(p + 1, NULL);
    buf_release(&text);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    if (ticks < 0)
        return -1;
    return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 +
           ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Whoever listens was there when the socket was made: a later process has but inherited its number.
 */
static bool was_there(int pid, const char *path)
{
    struct stat st;
    double t = began(pid);
    return t >= 0 && stat(path, &st) == 0 &&
           t <= (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9 + 0.05;
}

void peer_note(struct peer *p, int fd, const char *path)
{
    struct ucred cred = {0};
    socklen_t len = sizeof(cred);
    bool first = !p->pid;
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid > 1;
    if (first && known) {
        p->pid = cred.pid;
        p->pidfd = pidfd_open(cred.pid, 0);
        known = !peer_is_gone(p->pidfd); /* or it had ended and left the socket to another */
    }
    /* Looked at after the pidfd was opened: from then on the number is nobody else's. */
    if (!known || cred.pid != p->pid || (first && !was_there(cred.pid, path)))
        peer_release(p);
}

/* Has the thread whose folder is PATH children?  Also if that can't be known. */
static bool has_children(const char *path)
{
    char name[PATH_MAX];
    struct buf text = {0};
    int n = snprintf(name, sizeof(name), "%s/children", path);
    bool yes =
        n < 0 || (size_t)n >= sizeof(name) || fsfile_read(name, 1 << 20, &text) < 0 || text.len > 0;
    buf_release(&text);
    return yes;
}

void peer_check(struct peer *p)
{
    char path[64];
    glob_t threads;
    if (p->pidfd < 0)
        return;
    snprintf(path, sizeof(path), "/proc/%d/task/*", p->pid);
    if (glob(path, GLOB_NOSORT, NULL, &threads) != 0) {
        peer_release(p);
        return;
    }
    for (size_t i = 0; i < threads.gl_pathc; i++)
        if (has_children(threads.gl_pathv[i]))
            peer_release(p);
    globfree(&threads);
}

int peer_take(struct peer *p)
{
    int fd = p->pidfd;
    p->pidfd = -1;
    return fd;
}

void peer_release(struct peer *p)
{
    if (p->pidfd >= 0)
        close(p->pidfd);
    p->pidfd = -1;
}

bool peer_is_gone(int pidfd)
{
    struct pollfd f = {.fd = pidfd, .events = POLLIN};
    return pidfd >= 0 && poll(&f, 1, 0) == 1 && f.revents & POLLIN;
}
