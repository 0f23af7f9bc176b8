/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/planner.h"

#include <math.h>

#include "common/plan/shun.h"

struct plan_case plan_entry_case(const struct planner *p, const struct plan_entry *e, size_t volume)
{
    return (struct plan_case){
        .fleet = p->fleet,
        .limits = p->limits,
        .projection = p->at,
        .now = p->now,
        .volume = volume,
        .target = PLAN_NONE,
        .cause = e->cause,
        .score = {NAN, NAN, NAN, NAN, NAN, NAN, 0},
        .together = e->unit.n,
    };
}

/* If one of E does. */
static bool returns(const struct plan_entry *e, const struct plan_case *c)
{
    struct plan_case each = *c;
    bool any = false;
    for (size_t i = 0; !any && i < e->unit.n; i++) {
        each.volume = e->unit.members[i];
        any = plan_case_returns(&each);
    }
    return any;
}

double plan_entry_shun(const struct planner *p, const struct plan_entry *e, size_t target)
{
    double most = 0;
    for (size_t i = 0; i < e->unit.n; i++)
        most =
            fmax(most, plan_shun_handicap(plan_shun(p->fleet, e->unit.members[i], target, p->now)));
    return most;
}

/*
 * What must leave may go back to where it was of late: but the alarm may be false, as that before
 * it was, so another gateway is taken unless that is worse by the margin.
 */
struct plan_case plan_entry_aim(const struct planner *p, const struct plan_entry *e, size_t target)
{
    struct plan_case c = plan_entry_case(p, e, e->unit.members[0]);
    c.target = target;
    c.score = plan_score_joint(p->fleet, e->unit.members, e->unit.n, target);
    if (e->cause && returns(e, &c))
        c.score.handicap = p->limits->margin;
    c.score.handicap += plan_entry_shun(p, e, target);
    return c;
}

size_t plan_entry_owner(const struct planner *p, const struct plan_entry *e)
{
    return p->fleet->volumes[e->unit.members[0]].owner;
}

/* Each member is judged with those before it in place; leaves C at the one that was refused. */
static enum plan_refusal judge_group(struct planner *p, const struct plan_entry *e,
                                     struct plan_case *c)
{
    const struct plan_load before = p->at->gateways[c->target];
    enum plan_refusal r = PLAN_PASS;
    size_t n = 0;
    for (; n < e->unit.n; n++) {
        c->volume = e->unit.members[n];
        r = plan_judge(c);
        if (r)
            break;
        plan_projection_place(p->at, p->fleet, p->limits, c->volume, c->target);
    }
    plan_projection_undo(p->at, p->fleet, e->unit.members, n, c->target, &before);
    return r;
}

enum plan_refusal plan_entry_judge(struct planner *p, const struct plan_entry *e,
                                   struct plan_case *c)
{
    return e->unit.n == 1 ? plan_judge(c) : judge_group(p, e, c);
}

bool plan_entry_may(struct planner *p, const struct plan_entry *e, struct plan_case *c)
{
    return e->unit.n == 1 ? plan_judge_passes(c) : judge_group(p, e, c) == PLAN_PASS;
}

/* One that may go nowhere holds the others. */
bool plan_entry_hopeless(const struct planner *p, const struct plan_entry *e)
{
    bool hopeless = p->healthiest == PLAN_NONE;
    for (size_t i = 0; !hopeless && i < e->unit.n; i++) {
        struct plan_case c = plan_entry_case(p, e, e->unit.members[i]);
        c.target = p->healthiest;
        c.score = plan_score_most(p->fleet, c.volume, c.target);
        hopeless = plan_judge_hopeless(&c);
    }
    return hopeless;
}

/*
 * Is E's way to TARGET a return from a gateway that only has too much to do?  A copy there is not
 * worth that: the gateway goes on, and so would the way to and fro.
 */
static bool turns_back(const struct planner *p, const struct plan_entry *e, size_t target)
{
    struct plan_case c = plan_entry_case(p, e, e->unit.members[0]);
    c.target = target;
    c.score = plan_score_joint(p->fleet, e->unit.members, e->unit.n, target);
    return plan_case_overloaded(&c) && returns(e, &c);
}

size_t plan_entry_copies(const struct planner *p, const struct plan_entry *e, size_t target)
{
    size_t n = 0;
    for (size_t i = 0; e->cause && i < e->unit.n; i++)
        n += (plan_fleet_kept(p->fleet, e->unit.members[i], target) ||
              plan_fleet_copying(p->fleet, e->unit.members[i]) == target) &&
             !plan_shun(p->fleet, e->unit.members[i], target, p->now);
    return n && !turns_back(p, e, target) ? n : 0;
}

/* If one of E does. */
static bool counts(const struct planner *p, const struct plan_entry *e, size_t target)
{
    struct plan_case c = plan_entry_case(p, e, e->unit.members[0]);
    bool any = false;
    c.target = target;
    for (size_t i = 0; !any && i < e->unit.n; i++) {
        c.volume = e->unit.members[i];
        any = plan_case_counts(&c);
    }
    return any;
}

void plan_entry_place(struct planner *p, const struct plan_entry *e, size_t target)
{
    for (size_t i = 0; i < e->unit.n; i++)
        plan_projection_place(p->at, p->fleet, p->limits, e->unit.members[i], target);
    plan_projection_start(p->at, p->fleet, p->limits, plan_entry_owner(p, e), target,
                          counts(p, e, target));
}
