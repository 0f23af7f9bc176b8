/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * migrate-console - the toolkit's commands for a person at a terminal, or a script
 *
 * Verbs become command lines of the other programs, which are shown, run without a shell, and whose
 * records are shown as tables where somebody reads them.
 */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-console/console.h"
#include "cmd/migrate-console/prompt.h"
#include "cmd/migrate-console/run.h"
#include "cmd/migrate-console/signals.h"
#include "cmd/migrate-console/verbs.h"
#include "common/base/error.h"

enum { OPT_AFFINITY = OPT_LONG, OPT_HEALTH, OPT_YES };

/* Where a line of a script can only be a mistake. */
enum { LINE_BYTES_MAX = 1 << 20 };

struct opts {
    struct console c;
    const char *commands; /* NULL: standard input */
};

static const struct argp_option options[] = {
    {"affinity", OPT_AFFINITY, "FILE", 0,
     "Affinity records to plan by (default: STATE/loop/affinity.csv, else affinity-profile is "
     "asked)",
     0},
    {"command", 'c', "COMMANDS", 0, "Carry out COMMANDS, parted by ';', and end", 0},
    {"health", OPT_HEALTH, "FILE", 0,
     "Health records to show and plan by (default: STATE/loop/health.csv, else health-score is "
     "asked)",
     0},
    {"quiet", 'q', NULL, 0, "Do not show the command lines that are run", 0},
    {"yes", OPT_YES, NULL, 0, "Answer every question with yes", 0},
    {0},
};

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->c.dirs;
        return 0;
    case OPT_AFFINITY:
        o->c.affinity = arg;
        return 0;
    case 'c':
        o->commands = arg;
        return 0;
    case OPT_HEALTH:
        o->c.health = arg;
        return 0;
    case 'q':
        o->c.quiet = true;
        return 0;
    case OPT_YES:
        o->c.yes = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- commands ---- */

/* Reads more of the script: 1, 0 at its end, or -errno; -EINTR: a signal ends the console. */
static int read_script(struct buf *text)
{
    char piece[16 * 1024];
    for (;;) {
        struct pollfd p = {STDIN_FILENO, POLLIN, 0};
        if (signals_ending() || signals_seen(SIGINT))
            return -EINTR;
        if (ppoll(&p, 1, NULL, signals_mask()) < 0)
            continue;
        ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (n >= 0)
            words_need(buf_add(text, piece, (size_t)n));
        if (n >= 0)
            return n > 0;
    }
}

/* One line of the script, LEN bytes; its number for what is wrong with it. */
static int script_line(struct console *c, const char *line, size_t len, size_t number)
{
    if (len > LINE_BYTES_MAX || memchr(line, 0, len)) {
        err_warn("stdin:%zu: %s", number, len > LINE_BYTES_MAX ? "line too long" : "NUL in a line");
        return EX_DATAERR;
    }
    char *copy = strndup(line, len);
    words_need(copy ? 0 : -ENOMEM);
    int status = console_line(c, copy);
    free(copy);
    return status;
}

/* Until the first command that fails. */
static int script(struct console *c)
{
    struct buf text = {0};
    size_t number = 0;
    int status = 0, r = 1;
    while (!status && !c->leave && r > 0) {
        char *end = text.len ? memchr(text.data, '\n', text.len) : NULL;
        if (!end && text.len <= LINE_BYTES_MAX && (r = read_script(&text)) > 0)
            continue;
        if (r < 0 || !text.len)
            break;
        size_t len = end ? (size_t)(end - text.data) : text.len;
        status = script_line(c, text.data, len, ++number);
        buf_consume(&text, end ? len + 1 : len);
        r = text.len ? 1 : r;
    }
    if (r < 0 && r != -EINTR) {
        err_warn("cannot read 'stdin': %s", err_text(r));
        status = r == -EISDIR ? EX_NOINPUT : EX_IOERR;
    }
    buf_release(&text);
    return status;
}

/* ---- start and end ---- */

/* The folders that were given as options, for the tools; those of the environment they know. */
static void set_folders(struct console *c)
{
    struct opts_dirs d;
    opts_dirs_init(&d);
    if (strcmp(d.config, c->dirs.config) != 0) {
        words_add(&c->folders, "--config");
        words_add(&c->folders, c->dirs.config);
    }
    if (strcmp(d.run, c->dirs.run) != 0) {
        words_add(&c->folders, "--run");
        words_add(&c->folders, c->dirs.run);
    }
    if (strcmp(d.state, c->dirs.state) != 0) {
        words_add(&c->folders, "--state");
        words_add(&c->folders, c->dirs.state);
    }
}

/* The tools are looked for where this program is, too, if PATH does not have them. */
static void extend_path(void)
{
    char own[4096], *path;
    const char *old = getenv("PATH");
    ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    if (n <= 0)
        return;
    own[n] = 0;
    *strrchr(own, '/') = 0;
    words_need(asprintf(&path, "%s%s%s", old ? old : "", old && *old ? ":" : "", own));
    words_need(-(setenv("PATH", path, 1) < 0));
    free(path);
}

static void release(struct console *c)
{
    for (size_t i = 0; i < c->n_jobs; i++) {
        free(c->jobs[i].label);
        free(c->jobs[i].out);
        free(c->jobs[i].err);
    }
    free(c->jobs);
    free(c->latencies);
    records_release(&c->plan);
    words_release(&c->verdicts);
    words_release(&c->folders);
}

int main(int argc, char **argv)
{
    struct opts o = {0};
    struct console *c = &o.c;
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse_opt,
        .doc = "Run the toolkit's commands by short verbs, from a terminal, a script on standard "
               "input, or --command; 'help' lists the verbs.",
        .children = children,
    };
    int status = 0;
    opts_dirs_init(&c->dirs);
    opts_parse(&argp, argc, argv, &o);
    setlocale(LC_CTYPE, "");
    c->table = isatty(STDOUT_FILENO) == 1;
    c->own_stderr = isatty(STDERR_FILENO) == 1;
    c->may_ask = isatty(STDIN_FILENO) == 1 && c->own_stderr;
    c->interactive = !o.commands && c->may_ask && c->table;
    c->stdin_is_script = !o.commands && !c->interactive;
    signals_catch(c->interactive);
    set_folders(c);
    extend_path();
    if (o.commands)
        status = console_line(c, o.commands);
    else if (c->interactive)
        prompt_loop(c);
    else
        status = script(c);
    console_end(c);
    release(c);
    fflush(stdout);
    int sig = signals_ending();
    if (!sig && !c->interactive && signals_seen(SIGINT))
        sig = SIGINT;
    if (sig)
        signals_die(sig);
    return status;
}
