/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/score.h"

#include "common/health/anomaly.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Without any vital metric little is known, whatever the others say. */
#define CONFIDENCE_VITAL 0.6
#define CONFIDENCE_OTHER 0.2
/* The rest of the confidence: the share of the groups (by weight) that report. */
#define CONFIDENCE_GROUPS 0.4
/* Confidence is at half after so many samples. */
#define CONFIDENCE_SAMPLES 4.0
/* It is at most this share of itself while a metric is doubtful. */
#define CONFIDENCE_DOUBT 0.5
/* A risk below this is not worth a word. */
#define RISK_TOLD 0.05
/* That a gateway is unlike itself says something, but not that it is about to fail. */
#define STRANGE_MAX 0.05
#define DAY_S       86400.0

/* What the metrics of a group come to. */
struct group {
    double weight; /* of the heaviest metric; 0: the group is absent */
    double sum;    /* of weighted sub-scores */
    double weights;
    double risk;
};

/* What the groups come to together. */
struct joined {
    double current;
    double survive; /* 1 - p_fail */
    double present; /* weight of the groups that report */
};

/* UNLOADED: without what the load explains, here as everywhere below. */
static double subscore(const struct health_input *in, bool unloaded)
{
    return unloaded && in->risk.by_load ? 1 : health_subscore(in->limit, in->risk.value);
}

static double risk_of(const struct health_input *in, bool unloaded)
{
    return unloaded && in->risk.by_load ? in->risk.slow : in->risk.p;
}

static struct group gather(const struct health_input *in, size_t n, unsigned number, bool unloaded)
{
    struct group g = {0};
    for (size_t i = 0; i < n; i++) {
        const struct health_limit *l = in[i].limit;
        if (l->group != number)
            continue;
        g.weight = fmax(g.weight, l->weight);
        g.weights += l->weight;
        g.sum += l->weight * subscore(&in[i], unloaded);
        g.risk = fmax(g.risk, l->weight * risk_of(&in[i], unloaded));
    }
    return g;
}

/* The weight that group NUMBER would have with all its metrics reporting. */
static double full_weight(const struct health_limits *limits, unsigned number)
{
    double w = 0;
    for (size_t i = 0; i < limits->metrics.n; i++)
        if (limits->items[i].group == number)
            w = fmax(w, limits->items[i].weight);
    return w;
}

static double vital_cap(const struct health_input *in, size_t n, bool unloaded)
{
    double cap = 1;
    for (size_t i = 0; i < n; i++)
        if (in[i].limit->vital)
            cap = fmin(cap, subscore(&in[i], unloaded));
    return cap;
}

/* What STEADY_ANOMALY, at or beyond its threshold, adds to the probability of a failure. */
static double strange_risk(double steady_anomaly)
{
    double beyond = (steady_anomaly - ANOMALY_THRESHOLD) / (1 - ANOMALY_THRESHOLD);
    return STRANGE_MAX * fmin(fmax(2 * beyond, 0), 1);
}

static struct joined join(const struct health_limits *limits, const struct health_input *in,
                          size_t n, double steady_anomaly, bool unloaded)
{
    struct joined j = {.survive = 1 - strange_risk(steady_anomaly)};
    double logs = 0;
    for (unsigned number = 0; number < limits->groups.n; number++) {
        const struct group g = gather(in, n, number, unloaded);
        if (g.weight <= 0)
            continue;
        j.present += g.weight;
        logs += g.weight * log(g.sum / g.weights);
        j.survive *= 1 - g.risk;
    }
    j.current = fmin(exp(logs / j.present), vital_cap(in, n, unloaded));
    return j;
}

/* Most gateways need no second look: nothing that is wrong is explained by the load. */
static bool ails_by_load(const struct health_input *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (in[i].risk.by_load && (in[i].risk.p > in[i].risk.slow || subscore(&in[i], false) < 1))
            return true;
    return false;
}

static double confidence(const struct health_input *in, size_t n, double coverage)
{
    bool vital = false;
    uint64_t samples = 0;
    for (size_t i = 0; i < n; i++) {
        vital = vital || in[i].limit->vital;
        samples = in[i].samples > samples ? in[i].samples : samples;
    }
    double base = vital ? CONFIDENCE_VITAL : CONFIDENCE_OTHER;
    double maturity = (double)samples / ((double)samples + CONFIDENCE_SAMPLES);
    return (base + CONFIDENCE_GROUPS * coverage) * maturity;
}

static const struct health_input *worst_of(const struct health_input *in, size_t n)
{
    const struct health_input *worst = in;
    double least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        const struct health_limit *l = in[i].limit;
        double left = health_subscore(l, in[i].risk.value) * (1 - l->weight * in[i].risk.p);
        if (left < least) {
            least = left;
            worst = &in[i];
        }
    }
    return worst;
}

const char *health_show(const char *metric, double v, char out[32])
{
    if (!health_name_ends(metric, "_us"))
        snprintf(out, 32, "%.3g", v);
    else if (fabs(v) < 1e3)
        snprintf(out, 32, "%.3g us", v);
    else if (fabs(v) < 1e6)
        snprintf(out, 32, "%.3g ms", v / 1e3);
    else
        snprintf(out, 32, "%.3g s", v / 1e6);
    return out;
}

/* "02:10Z", with the day in front if that is not NOW's. */
static const char *show_clock(double when, double now, char out[16])
{
    struct tm tm;
    time_t t = (time_t)when;
    gmtime_r(&t, &tm);
    strftime(out, 16, floor(when / DAY_S) < floor(now / DAY_S) ? "%m-%d %H:%MZ" : "%H:%MZ", &tm);
    return out;
}

static const char *show_time(double seconds, char out[32])
{
    if (seconds < 120)
        snprintf(out, 32, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(out, 32, "%.0f min", seconds / 60);
    else
        snprintf(out, 32, "%.0f h", seconds / 3600);
    return out;
}

/* Beyond this a metric's slowness is what is told of it, in RISK. */
static double other_risk(const struct health_risk *risk)
{
    return fmax(fmax(risk->trend, risk->drift), fmax(risk->burst, RISK_TOLD));
}

/* "nbd_read_us 3.1 ms -> 9.8 ms since 02:10Z, reaches 50 ms in about 5 h": RISK, in words. */
static void say_why(const struct health_limit *limit, const struct health_risk *risk, double now,
                    char out[HEALTH_REASON_MAX])
{
    char value[32], other[32], when[32], began[32], clock[16];
    const char *name = limit->metric;
    health_show(name, risk->value, value);
    if (health_progress(limit, limit->warn, risk->value) >= 1)
        snprintf(out, HEALTH_REASON_MAX, "%.128s %s, critical is %s", name, value,
                 health_show(name, limit->critical, other));
    else if (risk->slow > other_risk(risk) && risk->times > 0)
        snprintf(out, HEALTH_REASON_MAX, "%.96s %s, %.1f times as long as at this load before",
                 name, value, risk->times);
    else if (risk->slow > other_risk(risk))
        snprintf(out, HEALTH_REASON_MAX, "%.96s %s, slower than on the days before, usually %s",
                 name, value, health_show(name, risk->usual, other));
    else if (risk->trend > fmax(risk->drift, RISK_TOLD))
        snprintf(out, HEALTH_REASON_MAX, "%.48s %s -> %s since %s, reaches %s in about %s", name,
                 health_show(name, risk->since_value, began), value,
                 show_clock(risk->since, now, clock), health_show(name, limit->critical, other),
                 show_time(risk->reach_s, when));
    else if (risk->burst > fmax(risk->drift, RISK_TOLD))
        snprintf(out, HEALTH_REASON_MAX, "%.80s %s, but far beyond %s again and again", name, value,
                 health_show(name, limit->warn, other));
    else if (risk->drift > RISK_TOLD)
        snprintf(out, HEALTH_REASON_MAX, "%.128s %s, usually %s", name, value,
                 health_show(name, risk->usual, other));
    else if (health_progress(limit, limit->warn, risk->value) > 0)
        snprintf(out, HEALTH_REASON_MAX, "%.128s %s, warning level is %s", name, value,
                 health_show(name, limit->warn, other));
    else
        snprintf(out, HEALTH_REASON_MAX, "all within limits, nearest %.128s %s", name, value);
}

/* Whether the worst metric WORST gives no reason of its own. */
static bool is_calm(const struct health_input *worst)
{
    const struct health_risk *r = &worst->risk;
    return fmax(fmax(r->trend, r->drift), fmax(r->burst, r->slow)) <= RISK_TOLD &&
           health_progress(worst->limit, worst->limit->warn, r->value) <= 0;
}

/* Adds the shift of IN to the reason in OUT, which is that of WORST, or puts it there instead. */
static void say_shift(const struct health_input *in, const struct health_input *worst,
                      struct health_score *out)
{
    char from[32], to[32], clock[16];
    const char *name = in->limit->metric;
    size_t len = 0;
    if (is_calm(worst)) {
        out->worst_metric = name;
    } else {
        len = strlen(out->reason);
        len += (size_t)snprintf(out->reason + len, sizeof(out->reason) - len, "; ");
    }
    snprintf(out->reason + len, sizeof(out->reason) - len, "%.48s %s -> %s since %s, unlike before",
             name, health_show(name, in->shift.from, from), health_show(name, in->shift.to, to),
             show_clock(in->shift.since, in->now, clock));
}

/* The metric whose shift, by its weight, is the largest; NULL: none has any. */
static const struct health_input *most_shifted(const struct health_input *in, size_t n)
{
    const struct health_input *most = NULL;
    for (size_t i = 0; i < n; i++) {
        double sds = in[i].shift.sds * in[i].limit->weight;
        if (sds > 0 && (!most || sds > most->shift.sds * most->limit->weight))
            most = &in[i];
    }
    return most;
}

static void gather_features(const struct health_input *in, size_t n, double steady_anomaly,
                            struct health_score *out)
{
    double *f = out->features;
    for (int i = 0; i < HEALTH_FEATURES; i++)
        f[i] = 0;
    for (size_t i = 0; i < n; i++) {
        double w = in[i].limit->weight;
        f[FEATURE_LEVEL] = fmax(f[FEATURE_LEVEL], w * in[i].risk.level);
        f[FEATURE_DRIFT] = fmax(f[FEATURE_DRIFT], w * in[i].risk.drift);
        f[FEATURE_TREND] = fmax(f[FEATURE_TREND], w * in[i].risk.trend);
        f[FEATURE_BURST] = fmax(f[FEATURE_BURST], w * in[i].risk.burst);
    }
    f[FEATURE_ANOMALY] = steady_anomaly;
    f[FEATURE_RULES] = out->p_fail;
}

/* The lead time is that of the likeliest trend. */
static void lead_time(const struct health_input *in, size_t n, struct health_score *out)
{
    double most = 0;
    out->lead_low_s = INFINITY;
    out->lead_high_s = INFINITY;
    for (size_t i = 0; i < n; i++) {
        double p = in[i].risk.trend * in[i].limit->weight;
        if (!(p > fmax(most, RISK_TOLD)))
            continue;
        most = p;
        out->lead_low_s = in[i].risk.reach_low_s;
        out->lead_high_s = in[i].risk.reach_high_s;
    }
}

void health_score_join(const struct health_limits *limits, const struct health_input *in, size_t n,
                       double steady_anomaly, struct health_score *out)
{
    double all = 0;
    const struct health_input *shifted = most_shifted(in, n);
    out->shift = shifted ? anomaly_of_sds(shifted->shift.sds * shifted->limit->weight) : 0;
    for (unsigned number = 0; number < limits->groups.n; number++)
        all += full_weight(limits, number);
    const struct joined now = join(limits, in, n, steady_anomaly, false);
    const struct joined unloaded =
        ails_by_load(in, n) ? join(limits, in, n, steady_anomaly, true) : now;
    const struct health_input *worst = worst_of(in, n);
    out->known = true;
    out->current = now.current;
    out->p_fail = 1 - now.survive;
    out->ghs = now.current * now.survive;
    out->unloaded_current = unloaded.current;
    out->unloaded = unloaded.current * unloaded.survive;
    out->confidence = confidence(in, n, now.present / all);
    out->worst_metric = worst->limit->metric;
    gather_features(in, n, steady_anomaly, out);
    lead_time(in, n, out);
    say_why(worst->limit, &worst->risk, in->now, out->reason);
    if (shifted && out->shift > ANOMALY_THRESHOLD)
        say_shift(shifted, worst, out);
}

void health_score_doubt(const struct health_limit *limit, const struct signal *signal,
                        struct health_score *s)
{
    char value[32], usual[32];
    s->confidence *= CONFIDENCE_DOUBT;
    if (s->known && (s->p_fail >= RISK_TOLD || s->current < 1))
        return;
    s->worst_metric = limit->metric;
    snprintf(s->reason, sizeof(s->reason), "%.96s %s, usually %s: is it told in another unit?",
             limit->metric, health_show(limit->metric, signal_now(signal), value),
             health_show(limit->metric, signal->mean, usual));
}
