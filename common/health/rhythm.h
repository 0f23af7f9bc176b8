/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a metric usually is at this hour of the day, on this day of the week. */
#ifndef GS_HEALTH_RHYTHM_H
#define GS_HEALTH_RHYTHM_H

#include <stdint.h>

enum { RHYTHM_HOURS = 24, RHYTHM_DAYS = 7 };

/* An hour of the day. */
struct rhythm_hour {
    double mean;
    double dev; /* mean absolute deviation from what was expected */
    double n;   /* samples, as far as they matter */
};

/* A day of the week. */
struct rhythm_day {
    double shift; /* how far it lies off its hours */
    double weeks; /* in which it was seen */
};

/* Zero-initialised it has seen nothing.  Hours and days are those of UTC. */
struct rhythm {
    uint64_t n;
    double mean; /* over a week: wild samples are clipped before they count */
    double dev;  /* mean absolute deviation from it */
    double day;  /* of the last sample, since 1970 */
    struct rhythm_day days[RHYTHM_DAYS];
    struct rhythm_hour hours[RHYTHM_HOURS]; /* last: of a sample only one matters */
};

/* What R has of the hour of TIME, which is not negative. */
const struct rhythm_hour *rhythm_hour_at(const struct rhythm *r, double time);

/* The value expected at TIME; the mean while the hour was never seen. */
double rhythm_expected(const struct rhythm *r, double time);

/* A standard deviation around it at TIME: mostly the hour's own, and a third of the whole's. */
double rhythm_sd(const struct rhythm *r, double time);

/* Takes VALUE, ELAPSED_S after the sample before it (0 for the first). */
void rhythm_add(struct rhythm *r, double time, double value, double elapsed_s);

/* The same; returns how many rhythm_sd() VALUE was off rhythm_expected() before; 0: the first. */
double rhythm_follow(struct rhythm *r, double time, double value, double elapsed_s);

#endif
