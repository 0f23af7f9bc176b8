/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An output file that is whole or not there: written under a temporary name, then renamed.  What
 * exists and is no regular file (a pipe, /dev/null), or is the system's (/dev/stdout), is appended
 * to directly, and symbolic links stay.  Ends the program on failure, after removing the temporary
 * file.
 */
#ifndef GS_BASE_OUTFILE_H
#define GS_BASE_OUTFILE_H

#include <stdio.h>

struct outfile {
    const char *path; /* borrowed */
    char *place;      /* what is replaced; NULL: written directly */
    char *temporary;  /* NULL: written directly */
    FILE *stream;     /* to write to */
};

void outfile_open(struct outfile *o, const char *path);

/* Puts the file in its place and frees. */
void outfile_close(struct outfile *o);

/* Removes what was written so far, before the program ends; does nothing if it is not open. */
void outfile_discard(const struct outfile *o);

/* Ends the program after a failed write (errno or -errno), leaving no temporary file. */
_Noreturn void outfile_fail(const struct outfile *o, int err);

#endif
