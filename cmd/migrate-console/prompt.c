/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "cmd/migrate-console/complete.h"
#include "cmd/migrate-console/moves.h"
#include "cmd/migrate-console/names.h"
#include "cmd/migrate-console/run.h"
#include "cmd/migrate-console/signals.h"
#include "cmd/migrate-console/text.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

enum { HISTORY_LINES = 1000 };

/* readline calls back without an argument of ours; there is one prompt in a process. */
static struct console *current;
static bool installed;
static char *history_path; /* NULL: nothing is kept */

/* ---- the line above ---- */

static void append_mood(struct buf *out, const struct mood *m)
{
    static const char *const director[] = {"director away", "director up", "director hangs"};
    bool bad = m->alarms || m->director != DIRECTOR_UP;
    if (bad && text_colour())
        words_need(buf_adds(out, "\001\033[1;31m\002"));
    words_need(buf_printf(out, "%s, %zu move%s, %zu alarm%s", director[m->director], m->moves,
                          m->moves == 1 ? "" : "s", m->alarms, m->alarms == 1 ? "" : "s"));
    if (bad && text_colour())
        words_need(buf_adds(out, "\001\033[m\002"));
    words_need(buf_adds(out, "> "));
}

static void on_line(char *line);

static void install(void)
{
    struct buf text = {0};
    struct mood m = names_mood(current);
    append_mood(&text, &m);
    rl_callback_handler_install(text.data, on_line);
    installed = true;
    buf_release(&text);
}

/* The terminal as it was before. */
static void take_away(void)
{
    if (installed)
        rl_callback_handler_remove();
    installed = false;
}

/* ---- history ---- */

/*
 * Where lines are kept, a folder that is made: 0, or -errno, with OUT "" if there is no home.
 * A home itself is not made: users of the system have one that is not there, and is not to be.
 */
static int find_history(struct buf *out)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int r = -ENOENT;
    if (state && *state == '/') {
        words_need(buf_printf(out, "%s/gateshift", state));
        r = 0;
    } else if (home && *home) {
        words_need(buf_printf(out, "%s/.local/state/gateshift", home));
        r = access(home, F_OK) < 0 ? -errno : 0;
    }
    return r < 0 ? r : fsfile_mkdirs(out->data);
}

static void load_history(void)
{
    struct buf path = {0};
    using_history();
    stifle_history(HISTORY_LINES);
    int r = find_history(&path);
    if (r == 0) {
        words_need(buf_adds(&path, "/console_history"));
        int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        r = fd < 0 ? -errno : 0;
        if (fd >= 0)
            close(fd);
    }
    if (r == 0) {
        history_path = strdup(path.data);
        words_need(history_path ? 0 : -ENOMEM);
        read_history(history_path);
    } else if (path.len) {
        err_warn("no history is kept: '%s': %s", path.data, err_text(r));
    }
    buf_release(&path);
}

/* At once, so that two consoles' lines both stay, and a kill loses none. */
static void remember(const char *line)
{
    HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
    if (!line[strspn(line, " \t")] || (last && strcmp(last->line, line) == 0))
        return;
    add_history(line);
    if (history_path)
        append_history(1, history_path);
}

static void end_history(void)
{
    if (history_path)
        history_truncate_file(history_path, HISTORY_LINES);
    free(history_path);
    history_path = NULL;
}

/* ---- completion ---- */

static struct words *candidates;

static char *next_candidate(const char *typed, int state)
{
    static size_t at;
    size_t len = strlen(typed);
    for (at = state ? at : 0; at < candidates->n;) {
        const char *word = candidates->v[at++];
        if (strncmp(word, typed, len) == 0)
            return strdup(word);
    }
    return NULL;
}

static char **on_complete(const char *typed, int start, int end)
{
    struct words found = {0};
    (void)end;
    bool known = complete(current, rl_line_buffer, (size_t)start, typed[0] == '-', &found);
    candidates = &found;
    char **matches = known ? rl_completion_matches(typed, next_candidate) : NULL;
    rl_attempted_completion_over = known;
    /* An option's value follows without a blank. */
    size_t len = matches && !matches[1] ? strlen(matches[0]) : 0;
    rl_completion_suppress_append = len && matches[0][len - 1] == '=';
    words_release(&found);
    return matches;
}

/* ---- lines ---- */

static void on_line(char *line)
{
    take_away();
    if (!line) {
        fputs("\n", stderr);
        current->leave = true;
        return;
    }
    remember(line);
    signals_take(SIGINT);
    console_line(current, line);
    free(line);
    signals_take(SIGINT);
}

/* ---- signals ---- */

/* What was typed is dropped, as a shell does. */
static void on_interrupt(void)
{
    rl_callback_sigcleanup();
    rl_free_line_state();
    rl_replace_line("", 0);
    fputs("^C\n", stdout);
    fflush(stdout);
    take_away();
    install();
}

static void on_stop(void)
{
    rl_deprep_terminal();
    signals_stop();
    rl_prep_terminal(0);
    rl_forced_update_display();
}

static void take_signals(void)
{
    if (signals_take(SIGWINCH))
        rl_resize_terminal();
    if (signals_seen(SIGTSTP))
        on_stop();
    if (signals_take(SIGINT))
        on_interrupt();
}

/* A job that has ended is told of above the line that is being typed. */
static void tell_jobs(void)
{
    bool any = false;
    run_reap(current);
    for (size_t i = 0; i < current->n_jobs; i++)
        any = any || (current->jobs[i].ended && !current->jobs[i].told);
    if (!any)
        return;
    rl_clear_visible_line();
    rl_deprep_terminal();
    moves_tell_ended(current);
    fflush(stdout);
    rl_prep_terminal(0);
    rl_on_new_line();
    rl_forced_update_display();
}

void prompt_loop(struct console *c)
{
    current = c;
    rl_readline_name = "migrate-console";
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_attempted_completion_function = on_complete;
    rl_basic_word_break_characters = " \t\n;";
    load_history();
    atexit(take_away);
    while (!c->leave && !signals_ending()) {
        moves_tell_ended(c);
        if (!installed)
            install();
        struct pollfd p = {STDIN_FILENO, POLLIN, 0};
        if (ppoll(&p, 1, NULL, signals_mask()) > 0)
            rl_callback_read_char();
        take_signals();
        if (installed)
            tell_jobs();
    }
    take_away();
    end_history();
    if (run_jobs(c))
        fprintf(stderr, "%zu job%s on without the console\n", run_jobs(c),
                run_jobs(c) == 1 ? " goes" : "s go");
}
