/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/words.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/parse.h"
#include "common/plan/cost.h"
#include "common/plan/figure.h"
#include "common/plan/left.h"
#include "common/plan/shun.h"

static const char mandatory_mark[] = "mandatory: ";
static const char drains_mark[] = " drains";
static const char affinity_mark[] = "; affinity ";
static const char between_mark[] = " to ";

/* ---- why a move is made ---- */

/* A health record's reason is quoted up to here, so that what follows survives in an event. */
enum { QUOTE_MAX = 100 };

static int source_words(struct buf *b, const struct plan_case *c)
{
    const struct plan_gateway *s = plan_case_source(c);
    const char *why = s->scored ? s->health.reason : "";
    const char *open = *why ? " (" : "", *close = *why ? ")" : "";
    switch (c->cause) {
    case PLAN_CAUSE_DOWN:
        return buf_printf(b, "%s%s is down", mandatory_mark, s->name);
    case PLAN_CAUSE_DRAIN:
        return buf_printf(b, "%s%s%s", mandatory_mark, s->name, drains_mark);
    case PLAN_CAUSE_CRITICAL:
        return buf_printf(b, "%s%s health %.2f%s%.*s%s", mandatory_mark, s->name, s->health.ghs,
                          open, QUOTE_MAX, why, close);
    case PLAN_CAUSE_P_FAIL:
        return buf_printf(b, "%s%s p_fail %.2f%s%.*s%s", mandatory_mark, s->name, s->health.p_fail,
                          open, QUOTE_MAX, why, close);
    case PLAN_CAUSE_NONE:
        break;
    }
    int err = buf_printf(b, "optional: %s health %.2f", s->name, s->health.ghs);
    if (!err && s->health.by_load >= 0.005)
        err = buf_printf(b, " (%.2f but for its load)", s->health.ghs + s->health.by_load);
    return err;
}

static double das_or_half(double das)
{
    return isnan(das) ? 0.5 : das;
}

static int way_words(struct buf *b, const struct plan_cost *cost, uint64_t size)
{
    /* No copy takes no time. */
    const struct plan_figure took = plan_span_figure(fmax(1, cost->copy_s));
    switch (cost->way) {
    case PLAN_WAY_SHARED:
        return buf_printf(b, "; on shared storage, copies nothing");
    case PLAN_WAY_CHANGES:
        if (!size)
            return buf_printf(b, "; sends %s", plan_size_figure(cost->bytes).text);
        return buf_printf(b, "; sends %s of %s in at most %s", plan_size_figure(cost->bytes).text,
                          plan_size_figure(size).text, took.text);
    case PLAN_WAY_COPY:
        break;
    }
    if (!cost->known)
        return 0;
    return buf_printf(b, "; copies %s in about %s", plan_size_figure(cost->bytes).text, took.text);
}

static int kept_words(struct buf *b, const struct plan_case *c)
{
    const struct plan_volume *v = plan_case_volume(c);
    const bool standby = v->state == ROUTE_STATE_DEFERRED;
    const size_t copied = plan_fleet_copying(c->fleet, c->volume);
    if (copied != PLAN_NONE && copied == c->target)
        return buf_adds(b, "; goes on with the copy that is being made there");
    if (copied != PLAN_NONE)
        return buf_printf(b, "; the copy that is being made on %s is given up",
                          c->fleet->gateways[copied].name);
    if (v->state != ROUTE_STATE_UNCOMMITTED && !standby)
        return 0;
    if (v->other == c->target)
        return buf_adds(b, standby ? "; to the copy that stands by there"
                                   : "; back to the copy that is kept there");
    const struct plan_gateway *kept = &c->fleet->gateways[v->other];
    const bool silent = !kept->scored || isnan(kept->health.ghs);
    return buf_printf(b, "; the copy on %s is %s", kept->name,
                      silent ? "left behind if its gateway is dead" : "let go first");
}

static int cost_words(struct buf *b, const struct plan_case *c)
{
    const struct plan_cost cost =
        plan_cost(c->fleet, c->limits, c->volume, c->target, c->start, c->now);
    int err = way_words(b, &cost, plan_case_volume(c)->size_bytes);
    if (!err)
        err = kept_words(b, c);
    if (err < 0 || isnan(cost.requests))
        return err;
    return buf_printf(b, ", some %.0f requests meanwhile", cost.requests);
}

/* What is read back of V in so many decimals: printf rounds the binary value, and ties to even. */
static double as_read(double v, int decimals)
{
    char text[48];
    snprintf(text, sizeof(text), "%.*f", decimals, v);
    return strtod(text, NULL);
}

/*
 * In two decimals, or, where those would put the gain on the other side of the margin, in the four
 * of records, or in nine, as a group's mean has no end: whether the volume may return is decided by
 * what is read back from here.
 */
static int affinity_words(struct buf *b, const struct plan_case *c)
{
    const double from = das_or_half(c->score.source_das), to = das_or_half(c->score.target_das);
    const bool gains = plan_exceeds(to - from, c->limits->margin);
    int n = 2;
    while (n < 9 && plan_exceeds(as_read(to, n) - as_read(from, n), c->limits->margin) != gains)
        n = n == 2 ? 4 : 9;
    return buf_printf(b, "%s%.*f%s%.*f", affinity_mark, n, from, between_mark, n, to);
}

/* Which targets it has just failed to reach: "where it failed 5.0 min ago". */
static int shun_words(struct buf *b, const struct plan_case *c, size_t gateway)
{
    const struct plan_shun *s = plan_shun(c->fleet, c->volume, gateway, c->now);
    if (!s)
        return 0;
    int err = gateway == c->target
                  ? buf_adds(b, "; it failed there")
                  : buf_printf(b, "; not to %s, where it failed", c->fleet->gateways[gateway].name);
    if (!err && s->times > 1)
        err = buf_printf(b, " %u times in a row, the last", s->times);
    if (!err)
        err = buf_printf(b, " %s ago", plan_span_figure(c->now - s->failed).text);
    return err || gateway != c->target ? err : buf_adds(b, ", and nothing better passes");
}

static int all_shun_words(struct buf *b, const struct plan_case *c)
{
    int err = 0;
    for (size_t i = 0; !err && i < c->fleet->gateway_names.n; i++)
        err = shun_words(b, c, c->fleet->gateway_order[i]);
    return err;
}

static int standby_words(struct buf *b, const struct plan_case *c)
{
    int err = buf_printf(b, "standby for %s: %s healthy %.2f", plan_case_volume(c)->owner_name,
                         plan_case_target(c)->name, c->score.target_ghs);
    if (!err)
        err = affinity_words(b, c);
    if (!err)
        err = cost_words(b, c);
    return err ? err : all_shun_words(b, c);
}

int plan_words_move(struct buf *b, const struct plan_case *c)
{
    if (c->standby)
        return standby_words(b, c);
    int err = source_words(b, c);
    if (err < 0)
        return err;
    err = buf_printf(b, ", %s healthy %.2f", plan_case_target(c)->name, c->score.target_ghs);
    if (!err)
        err = affinity_words(b, c);
    if (!err && !isnan(c->score.benefit))
        err = buf_printf(b, "; benefit %.2f", c->score.benefit);
    if (!err)
        err = cost_words(b, c);
    if (!err)
        err = all_shun_words(b, c);
    if (err < 0 || c->together < 2)
        return err;
    return buf_printf(b, "; group '%s' of %zu", c->fleet->groups.names[plan_case_volume(c)->group],
                      c->together);
}

/* ---- why not ---- */

static int room_words(struct buf *b, const struct plan_case *c)
{
    const struct plan_gateway *t = plan_case_target(c);
    const uint64_t left = plan_left_bytes(c->fleet, c->target);
    int err = buf_printf(b, "no room on %s: %s there or coming", t->name,
                         plan_size_figure(c->projection->gateways[c->target].bytes).text);
    if (!err && left)
        err =
            buf_printf(b, " (%s left by moves that came to nothing)", plan_size_figure(left).text);
    if (!err)
        err = buf_printf(b, ", %s more, capacity %s",
                         plan_size_figure(plan_case_volume(c)->size_bytes).text,
                         plan_size_figure(t->capacity_bytes).text);
    return err;
}

static int placement_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_volume *v = plan_case_volume(c);
    const struct plan_gateway *t = plan_case_target(c);
    const struct plan_load *load = &c->projection->gateways[c->target];
    switch (r) {
    case PLAN_REFUSED_TARGET_STATE:
        return buf_printf(b, "%s is %s", t->name, rec_gateway_state_words[t->state]);
    case PLAN_REFUSED_TARGET_UNSCORED:
        return buf_printf(b, "no health of %s is known", t->name);
    case PLAN_REFUSED_TARGET_SILENT:
        return buf_printf(b, "%s is silent: it has no health score", t->name);
    case PLAN_REFUSED_NOT_ALLOWED:
        return buf_printf(b, "%s is not among the gateways allowed for %s", t->name, v->name);
    case PLAN_REFUSED_NOT_SHARED:
        return buf_printf(b, "source unreachable: %s is down, and %s does not share its storage",
                          v->owner_name, t->name);
    case PLAN_REFUSED_APART:
        return buf_printf(b, "%s has or gets a volume to keep apart from: anti '%s'", t->name,
                          c->fleet->aparts.names[v->apart]);
    case PLAN_REFUSED_SIZE_UNKNOWN:
        return buf_printf(b, "the size of %s is not known, and %s has a capacity", v->name,
                          t->name);
    case PLAN_REFUSED_NO_ROOM:
        return room_words(b, c);
    case PLAN_REFUSED_BUSIER:
        return buf_printf(b, "%s would be busier than %s is: %.0f%% against %.0f%% of their limits",
                          t->name, plan_case_source(c)->name, 100 * plan_target_use(c),
                          100 * plan_source_use(c));
    case PLAN_REFUSED_GROWTH:
        return buf_printf(b,
                          "%s would be busier than %s is: %.1f against %.1f requests/s at peak, "
                          "and not both have an iops_limit",
                          t->name, plan_case_source(c)->name, plan_target_peak(c),
                          plan_source_peak(c));
    default:
        if (c->projection->hours)
            return buf_printf(b, "%s would be overloaded: %.0f%% of %.0f requests/s at peak",
                              t->name, 100 * plan_target_use(c), t->iops_limit);
        return buf_printf(b, "%s would be overloaded: %.0f + %.0f requests/s at peak, limit %.0f",
                          t->name, load->rate, plan_peak(v, c->limits), t->iops_limit);
    }
}

/* For how long it is kept, and what the way back would send, where that is known. */
static int uncommitted_words(struct buf *b, const struct plan_case *c, const char *other)
{
    const size_t kept = plan_case_volume(c)->other;
    uint64_t changed;
    int err = buf_printf(b, "uncommitted: the copy on %s is kept", other);
    if (!err && kept != PLAN_NONE && plan_fleet_copy(c->fleet, c->volume, kept, &changed))
        err = buf_printf(b, ", %s differ", plan_size_figure(changed).text);
    const double left_s = plan_case_volume(c)->routed + c->limits->retain_s - c->now;
    if (!err && left_s > 0)
        err = buf_printf(b, ", for %s more", plan_span_figure(left_s).text);
    return err < 0 ? err : buf_adds(b, "; commit or revert first");
}

static int volume_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_volume *v = plan_case_volume(c);
    const char *other = v->other == PLAN_NONE ? "?" : c->fleet->gateways[v->other].name;
    switch (r) {
    case PLAN_REFUSED_OWNER_UNKNOWN:
        return buf_printf(b, "the route's gateway %s is not in gateways.csv", v->owner_name);
    case PLAN_REFUSED_SOURCE_DOWN:
        return buf_printf(b, "source unreachable: %s is down", v->owner_name);
    case PLAN_REFUSED_MOVING:
        return buf_printf(b, "a move to %s is under way", other);
    case PLAN_REFUSED_DEFERRED:
        return buf_printf(b, "a deferred move to %s is open", other);
    case PLAN_REFUSED_UNCOMMITTED:
        return uncommitted_words(b, c, other);
    case PLAN_REFUSED_MANUAL_RECOVERY:
        return buf_printf(b, "in manual-recovery");
    case PLAN_REFUSED_OPEN:
        return buf_printf(b, "migration %s is open, says the history: resume or abort it", v->open);
    case PLAN_REFUSED_ALONE:
        return buf_printf(b, "there is no other gateway");
    default:
        return buf_printf(b, "pinned: makes only mandatory moves, with --force");
    }
}

static int health_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const char *s = plan_case_volume(c)->owner_name, *t = plan_case_target(c)->name;
    switch (r) {
    case PLAN_REFUSED_FLOOR:
        if (c->cause == PLAN_CAUSE_DRAIN && c->score.source_ghs >= c->limits->target_floor)
            return buf_printf(
                b, "%s health %.2f is below the floor %.2f: %s has the only healthy copy", t,
                c->score.target_ghs, c->limits->target_floor, s);
        return buf_printf(b, "%s health %.2f is below the floor %.2f", t, c->score.target_ghs,
                          c->limits->target_floor);
    case PLAN_REFUSED_SOURCE_UNSCORED:
        return buf_printf(b, "no health of %s is known to compare with", s);
    case PLAN_REFUSED_SOURCE_SILENT:
        return buf_printf(b, "%s is silent: no score to compare with, and no reason to leave", s);
    default:
        return buf_printf(b, "%s health %.2f against %.2f of %s: %s", t, c->score.target_ghs,
                          c->score.source_ghs, s,
                          c->cause ? "too little better" : "the target is sicker");
    }
}

static int benefit_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    if (r == PLAN_REFUSED_BENEFIT)
        return buf_printf(b, "benefit %.2f is not above the threshold %.2f", c->score.benefit,
                          c->limits->threshold);
    return buf_printf(b, "benefit %.2f there, %.2f back: not apart by more than the margin %.2f",
                      c->score.benefit, c->score.reverse, c->limits->margin);
}

static int cooldown_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_gateway *t = plan_case_target(c);
    if (r == PLAN_REFUSED_COOLDOWN)
        return buf_printf(b, "moved %s ago, cooldown %s",
                          plan_span_figure(c->now - plan_last_move(c)).text,
                          plan_span_figure(plan_rest_s(c)).text);
    const struct plan_shun *shun = plan_shun(c->fleet, c->volume, c->target, c->now);
    if (r == PLAN_REFUSED_FAILED && shun)
        return buf_printf(b, "the move to %s failed %s ago: not again within %s", t->name,
                          plan_span_figure(c->now - shun->failed).text,
                          plan_span_figure(plan_shun_pause_s(shun)).text);
    const struct plan_trip *left = plan_past_left(&plan_case_volume(c)->past, t->name);
    return buf_printf(b, "left %s %s ago, no return within %s: affinity did not ask for both ways",
                      t->name, plan_span_figure(c->now - left->time).text,
                      plan_span_figure(c->limits->return_after_s).text);
}

static int age_words(struct buf *b, const struct plan_case *c, const char *of, double time,
                     double max_age_s)
{
    return buf_printf(b, "%s is %s old, at most %s allowed", of,
                      plan_span_figure(c->now - time).text, plan_span_figure(max_age_s).text);
}

static int ahead_words(struct buf *b, const struct plan_case *c, const char *of, double time)
{
    return buf_printf(b, "%s is dated %s ahead: clocks apart", of,
                      plan_span_figure(time - c->now).text);
}

static int unsure_words(struct buf *b, const struct plan_case *c, const char *of, double confidence)
{
    return buf_printf(b, "%s has confidence %.2f, below %.2f", of, confidence,
                      c->limits->min_confidence);
}

static int affinity_age_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_demand *d = &plan_case_volume(c)->demand;
    char of[NAME_LEN_MAX + 32];
    snprintf(of, sizeof(of), "the affinity of %s", plan_case_volume(c)->name);
    if (r == PLAN_REFUSED_AFFINITY_MISSING)
        return buf_printf(b, "%s to %s or %s is not known", of, plan_case_volume(c)->owner_name,
                          plan_case_target(c)->name);
    if (r == PLAN_REFUSED_AFFINITY_OLD)
        return age_words(b, c, of, d->time, c->limits->affinity_max_age_s);
    if (r == PLAN_REFUSED_AFFINITY_AHEAD)
        return ahead_words(b, c, of, d->time);
    return unsure_words(b, c, of, d->confidence);
}

static int confidence_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_gateway *g =
        r <= PLAN_REFUSED_SOURCE_UNSURE ? plan_case_source(c) : plan_case_target(c);
    char of[NAME_LEN_MAX + 32];
    snprintf(of, sizeof(of), "the health of %s", g->name);
    switch (r) {
    case PLAN_REFUSED_SOURCE_OLD:
    case PLAN_REFUSED_TARGET_OLD:
        return age_words(b, c, of, g->health.time, c->limits->health_max_age_s);
    case PLAN_REFUSED_SOURCE_AHEAD:
    case PLAN_REFUSED_TARGET_AHEAD:
        return ahead_words(b, c, of, g->health.time);
    case PLAN_REFUSED_SOURCE_UNSURE:
    case PLAN_REFUSED_TARGET_UNSURE:
        return unsure_words(b, c, of, g->health.confidence);
    default:
        return affinity_age_words(b, c, r);
    }
}

static int limit_words(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    const struct plan_projection *p = c->projection;
    const char *s = plan_case_volume(c)->owner_name, *t = plan_case_target(c)->name;
    switch (r) {
    case PLAN_REFUSED_MOVES:
        return buf_printf(b, "%u moves at once already", p->moves);
    case PLAN_REFUSED_SOURCE_BUSY:
        return buf_printf(b, "%u at once from %s already",
                          p->gateways[plan_case_volume(c)->owner].leaving, s);
    case PLAN_REFUSED_TARGET_BUSY:
        return buf_printf(b, "%u at once to %s already", p->gateways[c->target].arriving, t);
    default:
        return buf_printf(b, "%u of %zu gateways are being evacuated already, %u at once allowed",
                          p->evacuated, c->fleet->gateway_names.n,
                          plan_evacuations(c->fleet, c->limits));
    }
}

int plan_words_refusal(struct buf *b, const struct plan_case *c, enum plan_refusal r)
{
    if (r == PLAN_PASS)
        return 0;
    if (r <= PLAN_REFUSED_PINNED)
        return volume_words(b, c, r);
    switch (plan_guard_of(r)) {
    case PLAN_GUARD_PLACEMENT:
        return placement_words(b, c, r);
    case PLAN_GUARD_HEALTH:
        return health_words(b, c, r);
    case PLAN_GUARD_COOLDOWN:
        return cooldown_words(b, c, r);
    case PLAN_GUARD_CONFIDENCE:
        return confidence_words(b, c, r);
    case PLAN_GUARD_LIMITS:
        return limit_words(b, c, r);
    case PLAN_GUARD_CALENDAR:
        return buf_printf(b, "the calendar leaves no time to start within a year");
    default:
        return benefit_words(b, c, r);
    }
}

int plan_words_held(struct buf *b, const struct plan_case *held, enum plan_refusal r)
{
    const struct plan_volume *v = plan_case_volume(held);
    int err = buf_printf(b, "group '%s' moves together; %s: ", held->fleet->groups.names[v->group],
                         v->name);
    return err < 0 ? err : plan_words_refusal(b, held, r);
}

/* ---- reading back ---- */

/* The number at P, ended by one of END; NULL if there is none, else what follows it. */
static const char *read_number(const char *p, const char *end, double *out)
{
    char word[32];
    size_t n = strcspn(p, end);
    if (n >= sizeof(word))
        return NULL;
    memcpy(word, p, n);
    word[n] = '\0';
    return parse_f64(word, out) < 0 ? NULL : p + n;
}

/* The last one: a gateway's own reason, quoted before it, may hold anything. */
static const char *last_affinity(const char *text)
{
    const char *found = NULL;
    for (const char *p = text; (p = strstr(p, affinity_mark)); found = p)
        p += sizeof(affinity_mark) - 1;
    return found;
}

void plan_words_recall(const char *text, bool *mandatory, double *das_gain)
{
    double from, to;
    if (strstr(text, mandatory_mark))
        *mandatory = true;
    const char *p = last_affinity(text);
    p = p ? read_number(p, " ", &from) : NULL;
    if (!p || strncmp(p, between_mark, sizeof(between_mark) - 1) != 0)
        return;
    if (read_number(p + sizeof(between_mark) - 1, "; ,", &to))
        *das_gain = to - from;
}

bool plan_words_drained(const char *text)
{
    const size_t mark = sizeof(mandatory_mark) - 1;
    if (strncmp(text, mandatory_mark, mark) != 0)
        return false;
    const char *p = strchr(text + mark, ' ');
    return p && strncmp(p, drains_mark, sizeof(drains_mark) - 1) == 0;
}
