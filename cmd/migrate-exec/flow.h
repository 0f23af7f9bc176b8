/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Extents in flight between the two gateways of a move: claim, read, decide, write, settle, several
 * at a time.  What copying and proving have in common.
 *
 * The order that makes it safe: everything a decision rests on is read after the claim was
 * answered, and a claim is settled only when every reply of its requests is in (S6 of
 * gateshift-safety(7)).
 */
#ifndef EXEC_FLOW_H
#define EXEC_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/migrate-exec/digests.h"
#include "cmd/migrate-exec/director.h"
#include "cmd/migrate-exec/heat.h"
#include "cmd/migrate-exec/lanes.h"
#include "common/nbd/export.h"

enum flow_side { FLOW_NOBODY, FLOW_SOURCE, FLOW_TARGET, FLOW_DIRECTOR };

struct flow;

/* An extent in work, as a job sees it. */
struct flow_extent {
    struct flow *flow;
    struct claim claim;
    unsigned char *source; /* claim.length bytes read from the source */
    unsigned char *target; /* the same of the target, if the job asked for them */
    bool equal;            /* the job's: it has compared them, and sent nothing */
    bool zero;             /* the source said, after the claim, that all of it reads as zero */
};

/* What to do with an extent.  Each is called at most once for each claim. */
struct flow_job {
    enum claim_kind kind;
    bool reads_target;
    bool asks_status; /* the source's zeroes may be taken from its block status, and not read */
    /* The data are in: start the writes, if any (flow_write, flow_zero).  0 or -errno. */
    int (*decide)(struct flow_extent *x);
    /*
     * All replies are in and good.  1: the director is to be told that it is done; 0: this function
     * has told it something else; -errno of the director.  NULL: 1.
     */
    int (*check)(struct flow_extent *x);
    /* The director has been told.  NULL: nothing to be done. */
    void (*settled)(struct flow_extent *x);
};

/* When to stop claiming, besides an error, a signal, and nothing left to claim. */
struct flow_limits {
    uint64_t bytes;          /* 0: none */
    uint64_t deadline_us;    /* clock_mono_us(); 0: none */
    bool throttled;          /* keep to the bandwidth limit */
    bool until_nothing_left; /* stop, too, once the director says so, without asking for more */
};

struct flow_result {
    uint64_t bytes;     /* claimed and settled */
    uint64_t sent;      /* of them written to the target; zeroes count as nothing */
    uint64_t unchanged; /* settled besides, as the director's change map knows them to be equal */
    uint64_t claims;
    uint64_t us; /* without the time spent waiting for the bandwidth limit */
    uint64_t left;
    bool none; /* there was nothing more to claim; BACKLOG says why */
    struct backlog backlog;
    uint64_t differing; /* extents that a proof found different */
};

struct flow_error {
    enum flow_side side;
    int err;   /* negative errno */
    bool lost; /* writes to the target are unanswered: their claims must never be released, and
                  closing the director's connection makes it treat them as haunted (S2) */
    char text[256];
};

/* Called after extents were settled with the bytes left.  For a progress bar. */
typedef void flow_tick(void *arg, uint64_t left);

/*
 * A flow between two connected exports (stored) under the director's claims (stored).  BWLIMIT is
 * in bytes a second, 0: none.  NULL: out of memory.  The exports must be freed before the flow:
 * unanswered requests still point into its buffers.
 */
struct flow *flow_new(struct director *director, struct nbd_export *source,
                      struct nbd_export *target, uint64_t bwlimit);
void flow_free(struct flow *f);
/*
 * Further connections to a side, at most LANES_MAX with the one it has: owned.  They must
 * be as good as the first: multi-conn, and what it takes they take.
 */
void flow_widen(struct flow *f, enum flow_side side, struct nbd_export *const *more, unsigned n);
/*
 * Flushes the target on every connection, if it may have been written to since the last time.  0,
 * or -errno with the text in nbd_export_error() of the export that flow_new() was given.
 */
int flow_flush(struct flow *f, int timeout_ms);
/*
 * Has FN asked every FLOW_SAMPLE_US of a throttled run for a limit besides the bandwidth limit,
 * bytes a second, 0: none.  RATE is what was handled since, bytes a second.
 */
enum { FLOW_SAMPLE_US = 250 * 1000 };
typedef uint64_t flow_limiter(void *arg, uint64_t rate);
void flow_on_sample(struct flow *f, flow_limiter *fn, void *arg);
/* Copy claims are made in the order of H's ranges (stored), then as the director has them; NULL:
 * only so. */
void flow_set_order(struct flow *f, const struct heat *h);
/* Where proofs leave their digests (stored); NULL: nowhere. */
void flow_set_digests(struct flow *f, struct digests *d);

/* Another limit from now on. */
void flow_set_bwlimit(struct flow *f, uint64_t bwlimit);
/* No reply of any request for so many milliseconds (IO_TIMEOUT_MS): the gateway is gone. */
enum { IO_TIMEOUT_MS = 30 * 1000 };
void flow_set_io_timeout(struct flow *f, unsigned ms);
/*
 * Called again and again while a run keeps to the limit: whoever has something to change.  True: it
 * is to end, as for a signal.
 */
typedef bool flow_look(void *arg);
void flow_on_look(struct flow *f, flow_look *fn, void *arg);

/* What the director says is unchanged counts as proved, instead of being compared like the rest. */
void flow_trust_map(struct flow *f, bool trust);
void flow_on_tick(struct flow *f, flow_tick *fn, void *arg);

/*
 * Works JOB off until a limit, a signal (signals.h), or nothing left to claim; comes back with
 * nothing in flight, or with the error's `lost`.  0 or the negative errno of flow_error().
 */
int flow_run(struct flow *f, const struct flow_job *job, const struct flow_limits *limits,
             struct flow_result *out);
const struct flow_error *flow_error(const struct flow *f);

/* For a job's decide(): write LENGTH bytes of the source's data, or zeroes, at OFFSET within the
 * extent, to the target.  0 or -errno. */
int flow_write(struct flow_extent *x, uint64_t offset, uint64_t length);
int flow_zero(struct flow_extent *x, uint64_t offset, uint64_t length);
bool flow_can_zero(const struct flow_extent *x);
struct director *flow_director(const struct flow_extent *x);
struct digests *flow_digests(const struct flow_extent *x);
/* For a proof's check(). */
void flow_count_difference(struct flow_extent *x);

#endif
