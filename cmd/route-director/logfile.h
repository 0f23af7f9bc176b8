/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file behind a log of lines: its header, whole lines only, and what happens when it has grown
 * large.  Blocks: it belongs to the thread that writes.  Knows nothing of what the lines mean.
 */
#ifndef DIRECTOR_LOGFILE_H
#define DIRECTOR_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct logfile_opts {
    const char *path;       /* "-": stdout; stored */
    const char *header;     /* the first line of each file, newline included; stored */
    const char *old_header; /* of files that may be moved aside to begin a new one; stored */
    uint64_t size_bytes;    /* from this size on it is moved aside; 0: never */
};

struct logfile {
    struct logfile_opts set;
    int fd;
    bool regular;         /* and its own */
    bool headed;          /* the header is in the file */
    uint64_t size_bytes;  /* of a regular file */
    uint64_t turn_bytes;  /* the size at which it is moved aside next */
    char last_stamp[32];  /* of the last file that was moved aside … */
    unsigned last_number; /* … and the number behind it */
};

/*
 * Opens the file, or creates it.  What stands behind the last line of a regular file is cut off.
 * One that begins with the old header is moved aside; one that begins with any other line is
 * refused (-EEXIST).  0 or -errno.  A FIFO needs no reader.
 */
int logfile_open(struct logfile *f, const struct logfile_opts *set);
/* The text of a negative result of logfile_open() or logfile_reopen(). */
const char *logfile_error(int err);
void logfile_close(struct logfile *f);

/* Opens it anew by its name, after it was renamed; stdout stays.  On -errno F goes on as before. */
int logfile_reopen(struct logfile *f);

/*
 * Writes the header if it is not there, then the LEN bytes at DATA, which are whole lines.  0, or
 * -errno with *LOST the number of lines that are not in the file; a regular file ends with a whole
 * line then.
 */
int logfile_write(struct logfile *f, const char *data, size_t len, size_t *lost);

/* Has it reached its size? */
bool logfile_full(const struct logfile *f);

/*
 * Moves the file aside, to PATH.YYYYMMDDThhmmssZ, or that and -N if it is taken, and begins a new
 * one.  0, or -errno (-ELOOP: its name is a symbolic link): the log goes on in the old one, and is
 * full when that has grown by its size again.
 */
int logfile_turn(struct logfile *f);

/* Gives a new file the owner and mode of the old one; without that it is for its owner alone. */
void logfile_like(int fd, const struct stat *old);

#endif
