/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One policy's run through the trace: a virtual clock, gateways that are queueing servers, moves
 * that take time and load.  A policy sees of it what an operator would see, and begins moves.
 */
#ifndef GS_MIGRATE_REPLAY_RUN_H
#define GS_MIGRATE_REPLAY_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/migrate-replay/scenario.h"
#include "cmd/migrate-replay/tally.h"
#include "cmd/migrate-replay/trace.h"
#include "common/base/outfile.h"
#include "common/fleet/fleet.h"
#include "common/plan/calendar.h"
#include "common/plan/limits.h"
#include "common/record/record.h"

#define RUN_NONE SIZE_MAX

struct insights;
struct samples;

/* What all runs have in common; borrowed. */
struct stage {
    const struct fleet *fleet;
    const struct trace *trace;
    const struct samples *samples;        /* recorded metrics; NULL: none */
    const struct health_limits *limits;   /* of metrics */
    const struct plan_calendar *calendar; /* of moves that can wait */
    struct insights *insights;            /* forecasts, made when first asked for */
    const double *rtt_us;                 /* [site * gateways + gateway] */
    double step_s;
    double probe_s;        /* from one round of simulated metrics to the next, at most a step */
    double every_s;        /* from one decision to the next, if no move ends before */
    double horizon_s;      /* of p_fail; also what makes a move for health a mistake */
    double service_us;     /* mean answer time of an idle gateway */
    double capacity;       /* requests a second where gateways.csv has no iops_limit */
    uint64_t volume_bytes; /* size where volumes.csv has none */
};

/* A change of owner. */
struct run_trip {
    double time;
    size_t source;
    size_t target;
    double das_gain; /* of affinity, as planned; NaN: not known */
    double das_told; /* the same, as the history of moves tells it */
    bool mandatory;  /* to the planner */
    bool health;     /* made for health, not for affinity */
};

struct run_volume {
    size_t owner;
    size_t other; /* the target of a move under way, or where a copy is kept; RUN_NONE */
    enum rec_route_state state;
    bool mirrored;   /* the copy on OTHER gets all writes, and can take over */
    double unproved; /* share of that copy that was written since it was proved equal, 0 … 1 */
    uint64_t epoch;
    uint64_t bytes;
    double moved;           /* time of the last change of owner, or of the first sight */
    double kept_until;      /* of the copy on OTHER, if UNCOMMITTED */
    size_t before;          /* the owner before a move for affinity was the last; RUN_NONE */
    struct run_trip *trips; /* owned, oldest first */
    size_t n_trips, cap_trips;
};

struct run_gateway {
    enum rec_gateway_state state; /* what the operator says */
    enum scenario_condition condition;
    bool unwarned;  /* it failed without warning */
    double rate;    /* requests a second of its volumes, and of copies */
    double proving; /* blocks a second that were proved with it in the step before */
    double use;     /* of its capacity, 0 … 1 */
    double mean_us;
    unsigned leaving, arriving; /* moves under way */
    double handing;             /* when the last hand-over from it or to it has read what it must */
    double failed, switched;    /* times of the last moves from it; -INFINITY: none */
};

struct run_move {
    size_t volume, source, target;
    uint64_t number;
    double begun, ends;
    enum rec_route_state was; /* the volume's, before */
    uint64_t bytes;           /* 0: a hand-over to a mirrored copy */
    double read;              /* bytes that are read on both sides: to be copied, or proved … */
    double reads;             /* … and from when on */
    double das_gain, das_told;
    bool mandatory;
    bool health;
    bool standby;  /* no change of owner: the copy is mirrored then */
    bool mistaken; /* the source was well, and stays so for the horizon */
};

struct run {
    const struct stage *stage;
    const struct scenario *scenario;
    const struct plan_limits *limits;
    const char *policy;
    bool standby; /* kept copies stay mirrored until the volume's next move */
    uint64_t seed;
    const char *setting;       /* of a sweep, "" if none */
    struct rec_writer *events; /* NULL: nobody wants them */
    const struct outfile *events_file;
    double now;
    struct run_volume *volumes; /* those seen so far: the trace's first N_VOLUMES */
    size_t n_volumes;
    double *rates;  /* [volume * sites + site], requests a second now */
    double *writes; /* [volume], writes a second now */
    struct run_gateway *gateways;
    double *loads;          /* [gateway * sites + site], requests a second now */
    double gaining_us;      /* what moves for affinity save a second */
    bool dirty;             /* rates or owners have changed since the loads were summed up */
    bool ended;             /* a move has ended since the last decision */
    size_t next;            /* span of the trace that comes next */
    size_t last;            /* … and that ends next */
    struct run_move *moves; /* under way, oldest first */
    size_t n_moves, cap_moves;
    uint64_t numbers;
    struct tally tally;
};

/* A way to decide.  OPEN returns what the others are given as SELF; they end the program. */
struct policy {
    const char *name;
    bool standby; /* as with migrate-exec's --standby */
    void *(*open)(struct run *r);
    /* What was measured in the step that has just passed. */
    void (*observe)(void *self, struct run *r);
    void (*decide)(void *self, struct run *r);
    void (*close)(void *self);
};

/* Runs POLICY to the end of the trace.  R has stage, scenario, limits, policy, seed … EVENTS. */
void run_all(struct run *r, const struct policy *policy);
void run_release(struct run *r);

/* A move that a policy wants. */
struct run_wish {
    size_t volume, target;
    bool mandatory;
    bool health;
    double das_gain; /* NaN: not known */
    double das_told;
    const char *why; /* as the event's detail */
    bool standby;    /* a copy that stands by, and no change of owner */
};

/*
 * Begins a move of a volume that is not on its way already; a copy that is kept elsewhere is let go
 * first, or, by a move that must be made, left behind.  False: its source or target does not
 * answer, or, of a move that can wait, where that copy is.
 */
bool run_begin(struct run *r, const struct run_wish *w);

/* The same of a move that must be made, for health and for the reason WHY. */
bool run_must(struct run *r, size_t volume, size_t target, const char *why);

/* May another move be made from SOURCE to TARGET, by the limits of moves at once? */
bool run_may_begin(const struct run *r, size_t source, size_t target);

/* Bytes on GATEWAY with those that arrive and that are kept. */
uint64_t run_bytes(const struct run *r, size_t gateway);

/* May VOLUME go to GATEWAY: by its list, the gateway's state and its room? */
bool run_has_room(const struct run *r, size_t volume, size_t gateway);

/* Requests a second of VOLUME now. */
double run_rate(const struct run *r, size_t volume);

#endif
