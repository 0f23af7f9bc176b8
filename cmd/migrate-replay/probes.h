/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is measured of the gateways and fed to the health board: recorded metrics where there are
 * any, else made up as gateway-probe would see the simulated gateway, with noise, rare spikes, and
 * a round a week in which nothing answers.
 */
#ifndef GS_MIGRATE_REPLAY_PROBES_H
#define GS_MIGRATE_REPLAY_PROBES_H

#include "cmd/migrate-replay/run.h"
#include "common/base/rng.h"
#include "common/health/board.h"

/* Recorded metrics, in order of time.  Zero-initialise; samples_release() frees. */
struct sample {
    double time;
    uint32_t gateway, metric;
    double value;
};

struct samples {
    struct intern gateways, metrics;
    struct sample *list;
    size_t n, cap;
};

/* Reads metric records from PATH.  Ends the program on failure. */
void samples_read(struct samples *s, const char *path);
void samples_release(struct samples *s);

struct probes {
    struct rng rng;
    size_t next;    /* recorded sample */
    bool *recorded; /* [gateway]: it has recorded metrics; owned */
};

/* The noise depends on R's seed and step only, not on what is decided. */
void probes_init(struct probes *p, const struct run *r);
void probes_release(struct probes *p);

/* Feeds B with the metrics of the step that has just passed.  Ends the program without memory. */
void probes_feed(struct probes *p, const struct run *r, struct health_board *b);

#endif
