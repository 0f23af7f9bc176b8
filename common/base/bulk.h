/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing a file too large to be worth a place in the page cache: in pieces of 1 MiB, past it where
 * the system lets us.  Memory for the cache is the greatest cost of such a file, and it pushes out
 * what others will read sooner.  A file of less than a piece is written as any other.
 */
#ifndef GS_BASE_BULK_H
#define GS_BASE_BULK_H

#include <stdbool.h>
#include <stddef.h>

struct bulk {
    int fd;                /* borrowed */
    char *piece;           /* owned */
    size_t len;            /* of it in use */
    bool is_large, direct; /* had a whole piece; goes past the page cache */
    int error;             /* of a write, after which nothing is written */
};

/* To the file FD, empty and open for writing.  0 or -ENOMEM; bulk_end() is due in both cases. */
int bulk_begin(struct bulk *b, int fd);
/* Adds LEN bytes.  0 or the -errno of a write, now or before. */
int bulk_add(struct bulk *b, const void *data, size_t len);
/* Writes what is left and frees: 0, or the -errno of any write.  FD's flags are as they were. */
int bulk_end(struct bulk *b);

#endif
