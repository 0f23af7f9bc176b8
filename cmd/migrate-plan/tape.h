/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Recordings: a folder with a copy of every input, routes as records, and a file "options" with
 * the time and the planner's constants, which is written last and so marks the rest as whole.
 * A recorded run plans from the copies, exactly as its replay will.  These functions end the
 * program on failure.
 */
#ifndef GS_MIGRATE_PLAN_TAPE_H
#define GS_MIGRATE_PLAN_TAPE_H

#include "cmd/migrate-plan/inputs.h"
#include "common/plan/knobs.h"

struct tape {
    struct inputs inputs; /* its text is owned by the tape */
    double now;           /* Unix seconds */
};

/* Copies IN to DIR, which must not hold a recording, and fills T with where the copies are. */
void tape_record(struct tape *t, const char *dir, const struct inputs *in, double now,
                 const struct knobs *k, const struct drains *drains);

/* Fills T from the recording in DIR, and in K and DRAINS what the command line left open. */
void tape_replay(struct tape *t, const char *dir, struct knobs *k, struct drains *drains);

void tape_release(struct tape *t);

#endif
