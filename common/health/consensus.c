/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/consensus.h"

#include <math.h>
#include <string.h>

#include "common/health/anomaly.h"

#define DAY_S 86400.0
/* What is usual is remembered for so long, or so many rounds if they take longer. */
#define MEMORY_S (35 * DAY_S)
#define GAIN_MAX 1e-4
/* Rounds further out than this many standard deviations count as if they were there. */
#define CLIP_SD 3.0
/* A spread of fewer rounds says nothing. */
enum { ROUNDS_MIN = 50, AGREE = 3 };
/* More says nothing more, and could not be stored if it were infinite. */
#define SD_MAX 1e6

static double gain_of(const struct consensus *c, double elapsed_s)
{
    return fmax(1 / (double)(c->n + 1), fmin(elapsed_s / MEMORY_S, GAIN_MAX));
}

static void learn(struct consensus *c, double off, double elapsed_s)
{
    double gain = gain_of(c, elapsed_s);
    if (c->n == 0)
        c->mean += off;
    off = c->n ? off : 0;
    if (c->n >= ROUNDS_MIN) {
        double most = CLIP_SD * sqrt(c->var);
        off = fmin(fmax(off, -most), most);
    }
    c->mean += gain * off;
    c->var += gain * (off * off - c->var);
    c->n++;
}

void consensus_add(struct consensus *c, double time, double mean_z)
{
    if (!(c->last > 0))
        c->first = time;
    double elapsed_s = c->last > 0 ? fmax(time - c->last, 0) : 0;
    c->last = time;
    /* The hours of a day must have been seen once before z means anything. */
    if (time - c->first < DAY_S)
        return;
    double off = mean_z - c->mean;
    double sds = c->n >= ROUNDS_MIN && c->var > 0 ? fmin(fmax(off / sqrt(c->var), 0), SD_MAX) : 0;
    memmove(c->recent, c->recent + 1, (CONSENSUS_RECENT - 1) * sizeof(c->recent[0]));
    c->recent[CONSENSUS_RECENT - 1] = sds;
    learn(c, off, elapsed_s);
}

double consensus_score(const struct consensus *c)
{
    return anomaly_of_sds(c->recent[CONSENSUS_RECENT - 1]);
}

double consensus_steady(const struct consensus *c)
{
    double sorted[CONSENSUS_RECENT] = {0};
    for (unsigned i = 0; i < CONSENSUS_RECENT; i++) {
        unsigned j = i;
        for (; j > 0 && sorted[j - 1] < c->recent[i]; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = c->recent[i];
    }
    return anomaly_of_sds(sorted[AGREE - 1]);
}
