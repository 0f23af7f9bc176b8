/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on a volume an hour's requests fall: the pattern of the same hour of the day in the past.
 */
#ifndef GS_AFFINITY_HEAT_H
#define GS_AFFINITY_HEAT_H

#include <stdint.h>

#include "common/affinity/demand.h"

/* Expected reads, writes and bytes in a segment. */
struct heat_cell {
    double of[DEMAND_KINDS];
};

/*
 * Spreads REQUESTS, all expected in HOUR (hours since the epoch), over V's segments, as the decayed
 * heat of that hour of the day has them, or of all hours where that one has none: OUT[i] for
 * segment v->segments[i].  Reads and writes sum up to REQUESTS less the flushes' part.  Requests of
 * a volume without any heat are spread nowhere.
 */
void heat_spread(const struct demand_volume *v, int64_t hour, double requests,
                 struct heat_cell *out);

#endif
