/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run has come to. */
#ifndef GS_MIGRATE_REPLAY_TALLY_H
#define GS_MIGRATE_REPLAY_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum {
    TALLY_BINS = 900, /* of latency: a hundred a decade from 1 us on */
    TALLY_PARTS = 96, /* of the time, for charts */
};

/* Requests are sums of rates: real numbers. */
struct tally {
    double requests;
    double failed;   /* that met a failed gateway */
    double unwarned; /* of FAILED: it had failed without warning */
    double degraded; /* that met a degraded one */
    double served;   /* all but those that failed */
    double latency_us;
    double bins[TALLY_BINS]; /* of served requests by their latency */
    double gained_us;        /* way that moves for affinity saved, summed over all requests */
    uint64_t health_moves;
    uint64_t affinity_moves;
    uint64_t failed_moves;
    uint64_t bytes;
    uint64_t pingpongs;
    uint64_t mismigrations;
    uint64_t takeovers;      /* by mirrored copies */
    double bad[TALLY_PARTS]; /* failed and degraded, in each part of the time */
};

/*
 * N requests that were served after a way of RTT_US by a queueing server whose answers take
 * MEAN_US on average: exponentially distributed, as those of an M/M/1 server are (Kleinrock,
 * Queueing Systems I, 1975, 3.2).
 */
void tally_served(struct tally *t, double n, double rtt_us, double mean_us);

double tally_mean_us(const struct tally *t);

/* The latency that 99 of 100 served requests stay below, within 2.4 %. */
double tally_p99_us(const struct tally *t);

#endif
