/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The records of the toolkit; gateshift-records(5) describes them. */
#ifndef GS_RECORD_SCHEMA_H
#define GS_RECORD_SCHEMA_H

#include "common/record/record.h"

/* Words of REC_WORD columns, in the order of the enums' values. */
enum rec_op { OP_READ, OP_WRITE, OP_TRIM, OP_ZERO, OP_FLUSH };
extern const char *const rec_op_words[];
enum rec_gateway_state {
    GATEWAY_STATE_ACTIVE,
    GATEWAY_STATE_CORDONED,
    GATEWAY_STATE_DRAIN,
    GATEWAY_STATE_DOWN
};
extern const char *const rec_gateway_state_words[];
enum rec_policy { POLICY_AUTO, POLICY_MANUAL, POLICY_PINNED };
extern const char *const rec_policy_words[];
enum rec_standby { STANDBY_ASKED, STANDBY_YES, STANDBY_NO };
extern const char *const rec_standby_words[];
enum rec_route_state {
    ROUTE_STATE_STEADY,
    ROUTE_STATE_MOVING,
    ROUTE_STATE_DEFERRED,
    ROUTE_STATE_UNCOMMITTED,
    ROUTE_STATE_MANUAL_RECOVERY
};
extern const char *const rec_route_state_words[];
enum rec_verify { VERIFY_FULL, VERIFY_DELTA, VERIFY_NONE };
extern const char *const rec_verify_words[];
enum rec_plan_kind { PLAN_KIND_MANDATORY, PLAN_KIND_OPTIONAL, PLAN_KIND_SHADOW, PLAN_KIND_STANDBY };
extern const char *const rec_plan_kind_words[];
enum rec_phase { PHASE_REDIRECT, PHASE_REPLICATE, PHASE_HANDOVER, PHASE_RETIRE };
extern const char *const rec_phase_words[];
enum rec_event {
    EVENT_BEGIN,
    EVENT_PASS,
    EVENT_MIRROR,
    EVENT_HOLD,
    EVENT_SWITCHED,
    EVENT_DEFERRED,
    EVENT_STALLED,
    EVENT_FAILED,
    EVENT_ABORTED,
    EVENT_REVERTED,
    EVENT_COMMITTED,
    EVENT_MANUAL_RECOVERY,
    EVENT_MODIFIED
};
extern const char *const rec_event_words[];
/* The detail of "begin", or what stands before its "; ", where a copy is made to stand by. */
#define REC_STANDBY "standby"
/* How the detail of "deferred" begins where that was the aim: a copy stands by. */
#define REC_STANDS_BY "stands by"
/* How the detail of "begin" begins where somebody hands over what was deferred, or stands by. */
#define REC_TO_HAND_OVER "resumed to hand over"
/* In the detail of "begin", before how often in a row a standby that is made anew was lost. */
#define REC_WAS_LOST "was lost "
/* In the detail of "failed" and "aborted", before the target that has the volume's export still. */
#define REC_LEFT "; left on "
/* How the detail of a later "aborted" begins: what was left there is not there any more. */
#define REC_GONE "gone from "
enum rec_failure_kind { FAILURE_KIND_FAILURE, FAILURE_KIND_OUTAGE, FAILURE_KIND_EVACUATED };
extern const char *const rec_failure_kind_words[];
enum rec_verdict { VERDICT_MOVE, VERDICT_SHADOW, VERDICT_STAY, VERDICT_REFUSED };
extern const char *const rec_verdict_words[];
enum rec_outcome { OUTCOME_PAID_OFF, OUTCOME_MISMIGRATION, OUTCOME_UNKNOWN };
extern const char *const rec_outcome_words[];
enum rec_calendar_rule { CALENDAR_RULE_WINDOW, CALENDAR_RULE_BLACKOUT };
extern const char *const rec_calendar_rule_words[];
enum rec_scenario_kind {
    SCENARIO_LINEAR,
    SCENARIO_CURVED,
    SCENARIO_ERRORS,
    SCENARIO_LEAK,
    SCENARIO_SUDDEN,
    SCENARIO_CORDON,
    SCENARIO_DRAIN
};
extern const char *const rec_scenario_kind_words[];
enum rec_yesno { YESNO_NO, YESNO_YES };
extern const char *const rec_yesno_words[];

enum {
    ACCESS_TIME,
    ACCESS_VOLUME,
    ACCESS_GATEWAY,
    ACCESS_CLIENT,
    ACCESS_OP,
    ACCESS_OFFSET,
    ACCESS_LENGTH,
    ACCESS_LATENCY_US,
    ACCESS_ERROR,
    ACCESS_COUNT
};
extern const struct rec_schema rec_access;

enum { METRIC_TIME, METRIC_GATEWAY, METRIC_METRIC, METRIC_VALUE };
extern const struct rec_schema rec_metric;

enum { SITE_CLIENT, SITE_SITE, SITE_TZ };
extern const struct rec_schema rec_site;

enum { DISTANCE_SITE, DISTANCE_GATEWAY, DISTANCE_RTT_US };
extern const struct rec_schema rec_distance;

enum {
    AFFINITY_TIME,
    AFFINITY_VOLUME,
    AFFINITY_GATEWAY,
    AFFINITY_DAS,
    AFFINITY_SHARE,
    AFFINITY_REQUESTS,
    AFFINITY_CONFIDENCE,
    AFFINITY_HORIZON_S,
    AFFINITY_MODEL
};
extern const struct rec_schema rec_affinity;

enum {
    FORECAST_VOLUME,
    FORECAST_SITE,
    FORECAST_START,
    FORECAST_DURATION_S,
    FORECAST_REQUESTS,
    FORECAST_LOWER,
    FORECAST_UPPER,
    FORECAST_MODEL
};
extern const struct rec_schema rec_forecast;

enum {
    HEAT_VOLUME,
    HEAT_SEGMENT,
    HEAT_OFFSET,
    HEAT_LENGTH,
    HEAT_GATEWAY,
    HEAT_START,
    HEAT_DURATION_S,
    HEAT_READS,
    HEAT_WRITES,
    HEAT_BYTES
};
extern const struct rec_schema rec_heat;

enum {
    HEALTH_TIME,
    HEALTH_GATEWAY,
    HEALTH_GHS,
    HEALTH_CURRENT,
    HEALTH_P_FAIL,
    HEALTH_HORIZON_S,
    HEALTH_CONFIDENCE,
    HEALTH_WORST_METRIC,
    HEALTH_REASON,
    HEALTH_ANOMALY,
    HEALTH_LEAD_LOW_S,
    HEALTH_LEAD_HIGH_S,
    HEALTH_SHIFT,
    HEALTH_UNLOADED
};
extern const struct rec_schema rec_health;

enum {
    EXPLAIN_TIME,
    EXPLAIN_GATEWAY,
    EXPLAIN_METRIC,
    EXPLAIN_VALUE,
    EXPLAIN_USUAL,
    EXPLAIN_Z,
    EXPLAIN_SAMPLES,
    EXPLAIN_SILENT,
    EXPLAIN_WEIGHT,
    EXPLAIN_SUBSCORE,
    EXPLAIN_P_FAIL,
    EXPLAIN_LEVEL,
    EXPLAIN_DRIFT,
    EXPLAIN_TREND,
    EXPLAIN_BURST,
    EXPLAIN_SLOW
};
enum { ANOMALY_TIME, ANOMALY_GATEWAY, ANOMALY_METRIC, ANOMALY_VALUE, ANOMALY_SCORE };
extern const struct rec_schema rec_anomaly;
extern const struct rec_schema rec_explain;

enum { GRADE_PREDICTOR, GRADE_MEASURE, GRADE_VALUE };
extern const struct rec_schema rec_grade;

enum { FAILURE_TIME, FAILURE_GATEWAY, FAILURE_KIND, FAILURE_SITE };
extern const struct rec_schema rec_failure;

enum {
    GATEWAY_GATEWAY,
    GATEWAY_URI,
    GATEWAY_SITE,
    GATEWAY_CAPACITY_BYTES,
    GATEWAY_IOPS_LIMIT,
    GATEWAY_STATE,
    GATEWAY_HOOK,
    GATEWAY_METRICS,
    GATEWAY_STORAGE
};
extern const struct rec_schema rec_gateway;

enum {
    VOLUME_VOLUME,
    VOLUME_SIZE_BYTES,
    VOLUME_POLICY,
    VOLUME_GATEWAYS,
    VOLUME_GROUP,
    VOLUME_ANTI,
    VOLUME_CLIENTS,
    VOLUME_STANDBY
};
extern const struct rec_schema rec_volume;

enum { CALENDAR_RULE, CALENDAR_FROM, CALENDAR_UNTIL, CALENDAR_REASON };
extern const struct rec_schema rec_calendar;

enum {
    ROUTE_VOLUME,
    ROUTE_GATEWAY,
    ROUTE_EPOCH,
    ROUTE_STATE,
    ROUTE_TARGET,
    ROUTE_SIZE_BYTES,
    ROUTE_TIME,
    ROUTE_VERIFY
};
extern const struct rec_schema rec_route;

enum {
    PLAN_TIME,
    PLAN_VOLUME,
    PLAN_SOURCE,
    PLAN_TARGET,
    PLAN_EPOCH,
    PLAN_KIND,
    PLAN_BENEFIT,
    PLAN_REVERSE_BENEFIT,
    PLAN_SOURCE_GHS,
    PLAN_TARGET_GHS,
    PLAN_DAS,
    PLAN_BYTES,
    PLAN_NOT_BEFORE,
    PLAN_REASON
};
extern const struct rec_schema rec_plan;

enum {
    VERDICT_TIME,
    VERDICT_VOLUME,
    VERDICT_SOURCE,
    VERDICT_TARGET,
    VERDICT_BENEFIT,
    VERDICT_REVERSE_BENEFIT,
    VERDICT_SOURCE_GHS,
    VERDICT_TARGET_GHS,
    VERDICT_SOURCE_DAS,
    VERDICT_TARGET_DAS,
    VERDICT_GUARD,
    VERDICT_VERDICT,
    VERDICT_REASON
};
extern const struct rec_schema rec_verdict;

enum {
    OUTCOME_TIME,
    OUTCOME_VOLUME,
    OUTCOME_SOURCE,
    OUTCOME_TARGET,
    OUTCOME_KIND,
    OUTCOME_OUTCOME,
    OUTCOME_AFTER_S,
    OUTCOME_REASON
};
extern const struct rec_schema rec_outcome;

enum {
    EVENT_TIME,
    EVENT_MIGRATION,
    EVENT_VOLUME,
    EVENT_SOURCE,
    EVENT_TARGET,
    EVENT_PHASE,
    EVENT_EVENT,
    EVENT_BYTES_DONE,
    EVENT_BYTES_TOTAL,
    EVENT_PAUSE_US,
    EVENT_WHO,
    EVENT_DETAIL
};
extern const struct rec_schema rec_event;

enum { EXTENT_VOLUME, EXTENT_OFFSET, EXTENT_LENGTH };
extern const struct rec_schema rec_extent;

enum { CHANGED_VOLUME, CHANGED_GATEWAY, CHANGED_BYTES };
extern const struct rec_schema rec_changed;

enum { SCENARIO_GATEWAY, SCENARIO_ONSET, SCENARIO_FAILURE, SCENARIO_REPAIR, SCENARIO_KIND };
extern const struct rec_schema rec_scenario;

enum {
    REPLAY_POLICY,
    REPLAY_SETTING,
    REPLAY_SEED,
    REPLAY_REQUESTS,
    REPLAY_FAILED,
    REPLAY_DEGRADED,
    REPLAY_MEAN_US,
    REPLAY_P99_US,
    REPLAY_HEALTH_MOVES,
    REPLAY_AFFINITY_MOVES,
    REPLAY_FAILED_MOVES,
    REPLAY_BYTES,
    REPLAY_PINGPONGS,
    REPLAY_MISMIGRATIONS,
    REPLAY_GAINED_US,
    REPLAY_UNWARNED,
    REPLAY_TAKEOVERS
};
extern const struct rec_schema rec_replay;

enum {
    HEALTH_LIMIT_METRIC,
    HEALTH_LIMIT_GROUP,
    HEALTH_LIMIT_WEIGHT,
    HEALTH_LIMIT_WARN,
    HEALTH_LIMIT_CRITICAL,
    HEALTH_LIMIT_VITAL
};
extern const struct rec_schema rec_health_limit;

#endif
