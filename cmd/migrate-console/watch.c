/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/migrate-console/feed.h"
#include "cmd/migrate-console/looks.h"
#include "cmd/migrate-console/names.h"
#include "cmd/migrate-console/run.h"
#include "cmd/migrate-console/sample.h"
#include "cmd/migrate-console/screen.h"
#include "cmd/migrate-console/signals.h"
#include "cmd/migrate-console/text.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum { LOOK_EVERY_US = 500000, KEYS = 32 };

struct view {
    struct console *c;
    struct feed events, director;
    struct sample sample;
    uint64_t next_us; /* when to look again, on clock_mono_us() */
    bool looked;      /* there was a first look */
    bool leave;
};

/* ---- drawing ---- */

/* One line of at most WIDTH columns, from anything. */
static void put_line(struct buf *out, const char *text, size_t width)
{
    struct buf safe = {0}, line = {0};
    text_safe(&safe, text, strcspn(text, "\n"));
    text_fit(&line, safe.len ? safe.data : "", width, false);
    while (line.len && line.data[line.len - 1] == ' ')
        line.data[--line.len] = 0;
    words_need(buf_printf(out, "%s\n", line.len ? line.data : ""));
    buf_release(&safe);
    buf_release(&line);
}

static void put_head(const struct view *v, struct buf *out, size_t width)
{
    struct buf head = {0};
    char clock[16];
    time_t t = (time_t)clock_now();
    struct tm tm;
    size_t open = 0;
    if (!gmtime_r(&t, &tm) || !strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
        clock[0] = 0;
    for (size_t i = 0; i < v->sample.n; i++)
        open += !v->sample.track[i].over;
    words_need(buf_printf(&head, "%zu move%s open  director %s  %s UTC  q leaves", open,
                          open == 1 ? "" : "s",
                          v->director.failed ? "away"
                          : v->looked        ? "up"
                                             : "?",
                          clock));
    if (text_colour())
        words_need(buf_adds(out, "\033[7m"));
    put_line(out, head.data, width);
    if (text_colour()) {
        out->data[--out->len] = 0; /* the newline */
        words_need(buf_adds(out, "\033[m\n"));
    }
    buf_release(&head);
}

static void draw(struct view *v)
{
    struct buf out = {0};
    struct words alarms = {0};
    size_t width = text_columns();
    put_head(v, &out, width);
    words_need(buf_adds(&out, "\n"));
    if (v->looked && v->sample.n == 0)
        put_line(&out, "no move is open", width);
    sample_table(&v->sample, width, &out);
    words_need(buf_adds(&out, "\n"));
    if (v->events.failed)
        put_line(&out, v->events.errors.len ? v->events.errors.data : "no events", width);
    if (v->director.failed)
        put_line(&out, v->director.errors.len ? v->director.errors.data : "no director", width);
    names_alarms(v->c, &alarms);
    for (size_t i = 0; i < alarms.n; i++)
        put_line(&out, alarms.v[i], width);
    screen_draw(&out);
    words_release(&alarms);
    buf_release(&out);
}

/* ---- looking ---- */

static void start_looking(struct view *v)
{
    feed_start(&v->events, v->c, "migrate-exec");
    feed_start(&v->director, v->c, "route-director");
    v->next_us = clock_mono_us() + LOOK_EVERY_US;
}

/* Both have ended: what they printed is taken in. */
static void take_in(struct view *v)
{
    v->events.fresh = v->director.fresh = false;
    v->looked = true;
    if (sample_take(&v->sample, v->c, &v->events.text, &v->director.text) < 0)
        v->events.failed = true;
}

/* ---- keys and signals ---- */

static void take_keys(struct view *v)
{
    char keys[KEYS];
    ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        v->leave = true;
    for (ssize_t i = 0; i < n; i++)
        v->leave = v->leave || keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 4;
}

/* Stopped as any program is, with the terminal as it was. */
static void suspend(struct view *v)
{
    screen_leave();
    signals_stop();
    if (screen_enter() < 0)
        v->leave = true;
}

static void take_signals(struct view *v)
{
    if (signals_take(SIGINT) || signals_ending())
        v->leave = true;
    if (signals_seen(SIGTSTP))
        suspend(v);
    signals_take(SIGWINCH); /* what is drawn next has the new size */
}

/* ---- the loop ---- */

static void wait_a_while(struct view *v)
{
    struct pollfd p[5] = {{STDIN_FILENO, POLLIN, 0}};
    size_t n = 1;
    n += feed_poll(&v->events, p + n);
    n += feed_poll(&v->director, p + n);
    uint64_t now = clock_mono_us(), due = v->next_us > now ? v->next_us - now : 0;
    /* While something is looked at its ends wake us, and its deadline must be seen. */
    due = n > 1 ? LOOK_EVERY_US : due;
    struct timespec t = {(time_t)(due / 1000000), (long)(due % 1000000) * 1000};
    if (ppoll(p, n, &t, signals_mask()) > 0 && p[0].revents)
        take_keys(v);
}

static bool is_looking(const struct view *v)
{
    return feed_runs(&v->events) || feed_runs(&v->director);
}

/* True once the job has ended: what it printed says how. */
static bool step(struct view *v, size_t job)
{
    if (!is_looking(v) && clock_mono_us() >= v->next_us)
        start_looking(v);
    draw(v);
    wait_a_while(v);
    take_signals(v);
    feed_take(&v->events);
    feed_take(&v->director);
    run_reap(v->c);
    if (!is_looking(v) && v->events.fresh && v->director.fresh)
        take_in(v);
    return job < v->c->n_jobs && v->c->jobs[job].ended;
}

static int view(struct console *c, size_t job)
{
    struct view v = {.c = c, .sample = {.since = clock_now() - 1}};
    int r = screen_enter();
    if (r < 0) {
        err_warn("the terminal cannot be drawn on: %s", err_text(r));
        return EX_OSERR;
    }
    signals_take(SIGINT);
    while (!v.leave && !step(&v, job))
        ;
    screen_leave();
    feed_release(&v.events);
    feed_release(&v.director);
    sample_release(&v.sample);
    return 0;
}

/* Without a page: the end of the job, or an interrupt. */
static void wait_only(struct console *c, size_t job)
{
    signals_take(SIGINT);
    while (!c->jobs[job].ended && !signals_take(SIGINT) && !signals_ending()) {
        run_reap(c);
        if (!c->jobs[job].ended && ppoll(NULL, 0, NULL, signals_mask()) < 0)
            signals_stop();
    }
}

void watch_until(struct console *c, size_t job)
{
    if (screen_is_possible())
        view(c, job);
    else
        wait_only(c, job);
}

/* One look, for who has no terminal. */
static int look_once(struct console *c)
{
    struct pipeline p = {0};
    run_tool(&p, c, "migrate-exec");
    run_word(&p, "--status");
    return look_records(c, &p, look_events);
}

int watch(struct console *c, struct words *w)
{
    (void)w;
    if (!c->table || !screen_is_possible())
        return look_once(c);
    run_show_text(c, "migrate-exec --status; route-director --status");
    return view(c, (size_t)-1);
}
