/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/rhythm.h"

#include <math.h>

#define HOUR_S 3600.0
#define DAY_S  86400.0
/* The memory of the whole: a week, so that every hour and day is in it; or so many samples. */
#define WHOLE_MEMORY_S (7 * DAY_S)
#define WHOLE_GAIN_MAX (1 / 2000.0)
/* The memory of an hour of the day: eight of them, which is eight days. */
#define HOUR_MEMORY_S (8 * HOUR_S)
#define HOUR_GAIN_MAX (1 / 100.0)
/* The memory of a day of the week: of what differs from the other days, over weeks. */
#define DAY_MEMORY_S (2 * DAY_S)
#define DAY_GAIN_MAX (1 / 288.0)
/* What a day of the week differs in is believed by half after so many weeks more than one. */
#define DAY_WEEKS_HALF 2.0
#define DAY_WEEKS_MAX  100.0
/* How much of the whole's spread adds to the hour's: one hour seen once has none of its own. */
#define WHOLE_SHARE 0.3
/* E|x - mean| of a normal distribution is sd * sqrt(2 / pi). */
#define SD_PER_DEVIATION 1.2533
/* The spread of a metric that never moved, relative to its size, and for one that was always 0. */
#define SPREAD_MIN_RELATIVE 1e-4
#define SPREAD_MIN          1e-6

static unsigned hour_of(double time)
{
    return (unsigned)((uint64_t)time / 3600 % RHYTHM_HOURS);
}

static unsigned day_of(double time)
{
    return (unsigned)((uint64_t)time / 86400 % RHYTHM_DAYS);
}

const struct rhythm_hour *rhythm_hour_at(const struct rhythm *r, double time)
{
    return &r->hours[hour_of(time)];
}

/* Where a time lies: divisions that each sample needs once. */
struct place {
    unsigned hour, day;
};

static struct place place_of(double time)
{
    return (struct place){hour_of(time), day_of(time)};
}

/* Without what the day of the week adds. */
static inline double hour_expected(const struct rhythm *r, struct place p)
{
    return r->hours[p.hour].n > 0 ? r->hours[p.hour].mean : r->mean;
}

static inline double expected(const struct rhythm *r, struct place p)
{
    double weeks = fmax(r->days[p.day].weeks - 1, 0);
    return hour_expected(r, p) + r->days[p.day].shift * weeks / (weeks + DAY_WEEKS_HALF);
}

static inline double sd(const struct rhythm *r, struct place p)
{
    double own = r->hours[p.hour].n > 0 ? r->hours[p.hour].dev : r->dev;
    double least = fmax(SPREAD_MIN, SPREAD_MIN_RELATIVE * fabs(r->mean));
    return fmax(least, SD_PER_DEVIATION * (own + WHOLE_SHARE * r->dev));
}

double rhythm_expected(const struct rhythm *r, double time)
{
    return expected(r, place_of(time));
}

double rhythm_sd(const struct rhythm *r, double time)
{
    return sd(r, place_of(time));
}

/* A plain mean at first, then an exponential one whose memory is a time. */
static double gain_of(double n, double elapsed_s, double memory_s, double most)
{
    return fmax(1 / (n + 1), fmin(elapsed_s / memory_s, most));
}

static void add_to_hour(struct rhythm_hour *h, double value, double off, double elapsed_s)
{
    double gain = gain_of(h->n, elapsed_s, HOUR_MEMORY_S, HOUR_GAIN_MAX);
    h->mean += gain * (value - h->mean);
    h->dev += gain * (fabs(off) - h->dev);
    h->n++;
}

/* OFF is the distance from the hour. */
static void add_to_day(struct rhythm *r, unsigned d, double time, double off, double elapsed_s)
{
    double day = floor(time / DAY_S);
    if (r->n == 0 || day > r->day)
        r->days[d].weeks = fmin(r->days[d].weeks + 1, DAY_WEEKS_MAX);
    r->day = day;
    double memory_s = fmin(r->days[d].weeks * DAY_S, DAY_MEMORY_S);
    r->days[d].shift += fmin(elapsed_s / memory_s, DAY_GAIN_MAX) * (off - r->days[d].shift);
}

static void add_to_whole(struct rhythm *r, double value, double elapsed_s)
{
    double gain = gain_of((double)r->n, elapsed_s, WHOLE_MEMORY_S, WHOLE_GAIN_MAX);
    double off = r->n ? value - r->mean : 0;
    r->dev += gain * (fabs(off) - r->dev);
    r->mean += gain * (value - r->mean);
}

/* OFF is the distance from what is expected. */
static void take(struct rhythm *r, struct place p, double time, double value, double off,
                 double elapsed_s)
{
    double from_hour = r->n ? value - hour_expected(r, p) : 0;
    add_to_hour(&r->hours[p.hour], value, off, elapsed_s);
    add_to_day(r, p.day, time, from_hour, elapsed_s);
    add_to_whole(r, value, elapsed_s);
    r->n++;
}

void rhythm_add(struct rhythm *r, double time, double value, double elapsed_s)
{
    const struct place p = place_of(time);
    take(r, p, time, value, r->n ? value - expected(r, p) : 0, elapsed_s);
}

double rhythm_follow(struct rhythm *r, double time, double value, double elapsed_s)
{
    const struct place p = place_of(time);
    const double off = r->n ? value - expected(r, p) : 0;
    const double z = r->n ? off / sd(r, p) : 0;
    take(r, p, time, value, off, elapsed_s);
    return z;
}
