/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health_lead MONTHS RAMPS: how early health-score's alarm comes, and how often for nothing, on
 * simulated gateways (health_sim.h), a round a minute, judged every five.  Beside it the same for
 * two plain alarms on read latency: beyond warn, and beyond critical.
 *
 * An alarm is what makes migrate-plan's moves mandatory: ghs < 0.40 or p_fail > 0.50.  Alarms less
 * than an hour apart are one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/parse.h"
#include "tests/bench/health_sim.h"

enum { ALARM_HEALTH, ALARM_WARN, ALARM_CRITICAL, ALARMS };

enum { RAMPS_MAX = 1000, ROUNDS = 5 };

#define STEP_S    60.0
#define EPISODE_S 3600.0
#define WARM_UP_S (3 * SIM_DAY_S)
#define MONTH_S   (30 * SIM_DAY_S)

static const char *const alarm_names[ALARMS] = {
    "health-score: ghs < 0.40 or p_fail > 0.50",
    "plain alarm: nbd_read_us > warn",
    "plain alarm: nbd_read_us > critical",
};

/* What the alarms did while one gateway ran. */
struct watch {
    double first[ALARMS]; /* time of the first alarm since it was last reset; NaN: none */
    double last[ALARMS];
    unsigned episodes[ALARMS];
};

struct result {
    unsigned detected[ALARMS];
    unsigned recovered_flagged[ALARMS];
    unsigned false_alarms[ALARMS];
    double lead_s[ALARMS][RAMPS_MAX];
    double share[RAMPS_MAX]; /* of the ramp that was still to come at health-score's alarm */
    unsigned failing;
    unsigned recovering;
};

static void watch_reset(struct watch *w)
{
    for (int a = 0; a < ALARMS; a++) {
        w->first[a] = NAN;
        w->last[a] = -INFINITY;
        w->episodes[a] = 0;
    }
}

static void watch_note(struct watch *w, int alarm, double now)
{
    if (isnan(w->first[alarm]))
        w->first[alarm] = now;
    if (now - w->last[alarm] > EPISODE_S)
        w->episodes[alarm]++;
    w->last[alarm] = now;
}

/* Some rounds, and what the alarms say after them. */
static void watch_rounds(struct watch *w, struct sim *s, struct health_board *b)
{
    struct health_score score;
    double level = 0;
    double now = 0;
    for (int i = 0; i < ROUNDS; i++) {
        now = s->time;
        level = sim_level_us(s);
        if (sim_round(s, b) < 0)
            err_die(EX_OSERR, "out of memory");
    }
    if (health_board_score(b, 0, now, &score) < 0)
        err_die(EX_OSERR, "out of memory");
    if (score.known && (score.ghs < 0.40 || score.p_fail > 0.50))
        watch_note(w, ALARM_HEALTH, now);
    /* The plain alarms are given the latency without its noise: better than they would have it. */
    if (level > 10000)
        watch_note(w, ALARM_WARN, now);
    if (level > SIM_CRITICAL_US)
        watch_note(w, ALARM_CRITICAL, now);
}

static struct health_board *new_board(void)
{
    static const struct health_rules rules = {.horizon_s = 86400,
                                              .silent_after_s = 60,
                                              .max_series = 1000,
                                              .damping = SIGNAL_DAMPING_DEFAULT};
    static struct health_limits limits;
    if (limits.metrics.n == 0 && health_limits_builtin(&limits) < 0)
        err_die(EX_OSERR, "out of memory");
    struct health_board *b = health_board_new(&limits, &rules);
    if (!b)
        err_die(EX_OSERR, "out of memory");
    return b;
}

/* Every week has a change of load, up or down, and a restart of its own. */
static void next_week(struct sim *s)
{
    s->load = 1 + 0.5 * rng_unit(&s->rng);
    s->load_at = s->time + rng_unit(&s->rng) * 7 * SIM_DAY_S;
    s->restart_at = s->time + rng_unit(&s->rng) * 7 * SIM_DAY_S;
}

static void run_month(struct result *r, uint64_t seed)
{
    struct health_board *b = new_board();
    struct watch w;
    struct sim s;
    sim_init(&s, seed, STEP_S);
    watch_reset(&w);
    double week = s.time;
    for (double end = s.time + MONTH_S; s.time < end;) {
        if (s.time >= week) {
            next_week(&s);
            week += 7 * SIM_DAY_S;
        }
        watch_rounds(&w, &s, b);
    }
    for (int a = 0; a < ALARMS; a++)
        r->false_alarms[a] += w.episodes[a];
    health_board_free(b);
}

static void count_ramp(struct result *r, const struct watch *w, const struct sim *s)
{
    double crossing = s->ramp_at + s->ramp_s;
    bool recovers = s->recover_at > 0;
    for (int a = 0; a < ALARMS; a++) {
        double lead = crossing - w->first[a];
        if (recovers)
            r->recovered_flagged[a] += !isnan(lead);
        else if (lead > 0)
            r->lead_s[a][r->detected[a]++] = lead;
    }
    if (!recovers && crossing > w->first[ALARM_HEALTH])
        r->share[r->detected[ALARM_HEALTH] - 1] = (crossing - w->first[ALARM_HEALTH]) / s->ramp_s;
    r->failing += !recovers;
    r->recovering += recovers;
}

static void run_ramp(struct result *r, uint64_t seed, unsigned number)
{
    struct health_board *b = new_board();
    struct watch w;
    struct sim s;
    sim_init(&s, seed, STEP_S);
    s.ramp_at = s.time + WARM_UP_S + rng_unit(&s.rng) * SIM_DAY_S;
    s.ramp_s = (1 + 11 * rng_unit(&s.rng)) * 3600;
    s.ramp_curved = number % 2;
    /* A third comes back, after between 30 and 70 % of the way. */
    if (number % 3 == 0)
        s.recover_at = s.ramp_at + s.ramp_s * (0.3 + 0.4 * rng_unit(&s.rng));
    watch_reset(&w);
    for (double end = s.ramp_at + s.ramp_s; s.time < end;) {
        if (s.time < s.ramp_at)
            watch_reset(&w);
        watch_rounds(&w, &s, b);
    }
    count_ramp(r, &w, &s);
    health_board_free(b);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *v, unsigned n, double q)
{
    qsort(v, n, sizeof(*v), by_size);
    return n ? v[(unsigned)(q * (n - 1))] : NAN;
}

/* The rate that would give at most N events in MONTHS with a probability of 2.5 % (Poisson). */
static double upper_bound(unsigned n, double months)
{
    double low = 0;
    double high = 2.0 * n + 20;
    for (int i = 0; i < 60; i++) {
        double mean = (low + high) / 2;
        double term = exp(-mean);
        double sum = term;
        for (unsigned k = 1; k <= n; k++) {
            term *= mean / k;
            sum += term;
        }
        *(sum > 0.025 ? &low : &high) = mean;
    }
    return high / months;
}

static void print_result(struct result *r, unsigned months)
{
    printf("healthy gateway-months %u, failing ramps of 1 to 12 h %u, recovering ones %u\n\n",
           months, r->failing, r->recovering);
    printf("%-42s %12s %8s %8s %12s %12s %12s\n", "alarm", "false a month", "at most", "in time",
           "lead p10 min", "lead median", "of recovered");
    for (int a = 0; a < ALARMS; a++)
        printf("%-42s %12.3f %8.3f %5u/%-2u %12.0f %12.0f %9u/%-2u\n", alarm_names[a],
               (double)r->false_alarms[a] / months, upper_bound(r->false_alarms[a], months),
               r->detected[a], r->failing, quantile(r->lead_s[a], r->detected[a], 0.1) / 60,
               quantile(r->lead_s[a], r->detected[a], 0.5) / 60, r->recovered_flagged[a],
               r->recovering);
    printf("\nhealth-score: median share of the ramp still to come at its alarm: %.2f\n",
           quantile(r->share, r->detected[ALARM_HEALTH], 0.5));
}

int main(int argc, char **argv)
{
    static struct result result;
    uint64_t months;
    uint64_t ramps;
    if (argc != 3 || parse_u64(argv[1], &months) < 0 || parse_u64(argv[2], &ramps) < 0 ||
        months < 1 || ramps > RAMPS_MAX)
        err_die(EX_USAGE, "usage: health_lead MONTHS RAMPS");
    for (uint64_t seed = 1; seed <= months; seed++)
        run_month(&result, seed);
    for (uint64_t i = 0; i < ramps; i++)
        run_ramp(&result, 1000000 + i, (unsigned)i);
    print_result(&result, (unsigned)months);
    return 0;
}
