/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread that writes lines to a file, and the bounded queue in front of it: who has lines never
 * waits for the file.  What does not fit is dropped and counted.
 */
#ifndef DIRECTOR_LOGWRITER_H
#define DIRECTOR_LOGWRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfile.h"

enum { LOGPIECE_SIZE = 64 << 10 };

/* Whole lines, to be filled in by their owner. */
struct logpiece {
    struct logpiece *next;
    size_t len;
    size_t lines;
    char data[LOGPIECE_SIZE];
};

struct logwriter;

/*
 * Opens the file and starts the thread; with a size in SET also one that packs what is moved aside
 * and keeps KEEP such files (0: all).  0 or -errno as logfile_open().
 */
int logwriter_new(const struct logfile_opts *set, unsigned keep, struct logwriter **out);

/*
 * Writes what is queued and stops: true.  A file that takes nothing for a second is given up, with
 * a warning: false.  The thread, and what it was given, is then left as it is, for the process is
 * about to end.  NULL is fine.
 */
bool logwriter_free(struct logwriter *w);

/* The rest may be called from any thread, and waits for nothing. */

/* An empty piece, now the caller's; NULL: out of memory. */
struct logpiece *logwriter_piece(struct logwriter *w);

/* When is a piece to be taken over? */
enum logwriter_when {
    LOGWRITER_IDLE,   /* if nothing waits before it */
    LOGWRITER_ROOM,   /* if the queue is not full */
    LOGWRITER_ALWAYS, /* for the last one */
};

/* Queues P.  False: not now, it is still the caller's. */
bool logwriter_put(struct logwriter *w, struct logpiece *p, enum logwriter_when when);

/* LINES were lost before they came here. */
void logwriter_drop(struct logwriter *w, size_t lines);
/* Lines lost so far, here and in the file. */
uint64_t logwriter_dropped(const struct logwriter *w);

/* The file is opened anew by its name, once what is queued now is written. */
void logwriter_reopen(struct logwriter *w);

#endif
