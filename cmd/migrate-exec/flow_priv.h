/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What flow.c (claims, limits, the run) and slot.c (an extent's way) share; see flow.h. */
#ifndef EXEC_FLOW_PRIV_H
#define EXEC_FLOW_PRIV_H

#include "cmd/migrate-exec/flow.h"
#include "cmd/migrate-exec/lanes.h"

enum {
    SLOTS = 64,
    EXTENT_MAX = 512 * 1024,
    EXTENT_MIN = 64 * 1024, /* the director's block: it claims no less */
    PIECE_MIN = 4 * 1024,   /* of a read from a slow source */
};

/* ASKING for block status, READING, WRITING, then DONE: the director is to be told. */
enum slot_state { SLOT_FREE, SLOT_ASKING, SLOT_READING, SLOT_WRITING, SLOT_DONE };

struct slot {
    struct flow_extent extent; /* first: jobs get a pointer to it */
    enum slot_state state;
    unsigned pending; /* requests not answered yet */
    unsigned writes;  /* of them writes to the target */
    uint64_t begun_us;
    uint64_t zero_from, zero_to; /* the last run of zeroes that the source told of */
    uint32_t zero;               /* one bit for each EXTENT_MIN that reads as zero */
    bool failed;
    bool lost; /* a write ended unanswered */
};

struct flow {
    struct director *director;
    struct lanes sides[LANE_SIDES];
    uint64_t bwlimit;
    unsigned io_timeout_ms; /* no reply of any request for so long: the gateway is gone */
    uint64_t extent_max;
    uint64_t piece;   /* of a read: a source in trouble serves small requests before large ones */
    bool cautious;    /* an extent was slow */
    unsigned quick;   /* extents in a row that were not */
    unsigned ask_in;  /* so many extents are read before block status is asked for again … */
    unsigned ask_gap; /* … and so many were before: a question is not free everywhere */
    bool trust_map;
    uint64_t earliest_us; /* of the next claim under the bandwidth limit */
    struct slot slots[SLOTS];
    bool unflushed;           /* something may have been sent to the target since its last flush */
    unsigned busy;            /* slots that are not free … */
    unsigned done;            /* … of them done … */
    uint64_t bytes_in_flight; /* … and their extents' bytes */
    uint64_t mean_length;     /* of the last extents, bytes */
    const struct flow_job *job;
    bool throttled;            /* the present run keeps to the limits */
    struct flow_result result; /* of the present run */
    struct flow_error error;
    flow_limiter *limiter; /* NULL: none */
    void *limiter_arg;
    uint64_t slow_limit;      /* what it said last */
    uint64_t sampled_us;      /* when, … */
    uint64_t claimed_sampled; /* … and how much was claimed since */
    const struct heat *order; /* of copy claims; NULL: the director's */
    size_t order_at;
    struct digests *digests;
    flow_tick *tick;
    void *tick_arg;
    flow_look *look;
    void *look_arg;
};

/* Keeps the first error; returns it. */
int flow_fail(struct flow *f, enum flow_side side, int err, const char *text);
/* The director's answer R was no good.  Returns the first error. */
int flow_fail_director(struct flow *f, int r);
uint64_t flow_piece_min(const struct flow *f);

/* The extent of a free slot was claimed: starts it on its way, at whose end it is done or free. */
void slot_start(struct slot *s);
void slot_free(struct slot *s);

#endif
