/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Targets that a volume had better not be sent to for a while, as the last attempts to bring it, or
 * its standby, there have failed: the next one most likely fails, too, and meanwhile the volume
 * stays where it is.  The pause after the first is an hour, and twice the pause before after each
 * one more in a row, up to a day; what is a day older than the latest is forgotten.
 *
 * What must leave, and a standby, goes to such a target where no other one passes; what can wait
 * waits.  A standby that is lost counts from the second time in a row on: the first is made again
 * at once where it was, as migrate-exec does it.
 */
#ifndef GS_PLAN_SHUN_H
#define GS_PLAN_SHUN_H

#include "common/plan/fleet.h"

/* A volume's attempts towards a gateway. */
struct plan_shun {
    size_t gateway;
    size_t next;    /* of the same volume, or PLAN_NONE */
    double failed;  /* the latest that failed; Unix seconds; -INFINITY: none */
    double worked;  /* the latest that did not */
    unsigned times; /* failed in a row, the latest included; 0: none since it worked */
};

/* Fills F's from its history; volumes are there.  For plan_fleet_settle().  0 or -ENOMEM. */
int plan_shuns_collect(struct plan_fleet *f);

/*
 * Has the steady route of V, set after the last event of M, a standby that never ended, told of its
 * loss?
 */
bool plan_shun_lost(const struct plan_volume *v, const struct plan_migration *m);

/* If VOLUME had better not be sent to GATEWAY at NOW, why; else NULL. */
const struct plan_shun *plan_shun(const struct plan_fleet *f, size_t volume, size_t gateway,
                                  double now);

/* Seconds, after the latest failure, for which it holds. */
double plan_shun_pause_s(const struct plan_shun *s);

/* What a target that is shunned so is worth less: more than any two benefits differ by. */
double plan_shun_handicap(const struct plan_shun *s);

#endif
