/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/anomaly.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Before so many samples all is new, and nothing is told. */
enum { WARM_UP = 30 };

/* Of a new largest value so much goes into the record: one wild sample does not blind it. */
#define RECORD_BLEND 0.3
/* A record fades to 1/e in so long, or in 10,000 samples if they take longer. */
#define RECORD_MEMORY_S (35 * 86400.0)
#define RECORD_FADE_MIN 0.9999
/* Standing still is nothing before so many samples. */
#define STILL_RECORD 30.0

/* A rest lasts this share of the samples so far, and no longer than that. */
#define REST_SHARE 0.036
#define REST_MAX_S (2 * 86400.0)
#define REST_SCORE 0.5

#define Z_MAX   8.0
#define TOLD_SD 4.0

/* Spreads are means of squared steps, over some 20 and 1,000 samples. */
#define STEP_SHORT 0.05
#define STEP_LONG  0.001

enum { LOCAL = 10, SPREAD_FROM = 30, STRIDE_MAX = 4096 };

/* The mean of the N newest samples, leaving out the newest SKIP. */
static double recent_mean(const struct anomaly *a, unsigned skip, unsigned n)
{
    double sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += a->recent[ANOMALY_RECENT - 1 - skip - i];
    return sum / n;
}

/* ---- shapes ---- */

/* The shape that ended SKIP samples ago. */
static void recent_shape(const struct anomaly *a, unsigned skip, float out[ANOMALY_SHAPE])
{
    for (unsigned i = 0; i < ANOMALY_SHAPE; i++)
        out[i] = (float)a->recent[ANOMALY_RECENT - 1 - skip - i];
}

/* How far the newest shape is from the most similar one that is known. */
static double shape_novelty(const struct anomaly *a)
{
    float now[ANOMALY_SHAPE];
    float distance[ANOMALY_SHAPES] = {0};
    float least = INFINITY;
    recent_shape(a, 0, now);
    /* All at once, which is a matter of a few vector instructions; those not known are left out. */
    for (int k = 0; k < ANOMALY_SHAPE; k++)
        for (int i = 0; i < ANOMALY_SHAPES; i++)
            distance[i] += fabsf(now[k] - a->shapes[k][i]);
    for (uint32_t i = 0; i < a->n_shapes; i++)
        least = distance[i] < least ? distance[i] : least;
    return a->n_shapes ? least : 0;
}

/* Keeps every second shape, and from now on only half as many. */
static void thin_out(struct anomaly *a)
{
    for (int k = 0; k < ANOMALY_SHAPE; k++)
        for (int i = 0; i < ANOMALY_SHAPES / 2; i++)
            a->shapes[k][i] = a->shapes[k][2 * i];
    a->n_shapes = ANOMALY_SHAPES / 2;
    a->stride *= 2;
}

/* The shape of eight samples ago may be kept: younger ones overlap with the newest. */
static void keep_shape(struct anomaly *a)
{
    if (a->n < 2 * ANOMALY_SHAPE)
        return;
    a->stride = a->stride ? a->stride : 1;
    if (a->n_shapes == ANOMALY_SHAPES && a->stride < STRIDE_MAX && a->n % a->stride == 0)
        thin_out(a);
    if (a->n % a->stride != 0)
        return;
    uint32_t at = a->n_shapes < ANOMALY_SHAPES ? a->n_shapes++ : a->next_shape++ % ANOMALY_SHAPES;
    float shape[ANOMALY_SHAPE];
    recent_shape(a, ANOMALY_SHAPE, shape);
    for (int k = 0; k < ANOMALY_SHAPE; k++)
        a->shapes[k][at] = shape[k];
}

/* ---- signals ---- */

static void add_step(struct anomaly *a, double step)
{
    double gain = 1 / (double)(a->n + 1);
    step *= step;
    a->step_long += fmax(gain, STEP_LONG) * (step - a->step_long);
    a->step_short += fmax(gain, STEP_SHORT) * (step - a->step_short);
}

/* The spread of late against that of long, as a logarithm. */
static double spread_change(const struct anomaly *a)
{
    if (a->n < SPREAD_FROM || !(a->step_long > 0))
        return 0;
    return log(fmax(a->step_short / a->step_long, 1e-12));
}

/* VALUE is the newest of the recent samples by now, and OFF its hour by so much and Z. */
static void measure(const struct anomaly *a, double value, double off, double z,
                    double out[ANOMALY_SIGNALS])
{
    out[0] = off;
    /* A spread that is not yet known would set a record for months. */
    out[1] = a->n >= WARM_UP ? z : 0;
    out[2] = a->n >= LOCAL ? value - recent_mean(a, 1, LOCAL) : 0;
    out[3] = a->n >= ANOMALY_RECENT ? recent_mean(a, 0, ANOMALY_RECENT) - a->rhythm.mean : 0;
    out[4] = shape_novelty(a);
    out[5] = spread_change(a);
    out[6] = a->still;
}

/* X as a share of itself and its record, which then takes it in. */
static double against_record(double record[2], double x, double fade)
{
    bool down = x < 0;
    x = fabs(x);
    double score = record[down] > 0 ? x / (x + record[down]) : 0;
    record[0] *= fade;
    record[1] *= fade;
    if (x > record[down])
        record[down] += RECORD_BLEND * (x - record[down]);
    return score;
}

static double largest_ratio(struct anomaly *a, const double signals[ANOMALY_SIGNALS], double fade)
{
    double most = 0;
    for (int i = 0; i < ANOMALY_SIGNALS; i++)
        most = fmax(most, against_record(a->records[i], signals[i], fade));
    return most;
}

/* SCORE, as it is told. */
static double rested(struct anomaly *a, double time, double score)
{
    if (a->n < WARM_UP)
        return 0;
    if (!(score > ANOMALY_THRESHOLD))
        return score;
    if ((double)a->n < a->rest_samples && time < a->rest_until)
        return REST_SCORE;
    a->rest_samples = (double)a->n * (1 + REST_SHARE);
    a->rest_until = time + REST_MAX_S;
    return score;
}

double anomaly_add(struct anomaly *a, double time, double value)
{
    double elapsed_s = a->n ? fmax(time - a->last, 0) : 0;
    double off = a->n ? value - rhythm_expected(&a->rhythm, time) : 0;
    double z = a->n ? off / rhythm_sd(&a->rhythm, time) : 0;
    double before = a->recent[ANOMALY_RECENT - 1];
    memmove(a->recent, a->recent + 1, (ANOMALY_RECENT - 1) * sizeof(a->recent[0]));
    a->recent[ANOMALY_RECENT - 1] = value;
    if (a->n == 0)
        a->records[6][0] = STILL_RECORD;
    else
        add_step(a, value - before);
    a->still = a->n && value <= before && value >= before ? a->still + 1 : 0;

    double signals[ANOMALY_SIGNALS];
    measure(a, value, off, z, signals);
    double fade = fmax(exp(-elapsed_s / RECORD_MEMORY_S), RECORD_FADE_MIN);
    double score = rested(a, time, largest_ratio(a, signals, fade));
    a->z = fmin(fmax(z, -Z_MAX), Z_MAX);
    rhythm_add(&a->rhythm, time, value, elapsed_s);
    keep_shape(a);
    a->last = time;
    a->n++;
    return score;
}

void anomaly_follow(struct anomaly *a, double time, double value)
{
    const double elapsed_s = a->n ? fmax(time - a->last, 0) : 0;
    const double z = rhythm_follow(&a->rhythm, time, value, elapsed_s);
    a->z = fmin(fmax(z, -Z_MAX), Z_MAX);
    a->last = time;
    a->n++;
}

double anomaly_of_sds(double sds)
{
    double half = TOLD_SD * (1 - ANOMALY_THRESHOLD) / ANOMALY_THRESHOLD;
    return sds / (sds + half);
}
