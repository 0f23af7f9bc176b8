/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * affinity-profile - learn the demand for volumes, predict it, score gateways by it
 *
 * Hourly requests per volume and client site, forecast by double-seasonal exponential smoothing
 * (Taylor 2003) and, where a back-test favours it, an LSTM on that (common/forecast), weighed with
 * the distance of each gateway from the sites (common/affinity).
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/affinity-profile/profile.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/heap.h"
#include "common/base/opts.h"
#include "common/base/parse.h"
#include "common/record/record.h"

enum answer {
    ANSWER_AFFINITY,
    ANSWER_FORECAST,
    ANSWER_HEAT,
    ANSWER_TOP,
    ANSWER_EXPLAIN,
    ANSWER_BACKTEST,
    ANSWER_NOTHING
};

struct opts {
    struct opts_dirs dirs;
    enum answer answer;
    double horizon_s, ahead_s, keep_s, lateness_s, step_s;
    double rtt_scale_s;
    double now; /* −1: the newest record's time */
    double budget_s;
    uint64_t origins, seed, threads;
    uint64_t top; /* 0: all */
    const char *source, *svg, *explain, *volume;
    bool train, fine_tune, chart, keep_going, merge;
    char **files;
    size_t n_files;
};

static const struct opts defaults = {
    .horizon_s = 6 * 3600,
    .ahead_s = 48 * 3600,
    .keep_s = 13 * 7 * 86400,
    .lateness_s = 60,
    .step_s = 86400,
    .budget_s = 60,
    .rtt_scale_s = 1e-3,
    .now = -1,
    .origins = 7,
    .seed = 1,
};

enum { THREADS_MAX = 64 };
/* What a log of ten million records to some hundred volumes fills is a quarter of it. */
#define HEAP_BYTES ((size_t)256 << 20)

enum {
    OPT_AHEAD = OPT_LONG,
    OPT_BACKTEST,
    OPT_BUDGET,
    OPT_CHART,
    OPT_COUNT_ONLY,
    OPT_EXPLAIN,
    OPT_FINE_TUNE,
    OPT_FORECAST,
    OPT_HEATMAP,
    OPT_HORIZON,
    OPT_KEEP,
    OPT_KEEP_GOING,
    OPT_LATENESS,
    OPT_MERGE,
    OPT_NOW,
    OPT_ORIGINS,
    OPT_RTT_SCALE,
    OPT_SEED,
    OPT_SOURCE,
    OPT_STEP,
    OPT_SVG,
    OPT_THREADS,
    OPT_TOP,
    OPT_TRAIN,
    OPT_VOLUME,
};

static const struct argp_option options[] = {
    {"ahead", OPT_AHEAD, "DURATION", 0,
     "How far --forecast, --heatmap and --backtest look ahead (default 48h)", 0},
    {"backtest", OPT_BACKTEST, NULL, 0,
     "Print how good past forecasts would have been, per series and in all", 0},
    {"budget", OPT_BUDGET, "DURATION", 0,
     "CPU time that a training may take, about; 0 trains no nets (default 60s)", 0},
    {"chart", OPT_CHART, NULL, 0, "Draw the heat map, as --heatmap does on a terminal", 0},
    {"count-only", OPT_COUNT_ONLY, NULL, 0, "Count the input and print nothing", 0},
    {"explain", OPT_EXPLAIN, "VOLUME", 0, "Print where the volume's scores come from", 0},
    {"fine-tune", OPT_FINE_TUNE, NULL, 0,
     "Train the kept nets a little on what has come since; all anew if too old or too far off", 0},
    {"forecast", OPT_FORECAST, NULL, 0, "Print forecast records: an hour a record", 0},
    {"heatmap", OPT_HEATMAP, NULL, 0, "Print heat records: segment, gateway and hour a record", 0},
    {"horizon", OPT_HORIZON, "DURATION", 0,
     "Score by the demand of so much time from now on (default 6h)", 0},
    {"keep", OPT_KEEP, "DURATION", 0, "Remember hourly demand for so long (default 13w)", 0},
    {"keep-going", OPT_KEEP_GOING, NULL, 0,
     "Report a malformed record and go on; the status is still 65", 0},
    {"lateness", OPT_LATENESS, "DURATION", 0,
     "How far behind the newest record of earlier runs a new one may lie (default 60s)", 0},
    {"merge", OPT_MERGE, NULL, 0,
     "The arguments are state folders of other parts of the log: join them into the new --state",
     0},
    {"now", OPT_NOW, "TIME", 0, "Answer as of TIME, in Unix seconds (default: the newest record's)",
     0},
    {"origins", OPT_ORIGINS, "N", 0, "Forecasts that --backtest makes of each series (default 7)",
     0},
    {"rtt-scale", OPT_RTT_SCALE, "DURATION", 0,
     "Differences of round-trip time below it hardly count (default 1ms)", 0},
    {"seed", OPT_SEED, "N", 0, "Seed of parameter search and nets (default 1)", 0},
    {"source", OPT_SOURCE, "NAME", 0,
     "Remember how far the files given with this NAME were read, and go on there", 0},
    {"step", OPT_STEP, "DURATION", 0, "Time between the origins of --backtest (default 24h)", 0},
    {"svg", OPT_SVG, "FILE", 0, "Draw the heat map into FILE, as SVG, and print nothing", 0},
    {"threads", OPT_THREADS, "N", 0, "Threads that read files and train (default: one a processor)",
     0},
    {"top", OPT_TOP, "N", 0,
     "Print the N volumes whose demand will rise most, when and where; or draw only these", 0},
    {"train", OPT_TRAIN, NULL, 0, "Fit all models and train the nets now, and keep them for a week",
     0},
    {"volume", OPT_VOLUME, "NAME", 0, "Print or draw this volume only (default: all)", 0},
    {0},
};

static double time_option(const struct argp_state *st, const char *arg)
{
    return opts_f64(st, "now", arg, 0, 253402300799.0);
}

static void set_answer(struct opts *o, const struct argp_state *st, enum answer answer)
{
    if (o->answer != ANSWER_AFFINITY && o->answer != answer)
        argp_error(st, "only one of --backtest, --count-only, --explain, --forecast and --heatmap, "
                       "--chart or --svg");
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
    case OPT_BUDGET:
        o->budget_s = opts_duration(st, "budget", arg, 0, week);
        return 0;
    case OPT_CHART:
        o->chart = true;
        set_answer(o, st, ANSWER_HEAT);
        return 0;
    case OPT_COUNT_ONLY:
        set_answer(o, st, ANSWER_NOTHING);
        return 0;
    case OPT_EXPLAIN:
        o->explain = arg;
        set_answer(o, st, ANSWER_EXPLAIN);
        return 0;
    case OPT_FINE_TUNE:
        o->fine_tune = true;
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
    case OPT_MERGE:
        o->merge = true;
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
    case OPT_SOURCE:
        if (parse_name(arg) < 0)
            argp_error(st, "source takes a name, not '%s'", arg);
        o->source = arg;
        return 0;
    case OPT_STEP:
        o->step_s = opts_duration(st, "step", arg, hour, 13 * week);
        return 0;
    case OPT_SVG:
        o->svg = arg;
        set_answer(o, st, ANSWER_HEAT);
        return 0;
    case OPT_THREADS:
        o->threads = opts_u64(st, "threads", arg, 1, THREADS_MAX);
        return 0;
    case OPT_TOP:
        o->top = opts_u64(st, "top", arg, 1, UINT32_MAX);
        return 0;
    case OPT_TRAIN:
        o->train = true;
        return 0;
    case OPT_VOLUME:
        o->volume = arg;
        return 0;
    case ARGP_KEY_ARGS:
        o->files = st->argv + st->next;
        o->n_files = (size_t)(st->argc - st->next);
        return 0;
    case ARGP_KEY_END:
        if (o->top && o->answer == ANSWER_AFFINITY)
            o->answer = ANSWER_TOP;
        if (o->top && o->answer != ANSWER_TOP && !o->chart && !o->svg)
            argp_error(st, "--top goes alone, or with --chart or --svg");
        if (o->volume && (o->top || o->answer == ANSWER_BACKTEST || o->answer == ANSWER_EXPLAIN))
            argp_error(st, "--volume goes with scores, --forecast, --heatmap, --chart or --svg");
        if (o->merge && (o->source || !o->n_files))
            argp_error(st, "--merge takes state folders, and no --source");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Gateways matter to some answers only; without them a profile can still be kept. */
static void load_fleet(const struct opts *o, struct fleet *f)
{
    unsigned parts = FLEET_SITES;
    if (o->answer != ANSWER_FORECAST && o->answer != ANSWER_BACKTEST && o->answer != ANSWER_NOTHING)
        parts |= FLEET_GATEWAYS | FLEET_VOLUMES | FLEET_DISTANCES;
    if (fleet_load(f, o->dirs.config, parts) < 0)
        err_die(f->status, "%s", f->error);
}

/* The heat map as a picture. */
static void draw(const struct opts *o, const struct profile *p)
{
    size_t n;
    const struct demand_volume **v =
        o->top ? top_volumes(p, o->ahead_s, (size_t)o->top, &n) : profile_asked(p, &n);
    if (o->svg)
        svg_heat(p, v, n, o->ahead_s, o->svg);
    else
        chart_heat(p, v, n, o->ahead_s);
    free(v);
}

/* --volume names one that was never seen: said as --explain says it. */
static bool is_unknown(const struct opts *o, const struct profile *p)
{
    size_t n;
    if (!o->volume)
        return false;
    free(profile_asked(p, &n));
    if (!n)
        err_warn("no request for '%s' is remembered", o->volume);
    return !n;
}

static int print_answer(const struct opts *o, const struct profile *p)
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
        if (o->chart || o->svg || isatty(STDOUT_FILENO))
            draw(o, p);
        else
            report_heat(p, o->ahead_s);
        break;
    case ANSWER_TOP:
        top_report(p, o->ahead_s, (size_t)o->top);
        break;
    case ANSWER_EXPLAIN:
        return explain(p, o->explain, o->horizon_s);
    case ANSWER_BACKTEST:
        backtest_report(p, &how);
        break;
    case ANSWER_NOTHING:
        break;
    }
    return is_unknown(o, p) ? EX_NO : 0;
}

/* A terminal or /dev/null on standard input: nobody sends records, the state is asked. */
static bool has_no_input(void)
{
    struct stat st;
    return fstat(STDIN_FILENO, &st) == 0 && S_ISCHR(st.st_mode);
}

/* Records from further ahead than a clock may go wrong are not believed. */
static double latest(const struct opts *o)
{
    return o->now >= 0 ? REC_TIME_MAX : clock_now() + 86400;
}

/* Counts the input, and makes the counts durable before anything is said about them. */
static int count_input(const struct opts *o, struct profile *p)
{
    struct counted new = {0};
    const struct ingest how = {
        .paths = o->files,
        .n_paths = o->n_files,
        .until = o->now,
        .latest = latest(o),
        .source = o->source,
        .threads = (size_t)o->threads,
        .keep_going = o->keep_going,
    };
    if (o->merge) {
        store_merge(o->dirs.state, p, o->files, o->n_files);
    } else if (o->n_files || !has_no_input()) {
        ingest(p, &how, &new);
        if (new.records || new.noted)
            store_add(o->dirs.state, p, &new.demand);
        counted_release(&new);
    }
    p->now = o->now >= 0 ? o->now : p->demand.newest;
    if (demand_gather(&p->demand) < 0)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    if (o->answer == ANSWER_HEAT || o->answer == ANSWER_TOP)
        store_load_heat(o->dirs.state, p);
    return new.status;
}

/* As many as may run at once. */
static uint64_t processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (uint64_t)n;
}

/* Whatever was asked for, so that it is saved before anything is answered with it. */
static void learn(const struct opts *o, struct profile *p)
{
    if (p->now < 0 || (!o->train && !o->fine_tune))
        return;
    if (!o->train && learn_fine_tune(p)) {
        store_save_nets(o->dirs.state, p);
        return;
    }
    learn_train(p);
    store_save_models(o->dirs.state, p);
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
    heap_large_pages(HEAP_BYTES);
    opts_dirs_init(&o.dirs);
    o.threads = processors();
    opts_parse(&argp, argc, argv, &o);
    p.only = o.volume;
    p.seed = o.seed;
    p.budget_s = o.budget_s;
    p.rtt_scale_us = o.rtt_scale_s * 1e6;
    load_fleet(&o, &p.fleet);
    demand_init(&p.demand, (uint32_t)(o.keep_s / 3600));
    index_init(&p.index, o.lateness_s);
    store_lock(o.dirs.state);
    store_load(o.dirs.state, &p);
    int status = count_input(&o, &p);
    bool asks_nets = p.nets.config.nets && o.answer != ANSWER_NOTHING;
    if (o.train || o.fine_tune || o.answer == ANSWER_BACKTEST || asks_nets)
        p.threads = learn_threads((size_t)o.threads);
    learn(&o, &p);
    if (p.now >= 0 && o.answer != ANSWER_BACKTEST && o.answer != ANSWER_NOTHING)
        outlook_prepare(&p);
    int answer = print_answer(&o, &p);
    if (!status)
        status = answer;
    demand_release(&p.demand);
    index_release(&p.index);
    models_release(&p.models);
    nets_release(&p.nets);
    free(p.ahead);
    fleet_release(&p.fleet);
    return status;
}
