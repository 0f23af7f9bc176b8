/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/signal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { SHORT_POINTS = 8 };

#define DAY_S 86400.0
/* Longer than a daily rhythm, so that it is part of the spread and not of the drift. */
#define LONG_TERM_S (2 * DAY_S)
/* Samples further than this many mean deviations from the mean count as if they were there. */
#define CLIP_DEVIATIONS 5.0
/* Nothing real is larger; sums of what is smaller stay finite. */
#define VALUE_MAX 1e18
/* The spread of a signal that never moved, relative to its size, and for one that was always 0. */
#define SPREAD_MIN_RELATIVE 1e-3
#define SPREAD_MIN          1e-6
/* E|x - mean| of a normal distribution is sd * sqrt(2 / pi). */
#define SD_PER_DEVIATION 1.2533

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

static unsigned min_u(uint64_t a, unsigned b)
{
    return a < b ? (unsigned)a : b;
}

/* The N newest samples into V, smallest first; how many, if there are fewer.  N is at least 1. */
static unsigned sort_recent(const struct signal *s, unsigned n, double v[SIGNAL_RECENT])
{
    unsigned have = min_u(s->n, SIGNAL_RECENT);
    n = n < have ? n : have;
    for (unsigned i = 0; i < n; i++) {
        double x = s->recent[have - n + i];
        unsigned j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
    return n;
}

/* The median of the three newest samples, or of as many as there are: one at least. */
static double recent_median(const struct signal *s)
{
    const unsigned have = min_u(s->n, SIGNAL_RECENT);
    assert(have > 0);
    const double *v = &s->recent[have - 1], last = v[0];
    if (have < 3)
        return have == 1 ? last : (v[-1] + last) / 2;
    const bool falls = v[-2] > v[-1];
    const double low = v[falls ? -1 : -2], high = v[falls ? -2 : -1];
    return !(high > last) ? high : low > last ? low : last;
}

/* Whether M of the N newest samples are above the present value, or below it. */
static bool is_left(const struct signal *s, const struct signal_damping *d)
{
    const double *v = &s->recent[min_u(s->n, SIGNAL_RECENT) - d->n];
    unsigned above = 0, below = 0;
    for (unsigned i = 0; i < d->n; i++) {
        above += v[i] > s->held;
        below += v[i] < s->held;
    }
    return above >= d->m || below >= d->m;
}

/* Moves the present value as far as enough of the samples went; the first of all is believed. */
static void hold(struct signal *s, const struct signal_damping *d)
{
    double v[SIGNAL_RECENT] = {0};
    assert(d->m <= d->n && d->m > d->n / 2 && d->n <= SIGNAL_RECENT);
    if (s->n > d->n && !is_left(s, d))
        return;
    unsigned n = sort_recent(s, d->n, v);
    unsigned m = n < d->n ? n / 2 + 1 : d->m;
    s->held = s->n > 1 ? clamp(s->held, v[n - m], v[m - 1]) : v[0];
}

static void push_recent(struct signal *s, double value)
{
    if (s->n >= SIGNAL_RECENT)
        memmove(s->recent, s->recent + 1, (SIGNAL_RECENT - 1) * sizeof(s->recent[0]));
    s->recent[min_u(s->n, SIGNAL_RECENT - 1)] = value;
}

static void push_point(struct signal_level *l, struct health_point p)
{
    if (l->n == TREND_POINTS_MAX)
        memmove(l->points, l->points + 1, (TREND_POINTS_MAX - 1) * sizeof(l->points[0]));
    else
        l->n++;
    l->points[l->n - 1] = p;
}

static void note_extreme(struct signal *s, struct health_point p)
{
    double number = floor(p.time / DAY_S);
    if (s->n_days == 0 || number > s->days[0].number) {
        s->n_days = min_u(s->n_days + 1u, SIGNAL_DAYS);
        memmove(s->days + 1, s->days, (s->n_days - 1) * sizeof(s->days[0]));
        s->days[0] = (struct signal_day){number, p.value, p.value};
    }
    s->days[0].low = fmin(s->days[0].low, p.value);
    s->days[0].high = fmax(s->days[0].high, p.value);
}

/* Adds P to the lowest level and carries full sums upwards; a bit for each level touched. */
static unsigned push_levels(struct signal *s, struct health_point p)
{
    unsigned changed = 0;
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++) {
        struct signal_level *l = &s->levels[k];
        push_point(l, p);
        changed |= 1u << k;
        if (k == 1)
            note_extreme(s, p);
        l->time_sum += p.time;
        l->value_sum += p.value;
        if (++l->folded < SIGNAL_FOLD)
            break;
        p = (struct health_point){l->time_sum / SIGNAL_FOLD, l->value_sum / SIGNAL_FOLD};
        l->folded = 0;
        l->time_sum = 0;
        l->value_sum = 0;
    }
    return changed;
}

/* A plain mean at first, then an exponential one whose memory is a time, not a count. */
static void follow(struct signal *s, double value, double elapsed_s)
{
    if (elapsed_s > s->gain_elapsed_s || elapsed_s < s->gain_elapsed_s) {
        s->gain_elapsed_s = elapsed_s;
        s->gain = -expm1(-elapsed_s / LONG_TERM_S);
    }
    double gain = fmax(1 / (double)(s->n + 1), s->gain);
    double off = value - s->mean;
    if (s->n >= SHORT_POINTS) {
        double most = CLIP_DEVIATIONS * signal_sd(s, 0);
        off = clamp(off, -most, most);
    }
    s->mean += gain * off;
    s->dev += gain * (fabs(off) - s->dev);
}

bool signal_add(struct signal *s, const struct signal_damping *d, double time, double value,
                unsigned *changed)
{
    if (s->n && time <= s->last)
        return false;
    double elapsed_s = s->n ? time - s->last : 0;
    value = clamp(value, -VALUE_MAX, VALUE_MAX);
    if (s->n == 0) {
        s->first = time;
        s->mean = value;
    } else if (s->n == 1) {
        s->interval_s = elapsed_s;
    } else {
        s->interval_s += (fmin(elapsed_s, 3 * s->interval_s) - s->interval_s) / 16;
    }
    follow(s, value, elapsed_s);
    push_recent(s, value);
    s->n++;
    s->last = time;
    hold(s, d);
    unsigned levels = push_levels(s, (struct health_point){time, recent_median(s)});
    if (changed)
        *changed = levels;
    return true;
}

double signal_now(const struct signal *s)
{
    return s->held;
}

double signal_short_mean(const struct signal *s)
{
    const struct signal_level *l = &s->levels[0];
    unsigned n = min_u(l->n, SHORT_POINTS);
    double sum = 0;
    for (unsigned i = l->n - n; i < l->n; i++)
        sum += l->points[i].value;
    return n ? sum / n : s->mean;
}

double signal_sd(const struct signal *s, double floor)
{
    double least = fmax(SPREAD_MIN, SPREAD_MIN_RELATIVE * fabs(s->mean));
    return fmax(fmax(floor, least), SD_PER_DEVIATION * s->dev);
}

/* The second-highest of the N values V, or the highest of fewer than three. */
static double second_highest(const double *v, unsigned n)
{
    double first = -INFINITY;
    double second = -INFINITY;
    for (unsigned i = 0; i < n; i++)
        if (v[i] > first) {
            second = first;
            first = v[i];
        } else if (v[i] > second) {
            second = v[i];
        }
    return n < 3 ? first : second;
}

bool signal_usual(const struct signal *s, double *low, double *high)
{
    if (s->n_days < 2 || s->last - s->first < DAY_S || (double)s->n * s->interval_s < 0.9 * DAY_S)
        return false;
    double lows[SIGNAL_DAYS];
    double highs[SIGNAL_DAYS];
    for (unsigned i = 1; i < s->n_days; i++) {
        lows[i - 1] = -s->days[i].low;
        highs[i - 1] = s->days[i].high;
    }
    *low = -second_highest(lows, s->n_days - 1);
    *high = second_highest(highs, s->n_days - 1);
    return true;
}
