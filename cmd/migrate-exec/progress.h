/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A progress bar on standard error, if that is a terminal. */
#ifndef EXEC_PROGRESS_H
#define EXEC_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Zero-initialised it shows nothing. */
struct progress {
    bool on;
    bool shown;       /* a line stands there, to be wiped */
    uint64_t last_us; /* when it was drawn */
};

void progress_init(struct progress *p);
/* Draws at most five times a second: WHAT, and DONE of TOTAL bytes. */
void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t total);
/* Wipes the line, before other output and at the end. */
void progress_clear(struct progress *p);

#endif
