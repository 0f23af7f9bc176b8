/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What there is to name just now: gateways, volumes, migrations, and how volumes stand. */
#ifndef GS_CONSOLE_NAMES_H
#define GS_CONSOLE_NAMES_H

#include <stdint.h>

#include "cmd/migrate-console/console.h"
#include "common/route/store.h"

/*
 * Each appends names to OUT, sorted, as far as they can be read; a configuration or a store that
 * cannot be gives none, for the verb that is typed will say so.
 */
void names_gateways(const struct console *c, struct words *out);   /* of gateways.csv */
void names_volumes(const struct console *c, struct words *out);    /* volumes.csv and routes */
void names_migrations(const struct console *c, struct words *out); /* that have a journal */
/* The long options of the toolkit's PROGRAM; those that take a value end in "=". */
void names_options(struct console *c, const char *program, struct words *out);

/* What stands on a gateway, by the route store. */
struct load {
    size_t volumes; /* that it owns */
    uint64_t bytes; /* their sizes, as far as known */
};
struct load names_load(const struct console *c, const char *gateway);

/* How the fleet is, as far as it can be said at once, for the prompt. */
enum director { DIRECTOR_AWAY, DIRECTOR_UP, DIRECTOR_HANGS };

struct mood {
    enum director director;
    size_t moves;  /* volumes that are moving or deferred, but for standbys, or moves going on */
    size_t alarms; /* lines of names_alarms() */
};
struct mood names_mood(struct console *c);

/*
 * What an operator should look at, each a line: the state folder is frozen; volumes in manual
 * recovery or deferred, unless that is a standby; gateways that are silent, have to be left
 * (migrate-plan's --critical and --p-fail-limit, by their defaults), by the health that is at hand
 * and no larger than 16 MiB.
 */
void names_alarms(struct console *c, struct words *out);

/*
 * Is the route R deferred for a standby (migrate-exec(1)), by the last event of its journal?
 */
bool names_stands_by(const struct console *c, const struct route *r);

/* Where share/loop keeps its results: STATE/loop/NAME.  Owned, free(). */
char *names_kept(const struct console *c, const char *name);

/*
 * The health records that are at hand without running anything: the file of --health, what
 * share/loop keeps, or what this session has last computed.  NULL: none.  Owned, free().
 */
char *names_health_file(struct console *c);
/* The same of affinity records. */
char *names_affinity_file(struct console *c);

#endif
