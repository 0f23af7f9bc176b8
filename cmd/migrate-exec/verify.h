/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How much of a move is proved, and when (S8 of gateshift-safety(7)): what --verify and the kind of
 * the move come to, and what the journal says of it, for whoever goes on with the move.
 */
#ifndef EXEC_VERIFY_H
#define EXEC_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/record/schema.h"

struct exec;
struct move;

/* Of a struct exec: --verify was not given. */
enum { VERIFY_BY_KIND = -1 };

/* What a move is made under.  All of it is in its journal before the director is told. */
struct terms {
    enum rec_verify verify; /* what is proved before the switch */
    bool cold;              /* the target's export was a cold copy: everything is (S12) */
    bool no_flush[2]; /* source, target: it cannot flush, its replies count as durable (S23) */
};

/*
 * What is proved of a move before its switch: as X has it, else by what it is, MANDATORY or BACK to
 * a copy that is kept.
 */
enum rec_verify verify_choose(const struct exec *x, bool mandatory, bool back);

/* The same for one that is gone on with, of which the journal has the terms. */
void verify_ask(struct move *m);

/* Notes M's terms in its journal, unless they are there.  0 or -errno. */
int verify_note(struct move *m);
/* Is DETAIL, of an event in phase redirect, such a note?  Then *T gets its terms. */
bool verify_of_note(const char *detail, struct terms *t);

/* The target's export may be a cold copy: with one everything is proved.  0 or -errno. */
int verify_cold(struct move *m);

/* May M's gateways be unable to flush, by --force or by what was begun with it? */
bool verify_no_flush(const struct move *m);
/* Notes which of M's gateways, which are connected, cannot flush, and says so.  0 or -errno. */
int verify_flushes(struct move *m);
/* "; no-flush: GATEWAY" for the detail of an event, or ""; long names are cut. */
enum { VERIFY_FLUSH_TEXT = 112 };
void verify_describe_flush(const struct move *m, char *text, size_t size);

/* What was proved of a move that has switched: by the route store, or as M wanted it. */
enum rec_verify verify_reached(const struct move *m);

/* "; verify=WORD" for the detail of a switch; "" for VERIFY_FULL. */
void verify_describe(enum rec_verify v, char *text, size_t size);

#endif
