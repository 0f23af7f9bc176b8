/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All runs of one call: each policy with each seed and each value of a sweep, and their output. */
#ifndef GS_MIGRATE_REPLAY_SESSION_H
#define GS_MIGRATE_REPLAY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/migrate-replay/arrivals.h"
#include "cmd/migrate-replay/run.h"
#include "cmd/migrate-replay/setting.h"

enum { SESSION_POLICIES = 6 };

/* In the order in which they are told. */
extern const struct policy *const session_policies[SESSION_POLICIES];

/* Which runs, and what becomes of them; everything is borrowed. */
struct session_how {
    const struct knobs *knobs;
    const struct sweep *sweep;
    bool wanted[SESSION_POLICIES];
    const struct scenario *scenario; /* NULL: each seed draws its own */
    unsigned failures;               /* that are drawn */
    const struct arrivals *arrivals; /* that they are drawn from; NULL: they come evenly */
    bool every_kind;                 /* degradations of every kind are */
    double warm_up_s;                /* none so soon after the start */
    uint64_t first_seed, last_seed;
    uint64_t threads;   /* change no result */
    const char *events; /* a file for all moves; NULL: none */
    const char *svg;    /* a file for the picture; NULL: none */
    bool chart;         /* a picture on stdout instead of records */
    bool print_scenario;
};

/* Runs them in STAGE and prints; ends the program on what goes wrong. */
void session_run(const struct session_how *how, const struct stage *stage);

#endif
