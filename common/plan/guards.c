/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/base/saturate.h"
#include "common/plan/guards.h"

#include <math.h>

#include "common/plan/cost.h"
#include "common/plan/left.h"
#include "common/plan/shun.h"

static const char *const guard_names[] = {
    [PLAN_GUARD_NONE] = "",
    [PLAN_GUARD_PLACEMENT] = "1-placement",
    [PLAN_GUARD_HEALTH] = "2-health",
    [PLAN_GUARD_BENEFIT] = "3-benefit",
    [PLAN_GUARD_MARGIN] = "4-margin",
    [PLAN_GUARD_COOLDOWN] = "5-cooldown",
    [PLAN_GUARD_CONFIDENCE] = "6-confidence",
    [PLAN_GUARD_LIMITS] = "7-limits",
    [PLAN_GUARD_CALENDAR] = "8-calendar",
};

const char *plan_guard_name(enum plan_guard g)
{
    return guard_names[g];
}

/* Refusals stand in the order of their guards, so the last one of each guard bounds it. */
enum plan_guard plan_guard_of(enum plan_refusal r)
{
    static const enum plan_refusal last[] = {
        [PLAN_GUARD_NONE] = PLAN_PASS,
        [PLAN_GUARD_PLACEMENT] = PLAN_REFUSED_GROWTH,
        [PLAN_GUARD_HEALTH] = PLAN_REFUSED_SICKER,
        [PLAN_GUARD_BENEFIT] = PLAN_REFUSED_BENEFIT,
        [PLAN_GUARD_MARGIN] = PLAN_REFUSED_MARGIN,
        [PLAN_GUARD_COOLDOWN] = PLAN_REFUSED_FAILED,
        [PLAN_GUARD_CONFIDENCE] = PLAN_REFUSED_AFFINITY_UNSURE,
        [PLAN_GUARD_LIMITS] = PLAN_REFUSED_EVACUATION,
        [PLAN_GUARD_CALENDAR] = PLAN_REFUSED_CALENDAR,
    };
    enum plan_guard g = PLAN_GUARD_NONE;
    while (r > last[g])
        g++;
    return g;
}

const struct plan_volume *plan_case_volume(const struct plan_case *c)
{
    return &c->fleet->volumes[c->volume];
}

const struct plan_gateway *plan_case_source(const struct plan_case *c)
{
    return &c->fleet->gateways[plan_case_volume(c)->owner];
}

const struct plan_gateway *plan_case_target(const struct plan_case *c)
{
    return &c->fleet->gateways[c->target];
}

static bool mandatory(const struct plan_case *c)
{
    return c->cause != PLAN_CAUSE_NONE;
}

/* ---- 1: placement ---- */

static enum plan_refusal open_move(enum rec_route_state state)
{
    switch (state) {
    case ROUTE_STATE_STEADY:
        return PLAN_PASS;
    case ROUTE_STATE_MOVING:
        return PLAN_REFUSED_MOVING;
    case ROUTE_STATE_DEFERRED:
        return PLAN_REFUSED_DEFERRED;
    case ROUTE_STATE_UNCOMMITTED:
        return PLAN_REFUSED_UNCOMMITTED;
    case ROUTE_STATE_MANUAL_RECOVERY:
        break;
    }
    return PLAN_REFUSED_MANUAL_RECOVERY;
}

/*
 * A kept copy is let go, gone back to, or left behind on a gateway that is dead, when the volume
 * has to leave.  What can wait lets it go once it was kept for as long as was promised, which needs
 * its gateway, so not one that is silent or may soon be dead.  Of one that only stands by nothing
 * was promised.
 */
static bool may_let_go(const struct plan_case *c)
{
    const struct plan_volume *v = plan_case_volume(c);
    if ((v->state == ROUTE_STATE_DEFERRED || v->copying) && mandatory(c))
        return true; /* mirrored or not: nothing is better on a gateway that fails */
    if (!plan_fleet_kept(c->fleet, c->volume, v->other))
        return false;
    const struct plan_gateway *kept = &c->fleet->gateways[v->other];
    if (mandatory(c))
        return true;
    if (!kept->scored || isnan(kept->health.ghs))
        return false;
    if (v->state == ROUTE_STATE_DEFERRED)
        return true;
    return c->now - v->routed >= c->limits->retain_s &&
           plan_cause(kept, c->limits) == PLAN_CAUSE_NONE;
}

enum plan_refusal plan_judge_volume(const struct plan_case *c)
{
    const struct plan_volume *v = plan_case_volume(c);
    if (v->owner == PLAN_NONE)
        return PLAN_REFUSED_OWNER_UNKNOWN;
    if (plan_case_source(c)->state == GATEWAY_STATE_DOWN && c->cause != PLAN_CAUSE_DOWN)
        return PLAN_REFUSED_SOURCE_DOWN;
    if (c->fleet->gateway_names.n < 2)
        return PLAN_REFUSED_ALONE;
    if (v->handed)
        return PLAN_REFUSED_MOVING;
    if (v->state != ROUTE_STATE_STEADY && !may_let_go(c))
        return open_move(v->state);
    if (v->open && !(v->copying && mandatory(c)))
        return PLAN_REFUSED_OPEN;
    if (v->policy == POLICY_PINNED && !(c->limits->force && mandatory(c)))
        return PLAN_REFUSED_PINNED;
    return PLAN_PASS;
}

/* Requests a second at the peak of an hour with MILLI thousandths of requests. */
static double peak(const struct plan_case *c, uint64_t milli)
{
    return c->limits->peak_factor * (double)milli / 3.6e6;
}

static double use(const struct plan_case *c, const struct plan_gateway *g, uint64_t milli)
{
    return g->iops_limit > 0 ? peak(c, milli) / g->iops_limit : 0;
}

static uint64_t target_milli(const struct plan_case *c)
{
    return plan_hours_joint_peak(&c->projection->hours[c->target], &c->fleet->hours[c->volume]);
}

/* As it was: what comes to it by this plan is no excuse. */
static uint64_t source_milli(const struct plan_case *c)
{
    return c->projection->gateways[plan_case_volume(c)->owner].now_milli;
}

double plan_target_use(const struct plan_case *c)
{
    return c->projection->hours ? use(c, plan_case_target(c), target_milli(c)) : 0;
}

double plan_source_use(const struct plan_case *c)
{
    return use(c, plan_case_source(c), source_milli(c));
}

double plan_target_peak(const struct plan_case *c)
{
    return c->projection->hours ? peak(c, target_milli(c)) : 0;
}

double plan_source_peak(const struct plan_case *c)
{
    return peak(c, source_milli(c));
}

/* Hour by hour: a target for the night may be busy by day. */
static enum plan_refusal hourly_load(const struct plan_case *c)
{
    const struct plan_gateway *t = plan_case_target(c);
    const uint64_t most =
        plan_case_volume(c)->peak_milli + c->projection->gateways[c->target].peak_milli;
    const double busy = fmin(1, c->limits->busy);
    if (!plan_exceeds(use(c, t, most), busy)) /* not even if both have the same busiest hour */
        return PLAN_PASS;
    const double then = plan_target_use(c);
    if (plan_exceeds(then, 1))
        return PLAN_REFUSED_OVERLOAD;
    if (!mandatory(c) && plan_exceeds(then, busy) && plan_case_source(c)->iops_limit > 0 &&
        plan_exceeds(then, plan_source_use(c)))
        return PLAN_REFUSED_BUSIER;
    return PLAN_PASS;
}

static enum plan_refusal mean_load(const struct plan_case *c)
{
    const struct plan_gateway *t = plan_case_target(c);
    const double rate = c->projection->gateways[c->target].rate;
    const double more = plan_peak(plan_case_volume(c), c->limits);
    return plan_exceeds(rate + more, t->iops_limit) ? PLAN_REFUSED_OVERLOAD : PLAN_PASS;
}

/*
 * What a gateway without limit stands nobody knows: what it serves now, give or take, it does; so
 * does, as far as one can tell, its source.
 */
static enum plan_refusal unlimited_load(const struct plan_case *c)
{
    const struct plan_load *t = &c->projection->gateways[c->target];
    const double by_source = c->limits->busier * (double)source_milli(c);
    const double bar = fmax(by_source, (1 + c->limits->growth) * (double)t->now_milli);
    if (mandatory(c) || (double)(t->peak_milli + plan_case_volume(c)->peak_milli) <= bar)
        return PLAN_PASS;
    return (double)target_milli(c) > bar ? PLAN_REFUSED_GROWTH : PLAN_PASS;
}

static enum plan_refusal load_fits(const struct plan_case *c)
{
    enum plan_refusal r = PLAN_PASS;
    const bool limited = plan_case_target(c)->iops_limit > 0;
    if (limited)
        r = c->projection->hours ? hourly_load(c) : mean_load(c);
    if (!r && c->projection->hours && !(limited && plan_case_source(c)->iops_limit > 0))
        r = unlimited_load(c);
    return r;
}

static enum plan_refusal room(const struct plan_case *c)
{
    const struct plan_volume *v = plan_case_volume(c);
    const struct plan_gateway *t = plan_case_target(c);
    const struct plan_load *load = &c->projection->gateways[c->target];
    if (t->capacity_bytes && !v->size_bytes)
        return PLAN_REFUSED_SIZE_UNKNOWN;
    /* What is there has its room already. */
    if (t->capacity_bytes && !plan_left_room(c->fleet, c->volume, c->target) &&
        saturate_sum(load->bytes, v->size_bytes) > t->capacity_bytes)
        return PLAN_REFUSED_NO_ROOM;
    return load_fits(c);
}

static enum plan_refusal guard_placement(const struct plan_case *c)
{
    const struct plan_gateway *t = plan_case_target(c);
    if (t->state != GATEWAY_STATE_ACTIVE)
        return PLAN_REFUSED_TARGET_STATE;
    if (!t->scored)
        return PLAN_REFUSED_TARGET_UNSCORED;
    if (isnan(t->health.ghs))
        return PLAN_REFUSED_TARGET_SILENT;
    if (!plan_fleet_allowed(c->fleet, c->volume, c->target))
        return PLAN_REFUSED_NOT_ALLOWED;
    if (c->cause == PLAN_CAUSE_DOWN &&
        !plan_fleet_shared(c->fleet, plan_case_volume(c)->owner, c->target))
        return PLAN_REFUSED_NOT_SHARED;
    if (plan_projection_shared(c->projection, c->fleet, c->volume, c->target))
        return PLAN_REFUSED_APART;
    return room(c);
}

/* ---- 2: health ---- */

static enum plan_refusal guard_health(const struct plan_case *c)
{
    const double slack = c->limits->margin / 2;
    const bool anywhere = c->cause == PLAN_CAUSE_DRAIN && c->limits->force;
    if (plan_exceeds(c->limits->target_floor, c->score.target_ghs) && !anywhere)
        return PLAN_REFUSED_FLOOR;
    if (c->cause == PLAN_CAUSE_DRAIN || c->cause == PLAN_CAUSE_DOWN)
        return PLAN_PASS;
    if (!plan_case_source(c)->scored)
        return PLAN_REFUSED_SOURCE_UNSCORED;
    if (isnan(c->score.source_ghs))
        return PLAN_REFUSED_SOURCE_SILENT;
    const double bar = c->score.source_ghs + (mandatory(c) ? slack : -slack);
    return plan_exceeds(c->score.target_ghs, bar) ? PLAN_PASS : PLAN_REFUSED_SICKER;
}

/* ---- 3 and 4: benefit and margin ---- */

static enum plan_refusal guard_benefit(const struct plan_case *c)
{
    if (mandatory(c) || plan_exceeds(c->score.benefit, c->limits->threshold))
        return PLAN_PASS;
    return PLAN_REFUSED_BENEFIT;
}

static enum plan_refusal guard_margin(const struct plan_case *c)
{
    if (mandatory(c) || plan_exceeds(c->score.benefit - c->score.reverse, c->limits->margin))
        return PLAN_PASS;
    return PLAN_REFUSED_MARGIN;
}

/* ---- 5: cooldown ---- */

double plan_last_move(const struct plan_case *c)
{
    const struct plan_volume *v = plan_case_volume(c);
    const struct plan_trip *last = plan_past_last(&v->past);
    if (last)
        return last->time;
    /* Without history, the route tells at least when its owner may have changed last. */
    return !c->fleet->with_history && v->epoch > 1 ? v->routed : -(double)INFINITY;
}

double plan_rest_s(const struct plan_case *c)
{
    const struct plan_past *p = &plan_case_volume(c)->past;
    unsigned n = plan_past_returns(p, c->now - c->limits->flap_window_s);
    return ldexp(c->limits->cooldown_s, (int)n);
}

/* Was the earlier move made for affinity, and would this one be: following the demand? */
static bool follows_demand(const struct plan_case *c, const struct plan_trip *there)
{
    const double gain = c->score.target_das - c->score.source_das;
    return plan_exceeds(there->das_gain, c->limits->margin) &&
           plan_exceeds(gain, c->limits->margin);
}

static bool of_late(const struct plan_case *c, const struct plan_trip *t)
{
    return t && c->now - t->time < c->limits->return_after_s;
}

bool plan_case_returns(const struct plan_case *c)
{
    const struct plan_past *past = &plan_case_volume(c)->past;
    /* Most volumes moved long ago: their trips need not be gone through. */
    if (!of_late(c, plan_past_last(past)))
        return false;
    const struct plan_trip *left = plan_past_left(past, plan_case_target(c)->name);
    return of_late(c, left) && !follows_demand(c, left);
}

static enum plan_refusal guard_cooldown(const struct plan_case *c)
{
    if (mandatory(c))
        return PLAN_PASS;
    if (c->now - plan_last_move(c) < plan_rest_s(c))
        return PLAN_REFUSED_COOLDOWN;
    if (plan_case_returns(c))
        return PLAN_REFUSED_RETURN;
    return plan_shun(c->fleet, c->volume, c->target, c->now) ? PLAN_REFUSED_FAILED : PLAN_PASS;
}

/* ---- 6: confidence ---- */

/* The refusals "old", "ahead" and "unsure" of one subject stand in this order from OLD on. */
static enum plan_refusal freshness(const struct plan_case *c, double time, double max_age_s,
                                   double confidence, enum plan_refusal old)
{
    if (c->now - time > max_age_s)
        return old;
    if (time - c->now > c->limits->max_skew_s)
        return old + 1;
    return plan_exceeds(c->limits->min_confidence, confidence) ? old + 2 : PLAN_PASS;
}

static enum plan_refusal health_confidence(const struct plan_case *c, const struct plan_gateway *g,
                                           enum plan_refusal old)
{
    return freshness(c, g->health.time, c->limits->health_max_age_s, g->health.confidence, old);
}

static enum plan_refusal affinity_confidence(const struct plan_case *c)
{
    const struct plan_demand *d = &plan_case_volume(c)->demand;
    if (!c->fleet->with_affinity)
        return PLAN_PASS;
    if (!d->known || isnan(c->score.source_das) || isnan(c->score.target_das))
        return PLAN_REFUSED_AFFINITY_MISSING;
    return freshness(c, d->time, c->limits->affinity_max_age_s, d->confidence,
                     PLAN_REFUSED_AFFINITY_OLD);
}

static enum plan_refusal guard_confidence(const struct plan_case *c)
{
    enum plan_refusal r = PLAN_PASS;
    if (!mandatory(c))
        r = health_confidence(c, plan_case_source(c), PLAN_REFUSED_SOURCE_OLD);
    if (!r)
        r = health_confidence(c, plan_case_target(c), PLAN_REFUSED_TARGET_OLD);
    return r || mandatory(c) ? r : affinity_confidence(c);
}

/* ---- 7: limits ---- */

unsigned plan_evacuations(const struct plan_fleet *f, const struct plan_limits *lim)
{
    const double share = floor(lim->max_evacuate * (double)f->gateway_names.n + 1e-9);
    return share < 1 ? 1 : (unsigned)share;
}

bool plan_case_overloaded(const struct plan_case *c)
{
    const struct plan_health *h = &plan_case_source(c)->health;
    return (c->cause == PLAN_CAUSE_P_FAIL || c->cause == PLAN_CAUSE_CRITICAL) &&
           plan_exceeds(2 * h->by_load, 1 - h->ghs);
}

/* The limits are on copies; what must leave and copies next to nothing does not wait for them. */
bool plan_case_counts(const struct plan_case *c)
{
    return !mandatory(c) || plan_case_overloaded(c) ||
           !plan_cost_handover(c->fleet, c->limits, c->volume, c->target);
}

static enum plan_refusal guard_limits(const struct plan_case *c)
{
    const struct plan_projection *p = c->projection;
    const struct plan_load *source = &p->gateways[plan_case_volume(c)->owner];
    const bool counts = plan_case_counts(c);
    if (counts && p->moves >= c->limits->max_moves)
        return PLAN_REFUSED_MOVES;
    if (counts && source->leaving >= c->limits->max_per_source)
        return PLAN_REFUSED_SOURCE_BUSY;
    if (counts && p->gateways[c->target].arriving >= c->limits->max_per_target)
        return PLAN_REFUSED_TARGET_BUSY;
    if (mandatory(c) && !source->evacuated && p->evacuated >= plan_evacuations(c->fleet, c->limits))
        return PLAN_REFUSED_EVACUATION;
    return PLAN_PASS;
}

/* ---- 8: calendar ---- */

static enum plan_refusal guard_calendar(const struct plan_case *c)
{
    return mandatory(c) || isfinite(c->projection->opens) ? PLAN_PASS : PLAN_REFUSED_CALENDAR;
}

enum plan_refusal plan_judge(const struct plan_case *c)
{
    static enum plan_refusal (*const guards[])(const struct plan_case *) = {
        guard_placement, guard_health,     guard_benefit, guard_margin,
        guard_cooldown,  guard_confidence, guard_limits,  guard_calendar,
    };
    enum plan_refusal r = PLAN_PASS;
    for (size_t i = 0; !r && i < sizeof(guards) / sizeof(*guards); i++)
        r = guards[i](c);
    return r;
}

enum plan_refusal plan_judge_standby(const struct plan_case *c)
{
    enum plan_refusal r = guard_placement(c);
    if (!r && (plan_exceeds(c->limits->target_floor, c->score.target_ghs) ||
               plan_cause(plan_case_target(c), c->limits) != PLAN_CAUSE_NONE))
        r = PLAN_REFUSED_FLOOR;
    if (!r)
        r = health_confidence(c, plan_case_target(c), PLAN_REFUSED_TARGET_OLD);
    return r ? r : guard_limits(c);
}

/* ---- without a look at each target ---- */

/* Is each of its ways a copy, whatever the target? */
static bool copies_anywhere(const struct plan_case *c)
{
    return !mandatory(c) || (!*plan_case_source(c)->storage &&
                             !plan_fleet_kept(c->fleet, c->volume, plan_case_volume(c)->other));
}

static bool no_move_left(const struct plan_case *c)
{
    const struct plan_projection *p = c->projection;
    const struct plan_load *source = &p->gateways[plan_case_volume(c)->owner];
    if (mandatory(c) && !source->evacuated && p->evacuated >= plan_evacuations(c->fleet, c->limits))
        return true;
    return (p->moves >= c->limits->max_moves || source->leaving >= c->limits->max_per_source) &&
           copies_anywhere(c);
}

static bool worth_nothing(const struct plan_case *c)
{
    return guard_health(c) || guard_benefit(c) || guard_margin(c);
}

/* Of guards 5 and 6, what does not depend on the target. */
static bool rests_or_unsure(const struct plan_case *c)
{
    return c->now - plan_last_move(c) < plan_rest_s(c) ||
           health_confidence(c, plan_case_source(c), PLAN_REFUSED_SOURCE_OLD) ||
           affinity_confidence(c);
}

bool plan_judge_hopeless(const struct plan_case *c)
{
    if (c->target == PLAN_NONE || no_move_left(c))
        return true;
    if (c->together == 1 && worth_nothing(c))
        return true;
    return !mandatory(c) && (guard_calendar(c) || rests_or_unsure(c));
}

bool plan_judge_passes(const struct plan_case *c)
{
    return !worth_nothing(c) && !guard_placement(c) && !guard_cooldown(c) && !guard_confidence(c) &&
           !guard_limits(c) && !guard_calendar(c);
}
