/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs that know nothing of each other, shared out among threads: who does which never matters. */
#ifndef GS_FORECAST_WORKERS_H
#define GS_FORECAST_WORKERS_H

#include <stddef.h>

/* Processors that this process may use, at least 1. */
size_t workers_available(void);

/*
 * Calls JOB(CTX, 0 … JOBS − 1), each once, from at most THREADS threads, of which the caller's is
 * one.  Returns the result of the first job, by number, that failed (< 0); others are done all the
 * same.  Threads that cannot be made are done without.
 */
int workers_run(size_t jobs, size_t threads, int (*job)(void *ctx, size_t i), void *ctx);

#endif
