/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where on a volume an hour's requests fall: the decayed pattern of the same hour of the week.
 *
 * An hour of the week with few requests says little, so its pattern is filled up with that of the
 * hour of the day, and this with that of all hours: each as if HEAT_PRIOR requests more had been
 * seen, distributed like the coarser one (a Dirichlet prior; MacKay and Peto 1995).
 */
#ifndef GS_AFFINITY_HEAT_H
#define GS_AFFINITY_HEAT_H

#include <stdint.h>

#include "common/affinity/demand.h"

#define HEAT_PRIOR 32.0

/* Expected reads, writes and bytes in a segment. */
struct heat_cell {
    double of[CELLS_KINDS];
};

struct heat_segment {
    uint32_t index;
    double week[HOURS_A_WEEK][CELLS_KINDS];
    double day[HOURS_A_DAY][CELLS_KINDS];
    double all[CELLS_KINDS];
};

/* A volume's decayed heat.  heat_release() frees.  Memory: 4.6 KiB a segment, at most 4.7 MiB. */
struct heat {
    unsigned shift;               /* a segment is 2^shift bytes */
    struct heat_segment *segment; /* owned, ascending by index */
    size_t n;
    double week[HOURS_A_WEEK]; /* requests, with flushes */
    double day[HOURS_A_DAY];
    double all;
};

/* The heat of V, of D, as far as its cells are remembered, into OUT.  0 or -ENOMEM. */
int heat_make(const struct demand *d, const struct demand_volume *v, struct heat *out);
void heat_release(struct heat *h);

/*
 * Spreads REQUESTS, all expected in HOUR (hours since the epoch), over H's segments: OUT[i] for
 * segment[i].  Reads and writes sum up to REQUESTS less the flushes' part.  Without any heat they
 * are spread nowhere.
 */
void heat_spread(const struct heat *h, int64_t hour, double requests, struct heat_cell *out);

#endif
