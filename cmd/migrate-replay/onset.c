/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/policies.h"

#include <math.h>
#include <stdlib.h>

/* The volume of G whose stay costs most for the time that its copy takes (Smith 1956); RUN_NONE. */
static size_t most_urgent(const struct run *r, size_t g)
{
    size_t best = RUN_NONE;
    double most = -1;
    for (size_t v = 0; v < r->n_volumes; v++) {
        if (r->volumes[v].owner != g || r->volumes[v].state != ROUTE_STATE_STEADY)
            continue;
        const double urgency = run_rate(r, v) / fmax(1, (double)r->volumes[v].bytes);
        if (urgency > most) {
            most = urgency;
            best = v;
        }
    }
    return best;
}

/* Of those that are well now; of their future it knows as little as anybody. */
static size_t least_busy(const struct run *r, size_t v)
{
    const size_t n = r->stage->fleet->gateway_names.n, source = r->volumes[v].owner;
    size_t best = RUN_NONE;
    for (size_t g = 0; g < n; g++) {
        if (g == source || scenario_condition(r->scenario, g, r->now) != CONDITION_WELL ||
            !run_may_begin(r, source, g) || !run_has_room(r, v, g))
            continue;
        if (best == RUN_NONE || r->gateways[g].rate < r->gateways[best].rate)
            best = g;
    }
    return best;
}

static void decide(void *self, struct run *r)
{
    (void)self;
    for (size_t g = 0; g < r->stage->fleet->gateway_names.n; g++) {
        if (scenario_condition(r->scenario, g, r->now) != CONDITION_DEGRADED)
            continue;
        for (;;) {
            const size_t v = most_urgent(r, g), target = v == RUN_NONE ? v : least_busy(r, v);
            if (target == RUN_NONE || !run_must(r, v, target, "degraded"))
                break;
        }
    }
}

const struct policy policy_onset = {.name = "onset", .decide = decide};
