/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Probes of many gateways, each on its own schedule, until a signal or the last one is done. */
#ifndef GS_GATEWAY_PROBE_ROUNDS_H
#define GS_GATEWAY_PROBE_ROUNDS_H

#include <stdint.h>

#include "common/nbd/probe.h"
#include "common/record/record.h"

struct rounds_plan {
    uint64_t count;       /* probes of each gateway; 0: no end */
    uint64_t interval_us; /* from start to start; what can't be kept is left out, not made up for */
    uint64_t timeout_us;  /* for one probe */
};

struct rounds;

/* PLAN and OUT (metric records) are stored.  NULL: out of memory. */
struct rounds *rounds_new(const struct rounds_plan *plan, struct rec_writer *out);
void rounds_free(struct rounds *r);

/*
 * Adds gateway NAME (stored) with its probe P (owned from now on).  At METRICS, an URL, or "", its
 * host's metrics are fetched whenever it is probed.  0 or -ENOMEM.
 */
int rounds_add(struct rounds *r, const char *name, struct nbd_probe *p, const char *metrics);

/*
 * Probes, and writes the records of each probe as it ends, until each gateway was probed COUNT
 * times or SIGINT or SIGTERM comes.  0; -EIO: stdout; another -errno: poll() or a signal
 * descriptor failed.  Then rounds_error() is the text.
 */
int rounds_run(struct rounds *r);
const char *rounds_error(const struct rounds *r);

#endif
