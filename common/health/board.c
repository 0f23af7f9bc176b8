/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/board.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/parse.h"
#include "common/health/anomaly.h"
#include "common/health/board_private.h"

/* A metric is silent after so many of its usual intervals. */
#define SILENT_INTERVALS 3.0

struct health_board *health_board_new(const struct health_limits *limits,
                                      const struct health_rules *rules)
{
    struct health_board *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->limits = limits;
    b->rules = rules;
    return b;
}

void health_board_free(struct health_board *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->series_names.n; i++)
        free(b->series[i]);
    free(b->series);
    free(b->gateways);
    intern_release(&b->series_names);
    intern_release(&b->gateway_names);
    free(b->inputs);
    free(b);
}

int board_gateway(struct health_board *b, const char *name, size_t *gateway)
{
    long id = intern_find(&b->gateway_names, name);
    if (id < 0) {
        if (vec_room(&b->gateways, b->gateway_names.n, &b->gateways_cap, sizeof(*b->gateways)) < 0)
            return -ENOMEM;
        id = intern_add(&b->gateway_names, name);
        if (id < 0)
            return -ENOMEM;
        b->gateways[id] = (struct board_gateway){.mark = NAN};
    }
    *gateway = (size_t)id;
    return 0;
}

/* Makes the series KEY of METRIC and puts it at the end of its gateway's list. */
static int new_series(struct health_board *b, const char *key, size_t gateway, const char *metric,
                      struct board_series **out)
{
    if (vec_room(&b->series, b->series_names.n, &b->series_cap, sizeof(*b->series)) < 0)
        return -ENOMEM;
    struct board_series *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    long id = intern_add(&b->series_names, key);
    if (id < 0) {
        free(s);
        return -ENOMEM;
    }
    b->series[id] = s;
    s->limit = health_limits_find(b->limits, metric);
    s->gateway = gateway;
    struct board_gateway *g = &b->gateways[gateway];
    *(g->last ? &g->last->next : &g->first) = s;
    g->last = s;
    g->n_series++;
    *out = s;
    return 0;
}

int board_series(struct health_board *b, size_t gateway, const char *metric,
                 struct board_series **out)
{
    /* A comma can't be part of a name. */
    char key[2 * NAME_LEN_MAX + 2];
    snprintf(key, sizeof(key), "%s,%s", b->gateway_names.names[gateway], metric);
    long id = intern_find(&b->series_names, key);
    if (id < 0)
        return new_series(b, key, gateway, metric, out);
    *out = b->series[id];
    return 0;
}

int health_board_add(struct health_board *b, double time, const char *gateway, const char *metric,
                     double value, size_t *gateway_index, double *anomaly)
{
    size_t g;
    struct board_series *s;
    int r = board_gateway(b, gateway, &g);
    if (r == 0)
        r = board_series(b, g, metric, &s);
    if (r < 0)
        return r;
    bool new = s->signal.n == 0 || time > s->signal.last;
    double score = new ? anomaly_score(&s->signal, value) : 0;
    unsigned changed = 0;
    if (new &&signal_add(&s->signal, time, value, &changed))
        s->changed |= changed;
    b->newest = fmax(b->newest, time);
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
    return b->newest;
}

double *health_board_mark(struct health_board *b, size_t gateway)
{
    return &b->gateways[gateway].mark;
}

static bool is_silent(const struct health_board *b, const struct signal *s, double now)
{
    double patience = fmax(b->rules->silent_after_s, SILENT_INTERVALS * s->interval_s);
    return now - s->last > patience;
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
    health_trends_update(&s->trends, &s->signal, s->changed);
    s->changed = 0;
    return (struct health_input){
        s->limit,
        health_risk(&s->signal, &s->trends, s->limit, now, b->rules->horizon_s),
        s->signal.n,
    };
}

static void silent(struct health_score *out, double now, double heard)
{
    *out = (struct health_score){.time = now, .worst_metric = ""};
    if (!isfinite(heard))
        snprintf(out->reason, sizeof(out->reason), "no metric with limits");
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
    for (struct board_series *s = g->first; s; s = s->next) {
        if (!s->limit)
            continue;
        heard = fmax(heard, s->signal.last);
        if (!is_silent(b, &s->signal, now))
            b->inputs[n++] = judge(b, s, now);
    }
    if (n == 0) {
        silent(out, now, heard);
        return 0;
    }
    health_score_join(b->limits, b->inputs, n, out);
    out->time = heard;
    return 0;
}
