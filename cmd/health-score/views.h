/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The scores at the end of a run, in other forms than health records. */
#ifndef GS_HEALTH_SCORE_VIEWS_H
#define GS_HEALTH_SCORE_VIEWS_H

#include <stdint.h>
#include <stdio.h>

#include "common/health/board.h"

/* What is shown: BOARD (borrowed), judged at NOW. */
struct views_at {
    struct health_board *board;
    double now;
    uint64_t horizon_s;
};

/* An explain record for each metric of each gateway.  0 or -errno. */
int views_explain(const struct views_at *at, FILE *out);

/* A line for each metric: its last points as a sparkline, from, to, and the time they span. */
int views_chart(const struct views_at *at, FILE *out);

/* The scores in Prometheus's text format, for node_exporter's textfile collector. */
int views_prom(const struct views_at *at, FILE *out);

#endif
