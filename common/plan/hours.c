/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/hours.h"

#include <math.h>

static const double hour_s = 3600;

/* Above 2 million requests a second; a million volumes still add up. */
static const uint64_t most_milli = UINT64_C(1) << 43;

static uint64_t add_milli(uint64_t milli, double requests)
{
    const double more = fmax(0, fmin(requests * 1000, (double)most_milli));
    const uint64_t sum = milli + (uint64_t)llround(more);
    return sum < most_milli ? sum : most_milli;
}

/* The seconds of hour I that lie between FROM and UNTIL, after the origin. */
static double overlap(size_t i, double from, double until)
{
    const double start = hour_s * (double)i;
    return fmax(0, fmin(until, start + hour_s) - fmax(from, start));
}

void plan_hours_spread(struct plan_hours *h, double origin, double start, double duration_s,
                       double requests)
{
    const double from = start - origin, until = from + duration_s;
    if (!(duration_s > 0) || !(from < hour_s * PLAN_HOURS))
        return;
    for (size_t i = from > 0 ? (size_t)(from / hour_s) : 0;
         i < PLAN_HOURS && hour_s * (double)i < until; i++) {
        const double s = overlap(i, from, until);
        if (s > 0)
            h->milli[i] = add_milli(h->milli[i], requests * s / duration_s);
    }
}

void plan_hours_add(struct plan_hours *sum, const struct plan_hours *h)
{
    for (size_t i = 0; i < PLAN_HOURS; i++)
        sum->milli[i] += h->milli[i];
}

void plan_hours_take(struct plan_hours *sum, const struct plan_hours *h)
{
    for (size_t i = 0; i < PLAN_HOURS; i++)
        sum->milli[i] -= h->milli[i];
}

uint64_t plan_hours_peak(const struct plan_hours *h)
{
    static const struct plan_hours none;
    return plan_hours_joint_peak(h, &none);
}

uint64_t plan_hours_joint_peak(const struct plan_hours *a, const struct plan_hours *b)
{
    uint64_t peak = 0;
    for (size_t i = 0; i < PLAN_HOURS; i++) {
        const uint64_t sum = a->milli[i] + b->milli[i];
        peak = sum > peak ? sum : peak;
    }
    return peak;
}

double plan_hours_between(const struct plan_hours *h, double from, double until)
{
    double sum = 0;
    for (size_t i = 0; i < PLAN_HOURS; i++)
        sum += (double)h->milli[i] / 1000 * overlap(i, from, until) / hour_s;
    return sum;
}
