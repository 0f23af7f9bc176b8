/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/migrate-console/signals.h"
#include "cmd/migrate-console/text.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

/* What a child ends with that could not become its command; shells say the same. */
enum { NOT_RUN = 127 };

/* ---- making a pipeline ---- */

static void add_words(struct pipeline *p, va_list ap)
{
    for (const char *word; (word = va_arg(ap, const char *));)
        run_word(p, word);
}

void run_word(struct pipeline *p, const char *word)
{
    words_add(&p->stage[p->n - 1], word);
}

void run_words(struct pipeline *p, const char *word, ...)
{
    va_list ap;
    run_word(p, word);
    va_start(ap, word);
    add_words(p, ap);
    va_end(ap);
}

void run_stage(struct pipeline *p, const char *program, ...)
{
    va_list ap;
    p->n++;
    run_word(p, program);
    va_start(ap, program);
    add_words(p, ap);
    va_end(ap);
}

void run_tool(struct pipeline *p, const struct console *c, const char *program)
{
    run_stage(p, program, (char *)NULL);
    for (size_t i = 0; i < c->folders.n; i++)
        run_word(p, c->folders.v[i]);
}

void run_release(struct pipeline *p)
{
    for (size_t i = 0; i < p->n; i++)
        words_release(&p->stage[i]);
    *p = (struct pipeline){0};
}

/* ---- showing it ---- */

void run_show_text(const struct console *c, const char *text)
{
    struct buf line = {0};
    if (c->quiet)
        return;
    fflush(stdout);
    if (c->own_stderr)
        text_safe(&line, text, strlen(text));
    else
        words_need(buf_adds(&line, text));
    fprintf(stderr, "+ %s\n", line.len ? line.data : "");
    buf_release(&line);
}

void run_show(const struct console *c, const struct pipeline *p)
{
    struct buf line = {0};
    if (p->hidden)
        return;
    if (p->input_shown)
        words_need(buf_printf(&line, "%s | ", p->input_shown));
    for (size_t i = 0; i < p->n; i++) {
        for (size_t w = 0; w < p->stage[i].n; w++) {
            words_need(buf_adds(&line, w ? " " : i ? " | " : ""));
            words_quote(&line, p->stage[i].v[w]);
        }
        /* The one that would read what is typed next. */
        if (i == 0 && !p->input && strcmp(p->stage[0].v[0], "affinity-profile") == 0)
            words_need(buf_adds(&line, " </dev/null"));
    }
    if (p->to) {
        words_need(buf_adds(&line, " >"));
        words_quote(&line, p->to);
    }
    run_show_text(c, line.len ? line.data : "");
    buf_release(&line);
}

/* ---- starting it ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

_Noreturn static void become(const struct words *command, const struct run_ends *e,
                             enum run_reach reach)
{
    if ((e->in >= 0 && dup2(e->in, STDIN_FILENO) < 0) ||
        (e->out >= 0 && dup2(e->out, STDOUT_FILENO) < 0) ||
        (e->err >= 0 && dup2(e->err, STDERR_FILENO) < 0) ||
        (reach == RUN_APART && setpgid(0, 0) < 0) || (reach == RUN_DETACHED && setsid() < 0))
        _exit(EX_OSERR);
    signals_restore();
    /* It may print to the terminal, also where that stops others that are not in front. */
    if (reach == RUN_APART)
        signal(SIGTTOU, SIG_IGN);
    execvp(command->v[0], command->v);
    err_warn("cannot run '%s': %s", command->v[0], err_text(errno));
    _exit(NOT_RUN);
}

pid_t run_start(const struct words *command, const struct run_ends *e, enum run_reach reach)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(command, e, reach);
    return pid < 0 ? -errno : pid;
}

/* A descriptor that reads what the first command is given; -errno. */
static int input_of(const struct console *c, const struct pipeline *p)
{
    int fd;
    if (!p->input) {
        fd = p->plain && !c->stdin_is_script ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                             : open("/dev/null", O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    fd = memfd_create("input", MFD_CLOEXEC);
    int r = fd < 0 ? -errno : fsfile_write_all(fd, p->input, p->input_len);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r < 0)
        close_fd(&fd);
    return r < 0 ? r : fd;
}

/* A running pipeline, and what the console reads of it. */
struct running {
    pid_t pid[RUN_STAGES];
    size_t n;
    int out, err;    /* ends that are read; -1: none, or it has ended */
    struct buf line; /* of standard error, not yet ended by a newline */
    bool full;
    bool apart; /* RUN_APART */
    bool told;  /* that it is to end: a second time would end a move in its hold */
};

static void kill_all(const struct running *r, int sig)
{
    for (size_t i = 0; i < r->n; i++)
        kill(r->pid[i], sig);
}

/* After a signal: one that ends the console ends the commands, and Ctrl-Z, which has stopped them,
 * stops it. */
static void pass_on(struct running *r)
{
    int sig = signals_ending() ? SIGTERM : r->apart && signals_seen(SIGINT) ? SIGINT : 0;
    if (sig && !r->told)
        kill_all(r, sig);
    r->told = r->told || sig;
    signals_stop();
}

/* ---- what it prints ---- */

void run_say(const char *text, size_t len)
{
    struct buf line = {0};
    fflush(stdout);
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - (text + at)) : len - at;
        buf_clear(&line);
        text_safe(&line, text + at, n);
        words_need(buf_adds(&line, "\n"));
        fwrite(line.data, 1, line.len, stderr);
        at += n + 1;
    }
    fflush(stderr);
    buf_release(&line);
}

/* Says the whole lines of what came, or at the end all of it. */
static void say_lines(struct running *r, bool end)
{
    enum { LINE_MAX_KEPT = 64 * 1024 };
    char *last = r->line.len ? memrchr(r->line.data, '\n', r->line.len) : NULL;
    size_t n = end || r->line.len > LINE_MAX_KEPT ? r->line.len
               : last                             ? (size_t)(last + 1 - r->line.data)
                                                  : 0;
    if (n)
        run_say(r->line.data, n);
    buf_consume(&r->line, n);
}

/* Reads what is there: false at the end of it. */
static bool take(int fd, struct buf *into)
{
    char piece[16 * 1024];
    ssize_t n = read(fd, piece, sizeof(piece));
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    words_need(buf_add(into, piece, (size_t)n));
    return n > 0;
}

/* Hands on what the commands print, until they have closed their ends. */
static void pump(struct running *r, struct buf *capture)
{
    while (r->out >= 0 || r->err >= 0) {
        struct pollfd p[] = {{r->out, POLLIN, 0}, {r->err, POLLIN, 0}};
        if (ppoll(p, 2, NULL, signals_mask()) < 0) {
            pass_on(r);
            continue;
        }
        if (p[0].revents && !take(r->out, capture))
            close_fd(&r->out);
        if (p[1].revents) {
            bool more = take(r->err, &r->line);
            say_lines(r, !more);
            if (!more)
                close_fd(&r->err);
        }
        if (capture && capture->len > RUN_CAPTURE_MAX && !r->full) {
            r->full = true;
            kill_all(r, SIGTERM);
            close_fd(&r->out);
        }
    }
}

/* ---- its end ---- */

static int status_of(int wstatus)
{
    return WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : 128 + WTERMSIG(wstatus);
}

/* Waits for PID; signals are let in meanwhile, and one that ends the console ends it, too. */
static int wait_for(struct running *r, pid_t pid)
{
    int wstatus = 0;
    while (waitpid(pid, &wstatus, WNOHANG) == 0) {
        /* SIGCHLD ends it, too. */
        if (ppoll(NULL, 0, NULL, signals_mask()) < 0)
            pass_on(r);
    }
    return status_of(wstatus);
}

/* The status of the first command that failed of its own. */
static int wait_all(struct running *r, const struct pipeline *p)
{
    int status = 0;
    for (size_t i = 0; i < r->n; i++) {
        int s = wait_for(r, r->pid[i]);
        bool was_enough = s == 128 + SIGPIPE && i + 1 < r->n;
        if (!status && !was_enough)
            status = s == NOT_RUN && !p->plain ? EX_UNAVAILABLE : s;
        /* Its own line cannot say it. */
        if (s > 128 && !was_enough && !p->plain && s != 128 + SIGINT && !r->full)
            err_warn("'%s' was killed by signal %d", p->stage[i].v[0], s - 128);
    }
    return status;
}

/* ---- all of it ---- */

static int cannot_start(const char *what, int r)
{
    err_warn("cannot run '%s': %s", what, err_text(r));
    return EX_OSERR;
}

/* Pipes of the console's own: ENDS[0] is read by it, ENDS[1] is the commands'. */
static int open_pipe(int ends[2], bool wanted)
{
    ends[0] = ends[1] = -1;
    return wanted && pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

/* Where the last command prints to: -1 is our own standard output; -errno - 1 on failure. */
static int output_of(const struct pipeline *p, int captured)
{
    if (p->capture)
        return captured;
    if (!p->to)
        return -1;
    int fd = open(p->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 ? -errno - 1 : fd;
}

/* Starts the commands one after the other, each reading what the one before prints. */
static int start_all(struct running *r, const struct pipeline *p, int in, int last_out, int err)
{
    int result = 0;
    for (size_t i = 0; i < p->n && result == 0; i++) {
        int link[2];
        result = open_pipe(link, i + 1 < p->n);
        if (result < 0)
            break;
        struct run_ends e = {in, i + 1 < p->n ? link[1] : last_out, err};
        pid_t pid = run_start(&p->stage[i], &e, r->apart ? RUN_APART : RUN_TOGETHER);
        if (pid > 0)
            r->pid[r->n++] = pid;
        else
            result = pid;
        close_fd(&in);
        close_fd(&link[1]);
        in = link[0];
    }
    close_fd(&in);
    return result;
}

static int run_it(struct console *c, struct pipeline *p)
{
    struct running r = {.out = -1, .err = -1, .apart = !c->interactive && !p->plain};
    int out[2], err[2], status = 0;
    int failed = open_pipe(out, p->capture != NULL);
    int failed_too = open_pipe(err, c->own_stderr && !p->plain);
    int last_out = output_of(p, out[1]), in = input_of(c, p);
    failed = failed ? failed : failed_too;
    if (last_out < -1) {
        err_warn("cannot create '%s': %s", p->to, err_text(last_out + 1));
        status = EX_CANTCREAT;
    } else if (failed < 0 || in < 0) {
        status = cannot_start(p->stage[0].v[0], failed < 0 ? failed : in);
    } else {
        int s = start_all(&r, p, in, last_out, err[1]);
        in = -1;
        if (s < 0)
            status = cannot_start(p->stage[r.n].v[0], s);
    }
    close_fd(&in);
    if (last_out != out[1])
        close_fd(&last_out);
    close_fd(&out[1]);
    close_fd(&err[1]);
    r.out = out[0];
    r.err = err[0];
    pump(&r, p->capture);
    int ended = wait_all(&r, p);
    if (r.full) {
        err_warn("'%s' prints more than %zu MiB: stopped", p->stage[p->n - 1].v[0],
                 RUN_CAPTURE_MAX >> 20);
        status = EX_IOERR;
    }
    buf_release(&r.line);
    return status ? status : ended;
}

int run(struct console *c, struct pipeline *p)
{
    run_show(c, p);
    int status = run_it(c, p);
    run_release(p);
    return status;
}

/* ---- jobs ---- */

/* A new, empty file; its descriptor in *FD. */
static char *job_file(struct console *c, const char *ending, int *fd)
{
    char name[64];
    snprintf(name, sizeof(name), "job-%zu.%s", c->n_jobs + 1, ending);
    char *path = console_file(c, name);
    *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    return path;
}

struct job *run_job(struct console *c, struct pipeline *p, const char *label)
{
    struct run_ends e = {-1, -1, -1};
    run_show(c, p);
    words_need(vec_room(&c->jobs, c->n_jobs, &c->cap_jobs, sizeof(*c->jobs)));
    struct job *j = &c->jobs[c->n_jobs];
    *j = (struct job){.label = strdup(label)};
    words_need(j->label ? 0 : -ENOMEM);
    j->out = job_file(c, "out", &e.out);
    j->err = job_file(c, "err", &e.err);
    e.in = input_of(c, p);
    j->pid = e.in < 0 || e.out < 0 || e.err < 0 ? -EIO : run_start(&p->stage[0], &e, RUN_DETACHED);
    if (j->pid > 0) {
        c->n_jobs++;
    } else {
        cannot_start(p->stage[0].v[0], j->pid);
        /* The next job takes the names. */
        unlink(j->out);
        unlink(j->err);
        free(j->label);
        free(j->out);
        free(j->err);
    }
    close_fd(&e.in);
    close_fd(&e.out);
    close_fd(&e.err);
    run_release(p);
    return j->pid > 0 ? j : NULL;
}

void run_reap(struct console *c)
{
    int wstatus;
    for (size_t i = 0; i < c->n_jobs; i++) {
        struct job *j = &c->jobs[i];
        if (j->ended || waitpid(j->pid, &wstatus, WNOHANG) != j->pid)
            continue;
        j->ended = true;
        j->status = status_of(wstatus);
    }
}

size_t run_jobs(const struct console *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_jobs; i++)
        n += !c->jobs[i].ended;
    return n;
}
