/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access records, formatted by hand and written in batches: a record must cost next to nothing. */
#ifndef DIRECTOR_ACCESSLOG_H
#define DIRECTOR_ACCESSLOG_H

#include "director.h"

struct accesslog;

/* Appends to PATH ("-": stdout); a header comes first if the file is empty.  0 or -errno. */
int accesslog_open(struct director *d, const char *path, struct accesslog **out);
/* Writes what is left. */
void accesslog_close(struct accesslog *log);
/*
 * Closes and opens the file anew (after it was renamed).  0 or -errno; then it goes on as before.
 */
int accesslog_reopen(struct accesslog *log);

/* R has ended at NOW_US.  LOG may be NULL. */
void accesslog_add(struct accesslog *log, const struct volume *v, const struct request *r,
                   uint64_t now_us);

/* Records that could not be written. */
uint64_t accesslog_dropped(const struct accesslog *log);

#endif
