/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where grades go: sums to stdout, outcomes to a file or, as a table, to stderr. */
#ifndef GS_MIGRATE_PLAN_OUTCOMES_H
#define GS_MIGRATE_PLAN_OUTCOMES_H

#include <stdbool.h>

#include "common/plan/outcome.h"

/*
 * Prints the sums of G, judged: grade records, or a table if stdout is a terminal.  EXPLAIN:
 * outcomes are asked for; FILE: where to, NULL for the table.  WITH_ACCESS: the demand that came
 * is known.  Ends the program on failure.
 */
void outcomes_print(const struct plan_grades *g, bool with_access, bool explain, const char *file);

#endif
