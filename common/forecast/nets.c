/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/nets.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/forecast/batches.h"
#include "common/forecast/logs.h"
#include "common/forecast/loss.h"
#include "common/forecast/workers.h"

enum { WARM_STEPS_MAX = 200, TELL_STEPS = 16, FORECAST_BATCH = 32 };

/* What a leg's rate falls to, relative to its highest. */
static const double last_rate = 0.01;

/* Nets of one kind correct the same baseline; the kinds take turns. */
enum { KINDS = 2 };

static enum sample_base base_of(size_t net)
{
    return net % KINDS ? SAMPLE_WEEKS : SAMPLE_MODEL;
}

struct lstm_shape nets_shape(const struct nets *n)
{
    return (struct lstm_shape){SAMPLE_IN, n->config.hidden, SAMPLE_AHEAD};
}

/* A seed of its own for each use. */
static uint64_t seed_for(const struct nets *n, size_t net, uint64_t leg, uint64_t epoch)
{
    const uint64_t of[] = {n->config.seed, net, leg, epoch};
    return hash64(of, sizeof(of));
}

int nets_init(struct nets *n, const struct nets_config *c)
{
    *n = (struct nets){.config = *c};
    n->net = calloc(c->nets + 1, sizeof(*n->net));
    int r = n->net ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < c->nets; i++) {
        struct rng rng;
        r = adam_init(&n->net[i], lstm_weights(nets_shape(n)));
        if (r < 0)
            break;
        rng_init(&rng, seed_for(n, i, UINT64_MAX, 0));
        lstm_draw(nets_shape(n), &rng, n->net[i].weight);
        memcpy(n->net[i].average, n->net[i].weight, n->net[i].n * sizeof(float));
    }
    if (r < 0)
        nets_release(n);
    return r;
}

void nets_release(struct nets *n)
{
    for (size_t i = 0; n->net && i < n->config.nets; i++)
        adam_release(&n->net[i]);
    free(n->net);
    *n = (struct nets){0};
}

uint64_t nets_digest(const struct nets *n)
{
    uint64_t all[NETS_MAX] = {0};
    for (size_t i = 0; i < n->config.nets; i++)
        all[i] = hash64(n->net[i].average, n->net[i].n * sizeof(float));
    uint64_t d = hash64(all, sizeof(all));
    return d ? d : 1;
}

uint64_t nets_epoch(const struct sample *s, size_t n)
{
    return batches_count(s, n, NETS_BATCH);
}

void nets_begin(struct nets *n, uint64_t steps, double rate)
{
    n->leg = (struct nets_leg){n->leg.number + 1, steps, rate};
    n->done = 0;
    for (size_t i = 0; i < n->config.nets; i++)
        memcpy(n->net[i].weight, n->net[i].average, n->net[i].n * sizeof(float));
}

static double rate_at(const struct nets_leg *leg, uint64_t step)
{
    uint64_t warm = leg->steps / 20 < WARM_STEPS_MAX ? leg->steps / 20 : WARM_STEPS_MAX;
    if (step < warm)
        return leg->rate * (double)(step + 1) / (double)warm;
    double part = (double)(step - warm) / (double)(leg->steps - warm);
    return leg->rate * (last_rate + (1 - last_rate) * 0.5 * (1 + cos(M_PI * part)));
}

/* ---- training one net ---- */

struct training {
    const struct nets *nets;
    const struct sample *s;
    size_t count;
    uint64_t upto;
    const struct nets_run *run;
    atomic_uint_fast64_t made; /* by all nets */
    pthread_t teller;
};

/* The memory of one net's training. */
struct bench {
    struct lstm *lstm;
    float *base, *dy; /* [step][sequence][SAMPLE_AHEAD] */
    float *gradient;
};

static void bench_release(struct bench *b)
{
    lstm_free(b->lstm);
    free(b->base);
    free(b->dy);
    free(b->gradient);
}

static int bench_init(struct bench *b, struct lstm_shape shape)
{
    size_t rows = (size_t)NETS_BATCH * SAMPLE_STEPS;
    b->lstm = lstm_new(shape, NETS_BATCH, SAMPLE_STEPS);
    b->base = malloc(rows * SAMPLE_AHEAD * sizeof(*b->base));
    b->dy = malloc(rows * SAMPLE_AHEAD * sizeof(*b->dy));
    b->gradient = malloc(lstm_weights(shape) * sizeof(*b->gradient));
    return b->lstm && b->base && b->dy && b->gradient ? 0 : -ENOMEM;
}

/* The point of P's series at which step T stands. */
static size_t point_at(const struct batches_part *p, size_t t)
{
    return p->end - (p->steps - 1 - t) * HOURS_A_DAY;
}

static void fill_rows(const struct training *t, enum sample_base kind,
                      const struct batches_part *part, size_t n, struct bench *b)
{
    float *in = lstm_input(b->lstm);
    for (size_t step = 0, row = 0; step < part->steps; step++)
        for (size_t i = 0; i < n; i++, row++)
            sample_row(&t->s[part[i].series], point_at(&part[i], step), kind, in + row * SAMPLE_IN,
                       b->base + row * SAMPLE_AHEAD);
}

static void derive_rows(const struct training *t, const struct batches_part *part, size_t n,
                        const float *y, struct bench *b)
{
    size_t rows = n * part->steps;
    float weight = 1 / (float)(rows * SAMPLE_AHEAD);
    memset(b->dy, 0, rows * SAMPLE_AHEAD * sizeof(*b->dy));
    for (size_t step = 0, row = 0; step < part->steps; step++)
        for (size_t i = 0; i < n; i++, row++) {
            const struct sample *s = &t->s[part[i].series];
            size_t at = s->origin + point_at(&part[i], step), at_row = row * SAMPLE_AHEAD;
            size_t ahead = s->n - at < SAMPLE_AHEAD ? s->n - at : SAMPLE_AHEAD;
            loss_row(ahead, b->base + at_row, y + at_row, s->y + at, s->scaled, weight,
                     b->dy + at_row);
        }
}

static void train_group(const struct training *t, size_t net, const struct batches_part *part,
                        size_t n, uint64_t step, struct bench *b)
{
    struct adam *a = &t->nets->net[net];
    fill_rows(t, base_of(net), part, n, b);
    const float *y = lstm_forward(b->lstm, a->weight, n, part->steps);
    derive_rows(t, part, n, y, b);
    lstm_backward(b->lstm, a->weight, b->dy, b->gradient);
    adam_step(a, b->gradient, rate_at(&t->nets->leg, step), t->nets->config.decay);
}

static void tell(struct training *t)
{
    uint64_t made = atomic_fetch_add(&t->made, TELL_STEPS) + TELL_STEPS;
    uint64_t all = (t->upto - t->nets->done) * t->nets->config.nets;
    if (t->run->tell && pthread_equal(pthread_self(), t->teller))
        t->run->tell(t->run->ctx, made < all ? made : all, all);
}

static int train_net(void *ctx, size_t net)
{
    struct training *t = ctx;
    struct bench b = {0};
    struct batches e = {0};
    uint64_t groups = nets_epoch(t->s, t->count);
    int r = bench_init(&b, nets_shape(t->nets));
    for (uint64_t step = t->nets->done; r == 0 && step < t->upto; step++) {
        if (!e.part || step % groups == 0) {
            batches_release(&e);
            r = batches_draw(t->s, t->count, NETS_BATCH,
                             seed_for(t->nets, net, t->nets->leg.number, step / groups), &e);
            if (r < 0)
                break;
        }
        const struct batches_group *g = &e.group[step % groups];
        train_group(t, net, e.part + g->first, g->n, step, &b);
        if (step % TELL_STEPS == 0)
            tell(t);
    }
    batches_release(&e);
    bench_release(&b);
    return r;
}

int nets_train(struct nets *n, const struct sample *s, size_t count, uint64_t upto,
               const struct nets_run *run)
{
    struct training t = {n,   s, count,         upto < n->leg.steps ? upto : n->leg.steps,
                         run, 0, pthread_self()};
    if (t.upto <= n->done)
        return 0;
    int r = workers_run(n->config.nets, run->threads, train_net, &t);
    if (r == 0)
        n->done = t.upto;
    return r;
}

/* ---- forecasting ---- */

/* Series of one length, by their numbers. */
struct alike {
    size_t at[FORECAST_BATCH];
    size_t n, steps;
};

/* What the nets of a kind see; those of the first have been here before. */
static void put_rows(const struct sample *s, const struct alike *g, size_t kind, struct lstm *l,
                     float *base)
{
    float *in = lstm_input(l);
    for (size_t step = 0; step < g->steps; step++)
        for (size_t i = 0; i < g->n; i++, in += SAMPLE_IN) {
            const struct sample *one = &s[g->at[i]];
            const size_t point = one->points - g->steps + step;
            if (kind == 0)
                sample_row(one, point, base_of(kind), in, base + i * SAMPLE_AHEAD);
            else
                sample_row_as(one, point, base_of(kind), in, base + i * SAMPLE_AHEAD);
        }
}

static void forecast_alike(const struct nets *n, const struct sample *s, const struct alike *g,
                           struct lstm *l, float *base, double *out)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        put_rows(s, g, kind, l, base);
        for (size_t net = kind; net < n->config.nets; net += KINDS) {
            const float *y = lstm_last(l, n->net[net].average, g->n, g->steps);
            for (size_t i = 0; i < g->n; i++)
                for (size_t h = 0; h < SAMPLE_AHEAD; h++)
                    out[g->at[i] * SAMPLE_AHEAD + h] +=
                        (double)(base[i * SAMPLE_AHEAD + h] + y[i * SAMPLE_AHEAD + h]);
        }
    }
    for (size_t i = 0; i < g->n; i++) {
        double *f = &out[g->at[i] * SAMPLE_AHEAD];
        for (size_t h = 0; h < SAMPLE_AHEAD; h++)
            f[h] = fmin(f[h] / n->config.nets, 60);
        logs_back(f, SAMPLE_AHEAD, s[g->at[i]].unit);
    }
}

int nets_forecast(const struct nets *n, const struct sample *s, size_t count, double *out)
{
    const size_t most = count < FORECAST_BATCH ? count : FORECAST_BATCH;
    struct lstm *l = lstm_new(nets_shape(n), most, SAMPLE_BACK);
    float *base = malloc((size_t)FORECAST_BATCH * SAMPLE_AHEAD * sizeof(*base));
    int r = l && base ? 0 : -ENOMEM;
    memset(out, 0, count * SAMPLE_AHEAD * sizeof(*out));
    for (size_t steps = 1; r == 0 && steps <= SAMPLE_BACK; steps++) {
        struct alike g = {.steps = steps};
        for (size_t i = 0; i < count; i++) {
            if (sample_steps(&s[i]) == steps)
                g.at[g.n++] = i;
            if (g.n == FORECAST_BATCH || (g.n && i + 1 == count)) {
                forecast_alike(n, s, &g, l, base, out);
                g.n = 0;
            }
        }
    }
    free(base);
    lstm_free(l);
    return r;
}
