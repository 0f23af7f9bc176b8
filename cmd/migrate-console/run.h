/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs the toolkit's commands without a shell, and shows the line that does the same in one. */
#ifndef GS_CONSOLE_RUN_H
#define GS_CONSOLE_RUN_H

#include "cmd/migrate-console/console.h"

enum { RUN_STAGES = 4 };

/* Zero-initialise; run_release() frees. */
struct pipeline {
    struct words stage[RUN_STAGES]; /* each the words of a command */
    size_t n;
    const char *input; /* what its first command reads (borrowed); NULL: nothing */
    size_t input_len;
    const char *input_shown; /* a command that prints just that, to be shown before the others */
    const char *to;          /* a file that what it prints replaces; borrowed; NULL: none */
    struct buf *capture;     /* gets what it prints; NULL: standard output does */
    bool hidden;             /* the command line is not shown */
    bool plain;              /* the user's own command: standard input and error are its */
};

/* Begins a command of the pipeline with the words, up to a NULL; they are copied. */
void run_stage(struct pipeline *p, const char *program, ...) __attribute__((sentinel));
/* As run_stage(), for a command of the toolkit: with the folders that the console was given. */
void run_tool(struct pipeline *p, const struct console *c, const char *program);
/* Adds words to the last command. */
void run_word(struct pipeline *p, const char *word);
void run_words(struct pipeline *p, const char *word, ...) __attribute__((sentinel));
void run_release(struct pipeline *p);

/* Prints the command line to standard error, unless it is not wanted. */
void run_show(const struct console *c, const struct pipeline *p);
/* Prints "+ TEXT" there in the same way, for what no command of the toolkit does. */
void run_show_text(const struct console *c, const char *text);

/*
 * Shows and runs P, and releases it.  The status of the first command in it that failed: what it
 * ended with, 128 and the number of its signal, or 69 if it could not be run, which is said.  A
 * command that died of SIGPIPE since a later one had seen enough has not failed.  What is captured
 * is at most RUN_CAPTURE_MAX bytes; more ends the commands and is an error (74).
 */
int run(struct console *c, struct pipeline *p);
#define RUN_CAPTURE_MAX ((size_t)256 << 20)

/* The descriptors of a command that is started; -1: ours. */
struct run_ends {
    int in, out, err;
};

/* Which signals that are not sent to a command itself reach it. */
enum run_reach {
    RUN_TOGETHER, /* those of the terminal, and to the console's process group */
    RUN_APART,    /* none: what comes to the console is passed on, so that it is told once */
    RUN_DETACHED, /* none, also where the terminal is lost: a session of its own */
};

/* Starts COMMAND.  Its process, or -errno. */
pid_t run_start(const struct words *command, const struct run_ends *e, enum run_reach reach);

/*
 * Shows P, which is one command, starts it out of reach of the terminal's signals, in a session of
 * its own, as a job with the given LABEL (copied), and releases P.  The job (borrowed until the
 * next one is started), or NULL: could not be started, which is said.
 */
struct job *run_job(struct console *c, struct pipeline *p, const char *label);
/* Sees which jobs have ended. */
void run_reap(struct console *c);
/* Jobs that go on. */
size_t run_jobs(const struct console *c);

/* Prints the lines of TEXT to standard error, each passed through text_safe(). */
void run_say(const char *text, size_t len);

#endif
