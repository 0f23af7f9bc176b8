/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/probes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/record/record.h"

static const double week_s = 7 * 86400;

/* ---- recorded ---- */

static int by_time(const void *pa, const void *pb)
{
    const struct sample *a = pa, *b = pb;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->gateway != b->gateway)
        return a->gateway < b->gateway ? -1 : 1;
    return (a->metric > b->metric) - (a->metric < b->metric);
}

void samples_read(struct samples *s, const char *path)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(&rec_metric);
    int got;
    err_need(r != NULL);
    rec_reader_files(r, paths, 1);
    while ((got = rec_reader_next(r)) > 0) {
        const long g = intern_add(&s->gateways, rec_text(r, METRIC_GATEWAY));
        const long m = intern_add(&s->metrics, rec_text(r, METRIC_METRIC));
        err_need(g >= 0 && m >= 0 && vec_room(&s->list, s->n, &s->cap, sizeof(*s->list)) == 0);
        s->list[s->n++] = (struct sample){rec_real(r, METRIC_TIME), (uint32_t)g, (uint32_t)m,
                                          rec_real(r, METRIC_VALUE)};
    }
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
    if (s->n)
        qsort(s->list, s->n, sizeof(*s->list), by_time);
}

void samples_release(struct samples *s)
{
    intern_release(&s->gateways);
    intern_release(&s->metrics);
    free(s->list);
    *s = (struct samples){0};
}

static void add(struct health_board *b, double time, const char *gateway, const char *metric,
                double value)
{
    err_need(health_board_add(b, time, gateway, metric, value, NULL, NULL) != -ENOMEM);
}

static void feed_recorded(struct probes *p, const struct run *r, struct health_board *b)
{
    const struct samples *s = r->stage->samples;
    for (; s && p->next < s->n && s->list[p->next].time < r->now + r->stage->step_s; p->next++) {
        const struct sample *m = &s->list[p->next];
        add(b, m->time, s->gateways.names[m->gateway], s->metrics.names[m->metric], m->value);
    }
}

/* ---- made up ---- */

/* One gateway's luck in one round; drawn whatever is made of it. */
struct luck {
    double read, connect, busy, memory;
    double spike;
    bool lost;
};

static struct luck draw(struct rng *rng, double round_s)
{
    struct luck l = {
        .read = exp(0.4 * rng_normal(rng)),
        .connect = exp(0.3 * rng_normal(rng)),
        .busy = 0.05 * rng_normal(rng),
        .memory = 0.01 * rng_normal(rng),
    };
    l.spike = rng_below(rng, 500) == 0 ? 20 : 1;
    l.lost = rng_unit(rng) < round_s / week_s;
    return l;
}

static double ratio(double v)
{
    return fmin(fmax(v, 0), 1);
}

static void feed_gateway(struct probes *p, const struct run *r, size_t g, double time,
                         struct health_board *b)
{
    const char *name = r->stage->fleet->gateways[g].name;
    const struct run_gateway *w = &r->gateways[g];
    const struct luck l = draw(&p->rng, r->stage->probe_s);
    const bool away = l.lost || w->condition == CONDITION_FAILED;
    enum rec_scenario_kind kind = SCENARIO_SUDDEN;
    const double done = scenario_progress(r->scenario, g, r->now, &kind);
    const double errors = kind == SCENARIO_ERRORS ? done : 0;
    const double leak = kind == SCENARIO_LEAK ? done : 0;
    if (p->recorded[g])
        return;
    add(b, time, name, "nbd_error_ratio", away);
    if (away)
        return;
    add(b, time, name, "nbd_read_us", w->mean_us * l.read * l.spike);
    add(b, time, name, "nbd_connect_us", 500 * l.connect * l.spike);
    add(b, time, name, "cpu_busy", ratio(0.1 + 0.8 * w->use + l.busy));
    add(b, time, name, "disk_error_rate", errors * l.connect);
    add(b, time, name, "mem_used", ratio(0.5 + 0.49 * leak + l.memory));
}

void probes_init(struct probes *p, const struct run *r)
{
    const struct fleet *f = r->stage->fleet;
    *p = (struct probes){.recorded = calloc(f->gateway_names.n + 1, sizeof(*p->recorded))};
    err_need(p->recorded != NULL);
    rng_init(&p->rng, r->seed ^ UINT64_C(0x9e3779b97f4a7c15));
    for (size_t g = 0; r->stage->samples && g < f->gateway_names.n; g++)
        p->recorded[g] = intern_find(&r->stage->samples->gateways, f->gateways[g].name) >= 0;
}

void probes_release(struct probes *p)
{
    free(p->recorded);
    *p = (struct probes){0};
}

void probes_feed(struct probes *p, const struct run *r, struct health_board *b)
{
    feed_recorded(p, r, b);
    for (size_t i = 0; (double)i * r->stage->probe_s < r->stage->step_s; i++)
        for (size_t g = 0; g < r->stage->fleet->gateway_names.n; g++)
            feed_gateway(p, r, g, r->now + (double)i * r->stage->probe_s, b);
}
