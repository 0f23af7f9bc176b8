/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/policies.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/forecast/series.h"

const struct policy policy_none = {.name = "none"};

#define PERIOD_S 300.0
/* No target is used more than so. */
#define TARGET_USE 0.8
/* Times the median, and for so many periods. */
#define HOT_RATIO 2.0
enum {
    HOT_PERIODS = 3,
    MEMORY = 7 * 24 * 12,   /* periods: a week */
    MEMORY_LEAST = 24 * 12, /* before a day has passed a median says nothing */
    RENEW = 12,             /* periods: the median is renewed every hour */
};

struct watched {
    double *p99; /* [MEMORY], a ring */
    size_t n;    /* periods seen */
    double median;
    double weighted, requests; /* of the period so far */
    unsigned hot;              /* periods in a row */
};

struct reactive {
    struct watched *gateways;
    double *rings; /* of all gateways */
    double period_ends;
    double *scratch; /* [MEMORY] */
};

static void *open_reactive(struct run *r)
{
    const size_t n = r->stage->fleet->gateway_names.n;
    struct reactive *x = calloc(1, sizeof(*x));
    if (!x)
        err_die(EX_OSERR, "out of memory");
    x->gateways = calloc(n + 1, sizeof(*x->gateways));
    x->rings = calloc((n + 1) * MEMORY, sizeof(*x->rings));
    x->scratch = calloc(MEMORY, sizeof(*x->scratch));
    if (!x->gateways || !x->rings || !x->scratch)
        err_die(EX_OSERR, "out of memory");
    for (size_t g = 0; g < n; g++)
        x->gateways[g].p99 = x->rings + g * MEMORY;
    x->period_ends = r->now + PERIOD_S;
    return x;
}

static void renew_median(struct reactive *x, struct watched *w)
{
    const size_t n = w->n < MEMORY ? w->n : MEMORY;
    memcpy(x->scratch, w->p99, n * sizeof(*x->scratch));
    w->median = series_median(x->scratch, n);
}

static void end_period(struct reactive *x, struct watched *w)
{
    if (!(w->requests > 0)) {
        w->hot = 0;
        return;
    }
    /* Answer times of a queue are exponentially distributed. */
    const double p99 = w->weighted / w->requests * log(100);
    const bool hot = w->n >= MEMORY_LEAST && p99 > HOT_RATIO * w->median;
    w->hot = hot ? w->hot + 1 : 0;
    w->p99[w->n++ % MEMORY] = p99;
    if (w->n >= MEMORY_LEAST && w->n % RENEW == 0)
        renew_median(x, w);
    w->weighted = w->requests = 0;
}

static void observe(void *self, struct run *r)
{
    struct reactive *x = self;
    const size_t n = r->stage->fleet->gateway_names.n, sites = r->stage->trace->sites.n;
    const bool over = r->now + r->stage->step_s >= x->period_ends;
    for (size_t g = 0; g < n; g++) {
        struct watched *w = &x->gateways[g];
        double rate = 0;
        for (size_t s = 0; s < sites; s++)
            rate += r->loads[g * sites + s];
        if (r->gateways[g].condition != CONDITION_FAILED) {
            w->weighted += rate * r->gateways[g].mean_us;
            w->requests += rate;
        }
        if (over)
            end_period(x, w);
    }
    if (over)
        x->period_ends += fmax(PERIOD_S, r->stage->step_s);
}

static bool is_hot(const struct reactive *x, size_t g)
{
    return x->gateways[g].hot >= HOT_PERIODS;
}

/* The busiest volume that may leave G. */
static size_t busiest(const struct run *r, size_t g)
{
    size_t best = RUN_NONE;
    double most = -1;
    for (size_t v = 0; v < r->n_volumes; v++) {
        if (r->volumes[v].owner != g || r->volumes[v].state != ROUTE_STATE_STEADY)
            continue;
        const double rate = run_rate(r, v);
        if (rate > most) {
            most = rate;
            best = v;
        }
    }
    return best;
}

static double use_with(const struct run *r, size_t g, double more)
{
    const double limit = r->stage->fleet->gateways[g].iops_limit;
    return (r->gateways[g].rate + more) / (limit > 0 ? limit : r->stage->capacity);
}

static size_t least_used(const struct reactive *x, const struct run *r, size_t v)
{
    const size_t n = r->stage->fleet->gateway_names.n, source = r->volumes[v].owner;
    const double rate = run_rate(r, v);
    double least = TARGET_USE;
    size_t best = RUN_NONE;
    for (size_t g = 0; g < n; g++) {
        const double use = use_with(r, g, rate);
        if (g == source || is_hot(x, g) || r->gateways[g].condition == CONDITION_FAILED ||
            use >= least || !run_may_begin(r, source, g) || !run_has_room(r, v, g))
            continue;
        least = use;
        best = g;
    }
    return best;
}

static void decide(void *self, struct run *r)
{
    const struct reactive *x = self;
    for (size_t g = 0; g < r->stage->fleet->gateway_names.n; g++) {
        if (!is_hot(x, g) || r->gateways[g].condition == CONDITION_FAILED)
            continue;
        while (r->n_moves < r->limits->max_moves &&
               r->gateways[g].leaving < r->limits->max_per_source) {
            const size_t v = busiest(r, g), target = v == RUN_NONE ? v : least_used(x, r, v);
            if (target == RUN_NONE || !run_must(r, v, target, "p99 is high"))
                break;
        }
    }
}

static void close_reactive(void *self)
{
    struct reactive *x = self;
    free(x->rings);
    free(x->gateways);
    free(x->scratch);
    free(x);
}

const struct policy policy_reactive = {
    .name = "reactive",
    .open = open_reactive,
    .observe = observe,
    .decide = decide,
    .close = close_reactive,
};
