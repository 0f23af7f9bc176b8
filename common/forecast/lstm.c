/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/lstm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/forecast/blas.h"
#include "common/forecast/gates.h"

struct lstm {
    struct lstm_shape shape;
    size_t sequences, steps; /* of the last pass */
    float *x;                /* [step][sequence][in] */
    float *z;                /* … [4 hidden]: gates, then derivatives by their sums */
    float *c, *tanh_c;       /* … [hidden] */
    float *h, *dh;           /* … [hidden] */
    float *y;                /* … [out] */
    float *none;             /* [sequence][hidden]: zeros, what was before the first step */
    float *dc;               /* [sequence][hidden] */
};

/* Where each part of the weights stands. */
struct parts {
    size_t wx, wh, b, wo, ws, bo, end;
};

static struct parts parts_of(struct lstm_shape s)
{
    struct parts p = {0};
    p.wh = p.wx + s.in * 4 * s.hidden;
    p.b = p.wh + s.hidden * 4 * s.hidden;
    p.wo = p.b + 4 * s.hidden;
    p.ws = p.wo + s.hidden * s.out;
    p.bo = p.ws + s.in * s.out;
    p.end = p.bo + s.out;
    return p;
}

size_t lstm_weights(struct lstm_shape s)
{
    return parts_of(s).end;
}

double lstm_flops_training(struct lstm_shape s)
{
    double h = (double)s.hidden, in = (double)s.in, out = (double)s.out;
    double cell = 4 * h * (2 * in + 3 * h); /* nobody asks for derivatives by the input */
    return 2 * (cell + out * (3 * h + 2 * in));
}

static void draw(struct rng *r, double width, size_t n, float *w)
{
    for (size_t i = 0; i < n; i++)
        w[i] = (float)(width * (2 * rng_unit(r) - 1));
}

void lstm_draw(struct lstm_shape s, struct rng *r, float *w)
{
    struct parts p = parts_of(s);
    memset(w, 0, p.end * sizeof(*w));
    draw(r, 1 / sqrt((double)(s.in + s.hidden)), p.b - p.wx, w + p.wx);
    for (size_t j = 0; j < s.hidden; j++)
        w[p.b + s.hidden + j] = 1;
    draw(r, 0.1 / sqrt((double)s.hidden), p.ws - p.wo, w + p.wo);
}

static float *floats(size_t rows, size_t width)
{
    /* 64: a cache line, and the width of any vector. */
    size_t bytes = (rows * width * sizeof(float) + 63) / 64 * 64;
    return aligned_alloc(64, bytes ? bytes : 64);
}

void lstm_free(struct lstm *l)
{
    if (!l)
        return;
    float *const all[] = {l->x, l->z, l->c, l->tanh_c, l->h, l->dh, l->y, l->none, l->dc};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free(all[i]);
    free(l);
}

struct lstm *lstm_new(struct lstm_shape s, size_t sequences, size_t steps)
{
    struct lstm *l = calloc(1, sizeof(*l));
    size_t rows = sequences * steps;
    if (!l)
        return NULL;
    l->shape = s;
    l->x = floats(rows, s.in);
    l->z = floats(rows, 4 * s.hidden);
    l->c = floats(rows, s.hidden);
    l->tanh_c = floats(rows, s.hidden);
    l->h = floats(rows, s.hidden);
    l->dh = floats(rows, s.hidden);
    l->y = floats(rows, s.out);
    l->none = floats(sequences, s.hidden);
    l->dc = floats(sequences, s.hidden);
    if (l->x && l->z && l->c && l->tanh_c && l->h && l->dh && l->y && l->none && l->dc) {
        memset(l->none, 0, sequences * s.hidden * sizeof(*l->none));
        return l;
    }
    lstm_free(l);
    return NULL;
}

float *lstm_input(struct lstm *l)
{
    return l->x;
}

static struct blas_matrix plain(const float *at, size_t row)
{
    return (struct blas_matrix){at, row, false};
}

static struct blas_matrix turned(const float *at, size_t row)
{
    return (struct blas_matrix){at, row, true};
}

static void spread_bias(const float *b, size_t n, size_t rows, float *out)
{
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * n, b, n * sizeof(*b));
}

/* Sums of the columns of ROWS rows of N. */
static void sum_rows(const float *restrict d, size_t n, size_t rows, float *restrict out)
{
    memset(out, 0, n * sizeof(*out));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++)
            out[j] += d[i * n + j];
}

/* The cell through all steps: gates, cells and outputs into z, c, tanh_c, h. */
static void run_cell(struct lstm *l, const float *w, size_t sequences, size_t steps)
{
    struct lstm_shape s = l->shape;
    struct parts p = parts_of(s);
    size_t rows = sequences * steps, hidden = s.hidden, gates = 4 * hidden;
    l->sequences = sequences;
    l->steps = steps;
    spread_bias(w + p.b, gates, rows, l->z);
    blas_multiply(rows, gates, s.in, plain(l->x, s.in), plain(w + p.wx, gates), 1, l->z);
    for (size_t t = 0; t < steps; t++) {
        size_t at = t * sequences, before = at - sequences;
        if (t)
            blas_multiply(sequences, gates, hidden, plain(l->h + before * hidden, hidden),
                          plain(w + p.wh, gates), 1, l->z + at * gates);
        gates_forward(sequences, hidden, l->z + at * gates, t ? l->c + before * hidden : l->none,
                      l->c + at * hidden, l->tanh_c + at * hidden, l->h + at * hidden);
    }
}

/* The linear layer for the rows from FIRST on. */
static const float *put_out(struct lstm *l, const float *w, size_t first)
{
    struct lstm_shape s = l->shape;
    struct parts p = parts_of(s);
    size_t rows = l->sequences * l->steps - first;
    const float *h = l->h + first * s.hidden, *x = l->x + first * s.in;
    float *y = l->y + first * s.out;
    spread_bias(w + p.bo, s.out, rows, y);
    blas_multiply(rows, s.out, s.hidden, plain(h, s.hidden), plain(w + p.wo, s.out), 1, y);
    blas_multiply(rows, s.out, s.in, plain(x, s.in), plain(w + p.ws, s.out), 1, y);
    return y;
}

const float *lstm_forward(struct lstm *l, const float *w, size_t sequences, size_t steps)
{
    run_cell(l, w, sequences, steps);
    return put_out(l, w, 0);
}

const float *lstm_last(struct lstm *l, const float *w, size_t sequences, size_t steps)
{
    run_cell(l, w, sequences, steps);
    return put_out(l, w, (steps - 1) * sequences);
}

/* Derivatives by the gates' sums into z, from the last step to the first. */
static void back_through_time(struct lstm *l, const float *w)
{
    size_t hidden = l->shape.hidden, gates = 4 * hidden, n = l->sequences;
    const float *wh = w + parts_of(l->shape).wh;
    memset(l->dc, 0, n * hidden * sizeof(*l->dc));
    for (size_t t = l->steps; t-- > 0;) {
        size_t at = t * n;
        if (t + 1 < l->steps)
            blas_multiply(n, hidden, gates, plain(l->z + (at + n) * gates, gates),
                          turned(wh, gates), 1, l->dh + at * hidden);
        gates_backward(n, hidden, l->z + at * gates, t ? l->c + (at - n) * hidden : l->none,
                       l->tanh_c + at * hidden, l->dh + at * hidden, l->dc);
    }
}

void lstm_backward(struct lstm *l, const float *w, const float *dy, float *gradient)
{
    struct lstm_shape s = l->shape;
    struct parts p = parts_of(s);
    size_t n = l->sequences, rows = n * l->steps, hidden = s.hidden, gates = 4 * hidden;
    float *g = gradient;
    blas_multiply(hidden, s.out, rows, turned(l->h, hidden), plain(dy, s.out), 0, g + p.wo);
    blas_multiply(s.in, s.out, rows, turned(l->x, s.in), plain(dy, s.out), 0, g + p.ws);
    sum_rows(dy, s.out, rows, g + p.bo);
    blas_multiply(rows, hidden, s.out, plain(dy, s.out), turned(w + p.wo, s.out), 0, l->dh);
    back_through_time(l, w);
    blas_multiply(s.in, gates, rows, turned(l->x, s.in), plain(l->z, gates), 0, g + p.wx);
    if (rows > n)
        blas_multiply(hidden, gates, rows - n, turned(l->h, hidden), plain(l->z + n * gates, gates),
                      0, g + p.wh);
    else
        memset(g + p.wh, 0, hidden * gates * sizeof(*g));
    sum_rows(l->z, gates, rows, g + p.b);
}
