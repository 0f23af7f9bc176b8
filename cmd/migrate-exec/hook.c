/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "common/base/parse.h"

enum {
    WORDS_MAX = 32,         /* of a hook's command line */
    OUTPUT_MAX = 64 * 1024, /* bytes kept of what it prints */
    STATUS_NOT_RUN = 127,   /* the child could not exec */
};

bool hook_there(const struct hook *h)
{
    return h->line[strspn(h->line, " ")] != 0;
}

/* Splits LINE in place at blanks; the number of words, or -E2BIG. */
static int split(char *line, char **words, int max)
{
    int n = 0;
    for (char *word; (word = strsep(&line, " \t"));) {
        if (!*word)
            continue;
        if (n == max)
            return -E2BIG;
        words[n++] = word;
    }
    return n;
}

/* The path of the hook NAME: itself with a slash, else in the hooks' folder. */
static int find(const char *name, struct buf *path)
{
    const char *dir = getenv("GATESHIFT_HOOKS");
    if (strchr(name, '/'))
        return buf_adds(path, name);
    if (dir && *dir)
        return buf_printf(path, "%s/%s", dir, name);
    return buf_printf(path, "%s/hooks/%s", opts_share_dir(), name);
}

/* A running hook. */
struct child {
    pid_t pid;
    int fds[2]; /* its standard output and error; -1 once ended */
    struct buf text[2];
};

_Noreturn static void run_child(const char *path, char **argv, const int out[2], const int err[2])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0); /* an interrupt from the terminal is ours: a half-made export helps nobody */
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0 ||
        dup2(err[1], STDERR_FILENO) < 0)
        _exit(STATUS_NOT_RUN);
    execvp(path, argv);
    dprintf(STDERR_FILENO, "cannot run '%s': %s\n", path, err_text(errno));
    _exit(STATUS_NOT_RUN);
}

static int start(struct child *c, const char *path, char **argv)
{
    int out[2];
    int err[2];
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(err, O_CLOEXEC) < 0) {
        int r = -errno;
        close(out[0]);
        close(out[1]);
        return r;
    }
    c->pid = fork();
    if (c->pid == 0)
        run_child(path, argv, out, err);
    int r = c->pid < 0 ? -errno : 0;
    close(out[1]);
    close(err[1]);
    c->fds[0] = out[0];
    c->fds[1] = err[0];
    return r;
}

/* Reads what there is of stream I; closes it at its end. */
static void drain(struct child *c, int i)
{
    char block[4096];
    ssize_t n = read(c->fds[i], block, sizeof(block));
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        close(c->fds[i]);
        c->fds[i] = -1;
        return;
    }
    if (c->text[i].len < OUTPUT_MAX)
        buf_add(&c->text[i], block, (size_t)n);
}

/*
 * Reads both streams until the hook has ended: not until their ends, which a server that it left
 * running may hold open.  0 or -errno: -ETIMEDOUT when it takes too long.
 */
static int listen_to(struct child *c, unsigned timeout_s)
{
    uint64_t deadline = clock_mono_us() + UINT64_C(1000000) * timeout_s;
    int pidfd = pidfd_open(c->pid, 0);
    int r = pidfd < 0 ? -errno : 0;
    for (bool ended = false; r == 0 && !ended;) {
        uint64_t now = clock_mono_us();
        struct pollfd p[3] = {{.fd = c->fds[0], .events = POLLIN},
                              {.fd = c->fds[1], .events = POLLIN},
                              {.fd = pidfd, .events = POLLIN}};
        if (now >= deadline)
            r = -ETIMEDOUT;
        else if (poll(p, 3, (int)((deadline - now) / 1000) + 1) < 0)
            continue; /* a signal: the caller looks at it when the hook is done */
        for (int i = 0; i < 2; i++)
            if (p[i].revents)
                drain(c, i);
        ended = p[2].revents && !p[0].revents && !p[1].revents;
    }
    if (pidfd >= 0)
        close(pidfd);
    return r;
}

/* The end of the hook: its exit status or -errno. */
static int reap(struct child *c, int r)
{
    if (r < 0)
        kill(-c->pid, SIGKILL);
    for (int i = 0; i < 2; i++)
        if (c->fds[i] >= 0)
            close(c->fds[i]);
    int status;
    while (waitpid(c->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (r < 0)
        return r;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* For records and terminals: without control characters. */
static void first_line(const struct buf *b, char *out, size_t size)
{
    size_t len = b->len ? strcspn(b->data, "\n") : 0;
    snprintf(out, size, "%.*s", (int)len, b->len ? b->data : "");
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
}

/* In place of what a hook printed, where it did not end by itself. */
static void describe_end(int r, unsigned timeout_s, char *out, size_t size)
{
    if (r == -ETIMEDOUT)
        snprintf(out, size, "killed after %u s", timeout_s);
    else
        snprintf(out, size, "%s", r == -EINTR ? "killed by a signal" : err_text(r));
}

static int run(const char *path, char **argv, unsigned timeout_s, char *out, size_t size)
{
    struct child c = {.pid = -1, .fds = {-1, -1}};
    int r = start(&c, path, argv);
    if (r < 0)
        snprintf(out, size, "%s", err_text(r));
    if (c.pid > 0) {
        r = reap(&c, listen_to(&c, timeout_s));
        first_line(&c.text[r == HOOK_DONE ? 0 : 1], out, size);
        if (r < 0)
            describe_end(r, timeout_s, out, size);
    }
    buf_release(&c.text[0]);
    buf_release(&c.text[1]);
    return r;
}

/* What follows the gateway for ACTION; NULL: nothing. */
static const char *last_word(const struct hook *h, const char *action)
{
    if (strcmp(action, "shared") == 0)
        return h->other;
    return strcmp(action, "cold") == 0 || strcmp(action, "remove") == 0 ? h->label : NULL;
}

int hook_run(const struct hook *h, const char *action, char *out, size_t size)
{
    char *words[WORDS_MAX + 6];
    char bytes[32];
    struct buf path = {0};
    char *line = strdup(h->line);
    int n = line ? split(line, words, WORDS_MAX) : -ENOMEM;
    if (n == 0)
        n = -ENOEXEC;
    int r = n < 0 ? n : find(words[0], &path);
    if (r == 0) {
        snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)h->size_bytes);
        /* execvp() promises not to change them. */
        words[n++] = (char *)(uintptr_t)action;
        words[n++] = (char *)(uintptr_t)h->volume;
        words[n++] = bytes;
        words[n++] = (char *)(uintptr_t)h->gateway;
        /* NULL ends the words. */
        words[n++] = (char *)(uintptr_t)last_word(h, action);
        words[n] = NULL;
        r = run(path.data, words, h->timeout_s ? h->timeout_s : HOOK_TIMEOUT_S, out, size);
    } else {
        snprintf(out, size, "%s", err_text(r));
    }
    buf_release(&path);
    free(line);
    return r;
}

int hook_size(const struct hook *h, uint64_t *bytes, char *why, size_t size)
{
    int r = hook_run(h, "size", why, size);
    if (r != HOOK_DONE)
        return r;
    if (parse_u64(why, bytes) == 0)
        return HOOK_DONE;
    snprintf(why, size, "its size is not a number");
    return -EPROTO;
}

int hook_shared(const struct hook *h, const char *other, char *why, size_t size)
{
    struct hook asked = *h;
    asked.other = other;
    if (!hook_there(h))
        return 0;
    int r = hook_run(&asked, "shared", why, size);
    if (r == HOOK_DONE && strcmp(why, "shared") == 0)
        return 1;
    /* A script ends with 0 where no case is for the action: nothing would be copied. */
    if (r == HOOK_DONE) {
        snprintf(why, size,
                 "it ends with 0, but does not print 'shared'; one that has no such action ends "
                 "with 3");
        return -EPROTO;
    }
    /* One that was made before there was this action says so, or that it has too many words. */
    bool no = r == HOOK_CANNOT || r == HOOK_ABSENT || r == HOOK_USAGE;
    return no ? 0 : r > 0 ? -r : r;
}
