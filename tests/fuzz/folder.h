/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A temporary folder for a fuzz target that works on files.  In a program that includes this
 * nothing is made durable: the disk is of no interest there.
 */
#ifndef GS_FUZZ_FOLDER_H
#define GS_FUZZ_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

static char fuzz_folder[] = "/tmp/gs-fuzz.XXXXXX";

int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void remove_folder(void)
{
    nftw(fuzz_folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

/* Its name; the first call makes it.  It is removed at the end with all that is in it. */
static inline const char *folder(void)
{
    static bool made;
    if (!made) {
        require(mkdtemp(fuzz_folder) != NULL);
        atexit(remove_folder);
    }
    made = true;
    return fuzz_folder;
}

#endif
