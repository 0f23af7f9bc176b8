/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ways to decide that are compared. */
#ifndef GS_MIGRATE_REPLAY_POLICIES_H
#define GS_MIGRATE_REPLAY_POLICIES_H

#include "cmd/migrate-replay/run.h"

/* Every volume stays where it is. */
extern const struct policy policy_none;

/*
 * What a script on top of monitoring does: a gateway whose p99 of 5 minutes is over twice its
 * median of the last 7 days, 15 minutes long, is left, busiest volumes first, each for the least
 * used gateway of which that can't be said.  Volumes on one that has failed wait for its repair.
 */
extern const struct policy policy_reactive;

/* health-score, affinity-profile and migrate-plan on what was known at that time. */
extern const struct policy policy_predictive;

/*
 * The same with copies that stand by, made ahead or left by the last move, and stay mirrored until
 * the next one: going to one is a hand-over, and it takes over from an owner that dies.
 */
extern const struct policy policy_standby;

/*
 * Knows the scenario: leaves a gateway as late as all its volumes can leave before it degrades or
 * fails, for one that is in no trouble for a day.  What can be had at most by moves for health.
 */
extern const struct policy policy_oracle;

/*
 * Knows of a degradation from its first moment, and of nothing before: leaves at once, in the best
 * order.  A yardstick for who has to measure, but no bound: who has moved volumes before, for
 * affinity, has others on the gateway.
 */
extern const struct policy policy_onset;

#endif
