/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/rate.h"

void rate_add(struct rate *r, uint64_t us, uint64_t count)
{
    unsigned i = r->n++ % RATE_READINGS;
    r->reading[i].us = us;
    r->reading[i].count = count;
}

double rate_per_second(const struct rate *r)
{
    if (r->n < 2)
        return 0;
    unsigned newest = (r->n - 1) % RATE_READINGS;
    unsigned oldest = r->n < RATE_READINGS ? 0 : r->n % RATE_READINGS;
    uint64_t us = r->reading[newest].us - r->reading[oldest].us;
    if (us == 0 || r->reading[newest].count < r->reading[oldest].count)
        return 0;
    return (double)(r->reading[newest].count - r->reading[oldest].count) * 1e6 / (double)us;
}
