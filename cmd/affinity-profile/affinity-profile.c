/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * affinity-profile - learn the demand for volumes, predict it, score gateways by it
 *
 * Hourly requests per volume and client site, forecast by double-seasonal exponential smoothing
 * (Taylor 2003; common/forecast), weighed with the distance of each gateway from the sites
 * (common/affinity).
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/error.h"
#include "common/base/opts.h"

enum answer { ANSWER_AFFINITY, ANSWER_FORECAST, ANSWER_HEAT, ANSWER_BACKTEST };

struct opts {
    struct opts_dirs dirs;
    enum answer answer;
    double horizon_s, ahead_s, keep_s, lateness_s, step_s;
    double rtt_scale_s;
    double now; /* −1: the newest record's time */
    uint64_t origins, seed;
    bool train, chart, keep_going;
    char **files;
    size_t n_files;
};

static const struct opts defaults = {
    .horizon_s = 6 * 3600,
    .ahead_s = 48 * 3600,
    .keep_s = 13 * 7 * 86400,
    .lateness_s = 60,
    .step_s = 86400,
    .rtt_scale_s = 1e-3,
    .now = -1,
    .origins = 7,
    .seed = 1,
};

enum {
    OPT_AHEAD = OPT_LONG,
    OPT_BACKTEST,
    OPT_CHART,
    OPT_FORECAST,
    OPT_HEATMAP,
    OPT_HORIZON,
    OPT_KEEP,
    OPT_KEEP_GOING,
    OPT_LATENESS,
    OPT_NOW,
    OPT_ORIGINS,
    OPT_RTT_SCALE,
    OPT_SEED,
    OPT_STEP,
    OPT_TRAIN,
};

static const struct argp_option options[] = {
    {"ahead", OPT_AHEAD, "DURATION", 0,
     "How far --forecast, --heatmap and --backtest look ahead (default 48h)", 0},
    {"backtest", OPT_BACKTEST, NULL, 0,
     "Print how good past forecasts would have been, per series and in all", 0},
    {"chart", OPT_CHART, NULL, 0, "Draw the heat map, as --heatmap does on a terminal", 0},
    {"forecast", OPT_FORECAST, NULL, 0, "Print forecast records: an hour a record", 0},
    {"heatmap", OPT_HEATMAP, NULL, 0, "Print heat records: segment, gateway and hour a record", 0},
    {"horizon", OPT_HORIZON, "DURATION", 0,
     "Score by the demand of so much time from now on (default 6h)", 0},
    {"keep", OPT_KEEP, "DURATION", 0, "Remember hourly demand for so long (default 13w)", 0},
    {"keep-going", OPT_KEEP_GOING, NULL, 0,
     "Report a malformed record and go on; the status is still 65", 0},
    {"lateness", OPT_LATENESS, "DURATION", 0,
     "How far behind the newest record of earlier runs a new one may lie (default 60s)", 0},
    {"now", OPT_NOW, "TIME", 0, "Answer as of TIME, in Unix seconds (default: the newest record's)",
     0},
    {"origins", OPT_ORIGINS, "N", 0, "Forecasts that --backtest makes of each series (default 7)",
     0},
    {"rtt-scale", OPT_RTT_SCALE, "DURATION", 0,
     "Differences of round-trip time below it hardly count (default 1ms)", 0},
    {"seed", OPT_SEED, "N", 0, "Seed of the parameter search (default 1)", 0},
    {"step", OPT_STEP, "DURATION", 0, "Time between the origins of --backtest (default 24h)", 0},
    {"train", OPT_TRAIN, NULL, 0, "Fit all models now and keep them for a week", 0},
    {0},
};

static double time_option(const struct argp_state *st, const char *arg)
{
    return opts_f64(st, "now", arg, 0, 253402300799.0);
}

static void set_answer(struct opts *o, const struct argp_state *st, enum answer answer)
{
    if (o->answer != ANSWER_AFFINITY && o->answer != answer)
        argp_error(st, "only one of --backtest, --forecast and --heatmap or --chart");
    o->answer = answer;
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    const double hour = 3600, week = 7 * 24 * hour;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->dirs;
        return 0;
    case OPT_AHEAD:
        o->ahead_s = opts_duration(st, "ahead", arg, hour, 13 * week);
        return 0;
    case OPT_BACKTEST:
        set_answer(o, st, ANSWER_BACKTEST);
        return 0;
    case OPT_CHART:
        o->chart = true;
        set_answer(o, st, ANSWER_HEAT);
        return 0;
    case OPT_FORECAST:
        set_answer(o, st, ANSWER_FORECAST);
        return 0;
    case OPT_HEATMAP:
        set_answer(o, st, ANSWER_HEAT);
        return 0;
    case OPT_HORIZON:
        o->horizon_s = opts_duration(st, "horizon", arg, 1, 13 * week);
        return 0;
    case OPT_KEEP:
        o->keep_s = opts_duration(st, "keep", arg, 24 * hour, 520 * week);
        return 0;
    case OPT_KEEP_GOING:
        o->keep_going = true;
        return 0;
    case OPT_LATENESS:
        o->lateness_s = opts_duration(st, "lateness", arg, 0, week);
        return 0;
    case OPT_NOW:
        o->now = time_option(st, arg);
        return 0;
    case OPT_ORIGINS:
        o->origins = opts_u64(st, "origins", arg, 1, 10000);
        return 0;
    case OPT_RTT_SCALE:
        o->rtt_scale_s = opts_duration(st, "rtt-scale", arg, 1e-6, 3600);
        return 0;
    case OPT_SEED:
        o->seed = opts_u64(st, "seed", arg, 0, UINT64_MAX);
        return 0;
    case OPT_STEP:
        o->step_s = opts_duration(st, "step", arg, hour, 13 * week);
        return 0;
    case OPT_TRAIN:
        o->train = true;
        return 0;
    case ARGP_KEY_ARGS:
        o->files = st->argv + st->next;
        o->n_files = (size_t)(st->argc - st->next);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Gateways matter to some answers only; without them a profile can still be kept. */
static void load_fleet(const struct opts *o, struct fleet *f)
{
    unsigned parts = FLEET_SITES;
    if (o->answer == ANSWER_AFFINITY || o->answer == ANSWER_HEAT)
        parts |= FLEET_GATEWAYS | FLEET_VOLUMES | FLEET_DISTANCES;
    if (fleet_load(f, o->dirs.config, parts) < 0)
        err_die(f->status, "%s", f->error);
}

static void print_answer(const struct opts *o, const struct profile *p)
{
    const struct backtest how = {
        .ahead = (size_t)(o->ahead_s / 3600),
        .origins = (size_t)o->origins,
        .step = (size_t)(o->step_s / 3600),
    };
    switch (o->answer) {
    case ANSWER_AFFINITY:
        report_affinity(p, o->horizon_s);
        break;
    case ANSWER_FORECAST:
        report_forecast(p, o->ahead_s);
        break;
    case ANSWER_HEAT:
        if (o->chart || isatty(STDOUT_FILENO))
            chart_heat(p, o->ahead_s);
        else
            report_heat(p, o->ahead_s);
        break;
    case ANSWER_BACKTEST:
        backtest_report(p, &how);
        break;
    }
}

/* A terminal or /dev/null on standard input: nobody sends records, the state is asked. */
static bool has_no_input(void)
{
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 && S_ISCHR(st.st_mode);
}

/* Counts the input, and makes the counts durable before anything is said about them. */
static int count_input(const struct opts *o, struct profile *p)
{
    uint64_t counted = 0;
    int status = 0;
    if (o->n_files || !has_no_input())
        status = ingest(p, o->files, o->n_files, o->now, o->keep_going, &counted);
    if (counted)
        store_save_demand(o->dirs.state, p);
    p->now = o->now >= 0 ? o->now : p->seen.newest;
    return status;
}

int main(int argc, char **argv)
{
    struct opts o = defaults;
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        .options = options,
        .parser = parse_opt,
        .args_doc = "[FILE...]",
        .doc = "Learn the demand for volumes from access records, predict it, and print how well "
               "each gateway suits each volume.",
        .children = children,
    };
    struct profile p = {0};
    opts_dirs_init(&o.dirs);
    opts_parse(&argp, argc, argv, &o);
    p.seed = o.seed;
    p.rtt_scale_us = o.rtt_scale_s * 1e6;
    load_fleet(&o, &p.fleet);
    demand_init(&p.demand, (uint32_t)(o.keep_s / 3600));
    seen_init(&p.seen, o.lateness_s);
    store_lock(o.dirs.state);
    store_load(o.dirs.state, &p);
    int status = count_input(&o, &p);
    if (o.train && p.now >= 0) {
        outlook_train(&p);
        store_save_models(o.dirs.state, &p);
    }
    print_answer(&o, &p);
    demand_release(&p.demand);
    seen_release(&p.seen);
    models_release(&p.models);
    fleet_release(&p.fleet);
    return status;
}
