/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verbs of the control protocol (route-director(8)).  What a control connection is in one
 * worker is a struct control, its agent there: it runs the connection's verbs on that worker's
 * volumes, and as their driver it is the connection's identity.  The connection itself, with the
 * socket and the lines, is its front (controlfront.h), in worker 0.
 */
#ifndef DIRECTOR_CONTROL_H
#define DIRECTOR_CONTROL_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "director.h"
#include "stats.h"

struct control;

/* ---- for the verbs, in the agent's thread ---- */

/* The answer; FMT may be "".  C may be NULL (gone): then nothing happens. */
void control_ok(struct control *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void control_err(struct control *c, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- for the front, in its thread ---- */

/*
 * The arguments of a verb that takes a volume, or none and is then asked of every worker: how the
 * data lines of several workers make one reply.
 */
enum {
    VERB_LINES = -1, /* one behind the other */
    VERB_TABLE = -2, /* each begins with a header line, which the reply has once */
};

struct verb {
    const char *name;
    /*
     * Each " [word]", " [word|word]", " [key=…]" or " [WORD]" in it may follow the arguments, once,
     * in any order; the value of a key or a WORD is for the verb to check.
     */
    const char *usage;
    int args;                                    /* their number, or VERB_… */
    void (*run)(struct control *c, char **args); /* NULL: the front's */
};

/* The table, sorted by name; *N: its length. */
const struct verb *control_verbs(size_t *n);

/* A request line is short; the arguments of the longest verb are few. */
enum { CONTROL_LINE_MAX = 4096, CONTROL_ARGS_MAX = 8 };

/*
 * Splits LINE at blanks, in place: the number of words in WORDS, behind which NULLs follow; -E2BIG:
 * they are too many.
 */
int control_split(char *line, char *words[CONTROL_ARGS_MAX + 1]);

/* What the front hears of its agents. */
struct control_ops {
    /*
     * The verb is answered: REPLY (as in the protocol, borrowed until the next control_ask()) has
     * DATA_LEN bytes of data lines and then the last line.
     */
    void (*answered)(void *front, const struct buf *reply, size_t data_len, bool ok);
    /* After control_leave(), the last call: nothing refers to the agent, and it is freed. */
    void (*gone)(void *front);
};

/* An agent of FRONT, which is in worker 0, in worker D.  NULL: out of memory. */
struct control *control_new(struct director *d, const struct control_ops *ops, void *front);

/*
 * Runs VERB.  LINE is its checked line, borrowed until the answer; one at a time.  A verb that asks
 * every worker adds up in SUM, the front's, what only makes sense for all; LAST: it tells it.
 */
void control_ask(struct control *c, const struct verb *verb, const char *line,
                 struct stats_sum *sum, bool last);

/*
 * The connection is closed: the agent's hold, claims and moves are told.  A verb that is not
 * answered by now may still be: whoever called this must bear answered() until gone().
 */
void control_leave(struct control *c);

#endif
