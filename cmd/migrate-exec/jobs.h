/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A whole plan carried out, or gone on with: a row after the other, or several at once. */
#ifndef EXEC_JOBS_H
#define EXEC_JOBS_H

#include "cmd/migrate-exec/move.h"

/*
 * Carries out the plan in the file PATH (NULL or "-": standard input) and returns the exit status.
 * With x->jobs = 1 each row is carried out as soon as it is read.  With more the plan is read to
 * its end, and each row is a child process; rows begin in their order but for those whose gateways
 * have x->per_gateway moves under way.
 */
int jobs_run_plan(const struct exec *x, const char *path);

/*
 * Goes on with every migration that has not ended, x->jobs at once, under the same limits, and
 * returns the exit status.
 */
int jobs_resume(const struct exec *x);

/* The exit status that the worst outcome of a run means. */
int jobs_exit_status(enum outcome worst);

#endif
