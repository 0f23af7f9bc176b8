/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/sample.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/forecast/logs.h"
#include "common/forecast/loss.h"
#include "common/forecast/methods.h"
#include "common/forecast/vecmath.h"

/* As the smoothing on logarithms has it. */
static const double unit_of_mean = 0.1;

/* Anything further from the level would drown the rest. */
static const float input_most = 8;

/* Points that a series of N hours has when the next one follows after STEP hours. */
static size_t points_of(size_t n, size_t last, size_t step)
{
    return n < SAMPLE_FIRST || last < SAMPLE_FIRST ? 0 : (last - SAMPLE_FIRST) / step + 1;
}

static int fill_base(struct series s, const struct model *m, struct sample *out)
{
    size_t cells = out->points * SAMPLE_AHEAD;
    size_t *origin = calloc(out->points, sizeof(*origin));
    double *base = malloc(cells * sizeof(*base));
    int r = origin && base ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < out->points; i++)
        origin[i] = out->origin + i * out->step;
    if (r == 0)
        r = methods_mixed(m, s, origin, out->points, SAMPLE_AHEAD, base);
    for (size_t i = 0; r == 0 && i < cells; i++)
        out->base[i] = (float)(base[i] / out->unit);
    if (r == 0) {
        logs_floats(out->base, cells);
        memcpy(out->last, base + cells - SAMPLE_AHEAD, sizeof(out->last));
    }
    free(base);
    free(origin);
    return r;
}

static int prepare(struct series s, const struct model *m, struct sample *out)
{
    double mean = series_mean(s.y, s.n);
    out->n = s.n;
    out->unit = mean > 0 ? unit_of_mean * mean : 1;
    out->scaled = loss_scaled(series_naive_error(s, HOURS_A_DAY) / out->unit);
    out->x = calloc(s.n, sizeof(*out->x));
    out->y = calloc(s.n, sizeof(*out->y));
    out->base = malloc(out->points * SAMPLE_AHEAD * sizeof(*out->base));
    if (!out->x || !out->y || !out->base)
        return -ENOMEM;
    /* No row looks further back from its point. */
    const size_t from = out->origin - SAMPLE_FIRST, seen = s.n - from;
    for (size_t i = from; i < s.n; i++)
        out->y[i] = (float)(s.y[i] / out->unit);
    memcpy(out->x + from, out->y + from, seen * sizeof(*out->x));
    logs_floats(out->x + from, seen);
    return fill_base(s, m, out);
}

static int make(struct series s, const struct model *m, struct sample *out)
{
    int r = out->points ? prepare(s, m, out) : -EDOM;
    if (r < 0)
        sample_release(out);
    return r;
}

int sample_for_training(struct series s, const struct model *m, struct sample *out)
{
    size_t last = s.n > HOURS_A_DAY ? s.n - HOURS_A_DAY : 0;
    *out = (struct sample){.origin = SAMPLE_FIRST, .step = 1, .points = points_of(s.n, last, 1)};
    return make(s, m, out);
}

int sample_for_forecast(struct series s, const struct model *m, struct sample *out)
{
    size_t points = points_of(s.n, s.n, HOURS_A_DAY);
    if (points > SAMPLE_BACK)
        points = SAMPLE_BACK;
    *out = (struct sample){.step = HOURS_A_DAY, .points = points};
    if (points)
        out->origin = s.n - (points - 1) * HOURS_A_DAY;
    return make(s, m, out);
}

void sample_release(struct sample *s)
{
    free(s->x);
    free(s->y);
    free(s->base);
    *s = (struct sample){0};
}

VEC_PART float mean_of(const float *x, size_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / (float)n;
}

VEC_PART void put(float *out, const float *x, size_t n, float level)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        out[i] = vec_clamp(x[i] - level, -input_most, input_most);
}

/* What tells one kind of series, and one state of it, from another. */
VEC_PART void put_features(const float *now, const float *base, float scaled, float level,
                           float *out)
{
    const float *week = now - HOURS_A_WEEK, *day = now - HOURS_A_DAY;
    float squares = 0, idle = 0, rough = 0, missed = 0;
#pragma omp simd reduction(+ : squares, idle, missed)
    for (size_t i = 0; i < HOURS_A_WEEK; i++) {
        squares += (week[i] - level) * (week[i] - level);
        idle += week[i] <= 0 ? 1.0f : 0.0f;
        missed += fabsf(week[i] - (week - HOURS_A_WEEK)[i]);
    }
#pragma omp simd reduction(+ : rough)
    for (size_t i = 0; i < HOURS_A_DAY; i++)
        rough += fabsf(day[i] - (day - 1)[i]);
    float all[] = {
        mean_of(day, HOURS_A_DAY) - level,
        level - mean_of(week - HOURS_A_WEEK, HOURS_A_WEEK),
        sqrtf(squares / HOURS_A_WEEK),
        rough / HOURS_A_DAY,
        missed / HOURS_A_WEEK,
        idle / HOURS_A_WEEK,
        mean_of(base, SAMPLE_AHEAD) - level,
        1 / (1 + scaled),
    };
    put(out, all, sizeof(all) / sizeof(all[0]), 0);
}

/* Where a row's parts stand: the last day, the baseline, the same hours a week ago, features. */
enum {
    AT_BASE = HOURS_A_DAY,
    AT_WEEK = AT_BASE + SAMPLE_AHEAD,
    AT_FEATURES = AT_WEEK + SAMPLE_AHEAD,
    AT_BASE_LEVEL = AT_FEATURES + 6,
};

/* NOW: behind the last hour that is known. */
VEC_CLONES
static void fill_row(const float *restrict now, const float *restrict base, float scaled,
                     float *restrict in)
{
    const float *week = now - HOURS_A_WEEK;
    float level = mean_of(week, HOURS_A_WEEK);
    put(in, now - HOURS_A_DAY, HOURS_A_DAY, level);
    put(in + AT_BASE, base, SAMPLE_AHEAD, level);
    put(in + AT_WEEK, week, SAMPLE_AHEAD, level);
    put_features(now, base, scaled, level, in + AT_FEATURES);
}

/* Gives a row another baseline. */
VEC_CLONES
static void change_base(const float *restrict now, const float *restrict base, float *restrict in)
{
    float level = mean_of(now - HOURS_A_WEEK, HOURS_A_WEEK);
    float of_base = mean_of(base, SAMPLE_AHEAD) - level;
    put(in + AT_BASE, base, SAMPLE_AHEAD, level);
    put(in + AT_BASE_LEVEL, &of_base, 1, 0);
}

VEC_CLONES
static void mean_weeks(const float *restrict now, float *restrict base)
{
    const float *week = now - HOURS_A_WEEK;
#pragma omp simd
    for (size_t i = 0; i < SAMPLE_AHEAD; i++)
        base[i] = 0.5f * (week[i] + (week - HOURS_A_WEEK)[i]);
}

static const float *now_at(const struct sample *s, size_t point)
{
    return s->x + s->origin + point * s->step;
}

static void put_base(const struct sample *s, size_t point, enum sample_base kind, float *base)
{
    if (kind == SAMPLE_MODEL)
        memcpy(base, s->base + point * SAMPLE_AHEAD, SAMPLE_AHEAD * sizeof(*base));
    else
        mean_weeks(now_at(s, point), base);
}

void sample_row(const struct sample *s, size_t point, enum sample_base kind, float *in, float *base)
{
    put_base(s, point, kind, base);
    fill_row(now_at(s, point), base, s->scaled, in);
}

void sample_row_as(const struct sample *s, size_t point, enum sample_base kind, float *in,
                   float *base)
{
    put_base(s, point, kind, base);
    change_base(now_at(s, point), base, in);
}

size_t sample_steps(const struct sample *s)
{
    size_t steps = s->step == HOURS_A_DAY ? s->points : (s->points - 1) * s->step / HOURS_A_DAY + 1;
    return steps < SAMPLE_BACK ? steps : SAMPLE_BACK;
}
