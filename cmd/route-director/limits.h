/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What keeps clients from taking all there is: descriptors, connections, and those of the dead. */
#ifndef DIRECTOR_LIMITS_H
#define DIRECTOR_LIMITS_H

#include <stdbool.h>

#include "director.h"

/* As many open files as the system lets us; a warning if the clients' limit does not fit in. */
void limits_open_files(const struct settings *set);

/* May one more client connect, to worker 0's D?  If not, the log may have a line (one a second). */
bool limits_take(struct director *d);

/* Options of a client's socket FD: no delay, and a peer that is gone is noticed (tcp(7)). */
void limits_socket(int fd);

#endif
