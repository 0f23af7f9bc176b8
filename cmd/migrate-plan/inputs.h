/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads what the planner decides on.  These functions end the program on bad input. */
#ifndef GS_MIGRATE_PLAN_INPUTS_H
#define GS_MIGRATE_PLAN_INPUTS_H

#include "common/plan/fleet.h"
#include "cmd/migrate-plan/drain.h"

/* Where it stands; "-" is standard input.  All borrowed. */
struct inputs {
    const char *config;   /* folder of gateways.csv and volumes.csv */
    const char *state;    /* folder of the route store */
    const char *health;   /* file */
    const char *affinity; /* file, or NULL: none */
    const char *routes;   /* file, or NULL: the route store */
    const char *history;  /* file, or NULL: none */
    const char *forecast; /* file, or NULL: none */
    const char *changed;  /* file, or NULL: none */
};

/*
 * Fills CALENDAR and F (zero-initialised), which borrows it, at time NOW and with DRAINS, and
 * settles F; notes about what is left out go to stderr.  Scores dated more than SKEW_S ahead count
 * only where there are no others.
 */
void inputs_load(const struct inputs *in, double now, double skew_s, struct drains *drains,
                 struct plan_calendar *calendar, struct plan_fleet *f);

#endif
