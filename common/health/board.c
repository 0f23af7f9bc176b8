/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/board.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/parse.h"
#include "common/health/board_private.h"
#include "common/health/doubt.h"
#include "common/health/rewind.h"

/* A metric is silent after so many of its usual intervals. */
#define SILENT_INTERVALS 3.0
/* A metric with some samples that leaps so far ahead is believed from the third sample on. */
#define JUMP_S         86400.0
#define JUMP_INTERVALS 20.0
enum { JUMP_FROM = 8, JUMP_BELIEVED = 3 };
/* Nothing real is larger; squares of what is smaller, and their sums, stay finite. */
#define VALUE_MAX 1e18
/* A counter that was not seen for so many intervals says nothing about now. */
#define COUNTER_GAP 10.0
/* Clocks may be apart so much; migrate-plan refuses scores that are dated further ahead. */
#define SKEW_S 60.0
/* Who was heard no longer ago says what the time is, until somebody else does. */
#define HEARD_S 3600.0

struct health_board *health_board_new(const struct health_limits *limits,
                                      const struct health_rules *rules)
{
    struct health_board *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->limits = limits;
    b->rules = rules;
    b->clock = INFINITY;
    b->pool.size = sizeof(struct board_series);
    b->excesses.size = sizeof(struct excess);
    return b;
}

void health_board_free(struct health_board *b)
{
    if (!b)
        return;
    pool_release(&b->pool);
    pool_release(&b->excesses);
    free(b->series);
    free(b->gateways);
    intern_release(&b->series_names);
    intern_release(&b->gateway_names);
    free(b->inputs);
    free(b);
}

int board_gateway(struct health_board *b, const char *name, size_t *gateway)
{
    /* Records of a gateway mostly follow one another, or it is that of the series expected. */
    const size_t guess = b->found && b->found->after ? b->found->after->gateway : b->latest;
    bool guessed = guess < b->gateway_names.n && strcmp(b->gateway_names.names[guess], name) == 0;
    long id = guessed ? (long)guess : intern_find(&b->gateway_names, name);
    if (id < 0) {
        /* It would have a metric, too. */
        if (b->series_names.n >= b->rules->max_series)
            return -ENOSPC;
        if (vec_room(&b->gateways, b->gateway_names.n, &b->gateways_cap, sizeof(*b->gateways)) < 0)
            return -ENOMEM;
        id = intern_add(&b->gateway_names, name);
        if (id < 0)
            return -ENOMEM;
        b->gateways[id] = (struct board_gateway){.mark = NAN};
    }
    b->latest = (size_t)id;
    *gateway = (size_t)id;
    return 0;
}

/* Makes the series KEY of METRIC and puts it at the end of its gateway's list. */
static int new_series(struct health_board *b, const char *key, size_t gateway, const char *metric,
                      struct board_series **out)
{
    if (vec_room(&b->series, b->series_names.n, &b->series_cap, sizeof(*b->series)) < 0)
        return -ENOMEM;
    struct board_series *s = pool_new(&b->pool);
    if (!s)
        return -ENOMEM;
    long id = intern_add(&b->series_names, key);
    if (id < 0) {
        pool_undo(&b->pool);
        return -ENOMEM;
    }
    b->series[id] = s;
    s->metric = strchr(b->series_names.names[id], ',') + 1;
    s->limit = health_limits_find(b->limits, metric);
    s->by_load = excess_applies(s->limit);
    s->gateway = gateway;
    s->id = (size_t)id;
    struct board_gateway *g = &b->gateways[gateway];
    *(g->last ? &g->last->next : &g->first) = s;
    g->last = s;
    g->n_series++;
    const struct board_series *load = g->load_series;
    if (excess_load_rank(metric) > (load ? excess_load_rank(load->metric) : 0))
        g->load_series = s;
    *out = s;
    return 0;
}

int board_excess(struct health_board *b, struct board_series *s)
{
    s->excess = pool_new(&b->excesses);
    return s->excess ? 0 : -ENOMEM;
}

static void fetch(const void *from, const void *to)
{
    enum { LINE = 64 };
    for (const char *p = from; p < (const char *)to; p += LINE)
        __builtin_prefetch(p, 1);
}

/*
 * Rounds mostly come in the same order.  So the series after S is expected next: what a sample
 * touches of it is fetched into the caches while S is dealt with, and it is found without a search.
 */
static void expect_next(const struct health_board *b, const struct board_series *s, double time)
{
    const struct board_series *next = s->after;
    if (!next)
        return;
    const struct rhythm_hour *hour = rhythm_hour_at(&next->anomaly.rhythm, time);
    fetch(next, b->rules->no_anomalies ? (const void *)next->anomaly.recent
                                       : (const void *)&next->anomaly.rhythm);
    fetch(&next->anomaly.rhythm, next->anomaly.rhythm.hours);
    fetch(hour, hour + 1);
    fetch(&next->signal, &next->signal.levels[1]);
    fetch(next->metric, next->metric + 1);
}

/* Searches by name; makes it if need be. */
static int search_series(struct health_board *b, size_t gateway, const char *metric,
                         struct board_series **out)
{
    /* A comma can't be part of a name.  This is done for each sample: no snprintf(). */
    char key[2 * NAME_LEN_MAX + 2];
    const char *name = b->gateway_names.names[gateway];
    size_t name_len = strlen(name);
    size_t metric_len = strlen(metric);
    assert(name_len <= NAME_LEN_MAX && metric_len <= NAME_LEN_MAX);
    memcpy(key, name, name_len);
    key[name_len] = ',';
    memcpy(key + name_len + 1, metric, metric_len + 1);
    long id = intern_find(&b->series_names, key);
    if (id < 0 && b->series_names.n >= b->rules->max_series)
        return -ENOSPC;
    if (id < 0)
        return new_series(b, key, gateway, metric, out);
    *out = b->series[id];
    return 0;
}

int board_series(struct health_board *b, size_t gateway, const char *metric,
                 struct board_series **out)
{
    struct board_series *s = b->found ? b->found->after : NULL;
    if (!s || s->gateway != gateway || strcmp(s->metric, metric) != 0) {
        int r = search_series(b, gateway, metric, &s);
        if (r < 0)
            return r;
        if (b->found)
            b->found->after = s;
    }
    b->found = s;
    *out = s;
    return 0;
}

/* Ends the round of gateway G, if there is one: its metrics are judged together. */
static void end_round(struct board_gateway *g, double time)
{
    double sum = 0;
    if (g->n_in_round == 0)
        return;
    for (struct board_series *s = g->first; s; s = s->next) {
        if (s->in_round)
            sum += fabs(s->anomaly.z);
        s->in_round = false;
    }
    consensus_add(&g->consensus, time, sum / (double)g->n_in_round);
    g->n_in_round = 0;
}

/* Whether TIME lies ahead of the clock. */
static bool is_future(const struct health_board *b, double time)
{
    return time - b->clock > SKEW_S;
}

void health_board_clock(struct health_board *b, double now)
{
    b->clock = now;
    if (!is_future(b, b->newest))
        return;
    b->ahead = fmax(b->ahead, b->newest);
    b->newest = 0;
    b->timely = false;
}

static void note_time(struct health_board *b, double time)
{
    if (is_future(b, time)) {
        b->ahead = fmax(b->ahead, time);
        return;
    }
    b->newest = fmax(b->newest, fmin(time, b->clock));
    b->timely = true;
}

/* Takes back what is known of S from times that have not come yet, if TIME has. */
static void put_right(struct health_board *b, struct board_series *s, double time)
{
    bool signal = s->signal.n && is_future(b, s->signal.last);
    bool counter = s->counted && is_future(b, s->counter_time);
    if ((!signal && !counter) || is_future(b, time))
        return;
    s->counted = s->counted && !counter;
    s->ahead = 0;
    if (signal) {
        signal_rewind(&s->signal, b->clock, time);
        anomaly_rewind(&s->anomaly, b->clock);
        consensus_rewind(&b->gateways[s->gateway].consensus, b->clock);
        excess_load_rewind(&b->gateways[s->gateway].load, b->clock);
        if (s->excess)
            excess_rewind(s->excess, b->clock);
        s->changed = (1u << SIGNAL_LEVELS) - 1;
    }
    b->n_rewound++;
}

/*
 * Whether TIME is a day or more ahead of S.  One such sample is a clock that was wrong for a
 * moment, and would make all that follow late; three in a row are time that has passed.
 */
static bool is_ahead(struct board_series *s, double time)
{
    const struct signal *g = &s->signal;
    double usual_s = fmax(JUMP_S, JUMP_INTERVALS * g->interval_s);
    if (g->n < JUMP_FROM || time - g->last < usual_s) {
        s->ahead = 0;
        return false;
    }
    s->ahead = s->ahead && time > s->ahead_last ? s->ahead + 1 : 1;
    s->ahead_last = time;
    if (s->ahead < JUMP_BELIEVED)
        return true;
    s->ahead = 0;
    return false;
}

/* Whether TIME is a day or more behind S: that is no sample that was held up on its way. */
static bool is_behind(const struct board_series *s, double time)
{
    return s->signal.n && s->signal.last - time >= JUMP_S;
}

/* What S, whose newest sample this is, has to do with the load of its gateway G. */
static void take_load(struct board_gateway *g, const struct board_series *s, double time,
                      double value)
{
    if (s->excess)
        excess_add(s->excess, &g->load, &s->signal);
    if (s != g->load_series)
        return;
    /* A better measure than before: what was learnt is of that one. */
    for (struct board_series *o = s->signal.n == 1 ? g->first : NULL; o; o = o->next)
        if (o->excess)
            *o->excess = (struct excess){0};
    if (s->signal.n == 1)
        g->load = (struct excess_load){0};
    excess_load_add(&g->load, time, value);
}

/*
 * Takes a sample of S; its anomaly score in *SCORE.  False, and 0, for one that is late, a
 * duplicate, or not yet believed.
 */
static bool take(struct health_board *b, struct board_series *s, double time, double value,
                 double *score)
{
    unsigned changed = 0;
    *score = 0;
    value = fmin(fmax(value, -VALUE_MAX), VALUE_MAX);
    double elapsed_s = s->signal.n ? time - s->signal.last : 0;
    b->n_behind += is_behind(s, time);
    if (is_ahead(s, time) || !signal_add(&s->signal, &b->rules->damping, time, value, &changed))
        return false;
    if (s->limit)
        health_bursts_add(&s->bursts, &s->signal, s->limit, value, elapsed_s);
    s->changed |= changed;
    struct board_gateway *g = &b->gateways[s->gateway];
    take_load(g, s, time, value);
    if (s->in_round)
        end_round(g, time);
    if (b->rules->no_anomalies)
        anomaly_follow(&s->anomaly, time, value);
    else
        *score = anomaly_add(&s->anomaly, time, value);
    s->in_round = true;
    if (++g->n_in_round == g->n_series)
        end_round(g, time);
    return true;
}

/* Turns *VALUE, of the counter behind S, into a rate.  False: there is none. */
static bool to_rate(struct board_series *s, double time, double *value)
{
    double elapsed_s = time - s->counter_time;
    if (s->counted && elapsed_s <= 0)
        return false;
    double grown = *value < s->counter ? *value : *value - s->counter;
    double usual_s = s->counter_interval_s;
    bool known = s->counted && (!(usual_s > 0) || elapsed_s <= COUNTER_GAP * usual_s);
    s->counter_interval_s = s->counted ? elapsed_s : 0;
    s->counter = *value;
    s->counter_time = time;
    s->counted = true;
    *value = grown / fmax(elapsed_s, 1e-6);
    return known;
}

/* The name of what METRIC counts, in OUT; false: it is no counter. */
static bool rate_name(const char *metric, char out[NAME_LEN_MAX + 1])
{
    static const char tail[] = "_total";
    size_t len = strlen(metric);
    if (len < sizeof(tail) || strcmp(metric + len - (sizeof(tail) - 1), tail) != 0)
        return false;
    snprintf(out, NAME_LEN_MAX + 1, "%.*s_rate", (int)(len - (sizeof(tail) - 1)), metric);
    return true;
}

int health_board_add(struct health_board *b, double time, const char *gateway, const char *metric,
                     double value, size_t *gateway_index, double *anomaly)
{
    size_t g;
    struct board_series *s = NULL;
    char rate[NAME_LEN_MAX + 1];
    bool counter = rate_name(metric, rate);
    bool possible = !health_impossible(metric, value);
    int r = board_gateway(b, gateway, &g);
    if (r == 0 && possible)
        r = board_series(b, g, counter ? rate : metric, &s);
    if (r == 0 && possible && s->by_load && !s->excess && b->gateways[g].load_series)
        r = board_excess(b, s);
    if (r < 0)
        return r;
    if (possible) {
        expect_next(b, s, time);
        put_right(b, s, time);
    }
    double score = 0;
    if (possible && (!counter || to_rate(s, time, &value)) && take(b, s, time, value, &score))
        note_time(b, time);
    if (gateway_index)
        *gateway_index = g;
    if (anomaly)
        *anomaly = score;
    return 0;
}

size_t health_board_gateways(const struct health_board *b)
{
    return b->gateway_names.n;
}

const char *health_board_gateway(const struct health_board *b, size_t gateway)
{
    return b->gateway_names.names[gateway];
}

double health_board_newest(const struct health_board *b)
{
    bool known = b->timely || (b->newest > 0 && b->clock - b->newest < HEARD_S);
    return known || !(b->ahead > 0) ? b->newest : b->ahead;
}

uint64_t health_board_behind(const struct health_board *b)
{
    return b->n_behind;
}

uint64_t health_board_rewound(const struct health_board *b)
{
    return b->n_rewound;
}

struct health_model *health_board_model(struct health_board *b)
{
    return &b->model;
}

double *health_board_mark(struct health_board *b, size_t gateway)
{
    return &b->gateways[gateway].mark;
}

static bool is_silent(const struct health_board *b, const struct signal *s, double now)
{
    double patience = fmax(b->rules->silent_after_s, SILENT_INTERVALS * s->interval_s);
    /* Of a time before its samples nothing is known either. */
    return fabs(now - s->last) > patience;
}

static int room_for_inputs(struct health_board *b, size_t n)
{
    if (n <= b->inputs_cap)
        return 0;
    struct health_input *in = reallocarray(b->inputs, n, sizeof(*in));
    if (!in)
        return -ENOMEM;
    b->inputs = in;
    b->inputs_cap = n;
    return 0;
}

/* The risk of series S, whose trends are fitted only when somebody asks. */
static struct health_input judge(const struct health_board *b, struct board_series *s, double now)
{
    if (health_trends_matter(&s->signal, s->limit)) {
        health_trends_update(&s->trends, &s->signal, s->changed);
        s->changed = 0;
    }
    struct health_risk risk =
        health_risk(&s->signal, &s->trends, s->limit, s->bursts, now, b->rules->horizon_s);
    if (s->excess)
        health_risk_excess(&risk, &s->signal, s->excess, s->limit);
    risk.by_load = risk.by_load || b->gateways[s->gateway].load_series == s;
    return (struct health_input){
        s->limit, risk, health_shift_find(&s->signal, s->limit), s->signal.n, now,
    };
}

static void silent(struct health_score *out, double now, double heard)
{
    *out = (struct health_score){
        .time = now, .lead_low_s = INFINITY, .lead_high_s = INFINITY, .worst_metric = ""};
    if (!isfinite(heard))
        snprintf(out->reason, sizeof(out->reason), "no metric with limits");
    else if (heard > now)
        snprintf(out->reason, sizeof(out->reason), "its samples are %.0f s ahead of now",
                 heard - now);
    else
        snprintf(out->reason, sizeof(out->reason), "silent for %.0f s", now - heard);
}

int health_board_score(struct health_board *b, size_t gateway, double now, struct health_score *out)
{
    const struct board_gateway *g = &b->gateways[gateway];
    if (room_for_inputs(b, g->n_series) < 0)
        return -ENOMEM;
    size_t n = 0;
    double heard = -INFINITY;
    const struct board_series *doubtful = NULL;
    for (struct board_series *s = g->first; s; s = s->next) {
        if (!s->limit || s->signal.n == 0)
            continue;
        heard = fmax(heard, s->signal.last);
        if (is_silent(b, &s->signal, now))
            continue;
        if (health_doubtful(&s->signal, s->limit))
            doubtful = s;
        else
            b->inputs[n++] = judge(b, s, now);
    }
    if (n == 0)
        silent(out, now, heard);
    else
        health_score_join(b->limits, b->inputs, n, consensus_steady(&g->consensus), out);
    if (n > 0)
        out->time = heard;
    if (n > 0 && b->model.fitted) {
        out->p_fail = health_model_p(&b->model, out->features);
        out->ghs = out->current * (1 - out->p_fail);
        out->unloaded = out->unloaded_current * (1 - out->p_fail);
    }
    if (doubtful)
        health_score_doubt(doubtful->limit, &doubtful->signal, out);
    out->anomaly = consensus_score(&g->consensus);
    return 0;
}

void health_board_views(struct health_board *b, size_t gateway, double now,
                        void (*each)(void *arg, const struct health_view *v), void *arg)
{
    for (struct board_series *s = b->gateways[gateway].first; s; s = s->next) {
        if (s->signal.n == 0)
            continue;
        struct health_view v = {
            .metric = s->metric,
            .limit = s->limit,
            .signal = &s->signal,
            .z = s->anomaly.z,
            .silent = is_silent(b, &s->signal, now),
            .doubtful = s->limit && health_doubtful(&s->signal, s->limit),
        };
        if (s->limit)
            v.risk = judge(b, s, now).risk;
        else
            v.risk = (struct health_risk){.value = signal_now(&s->signal), .usual = s->signal.mean};
        each(arg, &v);
    }
}
