/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What really happens to the gateways: known to the simulator and to the oracle, to no one else. */
#ifndef GS_MIGRATE_REPLAY_SCENARIO_H
#define GS_MIGRATE_REPLAY_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/fleet/fleet.h"
#include "common/record/record.h"

/* Read latency at which a gateway that degrades fails; built into health-score as critical. */
#define SCENARIO_CRITICAL_US 50000.0

struct scenario_event {
    size_t gateway; /* of the fleet */
    double onset;   /* Unix seconds; that of the failure, where there is no warning */
    double failure; /* INFINITY: it recovers, or it is the operator's doing */
    double repair;  /* or when it recovers, or the operator's end of it */
    double due;     /* when its way to the failure would be complete; repair may come before */
    enum rec_scenario_kind kind;
};

/* Zero-initialise; scenario_release() frees. */
struct scenario {
    struct scenario_event *events; /* by gateway, then onset */
    size_t n, cap;
    size_t *first; /* [gateway], and the end of all */
};

enum scenario_condition { CONDITION_WELL, CONDITION_DEGRADED, CONDITION_FAILED };

/* Reads scenario records from PATH.  Ends the program on failure. */
void scenario_read(struct scenario *s, const struct fleet *f, const char *path);

/* To make one: adds E; all are there.  They end the program without memory. */
void scenario_add(struct scenario *s, const struct scenario_event *e);
void scenario_settle(struct scenario *s, size_t gateways);

/* Writes S as scenario records.  0 or -errno. */
int scenario_write(const struct scenario *s, const struct fleet *f, struct rec_writer *w);
void scenario_release(struct scenario *s);

/* At TIME, without those of the operator. */
enum scenario_condition scenario_condition(const struct scenario *s, size_t gateway, double time);

/* Has GATEWAY, at TIME, failed without warning? */
bool scenario_unwarned(const struct scenario *s, size_t gateway, double time);

/* Is GATEWAY degraded or failed at any moment of FROM … TO? */
bool scenario_trouble(const struct scenario *s, size_t gateway, double from, double to);

/* The degradation at TIME, 0 (none) … 1 (about to fail), and its kind. */
double scenario_progress(const struct scenario *s, size_t gateway, double time,
                         enum rec_scenario_kind *kind);

/* What the operator has set at TIME, where the configuration says STATE. */
enum rec_gateway_state scenario_state(const struct scenario *s, size_t gateway, double time,
                                      enum rec_gateway_state state);

#endif
