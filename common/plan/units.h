/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What moves as one: a volume by itself, or the volumes with the same `group` on the same gateway.
 * Members of a group that are on different gateways already are different units.
 */
#ifndef GS_PLAN_UNITS_H
#define GS_PLAN_UNITS_H

#include "common/plan/fleet.h"

/* Members of a unit, at least one, in the order of their names; borrowed from the units. */
struct plan_unit {
    size_t *members; /* volumes */
    size_t n;
    size_t place; /* of the first member in the order of names */
};

/* plan_units_init() fills, plan_units_release() frees. */
struct plan_units {
    struct plan_unit *list; /* in order of place */
    size_t n;
    size_t *members;
};

/* Every volume of F (settled) is in one unit.  0 or -ENOMEM; release in both cases. */
int plan_units_init(struct plan_units *u, const struct plan_fleet *f);
void plan_units_release(struct plan_units *u);

#endif
