/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/tally.h"

#include <math.h>

static const double bins_a_decade = 100;

static size_t bin_of(double us)
{
    const double at = us > 1 ? bins_a_decade * log10(us) : 0;
    return at < TALLY_BINS ? (size_t)at : TALLY_BINS - 1;
}

void tally_served(struct tally *t, double n, double rtt_us, double mean_us)
{
    /* The exponential distribution in slices, each at its middle: finer where the tail is. */
    static const double edges[] = {0,   0.1,  0.2,  0.3,  0.4,   0.5,   0.6,    0.7,
                                   0.8, 0.88, 0.94, 0.97, 0.985, 0.993, 0.9975, 1};
    enum { SLICES = sizeof(edges) / sizeof(*edges) - 1 };
    t->served += n;
    t->latency_us += n * (rtt_us + mean_us);
    for (int i = 0; i < SLICES; i++) {
        const double middle = (edges[i] + edges[i + 1]) / 2;
        t->bins[bin_of(rtt_us - mean_us * log1p(-middle))] += n * (edges[i + 1] - edges[i]);
    }
}

double tally_mean_us(const struct tally *t)
{
    return t->served > 0 ? t->latency_us / t->served : 0;
}

double tally_p99_us(const struct tally *t)
{
    double below = 0;
    for (size_t i = 0; i < TALLY_BINS; i++) {
        below += t->bins[i];
        if (below > 0 && below >= 0.99 * t->served)
            return pow(10, ((double)i + 1) / bins_a_decade);
    }
    return 0;
}
