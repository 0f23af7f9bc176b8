/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The listening sockets: who comes in, who it is, and what becomes of it. */
#ifndef DIRECTOR_DOORS_H
#define DIRECTOR_DOORS_H

#include "director.h"

enum door_kind { DOOR_CLIENTS, DOOR_CONTROL, DOOR_COPIERS };

struct doors;

/* No door yet; all are D's, which is worker 0's.  NULL: out of memory. */
struct doors *doors_new(struct director *d);
/* Closes them all and removes the unix sockets' names. */
void doors_free(struct doors *doors);

/* Listens on SPEC, "unix:PATH" or "HOST:PORT".  Ends the program if it can't be. */
void doors_open(struct doors *doors, const char *spec, enum door_kind kind);
/* The same, but that it can't be is told: -errno. */
int doors_try(struct doors *doors, const char *spec, enum door_kind kind);

/* Listens on FD, which a service manager opened, and will want again: its path stays. */
void doors_adopt(struct doors *doors, int fd, enum door_kind kind);

#endif
