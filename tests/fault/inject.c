/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library to preload that makes one library call of a program fail.
 *
 *   GS_FAULT=CALL:N[:HOW]   the N-th (from 1) CALL of the process: malloc (with calloc and the
 *                           reallocs), read (with pread), write, sync (fsync, fdatasync),
 *                           truncate, rename, open or ask (flock of a file NAME.giveway).  HOW is
 *                           an errno's number, "kill" (SIGKILL in place of the call), "stop"
 *                           (SIGSTOP before it) or "torn" (write: half of it, then SIGKILL).
 *                           Without HOW: ENOMEM for malloc, ENOSPC for write, else EIO.
 *   GS_FAULT_MARK=FILE      is created when the fault strikes, so that a test knows when N was
 *                           beyond the last call.
 *
 * Writes to standard error are spared: the message about the fault must come out.  stdio's own
 * writes cannot be interposed; /dev/full tests those.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

/* The plan, read when the first call comes; without the heap, which may be what shall fail. */
static struct {
    bool read;
    const char *call; /* borrowed from the environment; NULL: no fault */
    size_t call_len;
    long countdown;
    const char *how; /* "" for the default */
} plan;

static void read_plan(void)
{
    plan.read = true;
    const char *s = environ ? getenv("GS_FAULT") : NULL;
    const char *colon = s ? strchr(s, ':') : NULL;
    if (!colon)
        return;
    char *end;
    plan.call = s;
    plan.call_len = (size_t)(colon - s);
    plan.countdown = strtol(colon + 1, &end, 10);
    plan.how = *end == ':' ? end + 1 : "";
}

static void mark(void)
{
    const char *path = getenv("GS_FAULT_MARK");
    if (path)
        syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0644));
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
}

/* Is this call the one?  Then errno is set, unless the process dies right here. */
static bool strikes(const char *call, int fallback)
{
    if (!plan.read)
        read_plan();
    if (!plan.call || strlen(call) != plan.call_len || memcmp(call, plan.call, plan.call_len) != 0)
        return false;
    if (--plan.countdown != 0)
        return false;
    mark();
    if (strcmp(plan.how, "kill") == 0)
        die();
    if (strcmp(plan.how, "stop") == 0) {
        syscall(SYS_kill, getpid(), SIGSTOP);
        return false;
    }
    int err = (int)strtol(plan.how, NULL, 10);
    errno = err ? err : fallback;
    return true;
}

void *malloc(size_t size)
{
    return strikes("malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return strikes("malloc", ENOMEM) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    return strikes("malloc", ENOMEM) ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}

ssize_t read(int fd, void *data, size_t len)
{
    return strikes("read", EIO) ? -1 : syscall(SYS_read, fd, data, len);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    return strikes("read", EIO) ? -1 : syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (fd == STDERR_FILENO || !strikes("write", ENOSPC))
        return syscall(SYS_write, fd, data, len);
    if (strcmp(plan.how, "torn") == 0) {
        syscall(SYS_write, fd, data, len / 2);
        die();
    }
    return -1;
}

int fsync(int fd)
{
    return strikes("sync", EIO) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return strikes("sync", EIO) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t length)
{
    return strikes("truncate", EIO) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int rename(const char *from, const char *to)
{
    return strikes("rename", EIO) ? -1 : (int)syscall(SYS_rename, from, to);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return strikes("open", EIO) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* Is FD a file by which somebody is asked to give way? */
static bool asks(int fd)
{
    static const char end[] = ".giveway";
    char link[32], path[512];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t n = syscall(SYS_readlink, link, path, sizeof(path));
    const ssize_t len = sizeof(end) - 1;
    return n >= len && memcmp(path + n - len, end, (size_t)len) == 0;
}

int flock(int fd, int how)
{
    return asks(fd) && strikes("ask", EIO) ? -1 : (int)syscall(SYS_flock, fd, how);
}
