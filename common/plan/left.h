/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What moves that failed, were aborted or never ended have left on their targets: exports that take
 * room until the volume moves there again, or somebody removes them, which migrate-exec tells the
 * history of (REC_GONE).
 */
#ifndef GS_PLAN_LEFT_H
#define GS_PLAN_LEFT_H

#include "common/plan/fleet.h"

/* What a volume has left on a gateway, or had. */
struct plan_left {
    size_t gateway;
    size_t next;  /* of the same volume, or PLAN_NONE */
    double since; /* Unix seconds */
    double used;  /* when it became the owner's, or kept, or was gone, last; -INFINITY: never */
};

/* Fills F's from its history; volumes, and what is open, are there.  0 or -ENOMEM. */
int plan_lefts_collect(struct plan_fleet *f);

/* Is something of VOLUME left on GATEWAY, which does not own it? */
bool plan_left(const struct plan_fleet *f, size_t volume, size_t gateway);

/*
 * Has VOLUME an export on GATEWAY, which does not own it, that takes its room already: kept,
 * standing by, being made to, or left?
 */
bool plan_left_room(const struct plan_fleet *f, size_t volume, size_t gateway);

/* Bytes that are left on GATEWAY, of all volumes, and are nothing else; saturates. */
uint64_t plan_left_bytes(const struct plan_fleet *f, size_t gateway);

#endif
