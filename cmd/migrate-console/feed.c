/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/migrate-console/run.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum { PATIENCE_US = 5000000, ERRORS_MAX = 4096 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void fail(struct feed *f, const char *why)
{
    f->failed = f->fresh = true;
    buf_clear(&f->errors);
    words_need(buf_adds(&f->errors, why));
}

void feed_start(struct feed *f, const struct console *c, const char *program)
{
    struct pipeline p = {0};
    int out[2] = {-1, -1}, err[2] = {-1, -1}, in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    buf_clear(&f->text);
    buf_clear(&f->errors);
    f->fresh = f->failed = false;
    run_tool(&p, c, program);
    run_word(&p, "--status");
    if (in < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 ||
        pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0) {
        fail(f, err_text(errno));
    } else {
        /* The commands' ends block as any pipe does. */
        fcntl(out[1], F_SETFL, 0);
        fcntl(err[1], F_SETFL, 0);
        struct run_ends e = {in, out[1], err[1]};
        f->pid = run_start(&p.stage[0], &e, RUN_TOGETHER);
        if (f->pid < 0)
            fail(f, err_text(f->pid));
    }
    close_fd(&in);
    close_fd(&out[1]);
    close_fd(&err[1]);
    f->out = out[0];
    f->err = err[0];
    f->due_us = clock_mono_us() + PATIENCE_US;
    run_release(&p);
}

size_t feed_poll(const struct feed *f, struct pollfd *p)
{
    if (!feed_runs(f))
        return 0;
    p[0] = (struct pollfd){f->out, POLLIN, 0};
    p[1] = (struct pollfd){f->err, POLLIN, 0};
    return 2;
}

/* False once nothing comes any more. */
static bool take(int fd, struct buf *into, size_t max)
{
    char piece[16 * 1024];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return false;
        if (into->len + (size_t)n <= max)
            words_need(buf_add(into, piece, (size_t)n));
    }
}

void feed_take(struct feed *f)
{
    int status;
    if (!feed_runs(f))
        return;
    if (f->out >= 0 && !take(f->out, &f->text, RUN_CAPTURE_MAX))
        close_fd(&f->out);
    if (f->err >= 0 && !take(f->err, &f->errors, ERRORS_MAX))
        close_fd(&f->err);
    if (clock_mono_us() >= f->due_us) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, &status, 0);
        f->pid = 0;
        fail(f, "no answer");
    } else if (f->out < 0 && f->err < 0 && waitpid(f->pid, &status, WNOHANG) == f->pid) {
        f->pid = 0;
        f->fresh = true;
        f->failed = status != 0;
    }
    if (!feed_runs(f)) {
        close_fd(&f->out);
        close_fd(&f->err);
    }
}

void feed_release(struct feed *f)
{
    if (feed_runs(f)) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
        close_fd(&f->out);
        close_fd(&f->err);
    }
    buf_release(&f->text);
    buf_release(&f->errors);
    *f = (struct feed){0};
}
