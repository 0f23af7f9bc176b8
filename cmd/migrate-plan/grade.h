/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How good recorded plans were, by what came after them.  Ends the program on bad input. */
#ifndef GS_MIGRATE_PLAN_GRADE_H
#define GS_MIGRATE_PLAN_GRADE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/plan/limits.h"

/* All borrowed; "-" is standard input. */
struct grade_job {
    const char *config; /* folder: gateways, sites and distances, for ACCESS */
    const char **plans; /* files of plan records; released by grade_release() */
    size_t n_plans;
    size_t plans_cap;
    const char *failures; /* files, or NULL */
    const char *health;
    const char *access;
    double now;       /* failures are known up to here; Unix seconds */
    double horizon_s; /* of failures and health */
    double demand_s;  /* of accesses */
    bool explain;
    const char *verdicts; /* file of outcome records; NULL: a table to stderr */
};

/* FILE's plans are to be graded. */
void grade_add(struct grade_job *job, const char *file);

/* Grades them by the margin and critical health of LIM. */
void grade(const struct grade_job *job, const struct plan_limits *lim);

void grade_release(struct grade_job *job);

#endif
