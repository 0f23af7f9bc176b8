/* SPDX-License-Identifier: GPL-3.0-or-later */
/* May a plan's row be carried out?  Pure logic: no I/O, no clock. */
#ifndef EXEC_ADMIT_H
#define EXEC_ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fleet/fleet.h"
#include "common/route/store.h"

/* What of a plan record matters here. */
struct plan_row {
    double time;
    char volume[NAME_LEN_MAX + 1];
    char source[NAME_LEN_MAX + 1];
    char target[NAME_LEN_MAX + 1];
    uint64_t epoch;
    enum rec_plan_kind kind;
    double not_before; /* 0: at once */
    char reason[256];  /* the planner's; cut if longer */
};

enum admission {
    ADMIT_NOW,
    ADMIT_KEPT, /* as far as the row goes, but the last move has left a copy (kept.h) */
    ADMIT_OPEN, /* … but a migration is open: it may be a standby's (aheadrow.h) */
    ADMIT_LATER,
    ADMIT_NEVER,
    ADMIT_SKIP,
};

/*
 * Row R against the volume's route (NULL: it has none) at time NOW, for rows at most MAX_AGE_S
 * old.  WHY gets the reason of anything but ADMIT_NOW and ADMIT_KEPT.  ADMIT_LATER: its not_before
 * is to come.
 */
enum admission admit(const struct plan_row *r, const struct route *route, double now,
                     double max_age_s, char *why, size_t size);

/*
 * Does the configuration by now forbid to move VOLUME from SOURCE to TARGET?  WHY gets why.
 */
bool admit_forbids(const struct fleet *f, const char *volume, const char *source,
                   const char *target, char *why, size_t size);

#endif
