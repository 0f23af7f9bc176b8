/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Volumes whose next move has to wait: a connection to a gateway ended with writes unanswered
 * (also that of a director that was killed), and nothing tells when the gateway is done with them
 * (S2).  --quarantine is the time after which we assume it is.
 */
#ifndef DIRECTOR_QUARANTINE_H
#define DIRECTOR_QUARANTINE_H

#include "director.h"

/*
 * From now on, for the set time.  WRITER (an identity; NULL: none) is a driver that was writing and
 * lives: it may be stopped and write when it goes on, so the time begins when it is gone.
 */
void quarantine_add(struct director *d, const char *volume, const void *writer);

/* WRITER's connection has ended, or it begins anew. */
void quarantine_writer_gone(struct director *d, const void *writer);

/* Microseconds that VOLUME has to wait still; 0: none. */
uint64_t quarantine_left_us(struct director *d, const char *volume);

void quarantine_release(struct director *d);

#endif
