/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/giveway.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/migrate-exec/signals.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

enum {
    LOOK_US = 50000,        /* between two looks for the file */
    ASKS_US = 45 * 1000000, /* longer than a driver waits for a gateway that answers nothing */
    TELLS_US = 5 * 1000000, /* who asks for so long says whom: it may be in a slow hook */
    HANGS_S = 60,           /* who has asked for so long does not ask any more, but hangs */
    NAP_MS = 20,
    LEAVES = 10, /* times that who asked tries to take its file away; otherwise who drives does */
};

static int path_of(const struct exec *x, const char *id, struct buf *path)
{
    return buf_printf(path, "%s/migrations/%s.giveway", x->dirs.state, id);
}

/* Is FD what the name PATH leads to still? */
static bool is_at(int fd, const char *path)
{
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino &&
           here.st_dev == there.st_dev;
}

/*
 * Names under which anybody asks come and go under the lock of their folder: what was found out of
 * a name holds until it is let go.  A descriptor; -EAGAIN: another one has it; or -errno.  Nobody
 * waits for it: who has it may hang.
 */
static int lock_names(const struct exec *x)
{
    struct buf dir = {0};
    int fd = buf_printf(&dir, "%s/migrations", x->dirs.state) < 0
                 ? -ENOMEM
                 : open(dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd == -1 ? -errno : fd;
    if (r >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
        close(fd);
    }
    buf_release(&dir);
    return r;
}

/* ---- who asks ---- */

/* The file, ours and locked: a descriptor; -EAGAIN: another one asks just now; or -errno. */
static int put_named(const struct exec *x, const char *path)
{
    int fd = fsfile_open(path, O_RDWR);
    if (fd < 0)
        return fd;
    int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : 0;
    if (r == 0 && !is_at(fd, path)) /* it was removed in between */
        r = -EAGAIN;
    if (r == 0 && ftruncate(fd, 0) < 0)
        r = -errno;
    if (r == 0)
        r = fsfile_write_all(fd, x->who, strlen(x->who));
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

static int put(const struct exec *x, const char *path)
{
    int names = lock_names(x);
    if (names < 0)
        return names;
    int fd = put_named(x, path);
    close(names);
    return fd;
}

/* Nobody else's file. */
static void take_back(const struct exec *x, int fd, const char *path)
{
    int names = -EAGAIN;
    if (fd < 0)
        return;
    for (int i = 0; names == -EAGAIN && i < LEAVES; i++) {
        names = lock_names(x);
        if (names == -EAGAIN)
            poll(NULL, 0, NAP_MS);
    }
    if (names >= 0 && is_at(fd, path))
        unlink(path);
    if (names >= 0)
        close(names);
    close(fd);
}

static bool is_driven(const struct exec *x, const char *id)
{
    struct journal *j = NULL;
    int r = journal_open(x->dirs.state, id, false, &j);
    journal_close(j);
    return r == -EAGAIN;
}

static void tell_driver(const struct exec *x, const char *id, const char *what)
{
    struct event last;
    const bool said = journal_last(x->dirs.state, id, &last) == 1;
    err_warn("'%s' is driven by another process, %s: %s", id, what, said ? last.who : "?");
}

/* Waits until nobody drives ID.  NULL, or why not. */
static const char *wait_driver(const struct exec *x, const char *id, const char *path, int *fd)
{
    const uint64_t begin = clock_mono_us(), end = begin + ASKS_US;
    for (bool told = false; is_driven(x, id);) {
        if (signals_pending())
            return "interrupted";
        if (clock_mono_us() >= end)
            return "it has not given way yet";
        if (*fd >= 0 && !is_at(*fd, path))
            return "it is handing over";
        if (*fd < 0)
            *fd = put(x, path);
        if (*fd < 0 && *fd != -EAGAIN)
            return err_text(*fd);
        if (!told && clock_mono_us() - begin >= TELLS_US) {
            tell_driver(x, id, "which is asked to give way");
            told = true;
        }
        poll(NULL, 0, NAP_MS);
    }
    return NULL;
}

enum outcome giveway_ask(const struct exec *x, const char *id)
{
    struct buf path = {0};
    int fd = -1;
    const char *why =
        path_of(x, id, &path) < 0 ? err_text(ENOMEM) : wait_driver(x, id, path.data, &fd);
    if (why)
        tell_driver(x, id, why);
    take_back(x, fd, path.data);
    buf_release(&path);
    return why ? DEFERRED : GO;
}

/* ---- who drives ---- */

/* Who asks by the file FD; false: nobody any more, or nobody yet. */
static bool read_asker(int fd, char *who, size_t size)
{
    struct stat st;
    if (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK || fstat(fd, &st) < 0)
        return false;
    if (fabs(clock_now() - (double)st.st_mtim.tv_sec) > HANGS_S)
        return false;
    ssize_t n = pread(fd, who, size - 1, 0);
    who[n > 0 ? n : 0] = 0;
    return n != 0; /* it is locked before it is written, both under the lock of the names */
}

/* FD is out of date, or not for us; another one may stand in its place by now. */
static void refuse(const struct move *m, int fd, const char *path)
{
    char who[160];
    int names = lock_names(m->exec);
    if (names < 0)
        return; /* at the next look */
    if (is_at(fd, path) && !(m->ahead && read_asker(fd, who, sizeof(who))))
        unlink(path);
    close(names);
}

bool giveway_look(struct move *m)
{
    const uint64_t now = clock_mono_us();
    struct buf path = {0};
    if (m->gives_way[0] || now - m->way_looked_us < LOOK_US)
        return m->gives_way[0];
    m->way_looked_us = now;
    int fd = path_of(m->exec, m->id, &path) < 0 ? -1 : open(path.data, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        char who[160];
        bool asked = read_asker(fd, who, sizeof(who));
        if (asked && m->ahead)
            snprintf(m->gives_way, sizeof(m->gives_way), "%s", *who ? who : "a row of a plan");
        else
            refuse(m, fd, path.data);
        close(fd);
    }
    buf_release(&path);
    return m->gives_way[0];
}
