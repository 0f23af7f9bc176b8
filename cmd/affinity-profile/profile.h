/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What one run of affinity-profile works on. */
#ifndef GS_AFFINITY_PROFILE_PROFILE_H
#define GS_AFFINITY_PROFILE_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/demand.h"
#include "common/affinity/index.h"
#include "common/affinity/models.h"
#include "common/fleet/fleet.h"
#include "common/forecast/nets.h"
#include "common/forecast/train.h"

struct profile {
    struct fleet fleet;
    struct demand demand;
    struct index index; /* of the state folder; what was counted, and where it stands */
    struct models models;
    struct nets nets; /* config.nets is 0: none */
    double *ahead;    /* the nets' forecasts, see outlook_prepare(); owned */
    double now;       /* Unix seconds; negative: no record and no --now yet */
    uint64_t seed;    /* of parameter search and nets */
    double budget_s;  /* CPU seconds of a training */
    size_t threads;   /* of training and the nets' forecasts; changes no result */
    double rtt_scale_us;
    const char *only; /* the volume that is asked about; NULL: all */
};

/* ---- ingest.c: records into counts ---- */

struct ingest {
    char *const *paths;
    size_t n_paths;     /* 0: standard input */
    double until;       /* records later than it are left for later runs; negative: no limit */
    double latest;      /* records later than it are malformed */
    const char *source; /* NULL: each record is looked up; else this source's files go on */
    size_t threads;
    bool keep_going; /* malformed records are reported and skipped */
};

/* The records of the input that are not in the profile yet. */
struct counted {
    struct demand demand;
    uint64_t records;
    bool noted; /* the index was changed too, if only by how far a file was read */
    int status; /* exit status: 0 or 65 */
};

/*
 * Counts the records of the input that were not counted before, and notes them in p->index.  Ends
 * the program on failures, before anything was saved.  counted_release() frees.
 */
void ingest(struct profile *p, const struct ingest *how, struct counted *out);
void counted_release(struct counted *c);

/* ---- store.c: STATE/affinity; each ends the program on failure ---- */

/* Makes the folder and takes its lock, which is held until the program ends. */
void store_lock(const char *state);
void store_load(const char *state, struct profile *p);
/* Adds NEW, which may be emptied, to P and makes it durable, in one step, with p->index. */
void store_add(const char *state, struct profile *p, struct demand *new);
/* Reads the cells of all weeks that have any, for heat_make(). */
void store_load_heat(const char *state, struct profile *p);
/*
 * Joins the N state folders PATHS into the empty STATE and P, and makes that durable.
 */
void store_merge(const char *state, struct profile *p, char *const *paths, size_t n);
/* Models and nets. */
void store_save_models(const char *state, const struct profile *p);
void store_save_nets(const char *state, const struct profile *p);

/* ---- learn.c: each ends the program without memory ---- */

/* The complete hours of every series, by the names of volume and site.  learn_release() frees. */
struct learn {
    struct train_series *of;
    double **y;          /* what OF's series borrow */
    const char **volume; /* borrowed from the profile, like SITE */
    const char **site;
    size_t n;
};

/* The series of P that have an hour before HOUR (hours since the epoch). */
void learn_gather(const struct profile *p, int64_t hour, struct learn *l);
void learn_release(struct learn *l);

/*
 * Of MOST threads, those that training and nets may use; says so if the BLAS allows one only, and
 * ends the program if there is none.
 */
size_t learn_threads(size_t most);

/* How P's series are trained, with progress on a terminal. */
struct train_how learn_how(const struct profile *p);

/* Fits a model to every series and trains nets, into p->models and p->nets. */
void learn_train(struct profile *p);

/*
 * Trains the nets of P a little on what has come since.  False: there are none, or the models are
 * too old, or (it says so) their forecasts of what came since were too far off: train anew.
 */
bool learn_fine_tune(struct profile *p);

/* ---- drift.c ---- */

/*
 * Mean absolute errors, each series' as a multiple of that of repeating the day before, on average
 * over SERIES: on the hours held out when they were trained, and of the forecasts, a day
 * apart and up to 48 hours ahead, of what came since.
 */
struct drift {
    double before, since;
    size_t series; /* 0: nothing came yet that can be compared */
};

/* Of the series L with their models.  Ends the program without memory. */
struct drift drift_since_training(const struct profile *p, const struct learn *l);
bool drift_is_large(const struct drift *d);

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

/*
 * Has the nets forecast all series whose models ask for them, together, into p->ahead: without it
 * outlook_make() does without nets.
 */
void outlook_prepare(struct profile *p);

/* True if E, which may be NULL, is young enough for S, and S has not grown into a better kind. */
bool outlook_is_usable(const struct models_entry *e, struct series s);

/* The volumes of P in order of their names: owned, free(). */
const struct demand_volume **profile_volumes(const struct profile *p);
/* Those that are asked about, all or p->only: owned, free(); *N of them, none before any record. */
const struct demand_volume **profile_asked(const struct profile *p, size_t *n);

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

/* Closeness of SITE to each gateway of the fleet, into OUT[gateway]. */
void report_closeness(const struct profile *p, const char *site, double *out);
/* The allowed gateway that is closest to V's requests in hour I of O; −1: there is none. */
long report_nearest(const struct profile *p, const struct demand_volume *v, const struct outlook *o,
                    size_t i);

/* ---- backtest.c ---- */

struct backtest {
    size_t ahead;   /* hours forecast from each origin */
    size_t origins; /* the last one AHEAD hours before now */
    size_t step;    /* hours from one to the next */
};

void backtest_report(const struct profile *p, const struct backtest *how);

/* ---- top.c ---- */

/* The MOST volumes whose demand rises most within AHEAD_S: a record each. */
void top_report(const struct profile *p, double ahead_s, size_t most);
/* The same volumes: owned, free(); *N of them. */
const struct demand_volume **top_volumes(const struct profile *p, double ahead_s, size_t most,
                                         size_t *n);

/* ---- explain.c ---- */

/* Where the scores of VOLUME come from, for people.  0, or 1: nothing is known of it. */
int explain(const struct profile *p, const char *volume, double horizon_s);

/* ---- chart.c, svg.c: what report_heat() says, and the hours before now, for people ---- */

void chart_heat(const struct profile *p, const struct demand_volume *const *v, size_t n,
                double ahead_s);
/* Into the file PATH, which is replaced as a whole. */
void svg_heat(const struct profile *p, const struct demand_volume *const *v, size_t n,
              double ahead_s, const char *path);

#endif
