/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-console/run.h"
#include "cmd/migrate-console/signals.h"
#include "cmd/migrate-console/text.h"
#include "common/base/error.h"

bool ask_take_yes(struct words *w)
{
    bool found = false;
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (strcmp(w->v[i], "--yes") == 0) {
            found = true;
            free(w->v[i]);
        } else {
            w->v[n++] = w->v[i];
        }
    }
    if (w->v)
        w->v[n] = NULL;
    w->n = n;
    return found;
}

/* A line that a person types: its first 15 bytes; false at the end of the input or a signal. */
static bool read_answer(char out[16])
{
    size_t n = 0;
    for (char c = 0; c != '\n';) {
        struct pollfd p = {STDIN_FILENO, POLLIN, 0};
        if (ppoll(&p, 1, NULL, signals_mask()) < 0) {
            if (signals_ending() || signals_take(SIGINT))
                return false;
            signals_stop();
            continue;
        }
        /* A byte at a time: what stands behind the line is not the question's. */
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        if (got > 0 && c != '\n' && n < 15)
            out[n++] = c;
    }
    out[n] = 0;
    return true;
}

/* What is asked about; for a person in lines that end with words. */
static void say(const struct console *c, const struct buf *what)
{
    struct buf lines = {0};
    const char *end;
    for (const char *p = what->data; c->own_stderr && *p; p = *end ? end + 1 : end) {
        struct buf safe = {0};
        end = strchrnul(p, '\n');
        text_safe(&safe, p, (size_t)(end - p));
        text_wrap(&lines, safe.len ? safe.data : "", text_columns(), 0);
        buf_release(&safe);
    }
    run_say(lines.len ? lines.data : what->data, lines.len ? lines.len : what->len);
    buf_release(&lines);
}

int ask(struct console *c, bool yes, const struct buf *what)
{
    char answer[16] = "";
    if (yes || c->yes)
        return 0;
    say(c, what);
    if (!c->may_ask) {
        err_warn("nobody is there to be asked: say --yes");
        return EX_USAGE;
    }
    fputs("Go on? [y/N] ", stderr);
    fflush(stderr);
    signals_take(SIGINT);
    bool answered = read_answer(answer);
    if (!answered)
        fputs("\n", stderr);
    /* A y without its Enter is none yet. */
    if (answered &&
        (strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0))
        return 0;
    err_warn("not done");
    return EX_NO;
}
