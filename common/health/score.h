/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The health of a gateway from the risks of its metrics, and the reason in words. */
#ifndef GS_HEALTH_SCORE_H
#define GS_HEALTH_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/health/failure.h"
#include "common/health/limits.h"
#include "common/health/model.h"
#include "common/health/shift.h"

enum { HEALTH_REASON_MAX = 256 };

/* One metric that has limits and is alive. */
struct health_input {
    const struct health_limit *limit;
    struct health_risk risk;
    struct health_shift shift;
    uint64_t samples;
    double now; /* when it was judged */
};

struct health_score {
    bool known;              /* false: silent; only REASON and TIME then say something */
    double time;             /* of the newest sample; of the judgement, if silent */
    double ghs;              /* current * (1 - p_fail) */
    double current;          /* groups of averaged sub-scores, capped by the worst vital one */
    double p_fail;           /* within the horizon */
    double unloaded;         /* GHS without what the load explains; at least that with it */
    double unloaded_current; /* … and current */
    double features[HEALTH_FEATURES]; /* of a gateway that is KNOWN */
    double anomaly;                   /* how unlike itself the gateway is (consensus_score) */
    double shift;      /* how far its weightiest metric has lastingly become worse, on that scale */
    double lead_low_s; /* until the likeliest trend is at critical: from here … */
    double lead_high_s;       /* … to here; both INFINITY: no trend goes there */
    double confidence;        /* less with groups missing and with few samples */
    const char *worst_metric; /* borrowed from the limits; "" if not KNOWN */
    char reason[HEALTH_REASON_MAX];
};

/*
 * Joins the N > 0 metrics IN and the gateway's STEADY_ANOMALY (consensus_steady) into OUT (all but
 * its time and anomaly).  Within a group the sub-scores are
 * averaged by weight, and the riskiest metric speaks for it; groups are joined by a geometric mean
 * weighted by their heaviest metric, and their risks as independent ones.
 *
 * Without what the load explains a metric that is as the load has it (health_risk.by_load) is taken
 * to be within its limits, with no other risk than the one in health_risk.slow.
 */
void health_score_join(const struct health_limits *limits, const struct health_input *in, size_t n,
                       double steady_anomaly, struct health_score *out);

/*
 * Says in S, which is joined or silent, that the metric of LIMIT and SIGNAL was left out as
 * doubtful (doubt.h): confidence is halved, and the reason is this unless there is a worse one.
 */
void health_score_doubt(const struct health_limit *limit, const struct signal *signal,
                        struct health_score *s);

/* V in OUT, in the unit that METRIC's name tells: a time (_us) in us, ms or s.  Returns OUT. */
const char *health_show(const char *metric, double v, char out[32]);

#endif
