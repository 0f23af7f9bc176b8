/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner's calendar from the configuration. */
#ifndef GS_PLAN_CALENDAR_FILE_H
#define GS_PLAN_CALENDAR_FILE_H

#include "common/base/refused.h"
#include "common/plan/calendar.h"

/*
 * Fills C (zero-initialised) from DIR/calendar.csv if that is there; without it moves may start at
 * any time.  0 or -errno, then E says why, with the status 66, 71, 74 or 78; C is to be released in
 * both cases.
 */
int plan_calendar_load(struct plan_calendar *c, const char *dir, struct refused *e);

#endif
