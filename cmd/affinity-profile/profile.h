/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one run of affinity-profile works on. */
#ifndef GS_AFFINITY_PROFILE_PROFILE_H
#define GS_AFFINITY_PROFILE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/demand.h"
#include "common/affinity/models.h"
#include "common/affinity/seen.h"
#include "common/fleet/fleet.h"

struct profile {
    struct fleet fleet;
    struct demand demand;
    struct seen seen;
    struct models models;
    double now;    /* Unix seconds; negative: no record and no --now yet */
    uint64_t seed; /* of the parameter search */
    double rtt_scale_us;
};

/* ---- ingest.c ---- */

/*
 * Counts the access records of the N files PATHS (0: standard input) that were not counted before
 * and, where UNTIL is not negative, are not later than it.  With KEEP_GOING a malformed record is
 * reported and skipped.  Returns the exit status: 0 or 65; ends the program on other failures.
 * *COUNTED is the number of records counted.
 */
int ingest(struct profile *p, char *const *paths, size_t n, double until, bool keep_going,
           uint64_t *counted);

/* ---- store.c: STATE/affinity; each ends the program on failure ---- */

/* Makes the folder and takes its lock, which is held until the program ends. */
void store_lock(const char *state);
void store_load(const char *state, struct profile *p);
void store_save_demand(const char *state, struct profile *p);
void store_save_models(const char *state, const struct profile *p);

/* ---- outlook.c ---- */

/* The forecast of one site of a volume, an hour a point. */
struct outlook_site {
    const char *site; /* borrowed from the volume */
    struct model model;
    struct model_point *point; /* [outlook.hours], owned */
};

struct outlook {
    int64_t hour; /* hours since the epoch of point[0]: the hour of profile.now */
    size_t hours;
    struct outlook_site site[DEMAND_SITES];
    size_t n; /* sites with any demand before HOUR */
};

/*
 * Forecasts HOURS hours of V, from the hour of p->now on, out of the complete hours before it.
 * Stored models are used if they are at most a week old.  Ends the program without memory.
 */
void outlook_make(const struct profile *p, const struct demand_volume *v, size_t hours,
                  struct outlook *out);
void outlook_release(struct outlook *o);

/* Fits a model to every series and puts it into p->models.  Ends the program without memory. */
void outlook_train(struct profile *p);

/* The volumes of P in order of their names: owned, free(). */
const struct demand_volume **profile_volumes(const struct profile *p);

/* ---- report.c: records to standard output ---- */

void report_affinity(const struct profile *p, double horizon_s);
void report_forecast(const struct profile *p, double ahead_s);
void report_heat(const struct profile *p, double ahead_s);

/*
 * V's requests in hour I of O by the gateway that would serve them if those of every site went to
 * the allowed gateways in proportion to their closeness: OUT[gateway of the fleet].
 */
void report_by_gateway(const struct profile *p, const struct demand_volume *v,
                       const struct outlook *o, size_t i, double *out);

/* ---- backtest.c ---- */

struct backtest {
    size_t ahead;   /* hours forecast from each origin */
    size_t origins; /* the last one AHEAD hours before now */
    size_t step;    /* hours from one to the next */
};

void backtest_report(const struct profile *p, const struct backtest *how);

/* ---- chart.c ---- */

/* A picture of what report_heat() says, for people. */
void chart_heat(const struct profile *p, double ahead_s);

#endif
