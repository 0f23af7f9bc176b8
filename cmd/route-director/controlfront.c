/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "controlfront.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "control.h"
#include "stream.h"
#include "worker.h"

/* A piece of a reply that is sent in one: a long one must not need one long buffer. */
enum { PIECE_MAX = 128 << 10 };

struct front {
    struct director *d;
    struct stream stream;
    bool busy;   /* a verb is not answered yet */
    bool closed; /* freed when the task is done and the agents are gone */
    char line[CONTROL_LINE_MAX];
    const struct verb *verb;
    bool everywhere;      /* each worker is asked in its turn … */
    unsigned asked;       /* … and this one is now */
    struct stats_sum sum; /* of all those workers */
    struct loop_task next;
    unsigned n_agents;
    struct control *agents[WORKERS_MAX]; /* NULL: not needed so far */
};

static void take_lines(struct front *f);
static void close_if_done(struct front *f);

/* ---- answers ---- */

static void send_bytes(struct front *f, const char *data, size_t len)
{
    for (size_t n; len; data += n, len -= n) {
        n = len < PIECE_MAX ? len : PIECE_MAX;
        stream_send_copy(&f->stream, data, n);
    }
}

static void next_task(struct loop_task *t)
{
    struct front *f = (struct front *)((char *)t - offsetof(struct front, next));
    if (!f->closed) {
        stream_pause(&f->stream, false);
        take_lines(f);
        close_if_done(f);
    } else if (!f->n_agents) {
        stats_sum_release(&f->sum);
        free(f);
    }
}

static void verb_over(struct front *f)
{
    f->busy = false;
    loop_task_add(f->d->loop, &f->next, next_task);
}

__attribute__((format(printf, 2, 3))) static void answer(struct front *f, const char *fmt, ...)
{
    char text[CONTROL_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len > sizeof(text) - 2)
        len = sizeof(text) - 2;
    text[len] = '\n';
    send_bytes(f, text, len + 1);
    verb_over(f);
}

static void help(struct front *f)
{
    size_t n;
    const struct verb *verbs = control_verbs(&n);
    for (size_t i = 0; i < n; i++) {
        send_bytes(f, verbs[i].usage, strlen(verbs[i].usage));
        send_bytes(f, "\n", 1);
    }
    answer(f, "ok");
}

/* ---- agents ---- */

static const struct control_ops agent_ops;

static void ask(struct front *f, struct director *where)
{
    struct control **agent = &f->agents[where->worker];
    if (!*agent) {
        *agent = control_new(where, &agent_ops, f);
        if (!*agent) {
            answer(f, "err ENOMEM %s", err_text(ENOMEM));
            return;
        }
        f->n_agents++;
    }
    bool last = !f->everywhere || where->worker + 1 == f->d->workers->n;
    control_ask(*agent, f->verb, f->line, &f->sum, last);
}

/* Of the data of a worker that was not the first one asked: what the reply has already. */
static size_t header_len(const struct front *f, const struct buf *reply, size_t data_len)
{
    if (f->verb->args != VERB_TABLE || !f->everywhere || !f->asked || !data_len)
        return 0;
    const char *nl = memchr(reply->data, '\n', data_len);
    return nl ? (size_t)(nl - reply->data) + 1 : 0;
}

static void answered(void *front, const struct buf *reply, size_t data_len, bool ok)
{
    struct front *f = front;
    if (f->closed)
        return;
    size_t skip = header_len(f, reply, data_len);
    bool last = !ok || !f->everywhere || f->asked + 1 == f->d->workers->n;
    if (reply->len > skip)
        send_bytes(f, reply->data + skip, (last ? reply->len : data_len) - skip);
    if (last)
        stats_sum_release(&f->sum);
    if (last)
        verb_over(f);
    else
        ask(f, workers_director(f->d->workers, ++f->asked));
}

static void agent_gone(void *front)
{
    struct front *f = front;
    if (!--f->n_agents)
        loop_task_add(f->d->loop, &f->next, next_task);
}

static const struct control_ops agent_ops = {.answered = answered, .gone = agent_gone};

/* ---- lines ---- */

static const struct verb *find_verb(const char *name)
{
    size_t n;
    const struct verb *verbs = control_verbs(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* Is WORD what OPTION, LEN bytes of a usage between brackets, allows: see struct verb? */
static bool is_option(const char *option, size_t len, const char *word)
{
    const char *value = memchr(option, '=', len);
    if (*option >= 'A' && *option <= 'Z')
        return true;
    if (value)
        return strncmp(word, option, (size_t)(value + 1 - option)) == 0;
    for (size_t n; len; option += n, len -= n) {
        n = strcspn(option, "|]");
        if (strlen(word) == n && strncmp(option, word, n) == 0)
            return true;
        n += n < len;
    }
    return false;
}

/* Are the N words behind V's arguments options of it, each from another place in its usage? */
static bool may_follow(const struct verb *v, char **words, int n)
{
    uint32_t used = 0;
    for (; n > 0; n--, words++) {
        unsigned i = 0;
        const char *o = strstr(v->usage, " [");
        while (o && (used >> i & 1 || !is_option(o + 2, strcspn(o + 2, "]"), *words)))
            o = strstr(o + 2, " ["), i++;
        if (!o)
            return false;
        used |= UINT32_C(1) << i;
    }
    return true;
}

static void run_verb(struct front *f, const struct verb *v, char **words, int n)
{
    bool count =
        v->args < 0 ? n <= 2 : n > v->args && may_follow(v, words + v->args + 1, n - v->args - 1);
    if (!count) {
        answer(f, "err EINVAL usage: %s", v->usage);
    } else if (n > 1 && parse_name(words[1]) < 0) {
        answer(f, "err EINVAL not a volume's name");
    } else if (!v->run) {
        help(f);
    } else {
        f->verb = v;
        f->everywhere = n == 1;
        f->asked = 0;
        ask(f, n == 1 ? workers_director(f->d->workers, 0) : worker_of(f->d, words[1]));
    }
}

static void run_line(struct front *f)
{
    char line[CONTROL_LINE_MAX];
    char *words[CONTROL_ARGS_MAX + 1];
    memcpy(line, f->line, sizeof(line));
    int n = control_split(line, words);
    if (n < 0) {
        answer(f, "err EINVAL too many words");
        return;
    }
    if (!n) {
        answer(f, "err EINVAL empty line; 'help' lists the verbs");
        return;
    }
    const struct verb *v = find_verb(words[0]);
    if (v)
        run_verb(f, v, words, n);
    else
        answer(f, "err EINVAL unknown verb '%.64s'; 'help' lists them", words[0]);
}

static void close_front(struct front *f)
{
    if (f->closed)
        return;
    f->closed = true;
    stream_close(&f->stream);
    for (unsigned i = 0; i < f->d->workers->n; i++)
        if (f->agents[i])
            control_leave(f->agents[i]);
    loop_task_add(f->d->loop, &f->next, next_task);
}

static void take_lines(struct front *f)
{
    unsigned char *p;
    size_t len;
    while (!f->busy && !f->closed && (len = stream_data(&f->stream, &p)) > 0) {
        unsigned char *nl = memchr(p, '\n', len < CONTROL_LINE_MAX ? len : CONTROL_LINE_MAX);
        if (!nl && len < CONTROL_LINE_MAX)
            return;
        if (!nl || memchr(p, 0, (size_t)(nl - p))) {
            err_warn("control connection: not a line of text");
            close_front(f);
            return;
        }
        size_t n = (size_t)(nl - p);
        memcpy(f->line, p, n);
        f->line[n] = 0;
        stream_eat(&f->stream, n + 1);
        f->busy = true;
        run_line(f);
    }
}

static bool line_waits(const struct front *f)
{
    unsigned char *p;
    size_t len = stream_data(&f->stream, &p);
    return len && memchr(p, '\n', len);
}

/* Who sends no more gets the answers still, however long another thread takes with one. */
static void close_if_done(struct front *f)
{
    if (!f->closed && f->stream.ended && !f->busy && !line_waits(f) && !stream_unsent(&f->stream))
        close_front(f);
}

/* ---- the stream ---- */

static struct front *front_of(struct stream *s)
{
    return (struct front *)((char *)s - offsetof(struct front, stream));
}

static void on_input(struct stream *s)
{
    struct front *f = front_of(s);
    unsigned char *p;
    take_lines(f);
    /* Who sends on without reading answers is stopped by its own socket. */
    if (!f->closed && f->busy && stream_data(s, &p) > CONTROL_LINE_MAX)
        stream_pause(s, true);
}

static void on_ended(struct stream *s)
{
    close_if_done(front_of(s));
}

static void on_drained(struct stream *s)
{
    close_if_done(front_of(s));
}

static void on_lost(struct stream *s, int err)
{
    (void)err;
    close_front(front_of(s));
}

void controlfront_new(struct director *d, int fd)
{
    static const struct stream_ops ops = {
        .input = on_input, .ended = on_ended, .lost = on_lost, .drained = on_drained};
    struct front *f = calloc(1, sizeof(*f));
    if (!f || stream_open(&f->stream, d->loop, &d->pool, fd, false, &ops) < 0) {
        err_warn("control connection: %s", err_text(ENOMEM));
        close(fd);
        free(f);
        return;
    }
    f->d = d;
}
