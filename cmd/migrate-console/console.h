/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all parts of the console share. */
#ifndef GS_CONSOLE_CONSOLE_H
#define GS_CONSOLE_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cmd/migrate-console/table.h"
#include "cmd/migrate-console/words.h"
#include "common/base/opts.h"
#include "common/base/parse.h"

/* A migrate-exec that the console has started and does not wait for. */
struct job {
    pid_t pid;
    char *label;      /* what was typed; owned */
    char *out, *err;  /* files in the session's folder; owned */
    bool ended, told; /* its end was seen; and said */
    int status;       /* exit status, or 128 and the signal */
};

/* How long a volume's requests took, the slowest of 100, before a move; NaN: not known. */
struct latency {
    char volume[NAME_LEN_MAX + 1];
    double read_us, write_us;
};

struct console {
    struct opts_dirs dirs;
    struct words folders;          /* the options that hand DIRS on to the tools */
    const char *health, *affinity; /* files given as options; NULL */
    bool quiet;                    /* command lines are not shown */
    bool yes;                      /* all questions are answered */
    bool interactive;              /* a person types, and sees what is printed */
    bool may_ask;                  /* standard input is a person, though commands came otherwise */
    bool table;                    /* standard output is a terminal: records become tables */
    bool own_stderr;               /* standard error is one: what tools say passes text_safe() */
    bool stdin_is_script;
    char *session;       /* folder of private files; NULL: not yet made; owned */
    struct records plan; /* rows by number, from 0 */
    bool planned;
    double plan_time;
    struct words verdicts;     /* nothing, or the file of the plan's verdicts */
    struct latency *latencies; /* of volumes that stood still when they were looked at; owned */
    size_t n_latencies, cap_latencies;
    struct job *jobs;
    size_t n_jobs, cap_jobs;
    bool leave; /* quit was typed */
    int status; /* of the first command that failed */
};

/* The session's folder, made if need be (mode 0700); ends the program if it cannot be made. */
const char *console_session(struct console *c);
/* A path in it: owned, free(). */
char *console_file(struct console *c, const char *name);
/* A path in FOLDER: owned, free(). */
char *console_path(const char *folder, const char *name);
/* Removes the session's folder; safe to call twice. */
void console_end(struct console *c);

/* Carries out what stands in LINE.  The status of its last command, or of the first that failed
 * when nobody is there to see it. */
int console_line(struct console *c, const char *line);

#endif
