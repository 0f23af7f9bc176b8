/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comparison of policies as a picture. */
#ifndef GS_MIGRATE_REPLAY_CHART_H
#define GS_MIGRATE_REPLAY_CHART_H

#include <stdio.h>

#include "cmd/migrate-replay/tally.h"

enum { CHART_LABEL = 96 };

/* The runs of one policy and setting, added up over their seeds. */
struct chart_row {
    char label[CHART_LABEL];
    double requests, failed, degraded;
    double bad[TALLY_PARTS]; /* FAILED + DEGRADED by parts of the time */
    uint64_t health_moves, affinity_moves, mismigrations;
};

/* Zero-initialise; chart_release() frees. */
struct chart {
    struct chart_row *rows;
    size_t n, cap;
    double start, end; /* of the trace, Unix seconds */
};

void chart_release(struct chart *c);

/* Adds what a run of POLICY with SETTING ("": none) came to.  Ends the program without memory. */
void chart_add(struct chart *c, const char *policy, const char *setting, const struct tally *t);

/* The largest number of bad requests of a row, and of a part of one; at least 1. */
double chart_most(const struct chart *c);
double chart_most_of_part(const struct chart *c);

/* A line for each row: requests on failed and degraded gateways, when they were, and moves. */
void chart_print(const struct chart *c, FILE *out);

/* Into the file PATH, which is replaced as a whole.  Ends the program on failure. */
void chart_svg(const struct chart *c, const char *path);

#endif
