/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/pace.h"

/* Until measured: 100 MB/s and 0.5 ms an extent, slower than any sane local network. */
static const double default_byte_us = 0.01;
static const double default_claim_us = 500;

/* Extents at least this long tell the rate, shorter ones the cost of an extent. */
enum { LONG_EXTENT = 256 * 1024 };

/* Mean of old and new, weighted to the new: the rest is handled now, not when we began. */
static double blend(double old, double new)
{
    return old > 0 ? 0.4 * old + 0.6 * new : new;
}

static double byte_cost(const struct pace *p)
{
    return p->byte_us > 0 ? p->byte_us : default_byte_us;
}

void pace_learn(struct pace *p, uint64_t bytes, uint64_t claims, uint64_t us)
{
    if (claims == 0 || bytes == 0)
        return;
    if (bytes / claims >= LONG_EXTENT) {
        p->byte_us = blend(p->byte_us, (double)us / (double)bytes);
        return;
    }
    double rest = (double)us - (double)bytes * p->byte_us;
    double floor_us = (double)us * 0.25; /* the rate may have been measured in worse times */
    p->claim_us = blend(p->claim_us, (rest > floor_us ? rest : floor_us) / (double)claims);
}

uint64_t pace_predict(const struct pace *p, uint64_t bytes, uint64_t grain)
{
    uint64_t claims = (bytes + grain - 1) / grain;
    double each = p->claim_us > 0 ? p->claim_us : default_claim_us;
    return (uint64_t)((double)bytes * byte_cost(p) + (double)claims * each);
}
