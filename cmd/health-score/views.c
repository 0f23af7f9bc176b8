/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/health-score/views.h"

#include <errno.h>
#include <math.h>

#include "common/record/schema.h"

/* Where a gateway's metrics go, and the first error. */
struct sink {
    const struct views_at *at;
    const char *gateway;
    struct rec_writer *writer; /* views_explain() */
    FILE *out;
    int error;
};

static void each_gateway(struct sink *s, void (*each)(void *, const struct health_view *))
{
    struct health_board *b = s->at->board;
    for (size_t g = 0; g < health_board_gateways(b) && s->error == 0; g++) {
        s->gateway = health_board_gateway(b, g);
        health_board_views(b, g, s->at->now, each, s);
    }
}

/* ---- explain ---- */

static void explain_metric(void *arg, const struct health_view *v)
{
    struct sink *s = arg;
    struct rec_writer *w = s->writer;
    rec_put_real(w, EXPLAIN_TIME, v->signal->last);
    rec_put_text(w, EXPLAIN_GATEWAY, s->gateway);
    rec_put_text(w, EXPLAIN_METRIC, v->metric);
    rec_put_real(w, EXPLAIN_VALUE, v->risk.value);
    rec_put_real(w, EXPLAIN_USUAL, v->risk.usual);
    rec_put_uint(w, EXPLAIN_SAMPLES, v->signal->n);
    rec_put_word(w, EXPLAIN_SILENT, v->silent ? YESNO_YES : YESNO_NO);
    rec_put_real(w, EXPLAIN_Z, v->z);
    if (v->limit)
        rec_put_real(w, EXPLAIN_WEIGHT, v->limit->weight);
    if (v->limit && !v->doubtful) {
        rec_put_real(w, EXPLAIN_SUBSCORE, health_subscore(v->limit, v->risk.value));
        rec_put_real(w, EXPLAIN_P_FAIL, v->risk.p);
        rec_put_real(w, EXPLAIN_LEVEL, v->risk.level);
        rec_put_real(w, EXPLAIN_DRIFT, v->risk.drift);
        rec_put_real(w, EXPLAIN_TREND, v->risk.trend);
        rec_put_real(w, EXPLAIN_BURST, v->risk.burst);
        rec_put_real(w, EXPLAIN_SLOW, v->risk.slow);
    }
    int r = rec_write(w);
    s->error = s->error ? s->error : r;
}

int views_explain(const struct views_at *at, FILE *out)
{
    struct sink s = {.at = at, .out = out, .writer = rec_writer_new(&rec_explain, out)};
    if (!s.writer)
        return -ENOMEM;
    s.error = rec_writer_header(s.writer);
    each_gateway(&s, explain_metric);
    int r = rec_flush(s.writer);
    rec_writer_free(s.writer);
    return s.error ? s.error : r;
}

/* ---- chart ---- */

/* The longest window that is half full: it shows the most. */
static const struct signal_level *chart_level(const struct signal *s)
{
    unsigned k = SIGNAL_LEVELS - 1;
    while (k > 0 && s->levels[k].n < TREND_POINTS_MAX / 2)
        k--;
    return &s->levels[k];
}

static void put_bars(FILE *out, const struct signal_level *l, double low, double high)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    for (unsigned i = 0; i < l->n; i++) {
        double height = high > low ? (l->points[i].value - low) / (high - low) : 0;
        fputs(bars[(unsigned)fmin(height * 8, 7)], out);
    }
    for (unsigned i = l->n; i < TREND_POINTS_MAX; i++)
        fputc(' ', out);
}

static void chart_metric(void *arg, const struct health_view *v)
{
    struct sink *s = arg;
    const struct signal_level *l = chart_level(v->signal);
    double low = INFINITY;
    double high = -INFINITY;
    for (unsigned i = 0; i < l->n; i++) {
        low = fmin(low, l->points[i].value);
        high = fmax(high, l->points[i].value);
    }
    fprintf(s->out, "%-16s %-20s ", s->gateway, v->metric);
    put_bars(s->out, l, low, high);
    char least[32], most[32], now[32];
    fprintf(s->out, " %s … %s, now %s, %.0f min%s\n", health_show(v->metric, low, least),
            health_show(v->metric, high, most), health_show(v->metric, v->risk.value, now),
            (l->points[l->n - 1].time - l->points[0].time) / 60, v->silent ? ", silent" : "");
}

int views_chart(const struct views_at *at, FILE *out)
{
    struct sink s = {.at = at, .out = out};
    each_gateway(&s, chart_metric);
    return ferror(out) ? -EIO : 0;
}

/* ---- prom ---- */

struct prom_metric {
    const char *name;
    const char *help;
    double (*value)(const struct health_score *s);
    bool always; /* also while there is no score */
};

static double prom_ghs(const struct health_score *s)
{
    return s->ghs;
}

static double prom_current(const struct health_score *s)
{
    return s->current;
}

static double prom_p_fail(const struct health_score *s)
{
    return s->p_fail;
}

static double prom_confidence(const struct health_score *s)
{
    return s->confidence;
}

static double prom_anomaly(const struct health_score *s)
{
    return s->anomaly;
}

static double prom_shift(const struct health_score *s)
{
    return s->shift;
}

static double prom_lead(const struct health_score *s)
{
    return s->lead_low_s;
}

static double prom_known(const struct health_score *s)
{
    return s->known;
}

static double prom_time(const struct health_score *s)
{
    return s->time;
}

static const struct prom_metric prom_metrics[] = {
    {"gateshift_gateway_health", "Gateway health score, 0 to 1", prom_ghs, false},
    {"gateshift_gateway_health_now", "Health now, without prediction", prom_current, false},
    {"gateshift_gateway_failure_probability", "Within the horizon", prom_p_fail, false},
    {"gateshift_gateway_lead_seconds", "Earliest time to critical; +Inf: none", prom_lead, false},
    {"gateshift_gateway_confidence", "How far the scores can be relied on", prom_confidence, true},
    {"gateshift_gateway_anomaly", "How unlike itself; over 0.56 is unusual", prom_anomaly, true},
    {"gateshift_gateway_shift", "How much slower than before; over 0.56 is told", prom_shift,
     false},
    {"gateshift_gateway_known", "0: silent, without a score", prom_known, true},
    {"gateshift_gateway_time_seconds", "Of the newest sample, or of now if silent", prom_time,
     true},
};

/* Names of gateways need no escapes; +Inf is written as Prometheus has it. */
static void put_prom(FILE *out, const char *name, const char *gateway, double v)
{
    if (isinf(v))
        fprintf(out, "%s{gateway=\"%s\"} +Inf\n", name, gateway);
    else
        fprintf(out, "%s{gateway=\"%s\"} %.17g\n", name, gateway, v);
}

int views_prom(const struct views_at *at, FILE *out)
{
    for (size_t m = 0; m < sizeof(prom_metrics) / sizeof(*prom_metrics); m++) {
        const struct prom_metric *p = &prom_metrics[m];
        fprintf(out, "# HELP %s %s\n# TYPE %s gauge\n", p->name, p->help, p->name);
        for (size_t g = 0; g < health_board_gateways(at->board); g++) {
            struct health_score s;
            int r = health_board_score(at->board, g, at->now, &s);
            if (r < 0)
                return r;
            if (s.known || p->always)
                put_prom(out, p->name, health_board_gateway(at->board, g), p->value(&s));
        }
    }
    return ferror(out) ? -EIO : 0;
}
