/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When a move that can wait should start. */
#ifndef GS_PLAN_START_H
#define GS_PLAN_START_H

#include "common/plan/guards.h"

/*
 * When to move the N volumes of case C (any of them, with the score of all) to its target: the
 * start of that hour, or now, in which the forecast has the fewest requests while the copy runs,
 * and with them what waits for it: each request before, times what it would gain by the move
 * (plan_score_gain).  The first of equals.  It lies where the calendar is open, within
 * start_window_s, and before the reasons for the move run out: the horizons of the source's health
 * and of the affinity.  Without a forecast for all of them the first time that the calendar allows.
 * Unix seconds; 0: now.
 */
double plan_start(const struct plan_case *c, const size_t *volumes, size_t n);

#endif
