/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How failures really came: a record of those of another fleet, or of this one in other times, from
 * which the arrivals of a simulated one are drawn, with the clusters that they have in time and at
 * a site.
 */
#ifndef GS_MIGRATE_REPLAY_ARRIVALS_H
#define GS_MIGRATE_REPLAY_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/base/rng.h"
#include "common/fleet/fleet.h"

struct arrivals_past {
    double time; /* Unix seconds */
    size_t node;
    size_t place; /* the site that it was at */
};

/* Zero-initialise; arrivals_release() frees. */
struct arrivals {
    struct intern nodes, places;
    struct arrivals_past *list; /* by time */
    size_t n, cap;
};

/*
 * Reads the failure records in PATH that are failures.  One without a site was at that of its
 * gateway in FLEET, else at one of its own.  Ends the program on failure.
 */
void arrivals_read(struct arrivals *a, const struct fleet *f, const char *path);
void arrivals_release(struct arrivals *a);

struct arrival {
    double time; /* Unix seconds */
    size_t node; /* of the record: less than its nodes.n */
    size_t site; /* 0 … SITES - 1 */
};

struct arrivals_draw {
    size_t n;        /* how many; at most as many as were read */
    size_t sites;    /* at least 1 */
    double from, to; /* Unix seconds */
};

/*
 * Fills OUT[n], in order of time.  The sites stand for as many places of the record, drawn with the
 * probability of their failures, and some more where these have had fewer than n.  Their next n
 * failures after a moment drawn evenly, up to the failure that follows them, are stretched or
 * compressed to FROM … TO.  Ends the program without memory.
 */
void arrivals_draw(const struct arrivals *a, const struct arrivals_draw *how, struct rng *rng,
                   struct arrival *out);

#endif
