/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scenarios that a seed makes up. */
#ifndef GS_MIGRATE_REPLAY_DRAW_H
#define GS_MIGRATE_REPLAY_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/migrate-replay/arrivals.h"
#include "cmd/migrate-replay/scenario.h"

struct draw_how {
    unsigned failures;               /* a third of them without warning */
    double from, to;                 /* when they may begin; Unix seconds */
    bool every_kind;                 /* of degradation; else only those of latency */
    const struct arrivals *arrivals; /* when and where they come; NULL: evenly */
    uint64_t seed;
};

/* Failures, and the degradations that go with them and recover. */
size_t draw_events(unsigned failures);

/*
 * Draws FAILURES failures, of which a third (rounded down) come without warning, and so many
 * degradations more that a third of all degradations recover.  Degradations take 1 to 12 h until
 * the failure; those that recover do so after 30 to 70 % of the way.  A repair takes 1 to 8 h.
 *
 * Evenly drawn, events of one gateway are a day apart.  With arrivals, which must be draw_events()
 * or more, each is the failure, or the moment at which what recovers would have come to it: 12 h
 * after FROM to 8 h before TO.  A node's failures are one gateway's, and the nodes of a site take
 * its gateways in turn; a gateway that is still in trouble leaves what comes to the next of its
 * site.
 *
 * Returns how many events found no room, and were left out.  Ends the program without memory.
 */
size_t draw_scenario(struct scenario *s, const struct fleet *f, const struct draw_how *how);

#endif
