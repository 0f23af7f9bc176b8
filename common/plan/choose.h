/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The planner: which volume goes where, and why every other one stays. */
#ifndef GS_PLAN_CHOOSE_H
#define GS_PLAN_CHOOSE_H

#include "common/plan/guards.h"

/* A planned move; C is borrowed for the call. */
struct plan_move {
    const struct plan_case *c;
    enum rec_plan_kind kind;
    double not_before; /* Unix seconds; 0: at once.  Only moves that can wait have one */
};

/* The answer for one volume and target (or the volume as such: target PLAN_NONE). */
struct plan_verdict {
    const struct plan_case *c; /* borrowed for the call */
    enum rec_verdict verdict;
    enum plan_refusal refusal; /* PLAN_PASS where another target was better, or for a move */
    size_t better;             /* that target, or PLAN_NONE */
    /* Whose refusal it is, and for whose words: another volume of the group; NULL: C's own. */
    const struct plan_case *held;
};

/*
 * Where decisions go.  Each function returns 0 to go on; anything else stops the planner and is
 * its result.  VERDICT may be NULL.
 */
struct plan_sink {
    void *arg;
    int (*move)(void *arg, const struct plan_move *m);
    int (*verdict)(void *arg, const struct plan_verdict *v);
};

/*
 * Decides about every volume of F (settled) at time NOW, and then which of those that stay get a
 * copy that stands by (standby.h), of which no verdict is told.  Mandatory moves go before optional
 * ones, and those of manual volumes, which are only shadows, last; within a kind, the higher
 * benefit for each byte sent (by limits->order: as such) first, then fewer bytes, then the name.  A
 * volume takes the target with the highest benefit that every guard lets it, among equals the one
 * that is sent fewer bytes, then the one that served the larger share, then the one with the lower
 * peak of predicted requests, then the first by name.
 *
 * Volumes of a group on one gateway move together or not at all, judged one by one but with the
 * score of all, and count as one move at once.  One that may not move at all holds the others, but
 * not on a gateway that has to be left.
 * The result depends on the contents of F only, not on the order in which it was filled.
 *
 * 0, -ENOMEM, or what the sink returned.
 */
int plan_choose(const struct plan_fleet *f, const struct plan_limits *lim, double now,
                const struct plan_sink *sink);

#endif
