/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/calendar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

static const double day_s = 86400;

/* ---- reading ---- */

/* Exactly N digits at *P, which moves behind them; -1 if there are none. */
static int digits(const char **p, int n)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return -1;
        v = 10 * v + (**p - '0');
    }
    return v;
}

static bool skip(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

static int parse_time(const char *s, double *out)
{
    const int hour = digits(&s, 2);
    const int minute = hour >= 0 && skip(&s, ':') ? digits(&s, 2) : -1;
    if (minute < 0 || minute > 59 || *s || hour * 60 + minute > 24 * 60)
        return -EINVAL;
    *out = hour * 3600.0 + minute * 60.0;
    return 0;
}

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year));
}

/* Days from 1970-01-01 to the first of that month. */
static int days_before(int year, int month)
{
    int n = 0;
    for (int y = 1970; y < year; y++)
        n += leap(y) ? 366 : 365;
    for (int m = 1; m < month; m++)
        n += days_of(year, m);
    return n;
}

static int parse_date(const char *s, double *out)
{
    const int year = digits(&s, 4);
    const int month = year >= 1970 && skip(&s, '-') ? digits(&s, 2) : -1;
    const int day = month >= 1 && month <= 12 && skip(&s, '-') ? digits(&s, 2) : -1;
    if (day < 1 || day > days_of(year, month) || *s)
        return -EINVAL;
    *out = day_s * (days_before(year, month) + day - 1);
    return 0;
}

static int append(struct plan_span **list, size_t *n, size_t *cap, const struct plan_span *s)
{
    if (vec_room(list, *n, cap, sizeof(**list)) < 0)
        return -ENOMEM;
    (*list)[(*n)++] = *s;
    return 0;
}

int plan_calendar_window(struct plan_calendar *c, const char *from, const char *until)
{
    struct plan_span s;
    if (parse_time(from, &s.from_s) < 0 || parse_time(until, &s.until_s) < 0 ||
        s.from_s == s.until_s || s.from_s >= day_s)
        return -EINVAL;
    return append(&c->windows, &c->n_windows, &c->windows_cap, &s);
}

int plan_calendar_blackout(struct plan_calendar *c, const char *first, const char *last)
{
    struct plan_span s;
    if (parse_date(first, &s.from_s) < 0 || parse_date(last, &s.until_s) < 0 ||
        s.from_s > s.until_s)
        return -EINVAL;
    s.until_s += day_s;
    return append(&c->blackouts, &c->n_blackouts, &c->blackouts_cap, &s);
}

/* ---- asking ---- */

static bool in_window(const struct plan_span *w, double of_day)
{
    if (w->from_s < w->until_s)
        return of_day >= w->from_s && of_day < w->until_s;
    return of_day >= w->from_s || of_day < w->until_s;
}

static double window_next(const struct plan_calendar *c, double time)
{
    const double of_day = time - day_s * floor(time / day_s);
    double wait = c->n_windows ? (double)INFINITY : 0;
    for (size_t i = 0; i < c->n_windows; i++) {
        const double until = c->windows[i].from_s - of_day;
        const double here = until < 0 ? until + day_s : until;
        wait = fmin(wait, in_window(&c->windows[i], of_day) ? 0 : here);
    }
    /* Windows start at whole seconds: a rounded sum must not lie just before one. */
    return wait > 0 ? round(time + wait) : time;
}

static double blackout_next(const struct plan_calendar *c, double time)
{
    double end = time;
    for (size_t i = 0; i < c->n_blackouts; i++)
        if (time >= c->blackouts[i].from_s && time < c->blackouts[i].until_s)
            end = fmax(end, c->blackouts[i].until_s);
    return end;
}

bool plan_calendar_open(const struct plan_calendar *c, double time)
{
    return !c || (blackout_next(c, time) == time && window_next(c, time) == time);
}

double plan_calendar_next(const struct plan_calendar *c, double time)
{
    double t = time;
    while (!plan_calendar_open(c, t)) {
        t = window_next(c, blackout_next(c, t));
        if (t > time + 366 * day_s)
            return INFINITY;
    }
    return t;
}

void plan_calendar_release(struct plan_calendar *c)
{
    free(c->windows);
    free(c->blackouts);
    *c = (struct plan_calendar){0};
}
