/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is good and what is bad for each metric: health.csv, in memory. */
#ifndef GS_HEALTH_LIMITS_H
#define GS_HEALTH_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/intern.h"

/* Metrics of one group are averaged; groups are joined by a geometric mean. */
struct health_limit {
    const char *metric; /* borrowed from limits.metrics */
    unsigned group;     /* index in limits.groups */
    double weight; /* 0 < weight <= 1: how much of a failure of this metric is one of the gateway */
    double warn;   /* up to here all is well */
    double critical; /* from here on it has failed; critical < warn: low is bad */
    bool vital;      /* caps the gateway's score */
};

/* Zero-initialise; health_limits_release() frees. */
struct health_limits {
    struct intern metrics; /* id = index in items */
    struct intern groups;
    struct health_limit *items;
    size_t cap;
};

/*
 * Adds the limits of METRIC.  0; -EEXIST: listed already; -ERANGE: warn equals critical, or the
 * weight is not in (0, 1]; -ENOMEM.
 */
int health_limits_add(struct health_limits *l, const char *metric, const char *group, double weight,
                      double warn, double critical, bool vital);
/* Fills L with the built-in limits, those of share/health.csv.  0 or -ENOMEM. */
int health_limits_builtin(struct health_limits *l);
void health_limits_release(struct health_limits *l);

/* By name; NULL if the metric has none: it is recorded, but not scored. */
const struct health_limit *health_limits_find(const struct health_limits *l, const char *metric);

/* 1 up to warn, falling linearly to 0.05 at critical, and 0.05 beyond it. */
double health_subscore(const struct health_limit *l, double value);

/* How far VALUE is on the way from FROM (the usual value) to critical: 0 … 1. */
double health_progress(const struct health_limit *l, double from, double value);

/* Whether METRIC's name ends with TAIL: names tell units, as _us. */
bool health_name_ends(const char *metric, const char *tail);

#endif
