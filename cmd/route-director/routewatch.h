/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changes of the route store by somebody else, noticed at once (inotify(7)): the records of all
 * open volumes are read again.  Where the state folder is on a file system that other machines
 * write to, only changes made on this one are seen; the control verb reload is for the others.
 */
#ifndef DIRECTOR_ROUTEWATCH_H
#define DIRECTOR_ROUTEWATCH_H

#include "director.h"

struct routewatch;

/* Watches from now on; the state folder is there.  0 or -errno.  Free with _free. */
int routewatch_new(struct director *d, struct routewatch **out);
void routewatch_free(struct routewatch *w);

#endif
