/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A progress bar on standard error, if that is a terminal. */
#ifndef EXEC_PROGRESS_H
#define EXEC_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/migrate-exec/rate.h"

/*
 * Where one of several processes says how far it is, for the one that shows a line for all: in
 * memory that they share.  Bytes to be copied and compared, so twice those of a volume.
 */
struct progress_cell {
    _Atomic uint64_t done;
    _Atomic uint64_t total; /* 0: not known yet */
};

/* Zero-initialised it shows nothing. */
struct progress {
    bool on;
    struct progress_cell *cell; /* says it there, and shows nothing (borrowed); NULL: shows it */
    bool shown;                 /* a line stands there, to be wiped */
    uint64_t last_us;           /* when it was drawn */
    const char *phase;          /* that the rate is of */
    struct rate rate;
};

void progress_init(struct progress *p);
/*
 * Draws at most five times a second: WHAT is in PHASE (a constant), with DONE of TOTAL bytes.  In
 * the phase "proof" all has been copied.
 */
void progress_show(struct progress *p, const char *what, const char *phase, uint64_t done,
                   uint64_t total);
/* Wipes the line, before other output and at the end. */
void progress_clear(struct progress *p);

/*
 * The line itself, into OUT: bar, percent, rate, bytes left, time left; the last two are absent
 * while RATE (bytes a second) is 0.
 */
void progress_line(char *out, size_t size, const char *what, const char *phase, uint64_t done,
                   uint64_t total, double rate);

#endif
