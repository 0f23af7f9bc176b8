/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What affinity-profile would say, hour after hour: its demand, models and scores, without its
 * nets.  Clients ask for the same whoever decides, so it is worked out once for all policies.
 */
#ifndef GS_MIGRATE_REPLAY_INSIGHTS_H
#define GS_MIGRATE_REPLAY_INSIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/migrate-replay/trace.h"
#include "common/fleet/fleet.h"
#include "common/plan/hours.h"

/* At one time.  Arrays have the trace's first VOLUMES volumes. */
struct insight {
    double time;
    size_t volumes;
    float *das;        /* [volume * gateways + gateway], rounded as in records */
    double *requests;  /* [volume] of the horizon */
    float *confidence; /* [volume] */
    float *hourly;     /* [volume * PLAN_HOURS + hour]: requests; NULL: not asked for */
};

struct insights_how {
    double every_s;   /* from one insight to the next, a whole number of hours */
    double refit_s;   /* models are fitted anew after so long */
    double horizon_s; /* demand is summed over it */
    double rtt_scale_us;
    size_t threads; /* changes no result */
    bool hourly;    /* forecast each of PLAN_HOURS, too, which EVERY_S is less than */
};

/* TRACE and FLEET are borrowed.  Ends the program without memory. */
struct insights *insights_new(const struct trace *trace, const struct fleet *fleet,
                              const struct insights_how *how);
void insights_free(struct insights *x);

/*
 * The newest at time NOW (not before the trace's start), of accesses before it only.  Borrowed
 * until the insights are freed.  Ends the program without memory.
 */
const struct insight *insights_at(struct insights *x, double now);

/* Makes all up to the one of time NOW, so that from then on threads can ask for them. */
void insights_prepare(struct insights *x, double now);

double insights_horizon_s(const struct insights *x);
bool insights_hourly(const struct insights *x);

#endif
