/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The forecast hour by hour.  Requests are counted in thousandths, as whole numbers, so that sums
 * do not depend on the order of their terms and can be undone to the last bit.
 */
#ifndef GS_PLAN_HOURS_H
#define GS_PLAN_HOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hours that are looked ahead: those that forecasts have by default. */
enum { PLAN_HOURS = 48 };

/* Thousandths of requests in each hour, of one volume or of up to a million. */
struct plan_hours {
    uint64_t milli[PLAN_HOURS];
};

/*
 * Adds REQUESTS of the DURATION_S from START to a volume's hours from ORIGIN on, each its share;
 * what lies outside them is left out.  All in Unix seconds.  An hour holds at most 2^43
 * thousandths.
 */
void plan_hours_spread(struct plan_hours *h, double origin, double start, double duration_s,
                       double requests);

void plan_hours_add(struct plan_hours *sum, const struct plan_hours *h);
/* H was added before. */
void plan_hours_take(struct plan_hours *sum, const struct plan_hours *h);

/* The busiest hour, of one and of the sum of two. */
uint64_t plan_hours_peak(const struct plan_hours *h);
uint64_t plan_hours_joint_peak(const struct plan_hours *a, const struct plan_hours *b);

/* Requests between FROM and UNTIL, both in seconds after the origin and within the hours. */
double plan_hours_between(const struct plan_hours *h, double from, double until);

#endif
