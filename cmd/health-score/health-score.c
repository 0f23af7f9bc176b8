/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health-score: how healthy every gateway is, and how likely it is to fail soon.
 *
 * Metric records in, health records out.  Each metric's signal is kept in bounded memory
 * (common/health/signal.h); trends are Theil-Sen lines over windows of growing length
 * (common/health/trend.h), joined with level and drift into a probability (failure.h) and with the
 * other metrics into a score (score.h).
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/health-score/config.h"
#include "cmd/health-score/labels.h"
#include "cmd/health-score/state.h"
#include "cmd/health-score/views.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/opts.h"
#include "common/base/parse.h"
#include "common/health/anomaly.h"
#include "common/health/board.h"
#include "common/record/schema.h"

enum mode {
    MODE_LATEST,
    MODE_STREAM,
    MODE_PER_METRIC,
    MODE_EXPLAIN,
    MODE_CHART,
    MODE_PROM,
    MODE_GRADE
};

/* --stream saves its state so often. */
#define SAVE_EVERY_US 60000000u
/* --stream looks for silent gateways so often, in record time. */
#define SWEEP_EVERY_S 1.0
/* The clock is read for each record that is later than what it last said, or so much earlier. */
#define CLOCK_NEWS_S 10.0

struct opts {
    struct opts_dirs dirs;
    const char *failures; /* NULL: nothing to be fitted on */
    const char *grade;    /* MODE_GRADE: what happened */
    const char *limits;   /* NULL: health.csv of the configuration, or the built-in ones */
    enum mode mode;
    bool print_limits;
    bool keep_going;
    double delta; /* change of ghs, p_fail or confidence that --stream tells */
    double now;   /* Unix seconds; NaN: the newest record */
    struct health_rules rules;
    char **files;
    size_t n_files;
};

enum {
    KEY_CHART = OPT_LONG,
    KEY_DAMPING,
    KEY_DELTA,
    KEY_EXPLAIN,
    KEY_FAILURES,
    KEY_FORMAT,
    KEY_GRADE,
    KEY_HORIZON,
    KEY_KEEP_GOING,
    KEY_LIMITS,
    KEY_MAX_SERIES,
    KEY_NOW,
    KEY_PER_METRIC,
    KEY_PRINT_LIMITS,
    KEY_SILENT_AFTER,
    KEY_STREAM,
};

static const struct argp_option options[] = {
    {"chart", KEY_CHART, 0, 0, "Draw a line for each metric instead: what it was, and is", 0},
    {"damping", KEY_DAMPING, "M/N", 0,
     "Samples of the last N that a change of state needs, at most 16 (default 4/5)", 0},
    {"delta", KEY_DELTA, "D", 0, "Change of a score that --stream tells, 0 to 1 (default 0.02)", 0},
    {"explain", KEY_EXPLAIN, 0, 0, "Print a record for each metric: what the score is made of", 0},
    {"failures", KEY_FAILURES, "FILE", 0,
     "Fit p_fail on these failure records (default: by rules, or as fitted before)", 0},
    {"format", KEY_FORMAT, "FORMAT", 0, "Of the latest scores: csv or prom (default csv)", 0},
    {"grade", KEY_GRADE, "FILE", 0, "Print how good the scores were, by these failure records", 0},
    {"horizon", KEY_HORIZON, "DURATION", 0, "How far p_fail looks ahead (default 24h)", 0},
    {"keep-going", KEY_KEEP_GOING, 0, 0, "Report malformed records and go on; ends 65", 0},
    {"limits", KEY_LIMITS, "FILE", 0,
     "Limits of the metrics (default CONFIG/health.csv, or built-in ones)", 0},
    {"max-series", KEY_MAX_SERIES, "N", 0,
     "Refuse more metrics of all gateways together (default 250000)", 0},
    {"now", KEY_NOW, "TIME", 0, "Judge at this time, Unix seconds (default: the newest record's)",
     0},
    {"per-metric", KEY_PER_METRIC, 0, 0, "Print an anomaly record for each input record", 0},
    {"print-limits", KEY_PRINT_LIMITS, 0, 0, "Print the limits in use and exit", 0},
    {"silent-after", KEY_SILENT_AFTER, "DURATION", 0,
     "A gateway without samples for so long has no score (default 60s)", 0},
    {"stream", KEY_STREAM, 0, 0, "Print a health record whenever a score changes", 0},
    {0},
};

static void set_mode(struct opts *o, const struct argp_state *st, enum mode mode)
{
    if (o->mode != MODE_LATEST && o->mode != mode)
        argp_error(st, "only one of --chart, --explain, --format, --grade, --per-metric "
                       "and --stream");
    o->mode = mode;
}

/* "M/N", a majority M of at most SIGNAL_RECENT samples. */
static struct signal_damping parse_damping(const struct argp_state *st, const char *arg)
{
    char m_text[8];
    uint64_t m = 0;
    uint64_t n = 0;
    size_t len = strcspn(arg, "/");
    if (len < sizeof(m_text) && arg[len]) {
        snprintf(m_text, sizeof(m_text), "%.*s", (int)len, arg);
        if (parse_u64(m_text, &m) < 0 || parse_u64(arg + len + 1, &n) < 0)
            n = 0;
    }
    if (n < 1 || n > SIGNAL_RECENT || m > n || m <= n / 2)
        argp_error(st, "--damping takes M/N, more than half of at most %d samples, not '%s'",
                   SIGNAL_RECENT, arg);
    return (struct signal_damping){(unsigned)m, (unsigned)n};
}

static error_t parse_opt(int key, char *arg, struct argp_state *st)
{
    struct opts *o = st->input;
    switch (key) {
    case ARGP_KEY_INIT:
        st->child_inputs[0] = &o->dirs;
        return 0;
    case KEY_CHART:
        set_mode(o, st, MODE_CHART);
        return 0;
    case KEY_DAMPING:
        o->rules.damping = parse_damping(st, arg);
        return 0;
    case KEY_DELTA:
        o->delta = opts_f64(st, "delta", arg, 0, 1);
        return 0;
    case KEY_EXPLAIN:
        set_mode(o, st, MODE_EXPLAIN);
        return 0;
    case KEY_FAILURES:
        o->failures = arg;
        return 0;
    case KEY_FORMAT:
        if (strcmp(arg, "prom") == 0)
            set_mode(o, st, MODE_PROM);
        else if (strcmp(arg, "csv") != 0)
            argp_error(st, "format: '%s' is neither csv nor prom", arg);
        return 0;
    case KEY_GRADE:
        o->grade = arg;
        set_mode(o, st, MODE_GRADE);
        return 0;
    case KEY_HORIZON:
        o->rules.horizon_s = opts_duration(st, "horizon", arg, 1, 366 * 86400.0);
        return 0;
    case KEY_KEEP_GOING:
        o->keep_going = true;
        return 0;
    case KEY_LIMITS:
        o->limits = arg;
        return 0;
    case KEY_MAX_SERIES:
        o->rules.max_series = opts_u64(st, "max-series", arg, 1, 100000000);
        return 0;
    case KEY_NOW:
        o->now = opts_f64(st, "now", arg, 0, 253402300799);
        return 0;
    case KEY_PER_METRIC:
        set_mode(o, st, MODE_PER_METRIC);
        return 0;
    case KEY_PRINT_LIMITS:
        o->print_limits = true;
        return 0;
    case KEY_SILENT_AFTER:
        o->rules.silent_after_s = opts_duration(st, "silent-after", arg, 0.001, 366 * 86400.0);
        return 0;
    case KEY_STREAM:
        set_mode(o, st, MODE_STREAM);
        return 0;
    case ARGP_KEY_ARGS:
        o->files = st->argv + st->next;
        o->n_files = (size_t)(st->argc - st->next);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A run: what the options and files have become. */
struct run {
    const struct opts *o;
    struct health_board *board;
    struct rec_reader *in;
    struct rec_writer *out;
    struct labels *labels; /* NULL: none were asked for */
    bool told_behind;      /* that a clock may have been set back: it is said once */
    bool told_ahead;       /* that one was ahead, too */
    double clock;          /* clock_now(), as the board has it */
    double swept;          /* --stream: record time of the last look for silent gateways */
    uint64_t saved_us;     /* --stream: clock_mono_us() of the last save */
};

static void check_written(int r)
{
    if (r < 0)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(r));
}

static _Noreturn void out_of_memory(void)
{
    err_die(EX_OSERR, "out of memory");
}

static double judged_at(const struct run *run)
{
    return isnan(run->o->now) ? health_board_newest(run->board) : run->o->now;
}

static void put_score(struct run *run, size_t gateway, const struct health_score *s)
{
    struct rec_writer *w = run->out;
    rec_put_real(w, HEALTH_TIME, s->time);
    rec_put_text(w, HEALTH_GATEWAY, health_board_gateway(run->board, gateway));
    rec_put_uint(w, HEALTH_HORIZON_S, (uint64_t)run->o->rules.horizon_s);
    rec_put_real(w, HEALTH_CONFIDENCE, s->confidence);
    rec_put_text(w, HEALTH_WORST_METRIC, s->worst_metric);
    rec_put_text(w, HEALTH_REASON, s->reason);
    rec_put_real(w, HEALTH_ANOMALY, s->anomaly);
    rec_put_real(w, HEALTH_SHIFT, s->shift);
    if (isfinite(s->lead_high_s)) {
        rec_put_uint(w, HEALTH_LEAD_LOW_S, (uint64_t)s->lead_low_s);
        rec_put_uint(w, HEALTH_LEAD_HIGH_S, (uint64_t)s->lead_high_s);
    }
    if (s->known) {
        rec_put_real(w, HEALTH_GHS, s->ghs);
        rec_put_real(w, HEALTH_CURRENT, s->current);
        rec_put_real(w, HEALTH_P_FAIL, s->p_fail);
        rec_put_real(w, HEALTH_UNLOADED, s->unloaded);
    }
    check_written(rec_write(w));
}

static struct health_score score_of(struct run *run, size_t gateway)
{
    struct health_score s;
    if (health_board_score(run->board, gateway, judged_at(run), &s) < 0)
        out_of_memory();
    return s;
}

static void print_latest(struct run *run)
{
    check_written(rec_writer_header(run->out));
    for (size_t g = 0; g < health_board_gateways(run->board); g++) {
        struct health_score s = score_of(run, g);
        put_score(run, g, &s);
    }
}

/* What is printed when all is read. */
static void print_end(struct run *run)
{
    struct views_at at = {run->board, judged_at(run), (uint64_t)run->o->rules.horizon_s};
    if (run->o->failures)
        labels_fit(run->labels, run->board);
    switch (run->o->mode) {
    case MODE_GRADE:
        check_written(rec_writer_header(run->out));
        labels_grade(run->labels, run->board, run->out);
        break;
    case MODE_LATEST:
        print_latest(run);
        break;
    case MODE_EXPLAIN:
        check_written(views_explain(&at, stdout));
        break;
    case MODE_CHART:
        check_written(views_chart(&at, stdout));
        break;
    case MODE_PROM:
        check_written(views_prom(&at, stdout));
        break;
    case MODE_STREAM:
    case MODE_PER_METRIC:
        break;
    }
}

/* Silence as a mark: no score is below 0; and what a shift that is told adds to the score. */
#define MARK_SILENT  (-1.0)
#define MARK_SHIFTED 2.0
/* A shift that was told is over when it is less than this, so one at the limit does not flap. */
#define SHIFT_OVER 0.5

/*
 * Prints the score of GATEWAY if it is new or differs enough from the one told before, or a shift
 * has begun or ended.
 */
static void tell_change(struct run *run, size_t gateway)
{
    struct health_score s = score_of(run, gateway);
    double *told = health_board_mark(run->board, gateway);
    double is = s.known ? s.ghs : MARK_SILENT;
    bool was_shifted = *told >= MARK_SHIFTED;
    if (s.known && s.shift > (was_shifted ? SHIFT_OVER : ANOMALY_THRESHOLD))
        is += MARK_SHIFTED;
    if (fabs(is - *told) <= run->o->delta)
        return;
    *told = is;
    put_score(run, gateway, &s);
}

/* What the state says was read must have been answered: the output goes first. */
static void save(struct run *run)
{
    check_written(rec_flush(run->out));
    state_save(run->o->dirs.state, run->board);
    run->saved_us = clock_mono_us();
}

/* After a sample of GATEWAY: its change, the silence of others, and the state now and then. */
static void stream_step(struct run *run, size_t gateway)
{
    double newest = health_board_newest(run->board);
    tell_change(run, gateway);
    if (fabs(newest - run->swept) >= SWEEP_EVERY_S) {
        for (size_t g = 0; g < health_board_gateways(run->board); g++)
            tell_change(run, g);
        run->swept = newest;
    }
    if (clock_mono_us() - run->saved_us >= SAVE_EVERY_US)
        save(run);
}

static void put_anomaly(struct run *run, double score)
{
    struct rec_writer *w = run->out;
    rec_put_real(w, ANOMALY_TIME, rec_real(run->in, METRIC_TIME));
    rec_put_text(w, ANOMALY_GATEWAY, rec_text(run->in, METRIC_GATEWAY));
    rec_put_text(w, ANOMALY_METRIC, rec_text(run->in, METRIC_METRIC));
    rec_put_real(w, ANOMALY_VALUE, rec_real(run->in, METRIC_VALUE));
    rec_put_real(w, ANOMALY_SCORE, score);
    check_written(rec_write(w));
}

static void tell_behind(struct run *run)
{
    if (run->told_behind || health_board_behind(run->board) == 0)
        return;
    run->told_behind = true;
    err_warn("%s: a day or more older than what is known of '%s': left out, as are more of these; "
             "was a clock set back?",
             rec_reader_where(run->in), rec_text(run->in, METRIC_GATEWAY));
}

static void tell_ahead(struct run *run)
{
    if (run->told_ahead || health_board_rewound(run->board) == 0)
        return;
    run->told_ahead = true;
    err_warn(
        "%s: what is known of '%s' lay ahead of this machine's clock: that is taken back, as is "
        "more of this; was a clock set back?",
        rec_reader_where(run->in), rec_text(run->in, METRIC_GATEWAY));
}

static void read_clock(struct run *run)
{
    run->clock = clock_now();
    health_board_clock(run->board, run->clock);
}

static void take_record(struct run *run)
{
    size_t gateway;
    double anomaly;
    double time = rec_real(run->in, METRIC_TIME);
    if (time > run->clock || run->clock - time > CLOCK_NEWS_S)
        read_clock(run);
    int r = health_board_add(run->board, time, rec_text(run->in, METRIC_GATEWAY),
                             rec_text(run->in, METRIC_METRIC), rec_real(run->in, METRIC_VALUE),
                             &gateway, &anomaly);
    if (r == -ENOSPC)
        err_die(EX_DATAERR,
                "%s: metric '%s' of gateway '%s' would be one more than --max-series, %zu",
                rec_reader_where(run->in), rec_text(run->in, METRIC_METRIC),
                rec_text(run->in, METRIC_GATEWAY), run->o->rules.max_series);
    if (r < 0)
        out_of_memory();
    tell_behind(run);
    tell_ahead(run);
    if (run->labels)
        labels_note(run->labels, run->board, gateway, time);
    if (run->o->mode == MODE_PER_METRIC)
        put_anomaly(run, anomaly);
    else if (run->o->mode == MODE_STREAM)
        stream_step(run, gateway);
}

/*
 * Whether the refusal is that nothing came on standard input, where no FILE was asked for: then
 * there are no new samples.  That a pipe brought nothing is said, for who writes to it has failed.
 */
static bool is_no_input(const struct run *run)
{
    struct stat st;
    if (run->o->n_files > 0 || !rec_reader_was_empty(run->in))
        return false;
    if (fstat(STDIN_FILENO, &st) < 0 || !S_ISCHR(st.st_mode))
        err_warn("%s: no new samples", rec_reader_error(run->in));
    return true;
}

/* Reads all records; the exit status. */
static int take_all(struct run *run)
{
    int status = EX_OK;
    int r;
    if (run->o->mode == MODE_STREAM || run->o->mode == MODE_PER_METRIC)
        check_written(rec_writer_header(run->out));
    while ((r = rec_reader_next(run->in)) != 0) {
        if (r > 0) {
            take_record(run);
            continue;
        }
        if (is_no_input(run))
            break;
        status = rec_reader_status(run->in);
        if (r != -EBADMSG || !run->o->keep_going)
            err_die(status, "%s", rec_reader_error(run->in));
        err_warn("%s", rec_reader_error(run->in));
    }
    return status;
}

static int score_gateways(const struct opts *o, const struct health_limits *limits)
{
    struct run run = {.o = o, .board = health_board_new(limits, &o->rules)};
    const struct rec_schema *schema = o->mode == MODE_PER_METRIC ? &rec_anomaly
                                      : o->mode == MODE_GRADE    ? &rec_grade
                                                                 : &rec_health;
    run.in = rec_reader_new(&rec_metric);
    run.out = rec_writer_new(schema, stdout);
    if (!run.board || !run.in || !run.out)
        out_of_memory();
    if (o->failures || o->grade)
        run.labels = labels_new(o->failures, o->grade, o->rules.horizon_s);
    if (schema == &rec_health)
        for (size_t c = HEALTH_ANOMALY; c <= HEALTH_UNLOADED; c++)
            rec_writer_with(run.out, c);
    int lock = state_lock(o->dirs.state);
    state_load(o->dirs.state, run.board);
    read_clock(&run);
    run.swept = health_board_newest(run.board);
    run.saved_us = clock_mono_us();
    rec_reader_files(run.in, o->files, o->n_files);
    rec_reader_tie(run.in, run.out);
    int status = take_all(&run);
    print_end(&run);
    save(&run);
    rec_writer_free(run.out);
    rec_reader_free(run.in);
    labels_free(run.labels);
    health_board_free(run.board);
    close(lock);
    return status;
}

int main(int argc, char **argv)
{
    struct opts o = {.delta = 0.02,
                     .now = NAN,
                     .rules = {.horizon_s = 86400,
                               .silent_after_s = 60,
                               .max_series = 250000,
                               .damping = SIGNAL_DAMPING_DEFAULT}};
    const struct argp_child children[] = {{&opts_dirs_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {
        options,
        parse_opt,
        "[FILE...]",
        "How healthy every gateway is, and how likely to fail: metric records in, health out.",
        children,
        NULL,
        NULL,
    };
    struct health_limits limits = {0};
    opts_dirs_init(&o.dirs);
    opts_parse(&argp, argc, argv, &o);
    config_limits(o.limits, o.dirs.config, &limits);
    int status = EX_OK;
    if (o.print_limits)
        config_print(&limits);
    else
        status = score_gateways(&o, &limits);
    health_limits_release(&limits);
    return status;
}
