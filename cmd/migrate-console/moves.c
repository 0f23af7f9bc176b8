/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/moves.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/ask.h"
#include "cmd/migrate-console/feed.h"
#include "cmd/migrate-console/looks.h"
#include "cmd/migrate-console/sample.h"
#include "cmd/migrate-console/text.h"
#include "cmd/migrate-console/watch.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"

bool moves_is_over(const char *event)
{
    static const char *const ends[] = {"aborted", "committed", "failed", "reverted"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (strcmp(event, ends[i]) == 0)
            return true;
    return false;
}

bool moves_options_fit(const struct words *w)
{
    static const char *const actions[] = {"--abort",  "--check",   "--commit", "--cutover",
                                          "--expire", "--missing", "--modify", "--resume",
                                          "--revert", "--status"};
    for (size_t i = 1; i < w->n; i++) {
        size_t len = strcspn(w->v[i], "=");
        /* argp takes an option's beginning for the option. */
        for (size_t a = 0; len > 2 && a < sizeof(actions) / sizeof(actions[0]); a++) {
            if (strncmp(w->v[i], actions[a], len) != 0)
                continue;
            err_warn("%s is no option here", actions[a]);
            return false;
        }
    }
    return true;
}

/* ---- driving ---- */

static void show_file(struct console *c, const struct job *j)
{
    struct buf text = {0};
    struct records events = {0};
    if (fsfile_read(j->out, RUN_CAPTURE_MAX, &text) == 0 && records_parse(&events, &text) == 0)
        look_events(c, &events);
    records_release(&events);
    buf_clear(&text);
    if (fsfile_read(j->err, 1 << 20, &text) == 0 || text.len)
        run_say(text.data, text.len);
    buf_release(&text);
}

static void tell_end(struct console *c, struct job *j)
{
    j->told = true;
    show_file(c, j);
    if (j->status == 0)
        fprintf(stderr, "%s: done\n", j->label);
    else
        fprintf(stderr, "%s: ended with status %d\n", j->label, j->status);
}

void moves_tell_ended(struct console *c)
{
    run_reap(c);
    for (size_t i = 0; i < c->n_jobs; i++)
        if (c->jobs[i].ended && !c->jobs[i].told)
            tell_end(c, &c->jobs[i]);
}

/* Events as they come from a command that is waited for, when they go to a terminal. */
static int wait_for_it(struct console *c, struct pipeline *p)
{
    return look_records(c, p, look_events);
}

/* How long requests take before anything moves, for the view to compare with. */
static void note_latencies(struct console *c)
{
    struct feed f = {0};
    feed_start(&f, c, "route-director");
    while (feed_runs(&f)) {
        struct pollfd fds[2];
        poll(fds, feed_poll(&f, fds), 100);
        feed_take(&f);
    }
    if (!f.failed)
        sample_note_latencies(c, &f.text);
    feed_release(&f);
}

int moves_drive(struct console *c, struct pipeline *p, const char *label)
{
    if (!c->interactive)
        return wait_for_it(c, p);
    note_latencies(c);
    struct job *j = run_job(c, p, label);
    if (!j)
        return EX_OSERR;
    size_t at = (size_t)(j - c->jobs);
    watch_until(c, at);
    run_reap(c);
    j = &c->jobs[at];
    if (j->ended) {
        tell_end(c, j);
        return j->status;
    }
    fprintf(stderr, "%s goes on as process %ld; 'watch' shows it\n", j->label, (long)j->pid);
    return 0;
}

/* ---- verbs ---- */

/* The latest event of migration ID: 0 with one record in R, or the status, said. */
static int last_event(struct console *c, const char *id, struct records *r)
{
    struct pipeline p = {.hidden = true};
    struct buf csv = {0};
    run_tool(&p, c, "migrate-exec");
    run_words(&p, "--status", id, (char *)NULL);
    p.capture = &csv;
    int status = run(c, &p);
    if (status == 0 && (records_parse(r, &csv) < 0 || records_n(r) != 1)) {
        err_warn("migrate-exec --status says nothing of it");
        status = EX_NO;
    }
    buf_release(&csv);
    return status;
}

/* What will be said of the migration: the fields of its last event. */
struct told {
    const char *id, *volume, *source, *target, *event, *detail;
    char bytes[32]; /* "1.5G bytes", or "all" */
};

static struct told told_of(const struct records *r)
{
    struct told t = {records_get(r, 0, "migration"),
                     records_get(r, 0, "volume"),
                     records_get(r, 0, "source"),
                     records_get(r, 0, "target"),
                     records_get(r, 0, "event"),
                     records_get(r, 0, "detail"),
                     "all its bytes"};
    struct buf b = {0};
    uint64_t n;
    if (parse_u64(records_get(r, 0, "bytes_total"), &n) == 0 && n > 0) {
        text_bytes(&b, n);
        snprintf(t.bytes, sizeof(t.bytes), "%s bytes", b.data);
    }
    buf_release(&b);
    return t;
}

/* Is OPTION given, or a beginning of it, which argp takes for it? */
static bool has_option(const struct words *w, const char *option)
{
    for (size_t i = 1; i < w->n; i++)
        if (strlen(w->v[i]) > 2 && strncmp(w->v[i], option, strlen(w->v[i])) == 0)
            return true;
    return false;
}

/* What each verb says of T before it asks. */
static void tell_cutover(const struct told *t, const struct words *w, struct buf *out)
{
    (void)w;
    words_need(buf_printf(out,
                          "%s: requests for %s are held for at most a window, the last writes are "
                          "copied and compared, and %s becomes its owner in place of %s (%s).\n",
                          t->id, t->volume, t->target, t->source, t->bytes));
}

static void tell_commit(const struct told *t, const struct words *w, struct buf *out)
{
    const char *fate = has_option(w, "--remove")    ? "made cold and deleted"
                       : has_option(w, "--archive") ? "made cold and archived"
                                                    : "made cold";
    words_need(buf_printf(out,
                          "%s: the old copy of %s on %s, %s, is %s. There is no revert to it any "
                          "more; %s goes on serving.\n",
                          t->id, t->volume, t->source, t->bytes, fate, t->target));
}

static void tell_revert(const struct told *t, const struct words *w, struct buf *out)
{
    (void)w;
    words_need(buf_printf(out,
                          "%s: %s goes back from %s to %s: what clients wrote since the switch is "
                          "written over the old copy there (%s).\n",
                          t->id, t->volume, t->target, t->source, t->bytes));
}

static void tell_abort(const struct told *t, const struct words *w, struct buf *out)
{
    (void)w;
    words_need(buf_printf(out,
                          "%s: %s stays on %s, which alone serves it; what was copied of %s to %s "
                          "is left there, unused.\n",
                          t->id, t->volume, t->source, t->bytes, t->target));
}

struct action {
    const char *verb, *option;
    void (*tell)(const struct told *t, const struct words *w, struct buf *out);
};

static int act(struct console *c, const struct action *a, struct words *w)
{
    struct records event = {0};
    struct buf what = {0};
    struct pipeline p = {0};
    bool yes = ask_take_yes(w);
    const char *id = NULL;
    for (size_t i = 1; i < w->n; i++) {
        if (w->v[i][0] == '-')
            continue;
        if (id || !look_is_name("migration", w->v[i])) {
            err_warn("%s takes one migration, and options that hold their value (--NAME=VALUE)",
                     a->verb);
            return EX_USAGE;
        }
        id = w->v[i];
    }
    if (!id || !moves_options_fit(w)) {
        if (!id)
            err_warn("%s takes a migration: 'status' names them", a->verb);
        return EX_USAGE;
    }
    int status = last_event(c, id, &event);
    if (status == 0) {
        struct told t = told_of(&event);
        a->tell(&t, w, &what);
        words_need(
            buf_printf(&what, "Last event: %s%s%s\n", t.event, *t.detail ? ", " : "", t.detail));
        status = ask(c, yes, &what);
    }
    if (status == 0) {
        run_tool(&p, c, "migrate-exec");
        run_word(&p, a->option);
        for (size_t i = 1; i < w->n; i++)
            run_word(&p, w->v[i]);
        status = moves_drive(c, &p, a->verb);
    }
    records_release(&event);
    buf_release(&what);
    return status;
}

int moves_cutover(struct console *c, struct words *w)
{
    static const struct action a = {"cutover", "--cutover", tell_cutover};
    return act(c, &a, w);
}

int moves_commit(struct console *c, struct words *w)
{
    static const struct action a = {"commit", "--commit", tell_commit};
    return act(c, &a, w);
}

int moves_revert(struct console *c, struct words *w)
{
    static const struct action a = {"revert", "--revert", tell_revert};
    return act(c, &a, w);
}

int moves_abort(struct console *c, struct words *w)
{
    static const struct action a = {"abort", "--abort", tell_abort};
    return act(c, &a, w);
}

/* What was interrupted was asked for before: it goes on without a question. */
int moves_resume(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    ask_take_yes(w);
    if (!moves_options_fit(w))
        return EX_USAGE;
    run_tool(&p, c, "migrate-exec");
    run_word(&p, "--resume");
    for (size_t i = 1; i < w->n; i++)
        run_word(&p, w->v[i]);
    return moves_drive(c, &p, "resume");
}
