/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A command of the toolkit whose output is collected while the console does something else. */
#ifndef GS_CONSOLE_FEED_H
#define GS_CONSOLE_FEED_H

#include <poll.h>
#include <stdint.h>

#include "cmd/migrate-console/console.h"

/* Zero-initialise; feed_release() frees, and ends what still runs. */
struct feed {
    pid_t pid;         /* 0: nothing runs */
    int out, err;      /* -1: at its end */
    uint64_t due_us;   /* on clock_mono_us(): it is killed then */
    struct buf text;   /* what it printed */
    struct buf errors; /* ... on standard error */
    bool fresh;        /* TEXT is whole, and not yet looked at */
    bool failed;       /* it ended otherwise than with 0; ERRORS says why */
};

/* Starts PROGRAM with "--status", forgetting what the last one printed. */
void feed_start(struct feed *f, const struct console *c, const char *program);
static inline bool feed_runs(const struct feed *f)
{
    return f->pid > 0;
}
/* Adds the descriptors to wait for to P, which has room for two: their number. */
size_t feed_poll(const struct feed *f, struct pollfd *p);
/* Reads what is there and, at its end, sets FRESH. */
void feed_take(struct feed *f);
void feed_release(struct feed *f);

#endif
