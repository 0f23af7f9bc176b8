/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sweep over one of the planner's limits: "threshold=0.1:0.9:0.1". */
#ifndef GS_MIGRATE_REPLAY_SETTING_H
#define GS_MIGRATE_REPLAY_SETTING_H

#include <argp.h>
#include <stddef.h>

#include "common/plan/knobs.h"

struct sweep {
    char *name; /* NULL: there is none; owned */
    double from, to, step;
};

/* Parses ARG, NAME=FROM:TO:STEP; ends the program with 64 on what is not. */
void sweep_parse(struct sweep *s, const struct argp_state *st, const char *arg);
void sweep_release(struct sweep *s);

/* How many values there are: 1 without a sweep. */
size_t sweep_count(const struct sweep *s);

/*
 * The limits of K with the value number I, and its words in SETTING.  Ends the program with 64 if
 * there is no such limit or the value is out of its range.
 */
enum { SETTING_MAX = 64 };
struct plan_limits sweep_limits(const struct sweep *s, const struct knobs *k, size_t i,
                                char setting[SETTING_MAX]);

/* Ends the program with 64 if sweep_limits() would for any value. */
void sweep_check(const struct sweep *s, const struct knobs *k);

#endif
