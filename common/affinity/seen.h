/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which records were counted already, over any number of runs.
 *
 * The rule: let N be the time of the newest record counted by earlier runs, and L the lateness.  Of
 * every record with a time of N − L or later that was counted, a digest is kept.  In the next run
 * a record
 *     before N − L         was counted, or comes too late: it is skipped;
 *     of N − L … N         is skipped if its digest is kept, once per kept digest;
 *     after N              is new.
 * So each record is counted exactly once, whatever parts of the log a run is given again, provided
 * that no record first appears more than L of log time behind one of an earlier run.  Within a run
 * the order does not matter, and equal lines count as often as they stand there.
 *
 * The state is changed as a whole (seen_settle(), then saved with the counts), so a run that dies
 * before has counted nothing.
 */
#ifndef GS_AFFINITY_SEEN_H
#define GS_AFFINITY_SEEN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen_record {
    double time;
    uint64_t digest;
};

/* Memory: 17 bytes a record of the last LATENESS_S seconds of the log. */
struct seen {
    double lateness_s;
    double newest;  /* N above; −1 before the first run */
    double settled; /* earlier ones are skipped: N − L, or later if records were dropped */
    struct seen_record *old; /* owned; kept from earlier runs, ascending by time, then digest */
    bool *met;               /* [n_old]: seen again in this run */
    size_t n_old;
    pthread_mutex_t lock; /* of met */
};

/* What one thread counts in one run. */
struct seen_run {
    struct seen_record *fresh; /* owned; as far as they may have to be kept */
    size_t n, cap, prune_at;
    double newest;
    double expected; /* see seen_expect() */
};

void seen_init(struct seen *s, double lateness_s);
void seen_release(struct seen *s);
void seen_run_init(struct seen_run *r);
void seen_run_release(struct seen_run *r);

/*
 * R, or another of the same run, will count a record of TIME or later.  So digests of those more
 * than the lateness before need not be made: they would not be kept.
 */
static inline void seen_expect(struct seen_run *r, double time)
{
    r->expected = time;
}

/* Records of this and later times are asked about. */
static inline double seen_ask_from(const struct seen *s, const struct seen_run *r)
{
    return (r->newest > r->expected ? r->newest : r->expected) - s->lateness_s;
}

/* R counts a record of TIME. */
static inline void seen_note(struct seen_run *r, double time)
{
    if (time > r->newest)
        r->newest = time;
}

enum seen_verdict { SEEN_SKIP, SEEN_COUNT, SEEN_ASK };

/* What to do with a record of TIME in R: skip it, count it, or ask seen_new() with its digest. */
static inline enum seen_verdict seen_look(const struct seen *s, struct seen_run *r, double time)
{
    if (s->newest >= 0 && time < s->settled)
        return SEEN_SKIP;
    if (time <= s->newest)
        return SEEN_ASK;
    seen_note(r, time);
    return time < seen_ask_from(s, r) ? SEEN_COUNT : SEEN_ASK;
}

/* Does seen_look() say SEEN_COUNT to all times from FIRST to LAST? */
static inline bool seen_counts_all(const struct seen *s, const struct seen_run *r, double first,
                                   double last)
{
    return first > s->newest && first >= s->settled && last < seen_ask_from(s, r);
}

/* Must this record, of which seen_look() said to ask, be counted?  1 (noted), 0, or -ENOMEM. */
int seen_new(struct seen *s, struct seen_run *r, double time, uint64_t digest);

/*
 * Ends the run: what was counted in the N RUNS belongs to the earlier runs now.  0, or, with S
 * unchanged, -ENOMEM or -ESTALE: what was expected did not come.
 */
int seen_settle(struct seen *s, const struct seen_run *runs, size_t n);

/* Adds what FROM, of other records, says was counted.  0 or -ENOMEM. */
int seen_merge(struct seen *s, const struct seen *from);

#endif
