/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/policies.h"

#include <math.h>
#include <stdlib.h>

/* More than the bare copies take: a decision, and others that wait for the same target. */
static const double haste = 1.5;
static const double day_s = 86400;
/* No gateway takes longer to leave. */
static const double look_s = 7 * 86400;

/* Seconds that all volumes of G need to leave, one after the other. */
static double leave_s(const struct run *r, size_t g)
{
    double s = 0;
    for (size_t v = 0; v < r->n_volumes; v++)
        if (r->volumes[v].owner == g)
            s += fmax(r->stage->step_s, (double)r->volumes[v].bytes / r->limits->copy_rate);
    return haste * s / fmax(1, r->limits->max_per_source) + r->stage->every_s;
}

static size_t best_target(const struct run *r, size_t v)
{
    const size_t n = r->stage->fleet->gateway_names.n, source = r->volumes[v].owner;
    size_t best = RUN_NONE;
    for (size_t g = 0; g < n; g++) {
        if (g == source || !run_may_begin(r, source, g) || !run_has_room(r, v, g) ||
            scenario_trouble(r->scenario, g, r->now, r->now + day_s))
            continue;
        if (best == RUN_NONE || r->gateways[g].rate < r->gateways[best].rate)
            best = g;
    }
    return best;
}

/* The next volume of G after number V that can go, in order; RUN_NONE. */
static size_t next_of(const struct run *r, size_t g, size_t v)
{
    for (; v < r->n_volumes; v++)
        if (r->volumes[v].owner == g && r->volumes[v].state == ROUTE_STATE_STEADY)
            return v;
    return RUN_NONE;
}

static void leave(struct run *r, size_t g)
{
    for (size_t v = next_of(r, g, 0); v != RUN_NONE; v = next_of(r, g, v + 1)) {
        const size_t target = best_target(r, v);
        if (target == RUN_NONE)
            return;
        run_must(r, v, target, "trouble ahead");
    }
}

static void decide(void *self, struct run *r)
{
    (void)self;
    for (size_t g = 0; g < r->stage->fleet->gateway_names.n; g++)
        if (scenario_trouble(r->scenario, g, r->now, r->now + look_s) &&
            scenario_condition(r->scenario, g, r->now) != CONDITION_FAILED &&
            scenario_trouble(r->scenario, g, r->now, r->now + leave_s(r, g)))
            leave(r, g);
}

const struct policy policy_oracle = {.name = "oracle", .decide = decide};
