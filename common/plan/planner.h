/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner at work: what its steps, in choose.c and improve.c, share. */
#ifndef GS_PLAN_PLANNER_H
#define GS_PLAN_PLANNER_H

#include "common/plan/choose.h"
#include "common/plan/units.h"

/* Kinds of moves in the order in which they are planned. */
enum plan_rank { RANK_MANDATORY, RANK_OPTIONAL, RANK_SHADOW_MANDATORY, RANK_SHADOW_OPTIONAL };

/* A unit that may move. */
struct plan_entry {
    struct plan_unit unit;
    enum plan_rank rank;
    enum plan_cause cause;
    bool balks;     /* the latest move from its owner failed: others of its rank go first */
    double best;    /* the highest rank of its targets, before any move is planned */
    double worth;   /* what it is ordered by within its rank, … */
    double value;   /* … and where that is the same: worth of all of it, not of a byte */
    uint64_t bytes; /* expected to be sent to that target; 0 where not known */
    size_t target;  /* what was chosen; PLAN_NONE: it stays */
    double start;   /* when, if it was chosen; 0: at once */
};

struct planner {
    const struct plan_fleet *fleet;
    const struct plan_limits *limits;
    const struct plan_sink *sink;
    double now;
    struct plan_projection told; /* with the moves that the sink was told */
    struct plan_projection all;  /* with all that are chosen */
    struct plan_projection *at;  /* which of the two is asked and changed */
    size_t healthiest; /* gateway that is active, by GHS; PLAN_NONE: none is and has one */
    struct plan_units units;
    struct plan_entry *queue;
    size_t n;
};

/* A member of E without a target. */
struct plan_case plan_entry_case(const struct planner *p, const struct plan_entry *e,
                                 size_t volume);
/* E's first member aimed at TARGET; the others share its score. */
struct plan_case plan_entry_aim(const struct planner *p, const struct plan_entry *e, size_t target);
/*
 * How much less TARGET is worth to E, that has to leave, than others, as one of E has failed to go
 * there (shun.h).  E is not put off for it: others that have to leave may fail there, too.
 */
double plan_entry_shun(const struct planner *p, const struct plan_entry *e, size_t target);
size_t plan_entry_owner(const struct planner *p, const struct plan_entry *e);

/* May all of E go where C aims?  If not, C is left at the member that was refused. */
enum plan_refusal plan_entry_judge(struct planner *p, const struct plan_entry *e,
                                   struct plan_case *c);

/* The same answer as to whether they may, without the reason; C may be left anywhere. */
bool plan_entry_may(struct planner *p, const struct plan_entry *e, struct plan_case *c);

/* Is each target of E refused, as is seen without a look at each?  False says nothing. */
bool plan_entry_hopeless(const struct planner *p, const struct plan_entry *e);

/* E is on its way to TARGET. */
void plan_entry_place(struct planner *p, const struct plan_entry *e, size_t target);

/*
 * Changes the targets that were chosen, as long as a pass over the queue finds that two entries of
 * one kind had better exchange theirs, or that one goes elsewhere so that another gets in where it
 * was.  Each change keeps every guard and adds a move or benefit.  P->all is without the choice
 * before and with it afterwards.  At most limits->improve candidates are looked at.  0 or -ENOMEM.
 */
int plan_improve(struct planner *p);

/*
 * How many of E, that has to leave, have a copy on TARGET, kept or in the making.  They go there
 * before anywhere else: while others would still copy they are there.  0 of one that could stay,
 * and of a return from a gateway that is overloaded (guards.h); a copy to which the last attempt
 * failed does not count.
 */
size_t plan_entry_copies(const struct planner *p, const struct plan_entry *e, size_t target);

#endif
