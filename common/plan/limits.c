/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/limits.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

void plan_limits_init(struct plan_limits *l)
{
    *l = (struct plan_limits){
        .threshold = 0.50,
        .margin = 0.30,
        .target_floor = 0.60,
        .critical = 0.40,
        .p_fail_limit = 0.50,
        .cooldown_s = 6 * HOUR,
        .return_after_s = 72 * HOUR,
        .flap_window_s = 7 * DAY,
        .min_confidence = 0.50,
        .health_max_age_s = 5 * MINUTE,
        .affinity_max_age_s = 3 * HOUR,
        .max_skew_s = 1 * MINUTE,
        .max_evacuate = 1.0 / 3,
        .max_per_source = 1,
        .max_per_target = 1,
        .max_moves = 4,
        .peak_factor = 2,
        .improve = 100000,
        .busy = 0.80,
        .order = PLAN_ORDER_PER_BYTE,
        .busier = 2,
        .growth = 0.10,
        .start_window_s = 6 * HOUR,
        .copy_rate = 100 << 20,
        .retain_s = 1 * DAY,
    };
}
