/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/health-score/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fsfile.h"

/* DIR/NAME in PATH (empty so far). */
static void join(struct buf *path, const char *dir, const char *name)
{
    if (buf_printf(path, "%s/%s", dir, name) < 0)
        err_die(EX_OSERR, "out of memory");
}

int state_lock(const char *dir)
{
    struct buf path = {0};
    int r = fsfile_mkdirs(dir);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", dir, err_text(r));
    join(&path, dir, "health.lock");
    int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        err_die(EX_CANTCREAT, "cannot open '%s': %s", path.data, err_text(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        err_die(errno == EWOULDBLOCK ? EX_TEMPFAIL : EX_OSERR, "cannot lock '%s': %s", path.data,
                errno == EWOULDBLOCK ? "another run holds it" : err_text(errno));
    buf_release(&path);
    return fd;
}

static ssize_t read_file(void *arg, void *data, size_t size)
{
    const int *fd = arg;
    ssize_t n;
    do
        n = read(*fd, data, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Ends the run with what reading PATH came to, unless it is 0. */
static void check_read(const char *path, int r, const char *why)
{
    if (r == -ENOMEM)
        err_die(EX_OSERR, "out of memory");
    if (r == -ENOSPC)
        err_die(EX_DATAERR, "state '%s' has more metrics than --max-series", path);
    if (r == -EBADMSG || r == -EPROTONOSUPPORT)
        err_die(EX_DATAERR, "state '%s' is refused: %s; restore it, or move it away to begin anew",
                path, why);
    if (r < 0)
        err_die(EX_NOINPUT, "cannot read '%s': %s", path, err_text(r));
}

void state_load(const char *dir, struct health_board *b)
{
    struct buf path = {0};
    const char *why = NULL;
    join(&path, dir, "health.state");
    int fd = open(path.data, O_RDONLY | O_CLOEXEC);
    const struct health_source from = {read_file, &fd};
    int r = fd < 0 ? -errno : health_board_read(b, &from, &why);
    if (fd >= 0 || r != -ENOENT)
        check_read(path.data, r, why);
    if (fd >= 0)
        close(fd);
    buf_release(&path);
}

static int write_file(void *arg, uint64_t at, const void *data, size_t len)
{
    const int *fd = arg;
    if (lseek(*fd, (off_t)at, SEEK_SET) < 0)
        return -errno;
    return fsfile_write_all(*fd, data, len);
}

void state_save(const char *dir, const struct health_board *b)
{
    struct buf path = {0};
    struct buf tmp = {0};
    join(&path, dir, "health.state");
    fsfile_sweep(path.data); /* the lock is held */
    int fd = fsfile_begin(path.data, &tmp);
    const struct health_sink to = {write_file, &fd};
    int r = fd < 0 ? fd : fsfile_end(path.data, &tmp, fd, health_board_write(b, &to));
    if (r == -ENOMEM)
        err_die(EX_OSERR, "out of memory");
    if (r < 0)
        err_die(EX_IOERR, "cannot write '%s': %s", path.data, err_text(r));
    buf_release(&path);
}
