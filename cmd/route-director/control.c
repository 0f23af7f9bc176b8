/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accesslog.h"
#include "common/base/error.h"
#include "common/base/parse.h"
#include "move.h"
#include "quarantine.h"
#include "reread.h"
#include "stream.h"

/* A request line is short; the arguments of the longest verb are few. */
enum { LINE_LIMIT = 4096, ARGS_MAX = 6 };

struct control {
    struct director *d;
    struct stream stream;
    bool busy;   /* a verb is not answered yet */
    bool closed; /* freed when the job and the task are done */
    bool job_pending;
    struct storejob job;     /* of reload */
    struct volume_wait wait; /* of begin */
    bool waiting;
    uint64_t epoch;
    char target[NAME_LEN_MAX + 1];
    struct loop_task next;
};

struct verb {
    const char *name;
    const char *usage;
    int args; /* without the verb; -1: one, or none */
    void (*run)(struct control *c, char **args);
};

static void take_lines(struct control *c);

/* ---- answers ---- */

/* HEAD, a blank if there is text, and the text, as one line. */
__attribute__((format(printf, 3, 0))) static void send_text(struct control *c, const char *head,
                                                            const char *fmt, va_list ap)
{
    char text[4096];
    if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
        text[0] = 0;
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ' ';
    struct buf line = {0};
    if (!c->closed && buf_printf(&line, "%s%s%s\n", head, *head && *text ? " " : "", text) == 0)
        stream_send_copy(&c->stream, line.data, line.len);
    buf_release(&line);
}

static void close_if_done(struct control *c);

static void next_task(struct loop_task *t)
{
    struct control *c = (struct control *)((char *)t - offsetof(struct control, next));
    if (!c->closed) {
        stream_pause(&c->stream, false);
        take_lines(c);
        close_if_done(c);
    } else if (!c->job_pending) {
        free(c);
    }
}

static void verb_over(struct control *c)
{
    c->busy = false;
    loop_task_add(c->d->loop, &c->next, next_task);
}

/* A line of data before the answer. */
__attribute__((format(printf, 2, 3))) static void control_line(struct control *c, const char *fmt,
                                                               ...)
{
    va_list ap;
    va_start(ap, fmt);
    send_text(c, "", fmt, ap);
    va_end(ap);
}

void control_ok(struct control *c, const char *fmt, ...)
{
    if (!c)
        return;
    va_list ap;
    va_start(ap, fmt);
    send_text(c, "ok", fmt, ap);
    va_end(ap);
    verb_over(c);
}

void control_err(struct control *c, int err, const char *fmt, ...)
{
    char head[64];
    if (!c)
        return;
    snprintf(head, sizeof(head), "err %s", err_name(err));
    va_list ap;
    va_start(ap, fmt);
    send_text(c, head, fmt, ap);
    va_end(ap);
    verb_over(c);
}

/* ---- verbs without a move ---- */

static void run_help(struct control *c, char **args);

static void status_line(struct control *c, const struct volume *v)
{
    const struct move *m = v->move;
    struct blocks_counts n = {0};
    if (m && m->blocks)
        n = blocks_counts(m->blocks);
    const char *target = m && m->blocks ? m->target : "-";
    struct buf latency = {0};
    stats_words(v, loop_now_us(c->d->loop), &latency);
    control_line(
        c,
        "volume=%s owner=%s epoch=%llu phase=%s target=%s size=%llu block=%d blocks=%llu "
        "dirty=%llu copying=%llu haunted=%llu synced=%llu unproved=%llu clients=%u inflight=%zu "
        "held=%zu requests=%llu errors=%llu pause_us=%llu log_dropped=%llu "
        "replayed=%llu reconnects=%llu expired=%llu%s",
        v->name, v->route.gateway, (unsigned long long)v->route.epoch,
        m ? move_phase_name(m) : "steady", target, (unsigned long long)v->route.size_bytes,
        BLOCK_SIZE, (unsigned long long)((v->route.size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE),
        (unsigned long long)n.dirty, (unsigned long long)n.copying, (unsigned long long)n.haunted,
        (unsigned long long)n.synced, (unsigned long long)n.unproved, v->n_clients, v->inflight,
        v->held.n, (unsigned long long)v->requests, (unsigned long long)v->errors,
        (unsigned long long)v->pause_us, (unsigned long long)accesslog_dropped(c->d->log),
        (unsigned long long)v->replayed, (unsigned long long)v->reconnects,
        (unsigned long long)v->expired, latency.data ? latency.data : "");
    buf_release(&latency);
}

static void run_status(struct control *c, char **args)
{
    bool any = false;
    for (const struct volume *v = c->d->volumes; v; v = v->next) {
        if (v->state != VOLUME_SERVING || (args[0] && strcmp(args[0], v->name) != 0))
            continue;
        status_line(c, v);
        any = true;
    }
    if (args[0] && !any)
        control_err(c, ENOENT, "volume '%s' is not being served", args[0]);
    else
        control_ok(c, "%s", "");
}

static void run_stats(struct control *c, char **args)
{
    struct buf lines = {0};
    int r = stats_records(c->d, args[0], &lines);
    if (r == 0 && !c->closed)
        r = stream_send_copy(&c->stream, lines.data, lines.len);
    buf_release(&lines);
    if (r == -ENOENT)
        control_err(c, ENOENT, "volume '%s' is not being served", args[0]);
    else if (r < 0)
        control_err(c, -r, "%s", err_text(r));
    else
        control_ok(c, "%s", "");
}

static void reloaded(struct storejob *j)
{
    struct control *c = j->arg;
    c->job_pending = false;
    if (j->result < 0)
        control_err(c, j->result, "%s", j->error);
    else if (reread_apply(c->d, j) < 0)
        control_err(c, EBUSY, "a commit is under way");
    else
        control_ok(c, "%s", "");
}

static void run_reload(struct control *c, char **args)
{
    c->job = (struct storejob){.kind = STOREJOB_GET, .done = reloaded, .arg = c};
    snprintf(c->job.route.volume, sizeof(c->job.route.volume), "%s", args[0]);
    c->job_pending = true;
    storejobs_queue(c->d->jobs, &c->job);
}

/* ---- verbs of a move ---- */

static void opened(struct volume_wait *w, struct volume *v, const char *error)
{
    struct control *c = (struct control *)((char *)w - offsetof(struct control, wait));
    c->waiting = false;
    if (v)
        move_begin(v, c, c->epoch, c->target);
    else
        control_err(c, EHOSTUNREACH, "volume can't be served: %s", error);
}

static void run_begin(struct control *c, char **args)
{
    if (parse_u64(args[1], &c->epoch) < 0 || parse_name(args[2]) < 0) {
        control_err(c, EINVAL, "not an epoch, or not a gateway's name");
        return;
    }
    snprintf(c->target, sizeof(c->target), "%s", args[2]);
    c->wait.done = opened;
    c->waiting = true;
    volume_open(c->d, args[0], &c->wait);
}

/* The move of volume NAME that C drives.  NULL: C has its answer. */
static struct move *driven(struct control *c, const char *name)
{
    const struct volume *other = NULL;
    for (const struct volume *v = c->d->volumes; v; v = v->next) {
        if (strcmp(v->name, name) != 0 || !v->move)
            continue;
        other = v;
        if (v->move->driver != c)
            continue;
        if (v->move->phase != MOVE_GONE && v->move->phase != MOVE_ENDING)
            return v->move;
        control_err(c, ECONNABORTED, "%s", v->move->why);
        return NULL;
    }
    if (other)
        control_err(c, EBUSY, "this connection did not begin the move of '%s'", name);
    else
        control_err(c, ENOENT, "no move of volume '%s'", name);
    return NULL;
}

static bool number(struct control *c, const char *arg, uint64_t max, uint64_t *out)
{
    if (parse_u64(arg, out) == 0 && *out <= max)
        return true;
    control_err(c, EINVAL, "'%s' is not a number in range", arg);
    return false;
}

static void run_claim(struct control *c, char **args)
{
    uint64_t max;
    bool copy = strcmp(args[1], "copy") == 0;
    struct move *m = driven(c, args[0]);
    if (!m)
        return;
    if (!copy && strcmp(args[1], "prove") != 0)
        control_err(c, EINVAL, "claim copy, or prove");
    else if (number(c, args[2], UINT64_MAX, &max))
        move_claim(m, c, copy ? CLAIM_COPY : CLAIM_PROVE, max);
}

static void run_synced(struct control *c, char **args)
{
    uint64_t claim;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT32_MAX, &claim))
        move_done(m, c, CLAIM_COPY, claim);
}

static void run_proved(struct control *c, char **args)
{
    uint64_t claim;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT32_MAX, &claim))
        move_done(m, c, CLAIM_PROVE, claim);
}

static void run_release(struct control *c, char **args)
{
    uint64_t claim;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT32_MAX, &claim))
        move_release(m, c, claim);
}

static void run_differs(struct control *c, char **args)
{
    uint64_t claim;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT32_MAX, &claim))
        move_differs(m, c, claim);
}

static void run_mirror(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_mirror(m, c);
}

static void run_hold(struct control *c, char **args)
{
    uint64_t window_ms;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], 60000, &window_ms))
        move_hold(m, c, window_ms);
}

static void run_unhold(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_unhold(m, c);
}

static void run_flush(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_flush(m, c);
}

static void run_switch(struct control *c, char **args)
{
    uint64_t epoch;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT64_MAX, &epoch))
        move_switch(m, c, epoch);
}

static void run_retire(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_retire(m, c);
}

static void run_abort(struct control *c, char **args)
{
    for (struct volume *v = c->d->volumes; v; v = v->next)
        if (strcmp(v->name, args[0]) == 0 && v->move) {
            move_abort(v->move, c);
            return;
        }
    control_err(c, ENOENT, "no move of volume '%s'", args[0]);
}

static const struct verb verbs[] = {
    {"abort", "abort VOLUME", 1, run_abort},
    {"begin", "begin VOLUME EPOCH TARGET", 3, run_begin},
    {"claim", "claim VOLUME copy|prove MAX_BYTES", 3, run_claim},
    {"differs", "differs VOLUME CLAIM", 2, run_differs},
    {"flush", "flush VOLUME", 1, run_flush},
    {"help", "help", 0, run_help},
    {"hold", "hold VOLUME WINDOW_MS", 2, run_hold},
    {"mirror", "mirror VOLUME", 1, run_mirror},
    {"proved", "proved VOLUME CLAIM", 2, run_proved},
    {"release", "release VOLUME CLAIM", 2, run_release},
    {"reload", "reload VOLUME", 1, run_reload},
    {"retire", "retire VOLUME", 1, run_retire},
    {"stats", "stats [VOLUME]", -1, run_stats},
    {"status", "status [VOLUME]", -1, run_status},
    {"switch", "switch VOLUME EPOCH", 2, run_switch},
    {"synced", "synced VOLUME CLAIM", 2, run_synced},
    {"unhold", "unhold VOLUME", 1, run_unhold},
};

static void run_help(struct control *c, char **args)
{
    (void)args;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        control_line(c, "%s", verbs[i].usage);
    control_ok(c, "%s", "");
}

/* ---- lines ---- */

static void run_line(struct control *c, char *line)
{
    char *args[ARGS_MAX + 1] = {0};
    int n = 0;
    char *save = NULL;
    for (char *a = strtok_r(line, " \t\r", &save); a; a = strtok_r(NULL, " \t\r", &save)) {
        if (n == ARGS_MAX) {
            control_err(c, EINVAL, "too many words");
            return;
        }
        args[n++] = a;
    }
    if (!n) {
        control_err(c, EINVAL, "empty line; 'help' lists the verbs");
        return;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const struct verb *v = &verbs[i];
        if (strcmp(v->name, args[0]) != 0)
            continue;
        bool count = v->args < 0 ? n <= 2 : n == v->args + 1;
        if (!count)
            control_err(c, EINVAL, "usage: %s", v->usage);
        else if (n > 1 && parse_name(args[1]) < 0)
            control_err(c, EINVAL, "not a volume's name");
        else
            v->run(c, args + 1);
        return;
    }
    control_err(c, EINVAL, "unknown verb '%.64s'; 'help' lists them", args[0]);
}

static void close_control(struct control *c)
{
    struct volume *next;
    if (c->closed)
        return;
    c->closed = true;
    stream_close(&c->stream);
    if (c->waiting)
        volume_open_cancel(c->d, &c->wait);
    for (struct volume *v = c->d->volumes; v; v = next) {
        next = v->next;
        if (v->move)
            move_control_gone(v->move, c);
    }
    quarantine_writer_gone(c->d, c);
    loop_task_add(c->d->loop, &c->next, next_task);
}

static void take_lines(struct control *c)
{
    unsigned char *p;
    size_t len;
    while (!c->busy && !c->closed && (len = stream_data(&c->stream, &p)) > 0) {
        unsigned char *nl = memchr(p, '\n', len < LINE_LIMIT ? len : LINE_LIMIT);
        if (!nl && len < LINE_LIMIT)
            return;
        if (!nl || memchr(p, 0, (size_t)(nl - p))) {
            err_warn("control connection: not a line of text");
            close_control(c);
            return;
        }
        char line[LINE_LIMIT];
        size_t n = (size_t)(nl - p);
        memcpy(line, p, n);
        line[n] = 0;
        stream_eat(&c->stream, n + 1);
        c->busy = true;
        run_line(c, line);
    }
}

/* Who sends no more gets the answers still. */
static void close_if_done(struct control *c)
{
    if (!c->closed && c->stream.ended && !c->busy && !stream_unsent(&c->stream))
        close_control(c);
}

static struct control *control_of(struct stream *s)
{
    return (struct control *)((char *)s - offsetof(struct control, stream));
}

static void on_input(struct stream *s)
{
    struct control *c = control_of(s);
    unsigned char *p;
    take_lines(c);
    /* Who sends on without reading answers is stopped by its own socket. */
    if (!c->closed && c->busy && stream_data(s, &p) > LINE_LIMIT)
        stream_pause(s, true);
}

static void on_ended(struct stream *s)
{
    close_if_done(control_of(s));
}

static void on_drained(struct stream *s)
{
    close_if_done(control_of(s));
}

static void on_lost(struct stream *s, int err)
{
    (void)err;
    close_control(control_of(s));
}

void control_new(struct director *d, int fd)
{
    static const struct stream_ops ops = {
        .input = on_input, .ended = on_ended, .lost = on_lost, .drained = on_drained};
    struct control *c = calloc(1, sizeof(*c));
    if (!c || stream_open(&c->stream, d->loop, &d->pool, fd, false, &ops) < 0) {
        err_warn("control connection: %s", err_text(ENOMEM));
        close(fd);
        free(c);
        return;
    }
    c->d = d;
}
