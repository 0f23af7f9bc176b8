/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What becomes of logs that were moved aside: a thread packs them with LZ4 and removes the oldest.
 * It knows them by their names alone (logfile.h), so what a killed director has left is taken care
 * of by the next.
 */
#ifndef DIRECTOR_LOGKEEP_H
#define DIRECTOR_LOGKEEP_H

struct logkeep;

/* For the logs moved aside from PATH (stored).  KEEP: so many stay; 0: all.  0 or -errno. */
int logkeep_new(const char *path, unsigned keep, struct logkeep **out);
/* There may be something to do.  From any thread. */
void logkeep_wake(struct logkeep *k);
/* Stops in the middle of a file, if need be, which stays as it is.  A disk that hangs is not waited
 * for: the thread is then left, for the process is about to end.  NULL is fine. */
void logkeep_free(struct logkeep *k);

#endif
