/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((format(printf, 1, 0))) static void print_line(const char *fmt, va_list ap)
{
    char line[4096];
    int head = snprintf(line, sizeof(line), "%s: ", program_invocation_short_name);
    if (head < 0 || (size_t)head >= sizeof(line) - 1)
        head = 0;
    int body = vsnprintf(line + head, sizeof(line) - 1 - (size_t)head, fmt, ap);
    size_t len = (size_t)head + (body < 0 ? 0 : (size_t)body);
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    line[len] = '\n';
    /* One write, so that lines of several processes do not mix. */
    fflush(stderr);
    if (write(STDERR_FILENO, line, len + 1) < 0)
        return; /* nowhere left to complain */
}

void err_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_line(fmt, ap);
    va_end(ap);
}

void err_die(int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_line(fmt, ap);
    va_end(ap);
    /* That stdout failed has just been said: close_stdout() would say it again. */
    if (status == EX_IOERR && ferror(stdout))
        _exit(status);
    exit(status);
}

/* Blanks what err_progress() showed, and shows the line again. */
static const char clear_line[] = "\r\033[K";

static bool is_time_to_show(void)
{
    static atomic_long next_ms;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    long now_ms = t.tv_sec * 1000 + t.tv_nsec / 1000000;
    if (now_ms < atomic_load(&next_ms))
        return false;
    atomic_store(&next_ms, now_ms + 200);
    return true;
}

void err_progress(const char *fmt, ...)
{
    char text[256] = "";
    va_list ap;
    if (isatty(STDERR_FILENO) != 1 || (fmt && !is_time_to_show()))
        return;
    va_start(ap, fmt);
    if (fmt)
        vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s%s%s%s", clear_line, fmt ? program_invocation_short_name : "",
            fmt ? ": " : "", text);
    fflush(stderr);
}

const char *err_text(int err)
{
    static _Thread_local char text[128];
    const char *s = strerrordesc_np(err < 0 ? -err : err);
    if (!s) {
        snprintf(text, sizeof(text), "error %d", err);
        return text;
    }
    snprintf(text, sizeof(text), "%s", s);
    /* "Input/output error" -> "input/output error", but "RFS specific error" stays. */
    if (isupper((unsigned char)text[0]) && islower((unsigned char)text[1]))
        text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

const char *err_name(int err)
{
    if (err == 0)
        return "";
    const char *s = strerrorname_np(err < 0 ? -err : err);
    return s ? s : "E?";
}

int err_number(const char *name)
{
    if (!*name)
        return 0;
    for (int e = 1; e < 134; e++) {
        const char *s = strerrorname_np(e);
        if (s && strcmp(s, name) == 0)
            return e;
    }
    return -EINVAL;
}

/* The first reason that was not 0, or 0. */
static int stdout_reason(int err)
{
    static atomic_int first;
    int none = 0;
    atomic_compare_exchange_strong(&first, &none, err);
    return atomic_load(&first);
}

void err_stdout_failed(int err)
{
    stdout_reason(err);
}

static void close_stdout(void)
{
    int bad = ferror(stdout);
    errno = 0;
    if (fclose(stdout) != 0)
        bad = 1;
    /* A stdout that was closed from the start and never written to is not an error. */
    if (bad) {
        const int reason = stdout_reason(errno);
        err_warn("write failed 'stdout': %s", reason ? err_text(reason) : "earlier error");
        _exit(EX_IOERR);
    }
}

/*
 * If descriptor FD is closed, puts one in its place that fails in the other direction: else a file
 * opened later would be read as the input, or have messages written into it.
 */
static void occupy(int fd, int flags)
{
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd)
        _exit(EX_OSERR);
}

void err_check_stdout(void)
{
    occupy(STDIN_FILENO, O_WRONLY);
    /* Without a valid descriptor 1 the next open() would become "stdout": refuse early. */
    if (lseek(STDOUT_FILENO, 0, SEEK_CUR) < 0 && errno == EBADF)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(EBADF));
    occupy(STDERR_FILENO, O_RDONLY);
    atexit(close_stdout);
}
