/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs that only look.  Each takes its words, W->v[0] being the verb, and returns a status. */
#ifndef GS_CONSOLE_LOOKS_H
#define GS_CONSOLE_LOOKS_H

#include "cmd/migrate-console/console.h"
#include "cmd/migrate-console/run.h"

int look_status(struct console *c, struct words *w);
int look_gateways(struct console *c, struct words *w);
int look_volumes(struct console *c, struct words *w);
int look_routes(struct console *c, struct words *w);
int look_health(struct console *c, struct words *w);
int look_probe(struct console *c, struct words *w);
int look_affinity(struct console *c, struct words *w);
int look_heat(struct console *c, struct words *w);
int look_forecast(struct console *c, struct words *w);
int look_log(struct console *c, struct words *w);

/*
 * Runs P; where standard output is a terminal, what it prints is read as records and FN shows them,
 * else it is printed as it is.  The status.
 */
int look_records(struct console *c, struct pipeline *p,
                 void (*fn)(struct console *c, const struct records *r));
/* The same of what was captured before: CSV. */
int look_show(struct console *c, const struct buf *csv,
              void (*fn)(struct console *c, const struct records *r));

/* Event records as a table. */
void look_events(struct console *c, const struct records *r);

/* Begins a pipeline that prints the health records at hand, or asks health-score's state. */
void look_health_source(struct console *c, struct pipeline *p, const char *option);

/* NAME is a name (parse_name()); else that is said and false. */
bool look_is_name(const char *what, const char *name);

#endif
