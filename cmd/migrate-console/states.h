/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gateways' states: one field of gateways.csv, and nothing else of it. */
#ifndef GS_CONSOLE_STATES_H
#define GS_CONSOLE_STATES_H

#include "cmd/migrate-console/console.h"

int states_cordon(struct console *c, struct words *w);
int states_uncordon(struct console *c, struct words *w);
int states_drain(struct console *c, struct words *w);

/*
 * Replaces in TEXT, CSV with a header, the field in column COLUMN of the row that has NAME in
 * column KEY, and appends the result to OUT, every other byte as it was; VALUE must need no quotes.
 * *LINE is the number of the changed line, from 1.  1: changed; 0: it has that value already;
 * -ENOENT: no such column or row.
 */
int states_replace(const struct buf *text, const char *key, const char *name, const char *column,
                   const char *value, struct buf *out, size_t *line);

#endif
