/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The back-test inside a fit: parameters from a series' older part, forecasts of its last hours,
 * and what follows from their errors.
 */
#ifndef GS_FORECAST_JUDGE_H
#define GS_FORECAST_JUDGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/forecast/model.h"

enum { JUDGE_AHEAD = MODEL_NET_HOURS, JUDGE_STEP = 12 };

/* Of each net weight that the gate may choose. */
enum { JUDGE_NONE, JUDGE_HALF, JUDGE_ALL, JUDGE_CHOICES };

/* Forecasts from points JUDGE_STEP hours apart, each of JUDGE_AHEAD hours as far as S reaches. */
struct judge {
    struct series s;    /* borrowed */
    struct model early; /* with parameters of the hours before the held-out ones */
    size_t first;       /* the first point */
    size_t points;
    double *base;     /* [points][JUDGE_AHEAD] by the baseline, owned */
    double *net;      /* … by the nets, owned; NULL: there are none */
    size_t net_first; /* the first point that the nets forecast from */
};

/*
 * Fits parameters to the older part of S, weighs the methods by the rest, and keeps what they say
 * of it, mixed.  0 or -ENOMEM.
 */
int judge_begin(struct series s, uint64_t seed, struct judge *j);
void judge_release(struct judge *j);

/* The hours of J's series before point P. */
size_t judge_origin(const struct judge *j, size_t p);

/*
 * Makes room for the nets' forecasts from the points that lie at most HOURS before the end, which
 * are to be put into j->net.  0 or -ENOMEM.
 */
int judge_expect_net(struct judge *j, size_t hours);

/* The logarithms of the error with each choice over the baseline's: 0 for JUDGE_NONE. */
void judge_gain(const struct judge *j, double gain[JUDGE_CHOICES]);

/*
 * The choice with the least error, of a series that has GAIN where all series together have POOL:
 * a few days' errors are a small sample, so they only shift the pool's.
 */
int judge_choose(const struct judge *j, const double gain[JUDGE_CHOICES],
                 const double pool[JUDGE_CHOICES]);

double judge_weight(int choice);

/* What bands of several shares hold of hours that they were not made from. */
enum { JUDGE_SHARES = 20 };
struct judge_tally {
    size_t held[JUDGE_SHARES], hours;
};

/* The share K of them: 0.60, 0.62 … 0.98. */
double judge_share(size_t k);

/*
 * Adds to T how many hours of two days lay within the bands that the baseline's errors outside them
 * make, for every other two days of the held-out ones.  0 or -ENOMEM.
 */
int judge_tally(const struct judge *j, struct judge_tally *t);

/* The bands and the error of the mixture with NET, into M.  0 or -ENOMEM. */
int judge_bands(const struct judge *j, double net, double share, struct model *m);

#endif
