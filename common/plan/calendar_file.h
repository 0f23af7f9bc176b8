/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner's calendar from the configuration. */
#ifndef GS_PLAN_CALENDAR_FILE_H
#define GS_PLAN_CALENDAR_FILE_H

#include "common/plan/calendar.h"

/* Why a file was refused: the line to print, and the exit status (66, 71, 74 or 78). */
struct plan_calendar_error {
    char text[512];
    int status;
};

/*
 * Fills C (zero-initialised) from DIR/calendar.csv if that is there; without it moves may start at
 * any time.  0 or -errno, then E says why; C is to be released in both cases.
 */
int plan_calendar_load(struct plan_calendar *c, const char *dir, struct plan_calendar_error *e);

#endif
