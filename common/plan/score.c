/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/score.h"

#include <math.h>

/* DAS where nothing is known, from the score's definition: no demand predicted. */
static const double unknown_das = 0.5;
/* Far below the fourth decimal of records, far above the error of adding four of them. */
static const double rounding = 1e-9;

static double ghs_of(const struct plan_gateway *g)
{
    return g->scored ? g->health.ghs : (double)NAN;
}

static double or_unknown(double das)
{
    return isnan(das) ? unknown_das : das;
}

static struct plan_score score_of(const struct plan_fleet *f, size_t source, size_t target,
                                  double source_das, double target_das)
{
    struct plan_score s = {
        .source_ghs = ghs_of(&f->gateways[source]),
        .target_ghs = ghs_of(&f->gateways[target]),
        .source_das = source_das,
        .target_das = target_das,
    };
    s.benefit = s.target_ghs - s.source_ghs + or_unknown(s.target_das);
    s.reverse = s.source_ghs - s.target_ghs + or_unknown(s.source_das);
    return s;
}

struct plan_score plan_score(const struct plan_fleet *f, size_t volume, size_t target)
{
    const size_t source = f->volumes[volume].owner;
    return score_of(f, source, target, plan_fleet_das(f, volume, source),
                    plan_fleet_das(f, volume, target));
}

struct plan_score plan_score_most(const struct plan_fleet *f, size_t volume, size_t target)
{
    const size_t source = f->volumes[volume].owner;
    return score_of(f, source, target, plan_fleet_das(f, volume, source),
                    fmax(plan_fleet_das_most(f, volume), unknown_das));
}

static double joint_das(const struct plan_fleet *f, const size_t *volumes, size_t n, size_t gateway)
{
    double weighted = 0, requests = 0, plain = 0;
    for (size_t i = 0; i < n; i++) {
        const struct plan_demand *d = &f->volumes[volumes[i]].demand;
        const double das = plan_fleet_das(f, volumes[i], gateway), of = d->known ? d->requests : 0;
        weighted += of * das;
        requests += of;
        plain += das;
    }
    return requests > 0 && !isnan(plain) ? weighted / requests : plain / (double)n;
}

struct plan_score plan_score_joint(const struct plan_fleet *f, const size_t *volumes, size_t n,
                                   size_t target)
{
    const size_t source = f->volumes[volumes[0]].owner;
    if (n == 1)
        return plan_score(f, volumes[0], target);
    return score_of(f, source, target, joint_das(f, volumes, n, source),
                    joint_das(f, volumes, n, target));
}

double plan_score_rank(const struct plan_score *s)
{
    if (isnan(s->target_ghs))
        return -INFINITY;
    const double benefit =
        isnan(s->source_ghs) ? s->target_ghs - 1 + or_unknown(s->target_das) : s->benefit;
    return benefit - s->handicap;
}

double plan_score_gain(const struct plan_score *s)
{
    return s->benefit - or_unknown(s->source_das);
}

enum plan_cause plan_cause(const struct plan_gateway *g, const struct plan_limits *lim)
{
    if (g->state == GATEWAY_STATE_DRAIN)
        return PLAN_CAUSE_DRAIN;
    if (g->state == GATEWAY_STATE_DOWN && *g->storage)
        return PLAN_CAUSE_DOWN;
    if (!g->scored || isnan(g->health.ghs))
        return PLAN_CAUSE_NONE;
    /* A high p_fail mostly brings GHS below critical as well; it is the better explanation. */
    if (plan_exceeds(g->health.p_fail, lim->p_fail_limit))
        return PLAN_CAUSE_P_FAIL;
    return plan_exceeds(lim->critical, g->health.ghs) ? PLAN_CAUSE_CRITICAL : PLAN_CAUSE_NONE;
}

bool plan_exceeds(double a, double b)
{
    return a > b + rounding;
}

double plan_peak(const struct plan_volume *v, const struct plan_limits *lim)
{
    const struct plan_demand *d = &v->demand;
    return d->known && d->horizon_s > 0 ? lim->peak_factor * d->requests / d->horizon_s : 0;
}
