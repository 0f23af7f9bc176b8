/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/failure.h"

#include <math.h>

#include "common/health/slow.h"

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
/* Evidence is at half after so many samples: of fewer no trend can be told. */
#define EVIDENCE_SAMPLES 8.0

/* One bad sample in ten is bad luck, one in two is not; that more follows is likely, not sure. */
#define BURST_FROM     0.1
#define BURST_FULL     0.5
#define BURST_MAX      0.6
#define BURST_PROGRESS 0.5
#define BURST_MEMORY_S 3600.0
/* What is well throughout has ended, what is bad throughout is no burst: forgotten in so long. */
#define BURST_RESET_S 600.0
#define BURST_NONE    1e-6

/* That a gateway which is slower than ever gets worse is likely, not sure. */
#define SLOW_MAX 0.6

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
    /* A repair ends it before the last bad sample is out of the mean. */
    if (sign * signal_now(s) <= sign * worst)
        return 0;
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

/* The probability that line T goes on until it is at critical; if it may, the line is in *OUT. */
static double trend_risk(const struct health_trend *t, const struct health_limit *l, double now,
                         double horizon_s, struct health_risk *out)
{
    double sign = l->critical > l->warn ? 1 : -1;
    double cautious = sign > 0 ? t->slope_low : t->slope_high;
    double bold = sign > 0 ? t->slope_high : t->slope_low;
    double reach = time_to_critical(t, l, cautious, now);
    if (sign * t->z < 0 || !(reach < horizon_s))
        return 0;
    out->reach_s = time_to_critical(t, l, t->slope, now);
    out->reach_low_s = time_to_critical(t, l, bold, now);
    out->reach_high_s = reach;
    out->since = t->end_time - t->span_s;
    out->since_value = t->start_value;
    /* Up to half of the horizon it is certain to fall within, from there on less and less. */
    return clamp01(1 - reach / (TRUST_AHEAD * t->span_s)) * clamp01(2 - 2 * reach / horizon_s);
}

/* Where a line has to lead to, and S to be, for the line to be news. */
static double news_from(const struct signal *s, const struct health_limit *l)
{
    double sign = l->critical > l->warn ? 1 : -1;
    return known_worst(s, l, -sign * INFINITY);
}

bool health_trends_matter(const struct signal *s, const struct health_limit *l)
{
    double sign = l->critical > l->warn ? 1 : -1;
    return sign * signal_short_mean(s) > sign * news_from(s, l);
}

static void worst_trend(const struct signal *s, const struct health_trends *t,
                        const struct health_limit *l, double now, double horizon_s,
                        struct health_risk *out)
{
    double sign = l->critical > l->warn ? 1 : -1;
    double low, high;
    bool day_seen = signal_usual(s, &low, &high);
    double worst = news_from(s, l);
    if (!health_trends_matter(s, l))
        return;
    for (unsigned k = 0; k < SIGNAL_LEVELS; k++) {
        const struct health_trend *line = &t->line[k];
        if (!t->known[k] || (!day_seen && line->span_s > FLANK_S) ||
            sign * line->end_value <= sign * worst)
            continue;
        struct health_risk found = *out;
        found.trend = trend_risk(line, l, now, horizon_s, &found);
        if (found.trend > out->trend)
            *out = found;
    }
}

/* From nearly nothing known to all: risks shrink to what most gateways have, next to none. */
static double evidence(const struct signal *s)
{
    return (double)s->n / ((double)s->n + EVIDENCE_SAMPLES);
}

static double joined(const struct health_risk *r)
{
    return 1 - (1 - r->level) * (1 - r->drift) * (1 - r->trend) * (1 - r->burst) * (1 - r->slow);
}

struct health_risk health_risk(const struct signal *s, const struct health_trends *t,
                               const struct health_limit *limit, double bursts, double now,
                               double horizon_s)
{
    struct health_risk r = {.value = signal_now(s),
                            .usual = s->mean,
                            .reach_s = INFINITY,
                            .reach_low_s = INFINITY,
                            .reach_high_s = INFINITY};
    r.level = level_risk(limit, r.value);
    if (r.level < LEVEL_MAX) /* beyond critical nothing needs to be learnt */
        r.level *= evidence(s);
    r.drift = drift_risk(s, limit) * evidence(s);
    worst_trend(s, t, limit, now, horizon_s, &r);
    r.trend *= evidence(s);
    r.burst = BURST_MAX * clamp01((bursts - BURST_FROM) / (BURST_FULL - BURST_FROM)) * evidence(s);
    r.slow = SLOW_MAX * health_slow(s, limit) * evidence(s);
    r.p = joined(&r);
    return r;
}

/* What rises with the load falls with it: its line leads nowhere. */
static void forget_rise(struct health_risk *r)
{
    r->drift = 0;
    r->trend = 0;
    r->reach_s = r->reach_low_s = r->reach_high_s = INFINITY;
}

void health_risk_excess(struct health_risk *r, const struct signal *s, const struct excess *e,
                        const struct health_limit *limit)
{
    double times = 0;
    const double p = excess_risk(e, s, limit, &times) * evidence(s);
    const double far = health_progress(limit, limit->warn, r->value);
    const bool explained = (r->p > 0 || far > 0) && excess_explains(e, s);
    r->by_load = explained;
    /* No load that was never seen explains everything. */
    if (explained && far < 1)
        forget_rise(r);
    if (p > r->slow || explained) {
        r->slow = p;
        r->times = times;
    }
    r->p = joined(r);
}

static bool is_bad(const struct health_limit *l, double value)
{
    return health_progress(l, l->warn, value) > BURST_PROGRESS;
}

/* All that is kept of the newest samples is well, or all is bad. */
static bool is_steady(const struct signal *s, const struct health_limit *l)
{
    for (unsigned i = 1; i < SIGNAL_RECENT; i++)
        if (is_bad(l, s->recent[i]) != is_bad(l, s->recent[0]))
            return false;
    return s->n >= SIGNAL_RECENT;
}

void health_bursts_add(double *bursts, const struct signal *s, const struct health_limit *limit,
                       double value, double elapsed_s)
{
    const bool bad = is_bad(limit, value);
    /* Mostly there is nothing to forget. */
    if (!bad && *bursts < BURST_NONE) {
        *bursts = 0;
        return;
    }
    const bool steady = is_steady(s, limit);
    const double to = bad && !steady;
    *bursts += -expm1(-elapsed_s / (steady ? BURST_RESET_S : BURST_MEMORY_S)) * (to - *bursts);
}
