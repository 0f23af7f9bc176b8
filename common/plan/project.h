/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each gateway will hold and serve once the moves under way and planned are done.  Nothing is
 * credited before it has happened: a volume on its way counts at both ends, a kept copy holds its
 * bytes until it is let go, and what a move has left until it is used or gone.
 */
#ifndef GS_PLAN_PROJECT_H
#define GS_PLAN_PROJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/plan/fleet.h"
#include "common/plan/limits.h"

struct plan_load {
    uint64_t bytes;      /* of volumes owned, arriving and kept; saturates */
    double rate;         /* peak requests a second of volumes owned and arriving */
    uint64_t peak_milli; /* of the busiest hour, with a forecast */
    uint64_t now_milli;  /* the same before any move is planned */
    unsigned leaving;    /* moves at once from here */
    unsigned arriving;   /* and to here */
    bool evacuated;      /* has to be left, and a move from here is planned or under way */
};

/* plan_projection_init() fills, plan_projection_release() frees. */
struct plan_projection {
    struct plan_load *gateways; /* as in the fleet */
    struct plan_hours *hours;   /* of each gateway; NULL: no forecast */
    unsigned *apart;            /* [label * gateways + gateway]: volumes there or coming */
    unsigned moves;
    unsigned evacuated;
    double opens; /* when moves that can wait may start; INFINITY: not within a year */
};

/* The state that the routes of F (settled) tell at time NOW.  0 or -ENOMEM. */
int plan_projection_init(struct plan_projection *p, const struct plan_fleet *f,
                         const struct plan_limits *lim, double now);

/* VOLUME will be on GATEWAY too. */
void plan_projection_place(struct plan_projection *p, const struct plan_fleet *f,
                           const struct plan_limits *lim, size_t volume, size_t gateway);

/* A copy of VOLUME will be on GATEWAY, and serve nobody. */
void plan_projection_hold(struct plan_projection *p, const struct plan_fleet *f, size_t volume,
                          size_t gateway);

/*
 * Takes the N volumes off GATEWAY again that were placed there since its load was BEFORE: the
 * picture is to the last bit what it was.
 */
void plan_projection_undo(struct plan_projection *p, const struct plan_fleet *f,
                          const size_t *volumes, size_t n, size_t gateway,
                          const struct plan_load *before);

/* What an earlier moment looked like, but for labels: to come back to it often. */
struct plan_moment {
    struct plan_load *gateways;
    struct plan_hours *hours; /* NULL: no forecast */
    unsigned moves;
    unsigned evacuated;
};

/* 0 or -ENOMEM; release in both cases. */
int plan_projection_keep(const struct plan_projection *p, const struct plan_fleet *f,
                         struct plan_moment *m);
void plan_projection_return(struct plan_projection *p, const struct plan_fleet *f,
                            const struct plan_moment *m);
void plan_moment_release(struct plan_moment *m);

/* Takes VOLUME's label off GATEWAY, which plan_projection_return() does not. */
void plan_projection_unlabel(struct plan_projection *p, const struct plan_fleet *f, size_t volume,
                             size_t gateway);

/* A move, of one volume or of a group, from SOURCE to TARGET is planned; COUNTS: as one at once. */
void plan_projection_start(struct plan_projection *p, const struct plan_fleet *f,
                           const struct plan_limits *lim, size_t source, size_t target,
                           bool counts);

/* Will a volume be on GATEWAY from which VOLUME, not there itself, is to be kept apart? */
bool plan_projection_shared(const struct plan_projection *p, const struct plan_fleet *f,
                            size_t volume, size_t gateway);

void plan_projection_release(struct plan_projection *p);

#endif
