/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When moves that can wait may start: within one of the daily windows, if there are any, and not
 * on a day that is blacked out.  All in UTC, so that a plan does not depend on where it is made.
 */
#ifndef GS_PLAN_CALENDAR_H
#define GS_PLAN_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>

/* From FROM_S up to, not including, UNTIL_S. */
struct plan_span {
    double from_s;
    double until_s;
};

/* Zero-initialise, then always open; plan_calendar_release() frees. */
struct plan_calendar {
    struct plan_span *windows; /* seconds of a day; until below from: past midnight */
    size_t n_windows;
    size_t windows_cap;
    struct plan_span *blackouts; /* Unix seconds, whole days */
    size_t n_blackouts;
    size_t blackouts_cap;
};

/*
 * A daily window: times as "HH:MM", "00:00" to "24:00"; FROM is not UNTIL.  0, -EINVAL (no such
 * times) or -ENOMEM.
 */
int plan_calendar_window(struct plan_calendar *c, const char *from, const char *until);

/*
 * Days on which nothing starts: dates as "YYYY-MM-DD", from 1970 on, both included; LAST may be
 * FIRST.  0, -EINVAL (no such dates, or in the wrong order) or -ENOMEM.
 */
int plan_calendar_blackout(struct plan_calendar *c, const char *first, const char *last);

/* These take NULL for one that is always open. */
bool plan_calendar_open(const struct plan_calendar *c, double time);

/* The first time from TIME on at which it is open; INFINITY: not within a year. */
double plan_calendar_next(const struct plan_calendar *c, double time);

void plan_calendar_release(struct plan_calendar *c);

#endif
