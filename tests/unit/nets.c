/* links: cmd/affinity-profile */
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The LSTM cell, its training and its file: gradients that are true, and results that repeat. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/affinity/nets_file.h"
#include "common/base/rng.h"
#include "common/forecast/batches.h"
#include "common/forecast/blas.h"
#include "common/forecast/loss.h"
#include "common/forecast/train.h"
#include "tests/unit/tap.h"

enum { SERIES = 6, HOURS = 6 * HOURS_A_WEEK, SEQUENCES = 3, STEPS = 4 };

/* ---- the cell ---- */

static void fill(struct rng *r, size_t n, double width, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(width * (2 * rng_unit(r) - 1));
}

/* A loss with every output in it: half the sum of squares of outputs less a target. */
static double square_loss(struct lstm *l, struct lstm_shape s, const float *w, const float *target,
                          float *dy)
{
    const float *y = lstm_forward(l, w, SEQUENCES, STEPS);
    double sum = 0;
    for (size_t i = 0; i < SEQUENCES * STEPS * s.out; i++) {
        double d = (double)y[i] - (double)target[i];
        sum += 0.5 * d * d;
        if (dy)
            dy[i] = (float)d;
    }
    return sum;
}

/* Every weight's derivative is that of a small step of it, to what single precision can tell. */
static void test_gradient(void)
{
    const struct lstm_shape s = {5, 7, 3};
    const float step = 5e-3f;
    size_t n = lstm_weights(s), rows = SEQUENCES * STEPS;
    struct lstm *l = lstm_new(s, SEQUENCES, STEPS);
    float *w = calloc(n, sizeof(*w)), *g = calloc(n, sizeof(*g));
    float *target = calloc(rows * s.out, sizeof(*target)), *dy = calloc(rows * s.out, sizeof(*dy));
    if (!w || !g || !target || !dy)
        abort();
    struct rng r;
    double worst = 0, largest = 0;
    rng_init(&r, 7);
    lstm_draw(s, &r, w);
    fill(&r, n, 0.5, w);
    fill(&r, rows * s.in, 1, lstm_input(l));
    fill(&r, rows * s.out, 1, target);
    square_loss(l, s, w, target, dy);
    lstm_backward(l, w, dy, g);
    for (size_t i = 0; i < n; i++) {
        float kept = w[i];
        w[i] = kept + step;
        double up = square_loss(l, s, w, target, NULL);
        w[i] = kept - step;
        double down = square_loss(l, s, w, target, NULL);
        w[i] = kept;
        double slope = (up - down) / (2 * (double)step);
        worst = fmax(worst, fabs(slope - (double)g[i]));
        largest = fmax(largest, fabs(slope));
    }
    CHECK(largest > 1);
    CHECK(worst < 2e-3 * largest);
    free(dy);
    free(target);
    free(g);
    free(w);
    lstm_free(l);
}

/* What comes later says nothing of what came before, and no sequence of another. */
static void test_causal(void)
{
    const struct lstm_shape s = {4, 8, 2};
    size_t row = SEQUENCES * s.out;
    struct lstm *l = lstm_new(s, SEQUENCES, STEPS);
    float *w = calloc(lstm_weights(s), sizeof(*w));
    if (!w)
        abort();
    float before[SEQUENCES * STEPS * 2];
    struct rng r;
    rng_init(&r, 3);
    fill(&r, lstm_weights(s), 0.5, w);
    fill(&r, SEQUENCES * STEPS * s.in, 1, lstm_input(l));
    memcpy(before, lstm_forward(l, w, SEQUENCES, STEPS), sizeof(before));
    lstm_input(l)[2 * SEQUENCES * s.in] += 1; /* step 2, sequence 0 */
    const float *y = lstm_forward(l, w, SEQUENCES, STEPS);
    CHECK(memcmp(y, before, 2 * row * sizeof(*y)) == 0);
    for (size_t t = 2; t < STEPS; t++) {
        CHECK(y[t * row] != before[t * row]);
        CHECK(memcmp(y + t * row + s.out, before + t * row + s.out, (row - s.out) * sizeof(*y)) ==
              0);
    }
    memcpy(before, y, sizeof(before));
    y = lstm_last(l, w, SEQUENCES, STEPS);
    for (size_t i = 0; i < row; i++)
        CHECK(fabsf(y[i] - before[(STEPS - 1) * row + i]) < 1e-5f);
    free(w);
    lstm_free(l);
}

/* The loss's derivatives against small steps, also where nothing was asked for. */
static void test_loss(void)
{
    const float base[] = {0, 1, 2, 3, 0.5f}, actual[] = {0, 3, 5, 25, 0};
    float y[] = {0.3f, -0.4f, 0.1f, 0.2f, -0.1f}, dy[5], none[5];
    loss_row(5, base, y, actual, 1.5f, 1, dy);
    for (size_t i = 0; i < 5; i++) {
        const float step = 1e-2f, kept = y[i];
        y[i] = kept + step;
        float up = loss_row(5, base, y, actual, 1.5f, 1, none);
        y[i] = kept - step;
        float down = loss_row(5, base, y, actual, 1.5f, 1, none);
        y[i] = kept;
        CHECK(fabsf((up - down) / (2 * step) - dy[i]) < 2e-2f * (1 + fabsf(dy[i])));
    }
}

/* ---- the training ---- */

struct world {
    double y[SERIES][HOURS];
    struct train_series of[SERIES];
};

/*
 * Demand with a rule that smoothing cannot know: a day's height follows from that of two days
 * before.
 */
static void make_world(struct world *w, uint64_t seed)
{
    struct rng r;
    rng_init(&r, seed);
    for (size_t k = 0; k < SERIES; k++) {
        double height = 1;
        for (size_t i = 0; i < HOURS; i++) {
            if (i % HOURS_A_DAY == 0)
                height = i / HOURS_A_DAY % 4 < 2 ? 0.5 + 0.1 * rng_unit(&r) : 1.5;
            double day = 1.2 + cos(2 * M_PI * (double)(i + 5 * k) / HOURS_A_DAY);
            w->y[k][i] = 100 * (double)(k + 1) * height * day * (1 + 0.05 * rng_normal(&r));
        }
        w->of[k] = (struct train_series){.s = {w->y[k], HOURS, 490000}};
    }
}

static struct train_how quick(size_t threads)
{
    return (struct train_how){.seed = 3, .budget_s = 1, .threads = threads};
}

static bool same_nets(const struct nets *a, const struct nets *b)
{
    struct buf x = {0}, y = {0};
    bool same = nets_pack(a, &x) == 0 && nets_pack(b, &y) == 0 && x.len == y.len &&
                memcmp(x.data, y.data, x.len) == 0;
    buf_release(&x);
    buf_release(&y);
    return same;
}

/* A net learns what the baseline cannot, is let through by the gate, and is right on new days. */
static void test_learns(void)
{
    struct world *w = calloc(1, sizeof(*w));
    double net[SERIES][MODEL_NET_HOURS], by_net = 0, by_base = 0;
    struct train_how how = {.seed = 1, .budget_s = 3, .threads = 2};
    struct nets n;
    make_world(w, 1);
    for (size_t k = 0; k < SERIES; k++)
        w->of[k].s.n -= HOURS_A_DAY * 2;
    CHECK(train_all(w->of, SERIES, &how, &n) == 0);
    CHECK(n.config.nets >= 2 && n.origin == nets_digest(&n));
    CHECK(train_forecast(&n, w->of, SERIES, 2, net[0]) == 0);
    for (size_t k = 0; k < SERIES; k++) {
        struct model_point p[MODEL_NET_HOURS], q[MODEL_NET_HOURS];
        struct model m = w->of[k].model;
        CHECK(m.net > 0 && m.net_gain > 0 && strstr(model_name(&m), "lstm"));
        CHECK(model_predict(&m, w->of[k].s, net[k], MODEL_NET_HOURS, p) == 0);
        m.net = 0;
        CHECK(model_predict(&m, w->of[k].s, NULL, MODEL_NET_HOURS, q) == 0);
        for (size_t i = 0; i < MODEL_NET_HOURS; i++) {
            double y = w->y[k][w->of[k].s.n + i];
            by_net += fabs(y - p[i].requests) / (double)(k + 1);
            by_base += fabs(y - q[i].requests) / (double)(k + 1);
            CHECK(p[i].lower <= p[i].requests && p[i].requests <= p[i].upper);
        }
    }
    CHECK(by_net < 0.8 * by_base);
    nets_release(&n);
    free(w);
}

/* White noise has no rule: what the nets make of it is not listened to. */
static void test_gate_stays_shut(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct train_how how = quick(2);
    struct nets n;
    struct rng r;
    double weight = 0;
    rng_init(&r, 5);
    make_world(w, 1);
    for (size_t k = 0; k < SERIES; k++)
        for (size_t i = 0; i < HOURS; i++)
            w->y[k][i] = rng_unit(&r) < 0.2 ? 1000 * rng_unit(&r) : 100;
    CHECK(train_all(w->of, SERIES, &how, &n) == 0);
    for (size_t k = 0; k < SERIES; k++)
        weight += w->of[k].model.net;
    CHECK(weight <= 0.5);
    nets_release(&n);
    free(w);
}

static void test_threads(void)
{
    struct world *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
    struct train_how one = quick(1), three = quick(3);
    struct nets x, y;
    make_world(a, 2);
    make_world(b, 2);
    CHECK(train_all(a->of, SERIES, &one, &x) == 0);
    CHECK(train_all(b->of, SERIES, &three, &y) == 0);
    CHECK(same_nets(&x, &y));
    for (size_t k = 0; k < SERIES; k++) {
        CHECK(a->of[k].model.net == b->of[k].model.net);
        CHECK(memcmp(&a->of[k].model.band, &b->of[k].model.band, sizeof(a->of[k].model.band)) == 0);
    }
    nets_release(&x);
    nets_release(&y);
    free(a);
    free(b);
}

static int save_and_load(struct nets *n)
{
    struct buf file = {0};
    int r = nets_pack(n, &file);
    nets_release(n);
    if (r == 0)
        r = nets_unpack(&file, n);
    buf_release(&file);
    return r;
}

/* Training that is broken off anywhere, saved and gone on with, ends with the same bits. */
static void test_resume(void)
{
    const struct nets_config c = {.nets = 2, .hidden = 8, .seed = 9, .decay = 0.01};
    struct world *w = calloc(1, sizeof(*w));
    struct sample s[SERIES];
    struct nets_run run = {.threads = 2};
    struct nets a, b;
    make_world(w, 4);
    for (size_t k = 0; k < SERIES; k++) {
        CHECK(model_fit(w->of[k].s, 1, &w->of[k].model) == 0);
        CHECK(sample_for_training(w->of[k].s, &w->of[k].model, &s[k]) == 0);
    }
    CHECK(nets_init(&a, &c) == 0 && nets_init(&b, &c) == 0);
    uint64_t all = 2 * nets_epoch(s, SERIES) + 3;
    nets_begin(&a, all, 3e-3);
    nets_begin(&b, all, 3e-3);
    a.origin = b.origin = 1;
    CHECK(nets_train(&a, s, SERIES, all, &run) == 0 && a.done == all);
    for (uint64_t upto = 5; b.done < all; upto += 11) {
        CHECK(nets_train(&b, s, SERIES, upto, &run) == 0);
        CHECK(save_and_load(&b) == 0);
    }
    CHECK(same_nets(&a, &b));
    for (size_t k = 0; k < SERIES; k++)
        sample_release(&s[k]);
    nets_release(&a);
    nets_release(&b);
    free(w);
}

/* Fine-tuning moves the nets, keeps the origin, and repeats. */
static void test_fine_tune(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct train_how how = quick(2);
    struct nets a, b;
    make_world(w, 6);
    CHECK(train_all(w->of, SERIES, &how, &a) == 0);
    CHECK(train_all(w->of, SERIES, &how, &b) == 0);
    uint64_t origin = a.origin;
    CHECK(train_on(w->of, SERIES, &how, &a) == 0);
    CHECK(!same_nets(&a, &b) && a.origin == origin && a.leg.number == 3);
    how.threads = 1;
    CHECK(save_and_load(&b) == 0 && train_on(w->of, SERIES, &how, &b) == 0);
    CHECK(same_nets(&a, &b));
    for (size_t k = 0; k < SERIES; k++)
        w->of[k].model.kind = MODEL_DAILY;
    CHECK(train_on(w->of, SERIES, &how, &a) == -EDOM);
    nets_release(&a);
    nets_release(&b);
    free(w);
}

/* Short, silent or no series: no nets, and no harm. */
static void test_poor_worlds(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct train_how how = quick(2);
    double net[SERIES * MODEL_NET_HOURS];
    struct nets n;
    CHECK(train_all(w->of, 0, &how, &n) == 0 && n.config.nets == 0);
    make_world(w, 1);
    for (size_t k = 0; k < SERIES; k++)
        w->of[k].s.n = 100 * k;
    CHECK(train_all(w->of, SERIES, &how, &n) == 0 && n.config.nets == 0);
    CHECK(w->of[0].model.kind == MODEL_NONE && w->of[4].model.kind == MODEL_DAILY);
    CHECK(train_forecast(&n, w->of, SERIES, 2, net) == 0);
    memset(w->y, 0, sizeof(w->y));
    for (size_t k = 0; k < SERIES; k++)
        w->of[k].s.n = HOURS;
    CHECK(train_all(w->of, SERIES, &how, &n) == 0);
    CHECK(train_forecast(&n, w->of, SERIES, 2, net) == 0);
    for (size_t i = 0; i < SERIES * MODEL_NET_HOURS; i++)
        CHECK(isfinite(net[i]));
    nets_release(&n);
    how.budget_s = 0;
    make_world(w, 1);
    CHECK(train_all(w->of, SERIES, &how, &n) == 0 && n.config.nets == 0);
    free(w);
}

static float furthest(const float *a, const float *b, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(a[i] - b[i]));
    return most;
}

/* A row whose baseline is changed is the row of that baseline, at every point. */
static void test_rows(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sample s;
    make_world(w, 1);
    CHECK(model_fit(w->of[0].s, 1, &w->of[0].model) == 0);
    CHECK(sample_for_forecast(w->of[0].s, &w->of[0].model, &s) == 0 && s.points > 1);
    for (size_t point = 0; point < s.points; point++) {
        float in[2][SAMPLE_IN], base[2][SAMPLE_AHEAD];
        sample_row(&s, point, SAMPLE_MODEL, in[0], base[0]);
        for (enum sample_base kind = SAMPLE_WEEKS;; kind = SAMPLE_MODEL) {
            sample_row(&s, point, kind, in[1], base[1]);
            CHECK(furthest(in[0], in[1], SAMPLE_IN) > 1e-3f);
            sample_row_as(&s, point, kind, in[0], base[0]);
            CHECK(furthest(in[0], in[1], SAMPLE_IN) < 1e-5f);
            CHECK(furthest(base[0], base[1], SAMPLE_AHEAD) < 1e-5f);
            if (kind == SAMPLE_MODEL)
                break;
        }
    }
    sample_release(&s);
    free(w);
}

/* An epoch has each point's hour once, in groups of one length, the same number for any seed. */
static void test_batches(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sample s[2];
    struct batches a, b;
    size_t seen = 0;
    make_world(w, 1);
    for (size_t k = 0; k < 2; k++) {
        struct model m = {.kind = MODEL_WEEKLY, .weight = {0, 0, 1}};
        struct series part = series_head(w->of[k].s, HOURS - 100 - 200 * k);
        CHECK(sample_for_training(part, &m, &s[k]) == 0);
    }
    CHECK(batches_draw(s, 2, 16, 1, &a) == 0 && batches_draw(s, 2, 16, 2, &b) == 0);
    CHECK_EQ_U64(a.groups, b.groups);
    CHECK_EQ_U64(a.groups, batches_count(s, 2, 16));
    CHECK_EQ_U64(a.parts, 2 * HOURS_A_DAY);
    for (size_t g = 0; g < a.groups; g++)
        for (size_t i = 0; i < a.group[g].n; i++, seen++) {
            const struct batches_part *p = &a.part[a.group[g].first + i];
            CHECK(p->steps == a.part[a.group[g].first].steps);
            CHECK(p->end < s[p->series].points && p->end >= (p->steps - 1) * HOURS_A_DAY);
        }
    CHECK_EQ_U64(seen, a.parts);
    batches_release(&a);
    batches_release(&b);
    sample_release(&s[0]);
    sample_release(&s[1]);
    free(w);
}

/* ---- the file ---- */

static void test_file(void)
{
    const struct nets_config c = {.nets = 1, .hidden = 2, .seed = 1, .decay = 0};
    struct nets n, m;
    struct buf file = {0};
    CHECK(nets_init(&n, &c) == 0);
    n.origin = 7;
    CHECK(nets_pack(&n, &file) == 0);
    CHECK(nets_unpack(&file, &m) == 0 && same_nets(&n, &m) && m.origin == 7);
    nets_release(&m);
    for (size_t cut = 0; cut < file.len; cut += 1 + cut / 16) {
        struct buf part = {file.data, cut, 0};
        int r = nets_unpack(&part, &m);
        CHECK(r == (cut < 8 ? -EPROTO : -EBADMSG) && m.net == NULL);
    }
    file.data[file.len / 2] ^= 1;
    CHECK(nets_unpack(&file, &m) == -EBADMSG && m.net == NULL);
    file.data[0] ^= 1;
    CHECK(nets_unpack(&file, &m) == -EPROTO);
    /* A weight that is no number, under a good checksum. */
    n.net[0].weight[3] = NAN;
    buf_clear(&file);
    CHECK(nets_pack(&n, &file) == 0 && nets_unpack(&file, &m) == -EBADMSG && m.net == NULL);
    buf_release(&file);
    nets_release(&n);
}

int main(void)
{
    test_begin("nets");
    CHECK(blas_begin() >= 0);
    test_gradient();
    test_causal();
    test_loss();
    test_rows();
    test_batches();
    test_learns();
    test_gate_stays_shut();
    test_threads();
    test_resume();
    test_fine_tune();
    test_poor_worlds();
    test_file();
    return test_done();
}
