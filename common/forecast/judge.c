/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/judge.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/forecast/methods.h"
#include "common/forecast/mixture.h"
#include "common/forecast/model_private.h"

enum { HELD_MAX = 2 * HOURS_A_WEEK };

/*
 * The band of less than three weeks' history, which has few days to judge by, leaves out as little
 * as if there were so many windows more.
 */
static const double short_windows = 5;

/* All series together count as so many windows of two days against a series' own. */
static const double pool_windows = 6;

/* The nets have to be this much better than the baseline (a logarithm). */
static const double net_margin = 0.005;

static size_t held_hours(size_t n)
{
    size_t third = n / 3;
    return third < HELD_MAX ? third : HELD_MAX;
}

size_t judge_origin(const struct judge *j, size_t p)
{
    return j->first + p * JUDGE_STEP;
}

/* Hours that can be judged from point P. */
static size_t leads(const struct judge *j, size_t p)
{
    size_t left = j->s.n - judge_origin(j, p);
    return left < JUDGE_AHEAD ? left : JUDGE_AHEAD;
}

/* Held-out windows of two days. */
static double held_windows(const struct judge *j)
{
    return (double)(j->s.n - j->first) / JUDGE_AHEAD;
}

static double actual(const struct judge *j, size_t p, size_t i)
{
    return j->s.y[judge_origin(j, p) + i];
}

static double forecast(const struct judge *j, double net, size_t p, size_t i)
{
    double base = j->base[p * JUDGE_AHEAD + i];
    return net > 0 ? base + net * (j->net[p * JUDGE_AHEAD + i] - base) : base;
}

/* The sum of absolute errors from the points FROM … */
static double error_from(const struct judge *j, double net, size_t from, size_t *hours)
{
    double sum = 0;
    *hours = 0;
    for (size_t p = from; p < j->points; p++)
        for (size_t i = 0; i < leads(j, p); i++, ++*hours)
            sum += fabs(actual(j, p, i) - forecast(j, net, p, i));
    return sum;
}

/* ---- the baseline's mixture ---- */

/* The sum of absolute errors of a method's forecasts, [points][JUDGE_AHEAD]. */
static double method_error(const struct judge *j, const double *said)
{
    double sum = 0;
    for (size_t p = 0; p < j->points; p++)
        for (size_t i = 0; i < leads(j, p); i++)
            sum += fabs(actual(j, p, i) - said[p * JUDGE_AHEAD + i]);
    return sum;
}

/* Weighs the methods by their forecasts from each ORIGIN, and mixes these into j->base. */
static int judge_methods(struct judge *j, const size_t *origin)
{
    static const double all[MODEL_METHODS] = {1, 1, 1, 1, 1};
    size_t cells = j->points * JUDGE_AHEAD;
    double *each = calloc(MODEL_METHODS * cells + 1, sizeof(*each)), error[MODEL_METHODS];
    int r =
        each ? methods_each(&j->early, all, j->s, origin, j->points, JUDGE_AHEAD, each) : -ENOMEM;
    for (size_t k = 0; r == 0 && k < MODEL_METHODS; k++)
        error[k] = method_error(j, each + k * cells);
    if (r == 0) {
        mixture_weigh(error, MODEL_METHODS, held_windows(j), j->early.weight);
        mixture_of(each, j->early.weight, MODEL_METHODS, cells, j->base);
    }
    free(each);
    return r;
}

int judge_begin(struct series s, uint64_t seed, struct judge *j)
{
    *j = (struct judge){.s = s, .first = s.n - held_hours(s.n)};
    j->early = (struct model){.kind = model_kind_of(s), .hours = (uint32_t)s.n};
    j->points = (s.n - j->first + JUDGE_STEP - 1) / JUDGE_STEP;
    j->net_first = j->points;
    size_t *origin = calloc(j->points + 1, sizeof(*origin));
    j->base = calloc(j->points * JUDGE_AHEAD + 1, sizeof(*j->base));
    int r = origin && j->base ? 0 : -ENOMEM;
    for (size_t p = 0; r == 0 && p < j->points; p++)
        origin[p] = judge_origin(j, p);
    if (r == 0 && j->early.kind >= MODEL_DAILY) {
        r = model_fit_seasonal(series_head(s, j->first), seed, &j->early);
        if (r == 0)
            r = judge_methods(j, origin);
    } else if (r == 0) {
        r = methods_mixed(&j->early, s, origin, j->points, JUDGE_AHEAD, j->base);
    }
    free(origin);
    if (r < 0)
        judge_release(j);
    return r;
}

void judge_release(struct judge *j)
{
    free(j->base);
    free(j->net);
    j->base = j->net = NULL;
}

/* ---- the gate ---- */

int judge_expect_net(struct judge *j, size_t hours)
{
    while (j->net_first > 0 && j->s.n - judge_origin(j, j->net_first - 1) <= hours)
        j->net_first--;
    j->net = calloc(j->points * JUDGE_AHEAD + 1, sizeof(*j->net));
    return j->net ? 0 : -ENOMEM;
}

double judge_weight(int choice)
{
    static const double weight[JUDGE_CHOICES] = {0, 0.5, 1};
    return weight[choice];
}

void judge_gain(const struct judge *j, double gain[JUDGE_CHOICES])
{
    size_t hours;
    double base = error_from(j, 0, j->net_first, &hours);
    double least = 1e-9 * series_mean(j->s.y, j->s.n) * (double)hours + 1e-300;
    for (int k = 0; k < JUDGE_CHOICES; k++) {
        double e = k == JUDGE_NONE ? base : error_from(j, judge_weight(k), j->net_first, &hours);
        gain[k] = log((e + least) / (base + least));
    }
}

int judge_choose(const struct judge *j, const double gain[JUDGE_CHOICES],
                 const double pool[JUDGE_CHOICES])
{
    double windows = (double)(j->s.n - judge_origin(j, j->net_first)) / JUDGE_AHEAD;
    int best = JUDGE_NONE;
    double least = -net_margin;
    for (int k = JUDGE_HALF; k < JUDGE_CHOICES; k++) {
        double e = (windows * gain[k] + pool_windows * pool[k]) / (windows + pool_windows);
        if (e < least) {
            least = e;
            best = k;
        }
    }
    return best;
}

/* ---- the interval ---- */

/*
 * The points FROM … TO − 1, but for those from which the hours of point WITHOUT are forecast, too.
 */
struct span {
    size_t from, to, without;
};

static bool is_in(const struct span *s, size_t p)
{
    size_t apart = p > s->without ? p - s->without : s->without - p;
    return s->without == SIZE_MAX || apart >= JUDGE_AHEAD / JUDGE_STEP;
}

static double ratio_at(const struct judge *j, double net, size_t p, size_t i)
{
    return log1p(actual(j, p, i)) - log1p(forecast(j, net, p, i));
}

/*
 * Errors of leads in band B from the points of P, as ratios, ascending, into RATIO; their number.
 * Before the first point of the nets they are the baseline's.
 */
static size_t ratios(const struct judge *j, double net, size_t b, struct span p, double *ratio)
{
    size_t n = 0;
    for (size_t k = p.from; k < p.to; k++)
        for (size_t i = 0; is_in(&p, k) && i < leads(j, k); i++)
            if (model_band_of(i + 1) == b)
                ratio[n++] = ratio_at(j, k < j->net_first ? 0 : net, k, i);
    series_sort(ratio, n);
    return n;
}

/* The band that holds SHARE of the errors in RATIO. */
static struct model_band band_from(const double *ratio, size_t n, double share)
{
    if (n == 0)
        return (struct model_band){-log(4), log(4)};
    double lower = series_quantile(ratio, n, (1 - share) / 2);
    double upper = series_quantile(ratio, n, (1 + share) / 2);
    return (struct model_band){fmin(lower, 0), fmax(upper, 0)};
}

double judge_share(size_t k)
{
    return 0.6 + 0.02 * (double)k;
}

/* Tests the bands of the errors in RATIO, of leads in band B, on point P. */
static void tally_band(const struct judge *j, size_t p, size_t b, const double *ratio, size_t n,
                       struct judge_tally *t)
{
    for (size_t k = 0; k < JUDGE_SHARES; k++) {
        struct model_band band = band_from(ratio, n, judge_share(k));
        for (size_t i = 0; i < JUDGE_AHEAD; i++) {
            double r = ratio_at(j, 0, p, i);
            t->held[k] += model_band_of(i + 1) == b && r >= band.lower && r <= band.upper;
        }
    }
}

int judge_tally(const struct judge *j, struct judge_tally *t)
{
    double *ratio = malloc((j->points * JUDGE_AHEAD + 1) * sizeof(*ratio));
    if (!ratio)
        return -ENOMEM;
    for (size_t p = 0; p < j->points && leads(j, p) == JUDGE_AHEAD; p += JUDGE_AHEAD / JUDGE_STEP) {
        for (size_t b = 0; b < MODEL_BANDS; b++) {
            size_t n = ratios(j, 0, b, (struct span){0, j->points, p}, ratio);
            tally_band(j, p, b, ratio, n, t);
        }
        t->hours += JUDGE_AHEAD;
    }
    free(ratio);
    return 0;
}

/* SHARE of the errors, or more where few are known. */
static double wide_share(const struct judge *j, double share)
{
    if (j->early.kind != MODEL_DAILY)
        return share;
    return 1 - (1 - share) * held_windows(j) / (held_windows(j) + short_windows);
}

int judge_bands(const struct judge *j, double net, double share, struct model *m)
{
    struct span all = {0, j->points, SIZE_MAX};
    size_t hours;
    double error = error_from(j, net, net > 0 ? j->net_first : 0, &hours);
    double scale = series_naive_error(j->s, j->s.n > HOURS_A_DAY ? HOURS_A_DAY : 1);
    double *ratio = malloc((j->points * JUDGE_AHEAD + 1) * sizeof(*ratio));
    if (!ratio)
        return -ENOMEM;
    for (size_t b = 0; b < MODEL_BANDS; b++) {
        size_t n = ratios(j, net, b, all, ratio);
        m->band[b] = n || b == 0 ? band_from(ratio, n, wide_share(j, share)) : m->band[b - 1];
    }
    free(ratio);
    error /= (double)(hours ? hours : 1);
    m->mase = scale > 0 ? error / scale : error > 0 ? 10 : 0;
    return 0;
}
