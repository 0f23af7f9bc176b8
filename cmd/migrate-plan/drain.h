/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gateways that the operator wants evacuated, and how far a plan brings that. */
#ifndef GS_MIGRATE_PLAN_DRAIN_H
#define GS_MIGRATE_PLAN_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/plan/choose.h"

/* Zero-initialise; drains_release() frees. */
struct drains {
    char **names;
    size_t n;
    size_t cap;
    bool given; /* on the command line, so that a recording's are not taken */
    const struct plan_fleet *fleet;
    struct plan_sink next; /* where decisions go on to */
    size_t *leaving;       /* by gateway: volumes that the plan takes away */
};

/* These end the program on failure. */
void drains_add(struct drains *d, const char *gateway);
/* In F (kept), not settled yet; a gateway that the configuration does not list is wrong usage. */
void drains_apply(struct drains *d, struct plan_fleet *f);

/* Appends a line "drain NAME" for each.  0 or -ENOMEM. */
int drains_format(const struct drains *d, struct buf *b);

/* A sink that counts what leaves the fleet's gateways and hands on to NEXT; valid as long as D. */
struct plan_sink drains_watch(struct drains *d, const struct plan_sink *next);

/* Says on stderr what is on each drained gateway and what leaves it now. */
void drains_note(const struct drains *d);
void drains_release(struct drains *d);

#endif
