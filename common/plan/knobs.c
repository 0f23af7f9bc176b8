/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/knobs.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/base/opts.h"
#include "common/base/parse.h"

enum kind { REAL, SECONDS, COUNT, BYTES, SWITCH, ORDER };

static const char *const order_words[] = {
    [PLAN_ORDER_BENEFIT] = "benefit", [PLAN_ORDER_PER_BYTE] = "per-byte", NULL};

struct knob {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct plan_limits */
    double max;    /* the least is 0, of BYTES 1 */
};

#define LIMIT(member) offsetof(struct plan_limits, member)

static const double year_s = 366 * 86400.0;

/* In the order of the options; a knob's key is OPT_LONG plus its index. */
enum {
    AFFINITY_MAX_AGE,
    BUSIER,
    BUSY,
    COOLDOWN,
    COPY_RATE,
    CRITICAL,
    FLAP_WINDOW,
    FORCE,
    GROWTH,
    HEALTH_MAX_AGE,
    IMPROVE,
    MARGIN,
    MAX_EVACUATE,
    MAX_MOVES,
    MAX_PER_SOURCE,
    MAX_PER_TARGET,
    MAX_SKEW,
    MIN_CONFIDENCE,
    PLAN_ORDER,
    P_FAIL_LIMIT,
    PEAK_FACTOR,
    RETAIN,
    RETURN_AFTER,
    SHADOW,
    STANDBY,
    START_WINDOW,
    TARGET_FLOOR,
    THRESHOLD,
    KNOBS
};

static const struct knob knobs[KNOBS] = {
    [AFFINITY_MAX_AGE] = {"affinity-max-age", SECONDS, LIMIT(affinity_max_age_s), year_s},
    [BUSIER] = {"busier", REAL, LIMIT(busier), 1e6},
    [BUSY] = {"busy", REAL, LIMIT(busy), 1},
    [COOLDOWN] = {"cooldown", SECONDS, LIMIT(cooldown_s), year_s},
    [COPY_RATE] = {"copy-rate", BYTES, LIMIT(copy_rate), 0x1p50},
    [CRITICAL] = {"critical", REAL, LIMIT(critical), 1},
    [FLAP_WINDOW] = {"flap-window", SECONDS, LIMIT(flap_window_s), year_s},
    [FORCE] = {"force", SWITCH, LIMIT(force), 1},
    [GROWTH] = {"growth", REAL, LIMIT(growth), 1e6},
    [HEALTH_MAX_AGE] = {"health-max-age", SECONDS, LIMIT(health_max_age_s), year_s},
    [IMPROVE] = {"improve", COUNT, LIMIT(improve), 1e9},
    [MARGIN] = {"margin", REAL, LIMIT(margin), 4},
    [MAX_EVACUATE] = {"max-evacuate", REAL, LIMIT(max_evacuate), 1},
    [MAX_MOVES] = {"max-moves", COUNT, LIMIT(max_moves), 1e6},
    [MAX_PER_SOURCE] = {"max-per-source", COUNT, LIMIT(max_per_source), 1e6},
    [MAX_PER_TARGET] = {"max-per-target", COUNT, LIMIT(max_per_target), 1e6},
    [MAX_SKEW] = {"max-skew", SECONDS, LIMIT(max_skew_s), year_s},
    [MIN_CONFIDENCE] = {"min-confidence", REAL, LIMIT(min_confidence), 1},
    [PLAN_ORDER] = {"order", ORDER, LIMIT(order), PLAN_ORDER_PER_BYTE},
    [P_FAIL_LIMIT] = {"p-fail-limit", REAL, LIMIT(p_fail_limit), 1},
    [PEAK_FACTOR] = {"peak-factor", REAL, LIMIT(peak_factor), 1000},
    [RETAIN] = {"retain", SECONDS, LIMIT(retain_s), year_s},
    [RETURN_AFTER] = {"return-after", SECONDS, LIMIT(return_after_s), year_s},
    [SHADOW] = {"shadow", SWITCH, LIMIT(shadow), 1},
    [STANDBY] = {"standby", SWITCH, LIMIT(standby), 1},
    [START_WINDOW] = {"start-window", SECONDS, LIMIT(start_window_s), year_s},
    [TARGET_FLOOR] = {"target-floor", REAL, LIMIT(target_floor), 1},
    [THRESHOLD] = {"threshold", REAL, LIMIT(threshold), 2},
};

static void *place_of(struct plan_limits *l, const struct knob *k)
{
    return (char *)l + k->offset;
}

static double value_of(const struct plan_limits *l, const struct knob *k)
{
    const void *p = (const char *)l + k->offset;
    if (k->kind == COUNT || k->kind == ORDER)
        return *(const unsigned *)p;
    return k->kind == SWITCH ? *(const bool *)p : *(const double *)p;
}

static void assign(struct plan_limits *l, const struct knob *k, double v)
{
    if (k->kind == COUNT || k->kind == ORDER)
        *(unsigned *)place_of(l, k) = (unsigned)v;
    else if (k->kind == SWITCH)
        *(bool *)place_of(l, k) = v != 0;
    else
        *(double *)place_of(l, k) = v;
}

static double parse_order(const char *arg, const struct argp_state *st)
{
    for (unsigned i = 0; order_words[i]; i++)
        if (!strcmp(arg, order_words[i]))
            return i;
    argp_error(st, "--order is benefit or per-byte: '%s'", arg);
    return 0;
}

static double parse_value(const struct knob *k, const char *arg, const struct argp_state *st)
{
    switch (k->kind) {
    case COUNT:
        return (double)opts_u64(st, k->name, arg, 0, (uint64_t)k->max);
    case BYTES:
        return (double)opts_size(st, k->name, arg, 1, (uint64_t)k->max);
    case SECONDS:
        return opts_duration(st, k->name, arg, 0, k->max);
    case REAL:
        return opts_f64(st, k->name, arg, 0, k->max);
    case ORDER:
        return parse_order(arg, st);
    case SWITCH:
        break;
    }
    return 1;
}

static error_t parse_knob(int key, char *arg, struct argp_state *st)
{
    struct knobs *all = st->input;
    if (key < OPT_LONG || key >= OPT_LONG + KNOBS)
        return ARGP_ERR_UNKNOWN;
    const struct knob *k = &knobs[key - OPT_LONG];
    assign(&all->limits, k, parse_value(k, arg, st));
    all->set |= 1U << (key - OPT_LONG);
    return 0;
}

const struct argp knobs_argp = {
    (const struct argp_option[]){
        {0, 0, 0, 0, "Guards and limits (RATIO: 0 to 1):", 10},
        {"affinity-max-age", OPT_LONG + AFFINITY_MAX_AGE, "DURATION", 0,
         "No optional move on older affinity (default 3h)", 10},
        {"busier", OPT_LONG + BUSIER, "NUMBER", 0,
         "How many times as busy as its source an optional move may make a gateway, where not both "
         "have an iops_limit (default 2)",
         10},
        {"busy", OPT_LONG + BUSY, "RATIO", 0,
         "Use of iops_limit above which no optional move makes a gateway busier than its source "
         "(default 0.80)",
         10},
        {"cooldown", OPT_LONG + COOLDOWN, "DURATION", 0,
         "Rest of a volume after a move, doubled by each mandatory return (default 6h)", 10},
        {"copy-rate", OPT_LONG + COPY_RATE, "RATE", 0,
         "Bytes a second of copies, where the history has not measured it (default 100M)", 10},
        {"critical", OPT_LONG + CRITICAL, "RATIO", 0,
         "A gateway of lower health must be left (default 0.40)", 10},
        {"flap-window", OPT_LONG + FLAP_WINDOW, "DURATION", 0,
         "How long a mandatory return doubles the cooldown (default 7d)", 10},
        {"force", OPT_LONG + FORCE, 0, 0,
         "Let pinned volumes make mandatory moves, and drains leave the only healthy copy "
         "(default: no)",
         10},
        {"growth", OPT_LONG + GROWTH, "NUMBER", 0,
         "By how much of what it serves now a plan's optional moves may raise it anyway (default "
         "0.10)",
         10},
        {"health-max-age", OPT_LONG + HEALTH_MAX_AGE, "DURATION", 0,
         "No move on older health (default 5m)", 10},
        {"improve", OPT_LONG + IMPROVE, "COUNT", 0,
         "Candidates looked at to improve the first choice by exchanges (default 100000)", 10},
        {"margin", OPT_LONG + MARGIN, "NUMBER", 0,
         "By how much the benefit exceeds that of the way back, 0 to 4 (default 0.30)", 10},
        {"max-evacuate", OPT_LONG + MAX_EVACUATE, "RATIO", 0,
         "Share of the gateways evacuated at once, but at least one (default 1/3)", 10},
        {"max-moves", OPT_LONG + MAX_MOVES, "COUNT", 0, "Moves at once (default 4)", 10},
        {"max-per-source", OPT_LONG + MAX_PER_SOURCE, "COUNT", 0,
         "Moves at once from a gateway (default 1)", 10},
        {"max-per-target", OPT_LONG + MAX_PER_TARGET, "COUNT", 0,
         "Moves at once to a gateway (default 1)", 10},
        {"max-skew", OPT_LONG + MAX_SKEW, "DURATION", 0,
         "How far ahead of now scores may be dated (default 60s)", 10},
        {"min-confidence", OPT_LONG + MIN_CONFIDENCE, "RATIO", 0,
         "Confidence that scores need (default 0.50)", 10},
        {"order", OPT_LONG + PLAN_ORDER, "WORD", 0,
         "What comes first within a kind: per-byte, the benefit by bytes sent, or benefit (default "
         "per-byte)",
         10},
        {"p-fail-limit", OPT_LONG + P_FAIL_LIMIT, "RATIO", 0,
         "A gateway more likely to fail must be left (default 0.50)", 10},
        {"peak-factor", OPT_LONG + PEAK_FACTOR, "NUMBER", 0,
         "Peak load of a volume over its mean forecast (default 2)", 10},
        {"retain", OPT_LONG + RETAIN, "DURATION", 0,
         "How long a kept copy stays in the way of optional moves, as in migrate-exec (default "
         "24h)",
         10},
        {"return-after", OPT_LONG + RETURN_AFTER, "DURATION", 0,
         "No way back within, unless affinity asked for both ways (default 72h)", 10},
        {"shadow", OPT_LONG + SHADOW, 0, 0,
         "Plan every move as a shadow, which is not executed (default: no)", 10},
        {"standby", OPT_LONG + STANDBY, 0, 0,
         "Plan a mirrored copy for each volume that has none, to take the place of an owner that "
         "dies (default: for those that volumes.csv names)",
         10},
        {"start-window", OPT_LONG + START_WINDOW, "DURATION", 0,
         "How long an optional move may wait for a quieter hour, with --forecast (default 6h)", 10},
        {"target-floor", OPT_LONG + TARGET_FLOOR, "RATIO", 0,
         "Health that a target needs (default 0.60)", 10},
        {"threshold", OPT_LONG + THRESHOLD, "NUMBER", 0,
         "Benefit that an optional move exceeds, 0 to 2 (default 0.50)", 10},
        {0},
    },
    parse_knob,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
};

void knobs_init(struct knobs *k)
{
    plan_limits_init(&k->limits);
    k->set = 0;
}

int knobs_format(const struct knobs *k, struct buf *b)
{
    int err = 0;
    for (size_t i = 0; !err && i < KNOBS; i++)
        err = buf_printf(b, "%s %.17g\n", knobs[i].name, value_of(&k->limits, &knobs[i]));
    return err;
}

int knobs_restore(struct knobs *k, const char *name, const char *value)
{
    double v;
    for (size_t i = 0; i < KNOBS; i++) {
        if (strcmp(knobs[i].name, name) != 0)
            continue;
        const double least = knobs[i].kind == BYTES ? 1 : 0;
        if (parse_f64(value, &v) < 0 || v < least || v > knobs[i].max)
            return -EINVAL;
        if (!(k->set & 1U << i))
            assign(&k->limits, &knobs[i], v);
        return 0;
    }
    return -ENOENT;
}
