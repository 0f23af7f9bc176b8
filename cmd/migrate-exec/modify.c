/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/modify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

enum {
    LOOK_US = 50000,         /* between two looks for the file */
    TAKEN_US = 10 * 1000000, /* how long a driver may take to see it */
    NAP_MS = 20,
    FILE_MAX = 4096,
    WHO_MAX = 255, /* bytes that an event has room for */
};

#define WHO "who "

const char *const on_fail_words[] = {"retry", "defer", "abort", NULL};

static int path_of(const struct exec *x, const char *id, struct buf *path)
{
    return buf_printf(path, "%s/migrations/%s.modify", x->dirs.state, id);
}

/* Where the driver has what it is taking: whoever comes meanwhile makes a new file. */
static int taken_path_of(const struct exec *x, const char *id, struct buf *path)
{
    return buf_printf(path, "%s/migrations/%s.modify.taken", x->dirs.state, id);
}

/* ---- the file ---- */

static int write_values(const struct exec *x, unsigned which, struct buf *out)
{
    int r = 0;
    if (which & MODIFY_ATTEMPTS)
        r = buf_printf(out, "attempts %u\n", x->attempts);
    if (r == 0 && which & MODIFY_BWLIMIT)
        r = buf_printf(out, "bwlimit %llu\n", (unsigned long long)x->bwlimit);
    if (r == 0 && which & MODIFY_ON_FAIL)
        r = buf_printf(out, "on-fail %s\n", on_fail_words[x->on_fail]);
    if (r == 0 && which & MODIFY_WINDOW)
        r = buf_printf(out, "window %u\n", x->window_ms);
    if (r == 0) /* of all that stands before it */
        r = buf_printf(out, WHO "%.*s\n", WHO_MAX, x->who);
    return r;
}

static int word_of(const char *value)
{
    for (int i = 0; on_fail_words[i]; i++)
        if (strcmp(value, on_fail_words[i]) == 0)
            return i;
    return -EINVAL;
}

/* One line into X.  0 or -EINVAL. */
static int take_line(struct exec *x, const char *name, const char *value)
{
    uint64_t n = 0;
    int word = word_of(value);
    bool number = parse_u64(value, &n) == 0;
    if (strcmp(name, "on-fail") == 0 && word >= 0)
        x->on_fail = (enum on_fail)word;
    else if (strcmp(name, "attempts") == 0 && number && n >= 1 && n <= ATTEMPTS_MAX)
        x->attempts = (unsigned)n;
    else if (strcmp(name, "window") == 0 && number && n >= 1 && n <= WINDOW_MS_MAX)
        x->window_ms = (unsigned)n;
    else if (strcmp(name, "bwlimit") == 0 && number && (n == 0 || n >= BWLIMIT_MIN))
        x->bwlimit = n;
    else
        return -EINVAL;
    return 0;
}

/* All lines of TEXT, changed in place, into X, but for who it was; none if one is bad. */
static int take_text(struct exec *x, char *text)
{
    struct exec next = *x;
    for (char *line; (line = strsep(&text, "\n"));) {
        char *value = strchr(line, ' ');
        if (!*line || strncmp(line, WHO, strlen(WHO)) == 0)
            continue;
        if (!value)
            return -EINVAL;
        *value++ = 0;
        if (take_line(&next, line, value) < 0)
            return -EINVAL;
    }
    *x = next;
    return 0;
}

/* ---- the driver's side ---- */

void modify_forget(const struct move *m)
{
    struct buf path = {0}, taken = {0};
    if (path_of(m->exec, m->id, &path) == 0)
        unlink(path.data);
    if (taken_path_of(m->exec, m->id, &taken) == 0)
        unlink(taken.data);
    buf_release(&path);
    buf_release(&taken);
}

static void say_modified(const struct move *m)
{
    err_warn("'%s' goes on with window %u, attempts %u, bwlimit %llu, on-fail %s", m->id,
             m->own.window_ms, m->own.attempts, (unsigned long long)m->own.bwlimit,
             on_fail_words[m->own.on_fail]);
}

/* The event of what WHO (NULL: not said) has changed.  One that fails is told of, no more. */
static void record(struct move *m, const char *who, const struct buf *what)
{
    const char *driver = m->own.who;
    if (!what->len)
        return;
    m->own.who = who ? who : driver;
    move_event(m, EVENT_MODIFIED, "%s", what->data);
    m->own.who = driver;
}

/* One event for each who changed something, by the lines of TEXT, changed in place. */
static void record_all(struct move *m, char *text)
{
    struct buf what = {0};
    int r = 0;
    for (char *line; r == 0 && (line = strsep(&text, "\n"));) {
        if (strncmp(line, WHO, strlen(WHO)) == 0) {
            record(m, line + strlen(WHO), &what);
            buf_clear(&what);
        } else if (*line) {
            r = buf_printf(&what, "%s%s", what.len ? ", " : "", line);
        }
    }
    record(m, NULL, &what);
    buf_release(&what);
}

static void take_file(struct move *m, const char *path)
{
    struct buf text = {0};
    int r = fsfile_read(path, FILE_MAX, &text);
    char *lines = r == 0 && text.len ? strdup(text.data) : NULL;
    if (r == 0 && text.len)
        r = lines ? take_text(&m->own, text.data) : -ENOMEM;
    if (r == 0 && lines)
        record_all(m, lines);
    free(lines);
    buf_release(&text);
    progress_clear(&m->progress);
    if (r < 0)
        err_warn("'%s' goes on as it was: '%s': %s", m->id, path, err_text(r));
    else
        say_modified(m);
    if (r == 0 && m->flow)
        flow_set_bwlimit(m->flow, m->own.bwlimit);
    if (unlink(path) < 0 && errno != ENOENT)
        err_warn("cannot remove '%s': %s", path, err_text(errno));
}

void modify_look(struct move *m)
{
    uint64_t now = clock_mono_us();
    struct buf path = {0}, taken = {0};
    if (now - m->looked_us < LOOK_US)
        return;
    m->looked_us = now;
    if (path_of(m->exec, m->id, &path) == 0 && taken_path_of(m->exec, m->id, &taken) == 0 &&
        rename(path.data, taken.data) == 0)
        take_file(m, taken.data);
    buf_release(&path);
    buf_release(&taken);
}

/* ---- the operator's side ---- */

/* Does a process drive ID?  GO, or an outcome with its message printed. */
static enum outcome is_driven(const struct exec *x, const char *id)
{
    struct journal *j = NULL;
    struct event last;
    int r = journal_last(x->dirs.state, id, &last);
    if (r == -ENOENT || r == -EINVAL) {
        err_warn("no such migration '%s'", id);
        return FAILED;
    }
    r = r < 0 ? r : journal_open(x->dirs.state, id, false, &j);
    journal_close(j);
    if (r == -EAGAIN)
        return GO;
    if (r < 0)
        err_warn("cannot read the journal of '%s': %s", id, err_text(r));
    else
        err_warn("cannot modify '%s': no process drives it", id);
    return FAILED;
}

/* Waits for the file PATH to be taken, and for what is at TAKEN to be done with. */
static enum outcome wait_taken(const struct exec *x, const char *id, const char *path,
                               const char *taken)
{
    uint64_t end = clock_mono_us() + TAKEN_US;
    for (int naps = 0; access(path, F_OK) == 0 || access(taken, F_OK) == 0; naps++) {
        if (clock_mono_us() >= end) {
            err_warn("'%s' has not taken it yet; it does when it copies or compares next", id);
            return DEFERRED;
        }
        if (naps % 10 == 9 && is_driven(x, id) != GO) {
            unlink(path);
            return FAILED;
        }
        poll(NULL, 0, NAP_MS);
    }
    return SETTLED;
}

enum outcome modify(const struct exec *x, const char *id, unsigned which)
{
    struct buf path = {0}, taken = {0}, text = {0};
    enum outcome o = is_driven(x, id);
    int r = o == GO ? path_of(x, id, &path) : 0;
    if (o == GO && r == 0)
        r = taken_path_of(x, id, &taken);
    if (o == GO && r == 0)
        r = fsfile_read(path.data, FILE_MAX, &text); /* what another one changes just now … */
    if (r == -ENOENT)
        r = 0;
    if (o == GO && r == 0)
        r = write_values(x, which, &text); /* … stays; later lines win */
    if (o == GO && r == 0)
        r = fsfile_replace(path.data, text.data, text.len);
    if (r < 0) {
        err_warn("cannot modify '%s': %s", id, err_text(r));
        o = FAILED;
    } else if (o == GO && taken.data) {
        o = wait_taken(x, id, path.data, taken.data);
    }
    buf_release(&text);
    buf_release(&path);
    buf_release(&taken);
    return o;
}
