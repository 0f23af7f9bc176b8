/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs of the console. */
#ifndef GS_CONSOLE_VERBS_H
#define GS_CONSOLE_VERBS_H

#include "cmd/migrate-console/console.h"

/* What an argument of a verb names, for completion. */
enum verb_kind {
    VERB_NOTHING,
    VERB_VOLUME,
    VERB_GATEWAY,
    VERB_MIGRATION,
    VERB_ROW,
    VERB_ROW_OR_VOLUME,
    VERB_VERB
};

struct verb {
    const char *name;
    const char *args; /* as help shows them */
    const char *help; /* a line */
    int (*fn)(struct console *c, struct words *w);
    size_t min, max;     /* arguments, options not counted */
    enum verb_kind kind; /* of its arguments */
    const char *options; /* the command whose options it takes; NULL: none */
};

/* The table, sorted by name, ended by one without a name. */
extern const struct verb verbs[];

/* NULL: no such verb. */
const struct verb *verb_find(const char *name);

/* Carries out the command W.  Its status. */
int verb_run(struct console *c, struct words *w);

#endif
