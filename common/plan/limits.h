/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner's constants. */
#ifndef GS_PLAN_LIMITS_H
#define GS_PLAN_LIMITS_H

#include <stdbool.h>

/* What comes first among moves of one kind. */
enum plan_order { PLAN_ORDER_BENEFIT, PLAN_ORDER_PER_BYTE };

struct plan_limits {
    double threshold;          /* guard 3: benefit of an optional move lies above it */
    double margin;             /* guards 2, 4 and 5: hysteresis, in units of benefit */
    double target_floor;       /* guard 2: GHS a target needs, 0 … 1 */
    double critical;           /* a source with a lower GHS has to be left */
    double p_fail_limit;       /* and so has one with a higher probability of failing */
    double cooldown_s;         /* guard 5: rest after a move */
    double return_after_s;     /* guard 5: no way back before */
    double flap_window_s;      /* guard 5: mandatory returns that double the cooldown */
    double min_confidence;     /* guard 6: of health and affinity, 0 … 1 */
    double health_max_age_s;   /* guard 6 */
    double affinity_max_age_s; /* guard 6 */
    double max_skew_s;         /* guard 6: how far ahead of now a record may be dated */
    double max_evacuate;       /* guard 7: share of the gateways evacuated at once, 0 … 1 */
    unsigned max_per_source;   /* guard 7: moves at once */
    unsigned max_per_target;   /* guard 7 */
    unsigned max_moves;        /* guard 7 */
    double peak_factor;        /* guard 1: peak load = factor * mean of the forecast */
    double busy;               /* guard 1: share of iops_limit above which no load is worsened */
    double busier;             /* guard 1: times its source that a target without limit may be */
    double growth;             /* guard 1: and by how much of its own load it may grow anyway */
    double start_window_s;     /* how long a move may wait for a quiet hour */
    double copy_rate;          /* bytes a second of copies, where none was measured */
    double retain_s;           /* guard 1: before, a kept copy is let go for no optional move */
    unsigned improve;          /* candidates looked at to improve the choice; 0: it stands */
    unsigned order;            /* enum plan_order */
    bool standby;              /* volumes get copies that stand by */
    bool shadow;               /* every move is only planned, as those of manual volumes are */
    bool force;                /* pinned volumes may make mandatory moves, drains go below floor */
};

/* The defaults. */
void plan_limits_init(struct plan_limits *l);

#endif
