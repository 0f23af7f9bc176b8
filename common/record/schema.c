/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/record/schema.h"

#define COLUMNS(x) x, sizeof(x) / sizeof((x)[0])

const char *const rec_op_words[] = {"read", "write", "trim", "zero", "flush", NULL};
const char *const rec_gateway_state_words[] = {"active", "cordoned", "drain", "down", NULL};
const char *const rec_policy_words[] = {"auto", "manual", "pinned", NULL};
const char *const rec_standby_words[] = {"asked", "yes", "no", NULL};
const char *const rec_route_state_words[] = {"steady",      "moving",          "deferred",
                                             "uncommitted", "manual-recovery", NULL};
const char *const rec_verify_words[] = {"full", "delta", "none", NULL};
const char *const rec_plan_kind_words[] = {"mandatory", "optional", "shadow", "standby", NULL};
const char *const rec_phase_words[] = {"redirect", "replicate", "handover", "retire", NULL};
const char *const rec_event_words[] = {
    "begin",  "pass",    "mirror",   "hold",      "switched",        "deferred", "stalled",
    "failed", "aborted", "reverted", "committed", "manual-recovery", "modified", NULL};
const char *const rec_failure_kind_words[] = {"failure", "outage", "evacuated", NULL};
const char *const rec_verdict_words[] = {"move", "shadow", "stay", "refused", NULL};
const char *const rec_outcome_words[] = {"paid-off", "mismigration", "unknown", NULL};
const char *const rec_calendar_rule_words[] = {"window", "blackout", NULL};
const char *const rec_scenario_kind_words[] = {"linear", "curved", "errors", "leak",
                                               "sudden", "cordon", "drain",  NULL};
const char *const rec_yesno_words[] = {"no", "yes", NULL};

static const struct rec_column access_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, REC_EMPTY, NULL},
    {"client", REC_TEXT, 0, NULL},
    {"op", REC_WORD, 0, rec_op_words},
    {"offset", REC_UINT, 0, NULL},
    {"length", REC_UINT, 0, NULL},
    {"latency_us", REC_LATENCY, 0, NULL},
    {"error", REC_ERRNO, REC_EMPTY, NULL},
    {"count", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
};
const struct rec_schema rec_access = {"access", COLUMNS(access_columns)};

static const struct rec_column metric_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"metric", REC_NAME, 0, NULL},
    {"value", REC_REAL, 0, NULL},
};
const struct rec_schema rec_metric = {"metric", COLUMNS(metric_columns)};

static const struct rec_column site_columns[] = {
    {"client", REC_TEXT, 0, NULL},
    {"site", REC_NAME, 0, NULL},
    {"tz", REC_TEXT, REC_EMPTY | REC_OPTIONAL, NULL},
};
const struct rec_schema rec_site = {"site", COLUMNS(site_columns)};

static const struct rec_column distance_columns[] = {
    {"site", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"rtt_us", REC_LATENCY, 0, NULL},
};
const struct rec_schema rec_distance = {"distance", COLUMNS(distance_columns)};

static const struct rec_column affinity_columns[] = {
    {"time", REC_TIME, 0, NULL},        {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},     {"das", REC_RATIO, 0, NULL},
    {"share", REC_RATIO, 0, NULL},      {"requests", REC_REAL, 0, NULL},
    {"confidence", REC_RATIO, 0, NULL}, {"horizon_s", REC_UINT, 0, NULL},
    {"model", REC_TEXT, 0, NULL},
};
const struct rec_schema rec_affinity = {"affinity", COLUMNS(affinity_columns)};

static const struct rec_column forecast_columns[] = {
    {"volume", REC_NAME, 0, NULL},   {"site", REC_NAME, 0, NULL},
    {"start", REC_TIME, 0, NULL},    {"duration_s", REC_UINT, 0, NULL},
    {"requests", REC_REAL, 0, NULL}, {"lower", REC_REAL, 0, NULL},
    {"upper", REC_REAL, 0, NULL},    {"model", REC_TEXT, 0, NULL},
};
const struct rec_schema rec_forecast = {"forecast", COLUMNS(forecast_columns)};

static const struct rec_column heat_columns[] = {
    {"volume", REC_NAME, 0, NULL},     {"segment", REC_UINT, 0, NULL},
    {"offset", REC_UINT, 0, NULL},     {"length", REC_UINT, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},    {"start", REC_TIME, 0, NULL},
    {"duration_s", REC_UINT, 0, NULL}, {"reads", REC_REAL, 0, NULL},
    {"writes", REC_REAL, 0, NULL},     {"bytes", REC_REAL, 0, NULL},
};
const struct rec_schema rec_heat = {"heat", COLUMNS(heat_columns)};

static const struct rec_column health_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"ghs", REC_RATIO, REC_EMPTY, NULL},
    {"current", REC_RATIO, REC_EMPTY, NULL},
    {"p_fail", REC_RATIO, REC_EMPTY, NULL},
    {"horizon_s", REC_UINT, 0, NULL},
    {"confidence", REC_RATIO, 0, NULL},
    {"worst_metric", REC_TEXT, REC_EMPTY, NULL},
    {"reason", REC_TEXT, REC_EMPTY, NULL},
    {"anomaly", REC_RATIO, REC_EMPTY | REC_OPTIONAL, NULL},
    {"lead_low_s", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"lead_high_s", REC_UINT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"shift", REC_RATIO, REC_EMPTY | REC_OPTIONAL, NULL},
    {"unloaded", REC_RATIO, REC_EMPTY | REC_OPTIONAL, NULL},
};
const struct rec_schema rec_health = {"health", COLUMNS(health_columns)};

static const struct rec_column anomaly_columns[] = {
    {"time", REC_TIME, 0, NULL},  {"gateway", REC_NAME, 0, NULL}, {"metric", REC_NAME, 0, NULL},
    {"value", REC_REAL, 0, NULL}, {"score", REC_RATIO, 0, NULL},
};
const struct rec_schema rec_anomaly = {"anomaly", COLUMNS(anomaly_columns)};

static const struct rec_column explain_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"metric", REC_NAME, 0, NULL},
    {"value", REC_REAL, 0, NULL},
    {"usual", REC_REAL, 0, NULL},
    {"z", REC_REAL, 0, NULL},
    {"samples", REC_UINT, 0, NULL},
    {"silent", REC_WORD, 0, rec_yesno_words},
    {"weight", REC_REAL, REC_EMPTY, NULL},
    {"subscore", REC_RATIO, REC_EMPTY, NULL},
    {"p_fail", REC_RATIO, REC_EMPTY, NULL},
    {"level", REC_RATIO, REC_EMPTY, NULL},
    {"drift", REC_RATIO, REC_EMPTY, NULL},
    {"trend", REC_RATIO, REC_EMPTY, NULL},
    {"burst", REC_RATIO, REC_EMPTY, NULL},
    {"slow", REC_RATIO, REC_EMPTY, NULL},
};
const struct rec_schema rec_explain = {"explain", COLUMNS(explain_columns)};

static const struct rec_column grade_columns[] = {
    {"predictor", REC_TEXT, 0, NULL},
    {"measure", REC_TEXT, 0, NULL},
    {"value", REC_REAL, 0, NULL},
};
const struct rec_schema rec_grade = {"grade", COLUMNS(grade_columns)};

static const struct rec_column failure_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"kind", REC_WORD, 0, rec_failure_kind_words},
    {"site", REC_NAME, REC_EMPTY | REC_OPTIONAL, NULL},
};
const struct rec_schema rec_failure = {"failure", COLUMNS(failure_columns)};

static const struct rec_column gateway_columns[] = {
    {"gateway", REC_NAME, 0, NULL},
    {"uri", REC_TEXT, 0, NULL},
    {"site", REC_NAME, REC_EMPTY, NULL},
    {"capacity_bytes", REC_UINT, REC_EMPTY, NULL},
    {"iops_limit", REC_REAL, REC_EMPTY, NULL},
    {"state", REC_WORD, 0, rec_gateway_state_words},
    {"hook", REC_TEXT, REC_EMPTY, NULL},
    {"metrics", REC_TEXT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"storage", REC_NAME, REC_EMPTY | REC_OPTIONAL, NULL},
};
const struct rec_schema rec_gateway = {"gateway", COLUMNS(gateway_columns)};

static const struct rec_column volume_columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"size_bytes", REC_UINT, REC_EMPTY, NULL},
    {"policy", REC_WORD, 0, rec_policy_words},
    {"gateways", REC_TEXT, REC_EMPTY, NULL},
    {"group", REC_TEXT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"anti", REC_TEXT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"clients", REC_TEXT, REC_EMPTY | REC_OPTIONAL, NULL},
    {"standby", REC_WORD, REC_EMPTY | REC_OPTIONAL, rec_standby_words},
};
const struct rec_schema rec_volume = {"volume", COLUMNS(volume_columns)};

static const struct rec_column calendar_columns[] = {
    {"rule", REC_WORD, 0, rec_calendar_rule_words},
    {"from", REC_TEXT, 0, NULL},
    {"until", REC_TEXT, 0, NULL},
    {"reason", REC_TEXT, REC_EMPTY | REC_OPTIONAL, NULL},
};
const struct rec_schema rec_calendar = {"calendar", COLUMNS(calendar_columns)};

static const struct rec_column route_columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"epoch", REC_UINT, 0, NULL},
    {"state", REC_WORD, 0, rec_route_state_words},
    {"target", REC_NAME, REC_EMPTY, NULL},
    {"size_bytes", REC_UINT, REC_EMPTY, NULL},
    {"time", REC_TIME, 0, NULL},
    {"verify", REC_WORD, REC_EMPTY | REC_OPTIONAL, rec_verify_words},
};
const struct rec_schema rec_route = {"route", COLUMNS(route_columns)};

static const struct rec_column plan_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"volume", REC_NAME, 0, NULL},
    {"source", REC_NAME, 0, NULL},
    {"target", REC_NAME, 0, NULL},
    {"epoch", REC_UINT, 0, NULL},
    {"kind", REC_WORD, 0, rec_plan_kind_words},
    {"benefit", REC_BENEFIT, REC_EMPTY, NULL},
    {"reverse_benefit", REC_BENEFIT, REC_EMPTY, NULL},
    {"source_ghs", REC_RATIO, REC_EMPTY, NULL},
    {"target_ghs", REC_RATIO, REC_EMPTY, NULL},
    {"das", REC_RATIO, REC_EMPTY, NULL},
    {"bytes", REC_UINT, REC_EMPTY, NULL},
    {"not_before", REC_TIME, REC_EMPTY, NULL},
    {"reason", REC_TEXT, REC_EMPTY, NULL},
};
const struct rec_schema rec_plan = {"plan", COLUMNS(plan_columns)};

static const struct rec_column verdict_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"volume", REC_NAME, 0, NULL},
    {"source", REC_NAME, 0, NULL},
    {"target", REC_NAME, REC_EMPTY, NULL},
    {"benefit", REC_BENEFIT, REC_EMPTY, NULL},
    {"reverse_benefit", REC_BENEFIT, REC_EMPTY, NULL},
    {"source_ghs", REC_RATIO, REC_EMPTY, NULL},
    {"target_ghs", REC_RATIO, REC_EMPTY, NULL},
    {"source_das", REC_RATIO, REC_EMPTY, NULL},
    {"target_das", REC_RATIO, REC_EMPTY, NULL},
    {"guard", REC_TEXT, REC_EMPTY, NULL},
    {"verdict", REC_WORD, 0, rec_verdict_words},
    {"reason", REC_TEXT, REC_EMPTY, NULL},
};
const struct rec_schema rec_verdict = {"verdict", COLUMNS(verdict_columns)};

static const struct rec_column outcome_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"volume", REC_NAME, 0, NULL},
    {"source", REC_NAME, 0, NULL},
    {"target", REC_NAME, 0, NULL},
    {"kind", REC_WORD, 0, rec_plan_kind_words},
    {"outcome", REC_WORD, 0, rec_outcome_words},
    {"after_s", REC_UINT, REC_EMPTY, NULL},
    {"reason", REC_TEXT, REC_EMPTY, NULL},
};
const struct rec_schema rec_outcome = {"outcome", COLUMNS(outcome_columns)};

static const struct rec_column event_columns[] = {
    {"time", REC_TIME, 0, NULL},
    {"migration", REC_NAME, 0, NULL},
    {"volume", REC_NAME, 0, NULL},
    {"source", REC_NAME, 0, NULL},
    {"target", REC_NAME, 0, NULL},
    {"phase", REC_WORD, 0, rec_phase_words},
    {"event", REC_WORD, 0, rec_event_words},
    {"bytes_done", REC_UINT, REC_EMPTY, NULL},
    {"bytes_total", REC_UINT, REC_EMPTY, NULL},
    {"pause_us", REC_UINT, REC_EMPTY, NULL},
    {"who", REC_TEXT, REC_EMPTY, NULL},
    {"detail", REC_TEXT, REC_EMPTY, NULL},
};
const struct rec_schema rec_event = {"event", COLUMNS(event_columns)};

static const struct rec_column extent_columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"offset", REC_UINT, 0, NULL},
    {"length", REC_UINT, 0, NULL},
};
const struct rec_schema rec_extent = {"extent", COLUMNS(extent_columns)};

static const struct rec_column changed_columns[] = {
    {"volume", REC_NAME, 0, NULL},
    {"gateway", REC_NAME, 0, NULL},
    {"bytes", REC_UINT, 0, NULL},
};
const struct rec_schema rec_changed = {"changed", COLUMNS(changed_columns)};

static const struct rec_column scenario_columns[] = {
    {"gateway", REC_NAME, 0, NULL},
    {"onset", REC_TIME, REC_EMPTY, NULL},
    {"failure", REC_TIME, REC_EMPTY, NULL},
    {"repair", REC_TIME, 0, NULL},
    {"kind", REC_WORD, 0, rec_scenario_kind_words},
};
const struct rec_schema rec_scenario = {"scenario", COLUMNS(scenario_columns)};

static const struct rec_column replay_columns[] = {
    {"policy", REC_TEXT, 0, NULL},       {"setting", REC_TEXT, REC_EMPTY, NULL},
    {"seed", REC_UINT, 0, NULL},         {"requests", REC_UINT, 0, NULL},
    {"failed", REC_UINT, 0, NULL},       {"degraded", REC_UINT, 0, NULL},
    {"mean_us", REC_LATENCY, 0, NULL},   {"p99_us", REC_LATENCY, 0, NULL},
    {"health_moves", REC_UINT, 0, NULL}, {"affinity_moves", REC_UINT, 0, NULL},
    {"failed_moves", REC_UINT, 0, NULL}, {"bytes", REC_UINT, 0, NULL},
    {"pingpongs", REC_UINT, 0, NULL},    {"mismigrations", REC_UINT, 0, NULL},
    {"gained_us", REC_REAL, 0, NULL},    {"unwarned", REC_UINT, 0, NULL},
    {"takeovers", REC_UINT, 0, NULL},
};
const struct rec_schema rec_replay = {"replay", COLUMNS(replay_columns)};

static const struct rec_column health_limit_columns[] = {
    {"metric", REC_NAME, 0, NULL},   {"group", REC_NAME, 0, NULL},
    {"weight", REC_REAL, 0, NULL},   {"warn", REC_REAL, 0, NULL},
    {"critical", REC_REAL, 0, NULL}, {"vital", REC_WORD, 0, rec_yesno_words},
};
const struct rec_schema rec_health_limit = {"health-limit", COLUMNS(health_limit_columns)};
