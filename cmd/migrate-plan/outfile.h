/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An output file that is whole or not there: written under a temporary name, then renamed.  What
 * exists and is no regular file (a pipe, /dev/null) is written to directly.  Ends the program on
 * failure, after removing the temporary file.
 */
#ifndef GS_MIGRATE_PLAN_OUTFILE_H
#define GS_MIGRATE_PLAN_OUTFILE_H

#include <stdio.h>

struct outfile;

/* PATH is borrowed until outfile_close(). */
struct outfile *outfile_open(const char *path);
FILE *outfile_stream(struct outfile *o);

/* Ends the program after a failed write (-errno or errno), leaving no temporary file. */
_Noreturn void outfile_fail(const struct outfile *o, int err);

/* Removes what was written so far, before the program ends for another reason.  O may be NULL. */
void outfile_discard(const struct outfile *o);

void outfile_close(struct outfile *o);

#endif
