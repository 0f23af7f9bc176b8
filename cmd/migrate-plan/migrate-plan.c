/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * migrate-plan: decides which volumes should move to which gateway, and says why.
 *
 * Reads health and affinity scores, the routes and the history of moves; prints plan records.  The
 * decision itself is common/plan: benefit = GHS(t) - GHS(s) + DAS(v,t), eight guards with
 * hysteresis, a greedy choice on a projection of room and load.  --grade says afterwards which of
 * the moves it planned would have paid off.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/opts.h"
#include "common/plan/choose.h"
#include "cmd/migrate-plan/drain.h"
#include "cmd/migrate-plan/grade.h"
#include "cmd/migrate-plan/inputs.h"
#include "common/plan/knobs.h"
#include "cmd/migrate-plan/notify.h"
#include "cmd/migrate-plan/report.h"
#include "cmd/migrate-plan/tape.h"

enum {
    OPT_ACCESS = OPT_LONG + 0x100,
    OPT_AFFINITY,
    OPT_CHANGED,
    OPT_DEMAND_HORIZON,
    OPT_DRAIN,
    OPT_EXPLAIN,
    OPT_FAILURES,
    OPT_FORECAST,
    OPT_GRADE,
    OPT_GRADE_HORIZON,
    OPT_HEALTH,
    OPT_HISTORY,
    OPT_NOTIFY,
    OPT_NOTIFY_TIMEOUT,
    OPT_NOW,
    OPT_RECORD,
    OPT_REPLAY,
    OPT_ROUTES,
};

/* The reason in a file "frozen" that is longer than this is cut. */
enum { FROZEN_MAX = 4096 };
static const double latest_time_s = 253402300799; /* as in records */

struct opts {
    struct opts_dirs dirs;
    struct knobs knobs;
    struct inputs inputs;
    struct drains drains;
    struct grade_job grade; /* if it has plans, that is all */
    const char *record;
    const char *replay;
    const char *verdicts;
    bool explain;
    const char *notify;
    double notify_timeout_s;
    double now; /* Unix seconds; -1: the clock's */
};

static const struct argp_option options[] = {
    {"access", OPT_ACCESS, "FILE", 0,
     "With --grade, access records: the demand that came (default: not known)", 0},
    {"affinity", OPT_AFFINITY, "FILE", 0, "Affinity records (default: every affinity is 0.5)", 0},
    {"changed", OPT_CHANGED, "FILE", 0,
     "Changed records: how much differs on copies that are known (default: a volume's size is "
     "sent)",
     0},
    {"demand-horizon", OPT_DEMAND_HORIZON, "DURATION", 0,
     "With --grade, how long after a move accesses count for it: the horizon of the affinity "
     "(default 6h)",
     0},
    {"drain", OPT_DRAIN, "GATEWAY", 0,
     "Evacuate GATEWAY, as if its state were drain; may be given again (default: none)", 0},
    {"explain", OPT_EXPLAIN, "FILE", OPTION_ARG_OPTIONAL,
     "Verdict records to FILE, or as a table to stderr; with --grade, outcome records", 0},
    {"failures", OPT_FAILURES, "FILE", 0,
     "With --grade, failure records: what came (default: none came)", 0},
    {"forecast", OPT_FORECAST, "FILE", 0,
     "Forecast records: load hour by hour, and quiet hours to start in (default: none)", 0},
    {"grade", OPT_GRADE, "FILE", 0,
     "Instead of planning, say which moves of the plan records in FILE would have paid off; may be "
     "given again (default: none)",
     0},
    {"grade-horizon", OPT_GRADE_HORIZON, "DURATION", 0,
     "How long after a move trouble counts for it (default 24h)", 0},
    {"health", OPT_HEALTH, "FILE", 0,
     "Health records (required, but for --replay); with --grade, those that came", 0},
    {"history", OPT_HISTORY, "FILE", 0,
     "Event records of past moves (default STATE/history.csv, if it is there)", 0},
    {"notify", OPT_NOTIFY, "COMMAND", 0,
     "Run COMMAND for alarms, deferred and manual-recovery volumes (default $GATESHIFT_NOTIFY)", 0},
    {"notify-timeout", OPT_NOTIFY_TIMEOUT, "DURATION", 0,
     "Kill a COMMAND that takes longer (default 30s)", 0},
    {"now", OPT_NOW, "TIME", 0, "Plan as of TIME, Unix seconds (default: the clock)", 0},
    {"record", OPT_RECORD, "DIR", 0, "Save every input and option in DIR", 0},
    {"replay", OPT_REPLAY, "DIR", 0,
     "Decide again on what --record saved; limits given here replace the saved ones", 0},
    {"routes", OPT_ROUTES, "FILE", 0, "Route records (default: the route store in STATE)", 0},
    {0},
};

static void check_grade(const struct opts *o, const struct argp_state *st)
{
    const struct inputs *in = &o->inputs;
    size_t piped = 0;
    for (size_t i = 0; i < o->grade.n_plans; i++)
        piped += !strcmp(o->grade.plans[i], "-");
    const char *const files[] = {o->grade.failures, in->health, o->grade.access};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        piped += files[i] && !strcmp(files[i], "-");
    if (in->affinity || in->routes || in->history || in->forecast || in->changed || o->record ||
        o->replay || o->drains.given)
        argp_error(st, "--grade plans nothing: it takes --failures, --health and --access");
    if (!o->grade.failures && !in->health)
        argp_error(st, "--grade needs --failures or --health");
    if (piped > 1)
        argp_error(st, "only one input can be standard input");
}

static void check_plan(const struct opts *o, const struct argp_state *st)
{
    const char *const files[] = {o->inputs.health,  o->inputs.affinity, o->inputs.routes,
                                 o->inputs.history, o->inputs.forecast, o->inputs.changed};
    int piped = 0;
    bool given = false;
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        given = given || files[i];
        piped += files[i] && !strcmp(files[i], "-");
    }
    if (o->replay && (given || o->record || o->now >= 0))
        argp_error(st, "--replay takes its inputs and the time from DIR");
    if (!o->replay && !o->inputs.health)
        argp_error(st, "--health FILE is required");
    if (piped > 1)
        argp_error(st, "only one input can be standard input");
    if (o->grade.failures || o->grade.access)
        argp_error(st, "--failures and --access need --grade");
}

static void check_opts(const struct opts *o, const struct argp_state *st)
{
    if (o->grade.n_plans)
        check_grade(o, st);
    else
        check_plan(o, st);
    if (o->verdicts && !strcmp(o->verdicts, "-"))
        argp_error(st, "--explain: standard output is the plan's");
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->knobs;
        st->child_inputs[1] = &o->dirs;
        return 0;
    case OPT_ACCESS:
        o->grade.access = arg;
        return 0;
    case OPT_AFFINITY:
        o->inputs.affinity = arg;
        return 0;
    case OPT_CHANGED:
        o->inputs.changed = arg;
        return 0;
    case OPT_DEMAND_HORIZON:
        o->grade.demand_s = opts_duration(st, "demand-horizon", arg, 1, 366 * 86400.0);
        return 0;
    case OPT_DRAIN:
        o->drains.given = true;
        drains_add(&o->drains, arg);
        return 0;
    case OPT_EXPLAIN:
        o->explain = true;
        o->verdicts = arg;
        return 0;
    case OPT_FAILURES:
        o->grade.failures = arg;
        return 0;
    case OPT_FORECAST:
        o->inputs.forecast = arg;
        return 0;
    case OPT_GRADE:
        grade_add(&o->grade, arg);
        return 0;
    case OPT_GRADE_HORIZON:
        o->grade.horizon_s = opts_duration(st, "grade-horizon", arg, 1, 366 * 86400.0);
        return 0;
    case OPT_HEALTH:
        o->inputs.health = arg;
        return 0;
    case OPT_HISTORY:
        o->inputs.history = arg;
        return 0;
    case OPT_NOTIFY:
        o->notify = arg;
        return 0;
    case OPT_NOTIFY_TIMEOUT:
        o->notify_timeout_s = opts_duration(st, "notify-timeout", arg, 0.001, 3600);
        return 0;
    case OPT_NOW:
        o->now = opts_f64(st, "now", arg, 0, latest_time_s);
        return 0;
    case OPT_RECORD:
        o->record = arg;
        return 0;
    case OPT_REPLAY:
        o->replay = arg;
        return 0;
    case OPT_ROUTES:
        o->inputs.routes = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(st, "takes no arguments: '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        check_opts(o, st);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse_opt,
    NULL,
    "Plan moves of volumes between gateways.\v"
    "Prints plan records, none if nothing is worth moving.  DURATION takes ms, s, m, h, d, w.",
    (const struct argp_child[]){{&knobs_argp, 0, NULL, 0}, {&opts_dirs_argp, 0, NULL, 0}, {0}},
    NULL,
    NULL,
};

/* Says so if the operator stopped all planning by a file "frozen" in the state folder. */
static bool frozen(const char *state)
{
    struct buf path = {0}, why = {0};
    if (buf_printf(&path, "%s/frozen", state) < 0)
        err_die(EX_OSERR, "out of memory");
    int err = fsfile_read(path.data, FROZEN_MAX, &why);
    /* Not to know is no freeze: who takes 75 for "later" would wait for ever. */
    if (err == -EACCES && access(path.data, F_OK) < 0)
        err_die(EX_NOINPUT, "cannot read '%s': %s", state, err_text(err));
    if (err != -ENOENT) {
        const char *none = err < 0 ? err_text(err) : "no reason given";
        const char *reason = why.len ? why.data : none;
        err_warn("frozen by '%s': %.*s: nothing is planned", path.data,
                 (int)strcspn(reason, "\r\n"), reason);
    }
    buf_release(&path);
    buf_release(&why);
    return err != -ENOENT;
}

/* Where inputs are not named, where they usually stand. */
static void default_inputs(struct opts *o, char **history)
{
    o->inputs.config = o->dirs.config;
    o->inputs.state = o->dirs.state;
    if (asprintf(history, "%s/history.csv", o->dirs.state) < 0)
        err_die(EX_OSERR, "out of memory");
    const bool none = access(*history, F_OK) < 0 && errno == ENOENT;
    if (!o->inputs.history && !none)
        o->inputs.history = *history;
    if (o->now < 0)
        o->now = clock_now();
}

static void plan(struct opts *o, const struct inputs *in, double now)
{
    struct plan_calendar calendar = {0};
    struct plan_fleet fleet = {0};
    inputs_load(in, now, o->knobs.limits.max_skew_s, &o->drains, &calendar, &fleet);
    struct report *r = report_new(o->explain, o->verdicts);
    const struct plan_sink out = report_sink(r);
    const struct plan_sink sink = drains_watch(&o->drains, &out);
    int err = plan_choose(&fleet, &o->knobs.limits, now, &sink);
    if (err < 0)
        report_fail(r, err);
    report_finish(r);
    drains_note(&o->drains);
    if (o->notify && !o->replay)
        notify(o->notify, o->notify_timeout_s, &fleet, &o->knobs.limits);
    plan_fleet_release(&fleet);
    plan_calendar_release(&calendar);
}

static void grade_plans(struct opts *o)
{
    o->grade.config = o->dirs.config;
    o->grade.health = o->inputs.health;
    o->grade.now = o->now < 0 ? clock_now() : o->now;
    o->grade.explain = o->explain;
    o->grade.verdicts = o->verdicts;
    grade(&o->grade, &o->knobs.limits);
    grade_release(&o->grade);
}

int main(int argc, char **argv)
{
    struct opts o = {
        .now = -1,
        .notify = getenv("GATESHIFT_NOTIFY"),
        .notify_timeout_s = 30,
        .grade = {.horizon_s = 86400, .demand_s = 6 * 3600},
    };
    struct tape tape = {0};
    char *history = NULL;
    opts_dirs_init(&o.dirs);
    knobs_init(&o.knobs);
    opts_parse(&argp, argc, argv, &o);
    if (o.grade.n_plans) {
        grade_plans(&o);
        return EX_OK;
    }
    if (!o.replay && frozen(o.dirs.state)) {
        report_finish(report_new(o.explain, o.verdicts));
        return EX_TEMPFAIL;
    }
    default_inputs(&o, &history);
    if (o.replay)
        tape_replay(&tape, o.replay, &o.knobs, &o.drains);
    else if (o.record)
        tape_record(&tape, o.record, &o.inputs, o.now, &o.knobs, &o.drains);
    const bool taped = o.replay || o.record;
    plan(&o, taped ? &tape.inputs : &o.inputs, taped ? tape.now : o.now);
    tape_release(&tape);
    drains_release(&o.drains);
    free(history);
    return 0;
}
