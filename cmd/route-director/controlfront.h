/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A control connection: its socket and its lines, one request at a time (route-director(8)).  It
 * lives in worker 0 and has an agent (control.h) in each worker whose volumes it asked about.
 */
#ifndef DIRECTOR_CONTROLFRONT_H
#define DIRECTOR_CONTROLFRONT_H

#include "director.h"

/* Serves the accepted descriptor FD (non-blocking), taking it over.  D is worker 0's. */
void controlfront_new(struct director *d, int fd);

#endif
