/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In which order a net sees which parts of the series. */
#ifndef GS_FORECAST_BATCHES_H
#define GS_FORECAST_BATCHES_H

#include <stddef.h>
#include <stdint.h>

#include "common/forecast/sample.h"

/* STEPS points of SERIES, a day apart, the last one being END. */
struct batches_part {
    uint32_t series, end;
    uint32_t steps;
};

/* Sequences of one length. */
struct batches_group {
    size_t first, n; /* in batches.part */
};

/* An epoch.  Zero-initialise; batches_release() frees. */
struct batches {
    struct batches_part *part;
    struct batches_group *group;
    size_t parts, groups;
};

/*
 * Draws an epoch of groups of at most SIZE sequences over the N series S.  The number of groups
 * depends on the series only, not on SEED.  0 or -ENOMEM.
 */
int batches_draw(const struct sample *s, size_t n, size_t size, uint64_t seed, struct batches *out);
void batches_release(struct batches *b);

/* How many groups an epoch has. */
size_t batches_count(const struct sample *s, size_t n, size_t size);

#endif
