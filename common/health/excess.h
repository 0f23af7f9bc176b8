/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How much longer a time (_us) is than the gateway's load explains.  Queues make times long, so a
 * latency that is usual in a busy hour is none in a quiet one: learnt is what a time is at each
 * load, and a lasting excess over that is told long before it leaves the range of the days before.
 *
 * A day of evidence is needed first.  Nothing is said of loads that were not seen before.  What may
 * be the beginning of a degradation is not learnt: everything is learnt an hour later, if nothing
 * was suspect till then.
 */
#ifndef GS_HEALTH_EXCESS_H
#define GS_HEALTH_EXCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/health/limits.h"
#include "common/health/signal.h"

enum {
    EXCESS_SLOTS = 60,  /* minutes that are kept */
    EXCESS_BINS = 16,   /* of load */
    EXCESS_SCALES = 4,  /* windows: 5, 15, 30 and 60 minutes */
    EXCESS_HOURS = 192, /* the present one, those of the seven days before, and some more */
};

/* A gateway's load, minute by minute.  Zero-initialised it has seen nothing. */
struct excess_load {
    uint32_t minute; /* since 1970, of the samples that are being added up; 0: none */
    uint32_t n;
    double sum;
    uint32_t minute_before; /* the last minute before it that had samples; 0: none */
    double mean_before;
};

/* A minute of a time: the mean load, and the logarithm of the mean. */
struct excess_slot {
    uint32_t minute;
    float load;
    float level;
    float excess; /* of level, over what was known of that load then; NaN: nothing was */
};

/* What is known of a range of loads. */
struct excess_bin {
    double n;     /* minutes seen, up to as many as are remembered */
    double load;  /* their mean … */
    double level; /* … and the mean of their level, wild ones clipped */
};

/* How far from 0 something mostly is. */
struct excess_noise {
    double n; /* how often it was seen, up to as often as is remembered */
    double dev;
};

/* Of one time of one gateway.  Zero-initialised it has seen nothing. */
struct excess {
    uint32_t minute; /* the samples that are being added up */
    uint32_t n;
    double sum;
    uint32_t n_slots; /* the last minutes: a ring … */
    uint32_t next;    /* … that is written here next */
    struct excess_slot slots[EXCESS_SLOTS];
    double bin_width; /* 0: no load was seen */
    uint32_t beyond;  /* minutes in a row whose load is beyond the bins */
    struct excess_bin bins[EXCESS_BINS];
    struct excess_noise minutes;                /* of a minute's excess … */
    struct excess_noise windows[EXCESS_SCALES]; /* … and of that of a window */
    uint32_t hour;                              /* since 1970: the newest in … */
    uint8_t hours[EXCESS_HOURS]; /* the largest excess of each, in hundredths and 1; 0: unknown */
    double usual;    /* excess at this time of the day; negative: unknown, nothing is judged */
    uint32_t judged; /* minute of the last look at all windows */
    uint32_t suspect_since; /* minute; 0: not suspect */
    uint32_t learn_from;    /* what is older is not learnt */
    uint32_t settled;       /* from this minute on, after a silence */
    bool sure;
    double strength; /* of the excess: 1 is as much as can't be chance */
    double times;    /* as long as the load explains */
};

/*
 * How good METRIC is as a measure of its gateway's load: 0, none; the highest one is taken.  What
 * grows with the time itself, as the utilisation of a disk, is none: it would explain all.
 */
unsigned excess_load_rank(const char *metric);

/* Takes a sample of the load. */
void excess_load_add(struct excess_load *l, double time, double value);

/* Whether METRIC, with limits L, is judged by load. */
bool excess_applies(const struct health_limit *l);

/*
 * Takes the newest sample of S, for which LOAD may be behind or ahead by some minutes; samples of
 * minutes of which the load is not known teach nothing.
 */
void excess_add(struct excess *e, const struct excess_load *load, const struct signal *s);

/* Takes back what is known of times later than NOW (rewind.h). */
void excess_rewind(struct excess *e, double now);
void excess_load_rewind(struct excess_load *l, double now);

/*
 * The probability, 0 … 0.6, that what E tells of S is the beginning of a failure; beyond 0 *TIMES
 * is how many times as long as its load explains it is.  It goes to 0.35, by the square of the way,
 * from 60 to 100 % of the excess that can't be chance; to more only if it is growing, or half as
 * long again.
 */
double excess_risk(const struct excess *e, const struct signal *s, const struct health_limit *l,
                   double *times);

/*
 * Whether its load explains what E tells of S now: most of the last five minutes are no longer than
 * at their load before, give or take what is chance in one minute, or had more load than was ever
 * seen, of which nobody knows what is usual; and over no window they are longer beyond chance.
 */
bool excess_explains(const struct excess *e, const struct signal *s);

#endif
