/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole files: read at once, replaced atomically. */
#ifndef GS_BASE_FSFILE_H
#define GS_BASE_FSFILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/*
 * Appends the content of PATH to OUT.  Returns 0, -ENOENT, another -errno, or -EFBIG over MAX
 * bytes; OUT may then hold a part.
 */
int fsfile_read(const char *path, size_t max, struct buf *out);

/* Appends what the file FD holds from OFFSET on.  0, -errno, or -EFBIG over MAX bytes. */
int fsfile_read_from(int fd, uint64_t offset, size_t max, struct buf *out);

/*
 * Replaces PATH by LEN bytes: temporary name in the same folder, fsync, rename, fsync of the
 * folder.  The new file has the old one's mode and owner; where they cannot be kept (-EPERM)
 * nothing is replaced.  On failure (-errno) the old file is untouched and no temporary file is
 * left; only a failed fsync of the folder comes after the rename.
 */
int fsfile_replace(const char *path, const void *data, size_t len);

/*
 * Where what a user calls PATH is to go: 0, and *REAL, which the caller frees, is to be replaced:
 * PATH, or what its symbolic links lead to, and these stay.  1: PATH is to be appended to, as it is
 * no regular file (a pipe, /dev/null) or the system's (/dev/stdout).  Or -errno.
 */
int fsfile_place(const char *path, char **real);

/* fsfile_replace() for a PATH that a user gave; see fsfile_place(). */
int fsfile_put(const char *path, const void *data, size_t len);

/*
 * fsfile_replace() in steps, for what is too large to be held at once.  fsfile_begin() opens a
 * temporary file, empty, whose name it puts into TMP (empty): a descriptor, or -errno, and TMP is
 * empty.  fsfile_end() ends that: with RESULT 0 the file replaces PATH, as above; with an error it
 * goes, and that is what is returned.  Either way TMP is released and FD closed.
 */
int fsfile_begin(const char *path, struct buf *tmp);
int fsfile_end(const char *path, struct buf *tmp, int fd, int result);

/*
 * Removes the temporary files for PATH of processes that were killed, as far as it can.  The caller
 * holds what keeps others from writing PATH.
 */
void fsfile_sweep(const char *path);

/*
 * Opens PATH with FLAGS, close-on-exec, making it (mode 0644, umask applies) if it is not there.
 * What root makes in a folder of somebody else is that user's, who could not use it otherwise.
 * Returns a descriptor or -errno.
 */
int fsfile_open(const char *path, int flags);

/*
 * Makes DIR and its parents (mode 0755, umask applies), durably; root's are for the parent's owner,
 * as with fsfile_open().  0 if it is there already.
 */
int fsfile_mkdirs(const char *dir);

/* write() until all is out; 0 or -errno. */
int fsfile_write_all(int fd, const void *data, size_t len);

/* fsync()s the folder that holds PATH, so that a rename or creation in it is durable. */
int fsfile_sync_parent(const char *path);

#endif
