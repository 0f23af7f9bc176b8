/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a move costs: what is sent, how long that takes, and what meets it meanwhile. */
#ifndef GS_PLAN_COST_H
#define GS_PLAN_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/plan/fleet.h"
#include "common/plan/limits.h"

/* How a volume gets to its target. */
enum plan_way {
    PLAN_WAY_COPY,    /* all of it is sent */
    PLAN_WAY_CHANGES, /* to a copy of which is known how much differs */
    PLAN_WAY_SHARED,  /* nothing is: both gateways export the same bytes */
};

struct plan_cost {
    enum plan_way way;
    bool known;      /* BYTES is; else 0 */
    uint64_t bytes;  /* expected to be sent */
    double copy_s;   /* at most, proof included; 0: nothing to copy, or not known */
    double requests; /* forecast of the volume meanwhile; NaN: not known */
};

/*
 * Of moving VOLUME to TARGET from START on (Unix seconds; 0, or what is past: at once).  A volume
 * of which only changes are sent is compared as a whole, so it takes as long as a copy.
 */
struct plan_cost plan_cost(const struct plan_fleet *f, const struct plan_limits *lim, size_t volume,
                           size_t target, double start, double now);

/* Just the bytes; *KNOWN: do they mean anything? */
uint64_t plan_cost_bytes(const struct plan_fleet *f, size_t volume, size_t target, bool *known);

/* Seconds that copying BYTES takes at the rate that the history measured, or else the limits'. */
double plan_copy_s(const struct plan_fleet *f, const struct plan_limits *lim, uint64_t bytes);

/*
 * Is the way to TARGET little more than a hand-over?  Both gateways export the same bytes, or the
 * copy that is kept there has, as is known, so few changes that they are sent in seconds.
 */
bool plan_cost_handover(const struct plan_fleet *f, const struct plan_limits *lim, size_t volume,
                        size_t target);

#endif
