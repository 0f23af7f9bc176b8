/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The eight guards of a move, asked in order; the first that refuses is the reason.  A mandatory
 * move (its source has to be left) is exempt from guards 3 to 5 and 8, and from 6 as far as that
 * concerns the source and the affinity.
 */
#ifndef GS_PLAN_GUARDS_H
#define GS_PLAN_GUARDS_H

#include "common/plan/project.h"
#include "common/plan/score.h"

enum plan_guard {
    PLAN_GUARD_NONE,
    PLAN_GUARD_PLACEMENT,  /* 1: may it, and is there room? */
    PLAN_GUARD_HEALTH,     /* 2: is the target well, and no sicker than the source? */
    PLAN_GUARD_BENEFIT,    /* 3 */
    PLAN_GUARD_MARGIN,     /* 4: hysteresis */
    PLAN_GUARD_COOLDOWN,   /* 5 */
    PLAN_GUARD_CONFIDENCE, /* 6: are the scores sure and fresh? */
    PLAN_GUARD_LIMITS,     /* 7: moves at once */
    PLAN_GUARD_CALENDAR,   /* 8: is there a time to start? */
};

/* In the order in which they are looked for; those up to PLAN_REFUSED_PINNED need no target. */
enum plan_refusal {
    PLAN_PASS,
    PLAN_REFUSED_OWNER_UNKNOWN,
    PLAN_REFUSED_SOURCE_DOWN,
    PLAN_REFUSED_ALONE,
    PLAN_REFUSED_MOVING,
    PLAN_REFUSED_DEFERRED,
    PLAN_REFUSED_UNCOMMITTED,
    PLAN_REFUSED_MANUAL_RECOVERY,
    PLAN_REFUSED_OPEN,
    PLAN_REFUSED_PINNED,
    PLAN_REFUSED_TARGET_STATE,
    PLAN_REFUSED_TARGET_UNSCORED,
    PLAN_REFUSED_TARGET_SILENT,
    PLAN_REFUSED_NOT_ALLOWED,
    PLAN_REFUSED_NOT_SHARED,
    PLAN_REFUSED_APART,
    PLAN_REFUSED_SIZE_UNKNOWN,
    PLAN_REFUSED_NO_ROOM,
    PLAN_REFUSED_OVERLOAD,
    PLAN_REFUSED_BUSIER,
    PLAN_REFUSED_GROWTH,
    PLAN_REFUSED_FLOOR,
    PLAN_REFUSED_SOURCE_UNSCORED,
    PLAN_REFUSED_SOURCE_SILENT,
    PLAN_REFUSED_SICKER,
    PLAN_REFUSED_BENEFIT,
    PLAN_REFUSED_MARGIN,
    PLAN_REFUSED_COOLDOWN,
    PLAN_REFUSED_RETURN,
    PLAN_REFUSED_FAILED,
    PLAN_REFUSED_SOURCE_OLD,
    PLAN_REFUSED_SOURCE_AHEAD,
    PLAN_REFUSED_SOURCE_UNSURE,
    PLAN_REFUSED_TARGET_OLD,
    PLAN_REFUSED_TARGET_AHEAD,
    PLAN_REFUSED_TARGET_UNSURE,
    PLAN_REFUSED_AFFINITY_MISSING,
    PLAN_REFUSED_AFFINITY_OLD,
    PLAN_REFUSED_AFFINITY_AHEAD,
    PLAN_REFUSED_AFFINITY_UNSURE,
    PLAN_REFUSED_MOVES,
    PLAN_REFUSED_SOURCE_BUSY,
    PLAN_REFUSED_TARGET_BUSY,
    PLAN_REFUSED_EVACUATION,
    PLAN_REFUSED_CALENDAR,
};

enum plan_guard plan_guard_of(enum plan_refusal r);

/* "1-placement" … "8-calendar"; "" for none. */
const char *plan_guard_name(enum plan_guard g);

/* One question: may VOLUME go to TARGET now?  Everything is borrowed. */
struct plan_case {
    const struct plan_fleet *fleet;
    const struct plan_limits *limits;
    const struct plan_projection *projection;
    double now;
    size_t volume;
    size_t target; /* PLAN_NONE: the volume as such */
    enum plan_cause cause;
    struct plan_score score; /* of the unit that VOLUME moves with */
    size_t together;         /* volumes in that unit; 1: VOLUME alone */
    double start;            /* of a planned move: Unix seconds; 0: at once */
    bool standby;            /* a copy is to stand by there: VOLUME stays */
};

const struct plan_volume *plan_case_volume(const struct plan_case *c);
const struct plan_gateway *plan_case_source(const struct plan_case *c);
const struct plan_gateway *plan_case_target(const struct plan_case *c);

/* The first refusal that holds for every target, or PLAN_PASS.  Needs no target and score. */
enum plan_refusal plan_judge_volume(const struct plan_case *c);

/* The first refusal of this target, or PLAN_PASS.  The volume as such has passed. */
enum plan_refusal plan_judge(const struct plan_case *c);

/*
 * The first refusal of a copy that is to stand by there: placement, the target's health and its
 * confidence, and moves at once; or PLAN_PASS.  The cause is none.
 */
enum plan_refusal plan_judge_standby(const struct plan_case *c);

/*
 * Is every target refused, as is seen without a look at each?  C is aimed at the healthiest gateway
 * that is active (PLAN_NONE: there is none) with the score of plan_score_most(), which only counts
 * for a volume that moves alone.  False says nothing.
 */
bool plan_judge_hopeless(const struct plan_case *c);

/* Is plan_judge() PLAN_PASS?  Sooner told, as what is quickly asked is asked first. */
bool plan_judge_passes(const struct plan_case *c);

/* Seconds that the volume has to rest since its last move: doubled by each mandatory return. */
double plan_rest_s(const struct plan_case *c);

/*
 * Did the volume leave the target less than return_after_s ago, and is the way back none that
 * follows the demand?  An optional move is refused for it (guard 5).
 */
bool plan_case_returns(const struct plan_case *c);

/*
 * Must the source be left, and is what it lacks mostly due to its load, says its health?  Each move
 * takes some of that away, so that a few will do; all of it at once would only be too much
 * somewhere else.
 */
bool plan_case_overloaded(const struct plan_case *c);

/* Time of the volume's last move, or -INFINITY. */
double plan_last_move(const struct plan_case *c);

/*
 * The share of its iops_limit that the target has at the peak of its busiest hour once the volume
 * is there, and that the source has now.  0: no limit, or no forecast was given.
 */
double plan_target_use(const struct plan_case *c);
double plan_source_use(const struct plan_case *c);

/*
 * Requests a second of the target at the peak of its busiest hour once the volume is there, and of
 * the source now.  0 where no forecast was given.
 */
double plan_target_peak(const struct plan_case *c);
double plan_source_peak(const struct plan_case *c);

/*
 * Does it count as one of the moves at once?  A mandatory one that is a hand-over does not, unless
 * its source's trouble is mostly its load.
 */
bool plan_case_counts(const struct plan_case *c);

/* How many gateways may be evacuated at once: max(1, share of all). */
unsigned plan_evacuations(const struct plan_fleet *f, const struct plan_limits *lim);

#endif
