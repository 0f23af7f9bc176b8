/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where decisions go: plan records to stdout, verdicts to a file or, as a table, to stderr. */
#ifndef GS_MIGRATE_PLAN_REPORT_H
#define GS_MIGRATE_PLAN_REPORT_H

#include <stdbool.h>

#include "common/plan/choose.h"

struct report;

/*
 * EXPLAIN: verdicts are asked for; VERDICTS: their file, NULL for the table (borrowed until
 * report_finish()).  Ends the program on failure.
 */
struct report *report_new(bool explain, const char *verdicts);

/* A sink for plan_choose(); valid as long as R. */
struct plan_sink report_sink(struct report *r);

/* Ends the program for -ERRNO, leaving no part of the verdicts' file. */
_Noreturn void report_fail(struct report *r, int err);

/* Prints what is still held back, puts the verdicts' file in its place, and frees R. */
void report_finish(struct report *r);

#endif
