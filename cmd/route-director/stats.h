/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What requests cost, by volume and by the gateway that owned it: latencies, counts, errors. */
#ifndef DIRECTOR_STATS_H
#define DIRECTOR_STATS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/intern.h"
#include "hist.h"

struct director;
struct request;
struct volume;

/* Zeroes and trims are writes here: they change data. */
enum stats_op { STATS_READ, STATS_WRITE, STATS_FLUSH, STATS_OPS };

struct gateway_stats {
    const char *name; /* borrowed from the table */
    struct hist_window latency[STATS_OPS];
    uint64_t requests, errors; /* answered, since the director began */
};

/* A moving mean of latencies that follows within some 64 requests. */
struct stats_recent {
    uint64_t sum_us; /* 64 times the mean */
    uint64_t at_us;  /* of the last request; 0: none yet */
};

/* A part of struct volume; zero-initialise. */
struct volume_stats {
    struct stats_recent recent[STATS_OPS];
    struct hist_window latency[STATS_OPS];
    struct gateway_stats *gateway; /* the owner that the last request had */
};

/* The gateways seen so far, one table a loop; zero-initialise. */
struct stats {
    struct intern names;
    struct gateway_stats **gateways; /* by the name's number */
    size_t n, cap;
};

void stats_release(struct stats *s);

/* R, of a client of V, has ended at NOW_US.  Latencies are those of requests without error. */
void stats_add(struct stats *s, struct volume *v, const struct request *r, uint64_t now_us);

/*
 * Appends " read_us_p50=… read_us_p95=… …" of V to OUT, "-" where there was nothing in the last
 * minute; then " read_us_now=… …", "-" where there was nothing in the last seconds.  0 or -ENOMEM.
 */
int stats_words(const struct volume *v, uint64_t now_us, struct buf *out);

/* What several loops have counted of the same gateways; zero-initialise. */
struct stats_sum {
    struct intern names;
    struct gateway_sum *gateways; /* by the name's number */
    size_t n, cap;
};

void stats_sum_release(struct stats_sum *sum);

/*
 * Appends the metric records of D's volume NAME, or of all that it serves (NULL), header first, to
 * OUT.  Without a NAME what D has counted of gateways is added to SUM, and if D is the LAST of the
 * loops SUM's records follow.  0, -ENOENT (NAME is not being served) or -ENOMEM.
 */
int stats_records(struct director *d, const char *name, struct stats_sum *sum, bool last,
                  struct buf *out);

#endif
