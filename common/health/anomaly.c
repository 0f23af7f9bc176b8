/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/anomaly.h"

#include <math.h>

/* Before this many samples mean and deviation say little. */
enum { WARM_UP = 8 };

/* A record fades to half in some 7,000 samples, and never below three standard deviations. */
#define RECORD_DECAY 0.9999
#define RECORD_MIN   3.0

/* Compares DISTANCE with *RECORD, which then takes it in. */
static double against_record(double *record, double distance)
{
    *record = fmax(*record * RECORD_DECAY, RECORD_MIN);
    double score = distance / (distance + *record);
    *record = fmax(*record, distance);
    return score;
}

double anomaly_score(struct signal *s, double value)
{
    if (s->n < WARM_UP)
        return 0;
    double sd = signal_sd(s, 0);
    double sample = against_record(&s->records[0], fabs(value - s->mean) / sd);
    double shift = against_record(&s->records[1], fabs(signal_short_mean(s) - s->mean) / sd);
    return fmax(sample, shift);
}
