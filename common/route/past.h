/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Old route logs: what a compaction replaces stays beside the log as "routes.log.N", N counting up,
 * and only the last PAST_MAX of them.
 */
#ifndef GS_ROUTE_PAST_H
#define GS_ROUTE_PAST_H

#include <stddef.h>

enum { PAST_MAX = 64 };

/*
 * Gives the file LOG, which is about to be replaced, its place among the old ones; to be called
 * under the log's lock.  One that has it already, as after a kill between the two, keeps it.
 * 0 or -errno.
 */
int past_keep(const char *log);

/* The numbers of the old logs of LOG, ascending; *OUT is owned.  Their count, or -errno. */
long past_list(const char *log, unsigned long **out);

/* "LOG.N" into OUT.  0 or -ENAMETOOLONG. */
int past_path(const char *log, unsigned long n, char *out, size_t size);

#endif
