/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/failure.h"

#include <math.h>

/* A trend seen for S seconds is not believed further than this many times S. */
#define TRUST_AHEAD 6.0
/* Mann-Kendall: one in 700 windows of pure noise passes. */
#define TREND_Z_MIN 3.0
/* Longer windows may show no more than a flank of the daily rhythm. */
#define FLANK_S 7200.0
/* A shift of 3 standard deviations is noise, one of 6 is not. */
#define DRIFT_Z_MIN 3.0
/* Even a metric beyond critical is no certainty. */
#define LEVEL_MAX 0.95

static double clamp01(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

void health_trends_update(struct health_trends *t, const struct signal *s, unsigned changed)
{
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++)
        if (changed >> k & 1)
            t->known[k] =
                health_trend_fit(s->levels[k].points, s->levels[k].n, TREND_Z_MIN, &t->line[k]);
}

/*
 * The value from which on a rise is news: the worst of the days before, but not beyond warn, or a
 * bad week would blind us; without such days, FALLBACK.
 */
static double known_worst(const struct signal *s, const struct health_limit *l, double fallback)
{
    double low, high;
    if (!signal_usual(s, &low, &high))
        return fallback;
    return l->critical > l->warn ? fmin(high, l->warn) : fmax(low, l->warn);
}

static double level_risk(const struct health_limit *l, double value)
{
    double progress = health_progress(l, l->warn, value);
    return LEVEL_MAX * progress * progress;
}

static double drift_risk(const struct signal *s, const struct health_limit *l)
{
    double sign = l->critical > l->warn ? 1 : -1;
    double recent = signal_short_mean(s);
    /* Shifts of less than 1 % of the way to critical are no matter how small the noise. */
    double sd = signal_sd(s, 0.01 * fabs(l->critical - s->mean) / DRIFT_Z_MIN);
    double z = sign * (recent - s->mean) / sd;
    double worst = known_worst(s, l, s->mean);
    double from = sign * fmax(sign * worst, sign * s->mean);
    return clamp01(z / DRIFT_Z_MIN - 1) * health_progress(l, from, recent);
}

/* Seconds from NOW until the cautious edge of line T is at critical; INFINITY: never. */
static double time_to_critical(const struct health_trend *t, const struct health_limit *l,
                               double slope, double now)
{
    double sign = l->critical > l->warn ? 1 : -1;
    if (sign * slope <= 0)
        return INFINITY;
    double at = t->end_time + (l->critical - t->end_value) / slope;
    return fmax(at - now, 0);
}

/* The probability that line T goes on until it is at critical, and *REACH_S until then. */
static double trend_risk(const struct health_trend *t, const struct health_limit *l, double now,
                         double horizon_s, double *reach_s)
{
    double sign = l->critical > l->warn ? 1 : -1;
    double cautious = sign > 0 ? t->slope_low : t->slope_high;
    double reach = time_to_critical(t, l, cautious, now);
    if (sign * t->z < 0 || !(reach < horizon_s))
        return 0;
    *reach_s = time_to_critical(t, l, t->slope, now);
    /* Up to half of the horizon it is certain to fall within, from there on less and less. */
    return clamp01(1 - reach / (TRUST_AHEAD * t->span_s)) * clamp01(2 - 2 * reach / horizon_s);
}

static void worst_trend(const struct signal *s, const struct health_trends *t,
                        const struct health_limit *l, double now, double horizon_s,
                        struct health_risk *out)
{
    double sign = l->critical > l->warn ? 1 : -1;
    double low, high;
    bool day_seen = signal_usual(s, &low, &high);
    double worst = known_worst(s, l, -sign * INFINITY);
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++) {
        const struct health_trend *line = &t->line[k];
        if (!t->known[k] || (!day_seen && line->span_s > FLANK_S) ||
            sign * line->end_value <= sign * worst)
            continue;
        double reach_s = INFINITY;
        double p = trend_risk(line, l, now, horizon_s, &reach_s);
        if (p > out->trend) {
            out->trend = p;
            out->reach_s = reach_s;
        }
    }
}

struct health_risk health_risk(const struct signal *s, const struct health_trends *t,
                               const struct health_limit *limit, double now, double horizon_s)
{
    struct health_risk r = {.value = signal_now(s), .usual = s->mean, .reach_s = INFINITY};
    r.level = level_risk(limit, r.value);
    r.drift = drift_risk(s, limit);
    worst_trend(s, t, limit, now, horizon_s, &r);
    r.p = 1 - (1 - r.level) * (1 - r.drift) * (1 - r.trend);
    return r;
}
