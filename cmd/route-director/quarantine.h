/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Volumes whose next move has to wait: a connection to a gateway ended with writes unanswered
 * (also that of a director that was killed), and nothing tells when the gateway is done with them
 * (S2).  --quarantine is the time after which we
 * assume it is.
 */
#ifndef DIRECTOR_QUARANTINE_H
#define DIRECTOR_QUARANTINE_H

#include "director.h"

/* From now on, for the set time. */
void quarantine_add(struct director *d, const char *volume);

/* Microseconds that VOLUME has to wait still; 0: none. */
uint64_t quarantine_left_us(struct director *d, const char *volume);

void quarantine_release(struct director *d);

#endif
