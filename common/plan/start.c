/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/start.h"

#include <math.h>

#include "common/plan/cost.h"

static const double hour_s = 3600;

static double sooner(double latest, double now, double horizon_s)
{
    return horizon_s > 0 ? fmin(latest, now + horizon_s) : latest;
}

static double latest_of(const struct plan_case *c, const size_t *volumes, size_t n)
{
    const struct plan_gateway *s = plan_case_source(c);
    double latest = c->now + c->limits->start_window_s;
    if (s->scored)
        latest = sooner(latest, c->now, s->health.horizon_s);
    for (size_t i = 0; i < n; i++)
        latest = sooner(latest, c->now, c->fleet->volumes[volumes[i]].demand.horizon_s);
    return latest;
}

/* Requests from FROM on for SECONDS; INFINITY: not all of that is forecast. */
static double requests(const struct plan_case *c, const size_t *volumes, size_t n, double from,
                       double seconds)
{
    const double begin = from - c->fleet->hours_start, end = begin + seconds;
    double sum = 0;
    if (end > hour_s * (double)c->fleet->n_hours)
        return INFINITY;
    for (size_t i = 0; i < n; i++)
        sum += plan_hours_between(&c->fleet->hours[volumes[i]], begin, end);
    return sum;
}

/*
 * What a copy of COPY_S costs that starts at START: the requests that meet it, and those before
 * that would be better off by their gain.  A long copy of little gain waits for a quiet night; what
 * follows the demand is not put off until that has moved on.
 */
static double cost(const struct plan_case *c, const size_t *volumes, size_t n, double start,
                   double copy_s)
{
    const double gain = plan_score_gain(&c->score);
    const double met = requests(c, volumes, n, start, copy_s);
    return gain > 0 ? met + gain * requests(c, volumes, n, c->now, start - c->now) : met;
}

static bool forecast_known(const struct plan_fleet *f, const size_t *volumes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!f->volumes[volumes[i]].forecast)
            return false;
    return f->n_hours > 0;
}

static double cheapest(const struct plan_case *c, const size_t *volumes, size_t n, double copy_s)
{
    const double latest = latest_of(c, volumes, n);
    double best = c->projection->opens, least = cost(c, volumes, n, best, copy_s);
    for (size_t i = 1; i < c->fleet->n_hours; i++) {
        const double start = c->fleet->hours_start + hour_s * (double)i;
        if (start <= best || start > latest || !plan_calendar_open(c->fleet->calendar, start))
            continue;
        const double this = cost(c, volumes, n, start, copy_s);
        if (plan_exceeds(least, this)) {
            best = start;
            least = this;
        }
    }
    return best;
}

/* A copy of no known size still takes a moment, and that moment should be a quiet one. */
static double all_copied_s(const struct plan_case *c, const size_t *volumes, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += plan_cost(c->fleet, c->limits, volumes[i], c->target, 0, c->now).copy_s;
    return fmax(1, sum);
}

double plan_start(const struct plan_case *c, const size_t *volumes, size_t n)
{
    double start = c->projection->opens;
    const double copy_s = all_copied_s(c, volumes, n);
    if (forecast_known(c->fleet, volumes, n))
        start = cheapest(c, volumes, n, copy_s);
    return start > c->now ? start : 0;
}
