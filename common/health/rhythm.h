/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a metric usually is at this hour of the day, on this day of the week. */
#ifndef GS_HEALTH_RHYTHM_H
#define GS_HEALTH_RHYTHM_H

#include <stdint.h>

enum { RHYTHM_HOURS = 24, RHYTHM_DAYS = 7 };

/* Zero-initialised it has seen nothing.  Hours and days are those of UTC. */
struct rhythm {
    uint64_t n;
    double mean; /* over a week: wild samples are clipped before they count */
    double dev;  /* mean absolute deviation from it */
    double hour_mean[RHYTHM_HOURS];
    double hour_dev[RHYTHM_HOURS]; /* mean absolute deviation from what was expected */
    double hour_n[RHYTHM_HOURS];   /* samples, as far as they matter */
    double day_shift[RHYTHM_DAYS]; /* how far the days of a week lie off their hours */
    double day_weeks[RHYTHM_DAYS]; /* weeks in which the day was seen */
    double day;                    /* of the last sample, since 1970 */
};

/* The value expected at TIME; the mean while the hour was never seen. */
double rhythm_expected(const struct rhythm *r, double time);

/* A standard deviation around it at TIME: mostly the hour's own, and a third of the whole's. */
double rhythm_sd(const struct rhythm *r, double time);

/* Takes VALUE, ELAPSED_S after the sample before it (0 for the first). */
void rhythm_add(struct rhythm *r, double time, double value, double elapsed_s);

#endif
