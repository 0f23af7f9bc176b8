/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/plan/score.h"

/* Words of the command; and subjects that TEXT names before it only counts. */
enum { WORDS_MAX = 32, NAMED_MAX = 20 };

struct notice {
    const char *kind;
    size_t count;
    struct buf text;
};

static void add(struct notice *n, const char *subject, const char *why)
{
    if (n->count++ >= NAMED_MAX)
        return;
    if (buf_printf(&n->text, "%s%s%s%s", n->text.len ? "; " : "", subject, *why ? ": " : "", why) <
        0)
        err_die(EX_OSERR, "out of memory");
}

/* ---- running ---- */

static size_t split(char *line, char **argv)
{
    char *rest = NULL;
    size_t n = 0;
    for (char *w = strtok_r(line, " \t\r\n", &rest); w && n < WORDS_MAX;
         w = strtok_r(NULL, " \t\r\n", &rest))
        argv[n++] = w;
    return n;
}

/* What it prints goes to stderr: standard output is the plan's. */
_Noreturn static void become(char *const *argv)
{
    dup2(STDERR_FILENO, STDOUT_FILENO);
    setpgid(0, 0);
    execvp(argv[0], argv);
    _exit(errno == ENOENT ? 127 : 126);
}

/* The status of PID, or -ETIMEDOUT after it was killed with what it started. */
static int await(pid_t pid, double timeout_s)
{
    const uint64_t end_us = clock_mono_us() + (uint64_t)(timeout_s * 1e6);
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_mono_us() >= end_us) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -ETIMEDOUT;
        }
        usleep(5000);
    }
    return status;
}

static void call(char *const *argv, const char *kind, double timeout_s)
{
    const pid_t pid = fork();
    if (pid == 0)
        become(argv);
    const int status = pid < 0 ? -errno : await(pid, timeout_s);
    if (status == -ETIMEDOUT)
        err_warn("cannot notify of %s: '%s' was killed after %g s", kind, argv[0], timeout_s);
    else if (status < 0)
        err_warn("cannot notify of %s by '%s': %s", kind, argv[0], err_text(status));
    else if (WIFSIGNALED(status))
        err_warn("cannot notify of %s: '%s' ended by signal %d", kind, argv[0], WTERMSIG(status));
    else if (WEXITSTATUS(status))
        err_warn("cannot notify of %s: '%s' ended with status %d", kind, argv[0],
                 WEXITSTATUS(status));
}

static void send(const char *command, double timeout_s, struct notice *n)
{
    char *line = strdup(command), *argv[WORDS_MAX + 4] = {NULL};
    struct buf count = {0};
    if (!line || buf_printf(&count, "%zu", n->count) < 0)
        err_die(EX_OSERR, "out of memory");
    const size_t words = split(line, argv);
    argv[words] = (char *)n->kind;
    argv[words + 1] = count.data;
    argv[words + 2] = n->text.data;
    if (n->count && words)
        call(argv, n->kind, timeout_s);
    buf_release(&count);
    buf_release(&n->text);
    free(line);
}

/* ---- what to tell ---- */

static void tell_gateway(struct notice *n, const struct plan_gateway *g,
                         const struct plan_limits *lim)
{
    struct buf why = {0};
    int err = 0;
    const enum plan_cause cause = plan_cause(g, lim);
    if (!g->scored || g->state == GATEWAY_STATE_DOWN)
        return;
    if (isnan(g->health.ghs))
        add(n, g->name, "silent");
    if (cause != PLAN_CAUSE_CRITICAL && cause != PLAN_CAUSE_P_FAIL)
        return;
    err = buf_printf(&why, "health %.2f", g->health.ghs);
    if (!err && !isnan(g->health.p_fail))
        err = buf_printf(&why, ", p_fail %.2f", g->health.p_fail);
    if (!err && *g->health.reason)
        err = buf_printf(&why, ", %s", g->health.reason);
    if (err < 0)
        err_die(EX_OSERR, "out of memory");
    add(n, g->name, why.data);
    buf_release(&why);
}

void notify(const char *command, double timeout_s, const struct plan_fleet *f,
            const struct plan_limits *lim)
{
    struct notice alarm = {.kind = "alarm"}, deferred = {.kind = "deferred"};
    struct notice recovery = {.kind = "manual-recovery"};
    for (size_t i = 0; i < f->gateway_names.n; i++)
        tell_gateway(&alarm, &f->gateways[f->gateway_order[i]], lim);
    for (size_t i = 0; i < f->volume_names.n; i++) {
        const size_t at = f->volume_order[i];
        const struct plan_volume *v = &f->volumes[at];
        if (v->state == ROUTE_STATE_DEFERRED && !plan_fleet_kept(f, at, v->other))
            add(&deferred, v->name, "");
        else if (v->state == ROUTE_STATE_MANUAL_RECOVERY)
            add(&recovery, v->name, "");
    }
    send(command, timeout_s, &alarm);
    send(command, timeout_s, &recovery);
    send(command, timeout_s, &deferred);
}
