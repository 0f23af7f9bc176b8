/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What planned moves would have been good for, judged by what came after them: a move has paid off
 * if within the horizon its source failed or was degraded, before its target was, or if within
 * that of the affinity the demand came that it was made for.  Everything else that is known is a
 * mismigration.
 */
#ifndef GS_PLAN_OUTCOME_H
#define GS_PLAN_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"
#include "common/record/schema.h"

/* Why the outcome is what it is; in the order of enum rec_outcome. */
enum plan_why {
    PLAN_WHY_FAILED,   /* paid off: the source failed */
    PLAN_WHY_DEGRADED, /* or was degraded, */
    PLAN_WHY_DEMAND,   /* or the demand came */
    PLAN_WHY_TARGET_FAILED,
    PLAN_WHY_TARGET_DEGRADED,
    PLAN_WHY_NOTHING,   /* came */
    PLAN_WHY_TOO_SOON,  /* unknown: the horizon is not over */
    PLAN_WHY_UNCLEAR,   /* there was an outage, or silence, at the source */
    PLAN_WHY_NO_ACCESS, /* whether the demand came is not known */
    PLAN_WHY_DRAINED,   /* by the operator: nothing was predicted */
};

enum rec_outcome plan_outcome_of(enum plan_why why);

/* A planned move; names are kept by the grades. */
struct plan_graded {
    const char *volume;
    const char *source;
    const char *target;
    uint64_t epoch;
    enum rec_plan_kind kind;
    double time;       /* from when it would have been there; Unix seconds */
    double source_ghs; /* as planned, and so on; NaN: not known */
    double target_ghs;
    double source_das;
    double target_das;
    uint64_t bytes; /* 0: not known */
    bool drained;   /* the operator had the source drained */
    /* Filled by the grades: */
    size_t from; /* the source's number, and the target's, in plan_grades.gateways */
    size_t to;
    double requests; /* that came within the affinity's horizon */
    double near_source;
    double near_target;
    enum plan_why why;
    double after_s; /* from TIME to what settled it; NaN: that has no time */
};

enum plan_trouble { PLAN_TROUBLE_FAILED, PLAN_TROUBLE_DEGRADED, PLAN_TROUBLE_UNCLEAR };

struct plan_troubled {
    size_t gateway;
    double time;
    enum plan_trouble trouble;
};

/* Zero-initialise; plan_grades_release() frees. */
struct plan_grades {
    struct intern gateways;
    struct intern volumes;
    struct plan_graded *rows;
    size_t n;
    size_t cap;
    size_t *first; /* of each volume two: its first row, and one behind its last */
    struct plan_troubled *troubles;
    size_t n_troubles;
    size_t troubles_cap;
    double horizon_s; /* of trouble */
    double demand_s;  /* and of requests */
};

/* What is judged by. */
struct plan_grade_terms {
    double known_until;  /* failures and health are known up to then; Unix seconds */
    double demand_until; /* and accesses; -INFINITY: none */
    double margin;       /* as guard 4's */
    /* By a gateway's number, its last record of health: if that lies more than SILENCE_S before the
     * end of the horizon it was silent from then on.  NULL: silence tells nothing. */
    const double *seen_until;
    double silence_s;
};

/* Takes a planned move, whose names it copies.  0 or -ENOMEM. */
int plan_grades_row(struct plan_grades *g, const struct plan_graded *row);

/* GATEWAY had TROUBLE at TIME.  0 or -ENOMEM. */
int plan_grades_trouble(struct plan_grades *g, const char *gateway, double time,
                        enum plan_trouble trouble);

/*
 * Ends the rows, and opens them for requests, with horizon_s and demand_s set.  The same move, of
 * one epoch, that was planned again within horizon_s of the first time counts once.  0 or -ENOMEM.
 */
int plan_grades_open(struct plan_grades *g);

/*
 * COUNT requests of VOLUME came at TIME, from clients with this CLOSENESS (0 … 1) to each of the N
 * first gateways.
 */
void plan_grades_request(struct plan_grades *g, const char *volume, double time, double count,
                         const double *closeness, size_t n);

/* Judges all rows, and puts them in order of time and names. */
void plan_grades_judge(struct plan_grades *g, const struct plan_grade_terms *t);

/* The affinity that the requests which came had to source and target; NaN: none came. */
double plan_graded_source_das(const struct plan_graded *row);
double plan_graded_target_das(const struct plan_graded *row);

void plan_grades_release(struct plan_grades *g);

#endif
