/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Latencies of the last minute: a log-linear histogram of whole microseconds (as in HdrHistogram),
 * and a window of two of them that take turns.  Knows no clock but what it is given.
 */
#ifndef DIRECTOR_HIST_H
#define DIRECTOR_HIST_H

#include <stdint.h>

/*
 * 16 buckets for each power of two: a value is told from its bucket with an error of at most 1/32.
 * Values below 32 are exact; those of 2^32 (71 minutes) and more share the last bucket.
 */
enum { HIST_SUB_BITS = 4, HIST_BUCKETS = ((32 - HIST_SUB_BITS) << HIST_SUB_BITS) + 16 };

/* Zero-initialise. */
struct hist {
    uint64_t n;
    uint32_t count[HIST_BUCKETS];
};

/* Counts US. */
static inline void hist_add(struct hist *h, uint64_t us)
{
    uint32_t v = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    /* The 5 highest bits of a value, from its first set one, and how many are left out. */
    unsigned shift = v < 1u << HIST_SUB_BITS ? 0 : 31 - HIST_SUB_BITS - (unsigned)__builtin_clz(v);
    h->count[(shift << HIST_SUB_BITS) + (v >> shift)]++;
    h->n++;
}

/* Adds what FROM has counted to H. */
void hist_merge(struct hist *h, const struct hist *from);

/*
 * The PERCENT-th percentile (0…100) by nearest rank: the middle of the bucket that holds the
 * ceil(PERCENT/100 · n)-th smallest value.  0 if nothing was counted.
 */
uint64_t hist_percentile(const struct hist *h, double percent);

/* How long a half of a window collects; the window speaks of one to two of these. */
#define HIST_TURN_US 30000000u

/* Zero-initialise. */
struct hist_window {
    struct hist half[2];
    uint64_t began_us; /* when half[now] began */
    unsigned now;
};

/* Forgets what is too old at NOW_US; time does not go back. */
void hist_window_turn(struct hist_window *w, uint64_t now_us);

/* Counts US at NOW_US. */
static inline void hist_window_add(struct hist_window *w, uint64_t us, uint64_t now_us)
{
    if (now_us - w->began_us >= HIST_TURN_US)
        hist_window_turn(w, now_us);
    hist_add(&w->half[w->now], us);
}

/* Adds to SUM what W still knows at NOW_US. */
void hist_window_sum(const struct hist_window *w, uint64_t now_us, struct hist *sum);

#endif
