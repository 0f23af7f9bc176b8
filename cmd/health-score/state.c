/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/health-score/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "common/base/error.h"
#include "common/base/fsfile.h"

/* More than --max-series can make of it. */
#define STATE_MAX ((size_t)1 << 40)

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

void state_load(const char *dir, struct health_board *b)
{
    struct buf path = {0};
    struct buf data = {0};
    const char *why;
    join(&path, dir, "health.state");
    int r = fsfile_read(path.data, STATE_MAX, &data);
    if (r == -ENOMEM)
        err_die(EX_OSERR, "out of memory");
    if (r < 0 && r != -ENOENT)
        err_die(EX_NOINPUT, "cannot read '%s': %s", path.data, err_text(r));
    if (r == 0) {
        r = health_board_load(b, data.data, data.len, &why);
        if (r == -ENOMEM)
            err_die(EX_OSERR, "out of memory");
        if (r == -ENOSPC)
            err_die(EX_DATAERR, "state '%s' has more metrics than --max-series", path.data);
        if (r < 0)
            err_die(EX_DATAERR, "state '%s' is refused: %s", path.data, why);
    }
    buf_release(&data);
    buf_release(&path);
}

void state_save(const char *dir, const struct health_board *b)
{
    struct buf path = {0};
    struct buf data = {0};
    join(&path, dir, "health.state");
    if (health_board_save(b, &data) < 0)
        err_die(EX_OSERR, "out of memory");
    int r = fsfile_replace(path.data, data.data, data.len);
    if (r < 0)
        err_die(EX_IOERR, "cannot write '%s': %s", path.data, err_text(r));
    buf_release(&data);
    buf_release(&path);
}
