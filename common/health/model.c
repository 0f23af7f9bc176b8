/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/model.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The bias is the last of the parameters. */
enum { PARAMETERS = HEALTH_FEATURES + 1, ROUNDS_MAX = 100 };

#define PENALTY   1.0
#define CONVERGED 1e-8
/* Longer Newton steps are cut: far from the optimum the curvature may be next to nothing. */
#define STEP_MAX 4.0

struct system {
    double hessian[PARAMETERS][PARAMETERS];
    double gradient[PARAMETERS];
};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double value(const double p[PARAMETERS], const double features[HEALTH_FEATURES])
{
    double sum = p[HEALTH_FEATURES];
    for (int i = 0; i < HEALTH_FEATURES; i++)
        sum += p[i] * features[i];
    return sum;
}

static void add_example(struct system *s, const double p[PARAMETERS],
                        const struct health_example *e)
{
    double x[PARAMETERS];
    memcpy(x, e->features, sizeof(e->features));
    x[HEALTH_FEATURES] = 1;
    double is = sigmoid(value(p, e->features));
    for (int i = 0; i < PARAMETERS; i++) {
        s->gradient[i] += (e->failed - is) * x[i];
        for (int k = 0; k < PARAMETERS; k++)
            s->hessian[i][k] += is * (1 - is) * x[i] * x[k];
    }
}

static void add_penalty(struct system *s, const double p[PARAMETERS])
{
    for (int i = 0; i < HEALTH_FEATURES; i++) {
        s->gradient[i] -= PENALTY * p[i];
        s->hessian[i][i] += PENALTY;
    }
}

/* Solves hessian * step = gradient, the former being positive definite; false if it is not. */
static bool solve(struct system *s, double step[PARAMETERS])
{
    for (int i = 0; i < PARAMETERS; i++) {
        if (!(s->hessian[i][i] > 1e-12))
            return false;
        for (int k = i + 1; k < PARAMETERS; k++) {
            double f = s->hessian[k][i] / s->hessian[i][i];
            for (int c = i; c < PARAMETERS; c++)
                s->hessian[k][c] -= f * s->hessian[i][c];
            s->gradient[k] -= f * s->gradient[i];
        }
    }
    for (int i = PARAMETERS - 1; i >= 0; i--) {
        double sum = s->gradient[i];
        for (int k = i + 1; k < PARAMETERS; k++)
            sum -= s->hessian[i][k] * step[k];
        step[i] = sum / s->hessian[i][i];
    }
    return true;
}

/* A Newton step from P; its length, or NaN. */
static double improve(double p[PARAMETERS], const struct health_example *examples, size_t n)
{
    struct system s = {0};
    double step[PARAMETERS];
    double length = 0;
    for (size_t i = 0; i < n; i++)
        add_example(&s, p, &examples[i]);
    add_penalty(&s, p);
    if (!solve(&s, step))
        return NAN;
    for (int i = 0; i < PARAMETERS; i++)
        length = fmax(length, fabs(step[i]));
    for (int i = 0; i < PARAMETERS; i++)
        p[i] += step[i] * fmin(1, STEP_MAX / fmax(length, 1e-300));
    return length;
}

int health_model_fit(struct health_model *m, const struct health_example *examples, size_t n)
{
    double p[PARAMETERS] = {0};
    size_t failed = 0;
    for (size_t i = 0; i < n; i++)
        failed += examples[i].failed;
    if (failed == 0 || failed == n)
        return -EDOM;
    /* The optimum without any feature. */
    p[HEALTH_FEATURES] = log((double)failed / (double)(n - failed));
    double length = INFINITY;
    for (int i = 0; i < ROUNDS_MAX && length > CONVERGED; i++)
        length = improve(p, examples, n);
    if (!(length <= CONVERGED))
        return -EDOM;
    memcpy(m->weights, p, sizeof(m->weights));
    m->bias = p[HEALTH_FEATURES];
    m->fitted = true;
    return 0;
}

double health_model_p(const struct health_model *m, const double features[HEALTH_FEATURES])
{
    double p[PARAMETERS];
    memcpy(p, m->weights, sizeof(m->weights));
    p[HEALTH_FEATURES] = m->bias;
    return sigmoid(value(p, features));
}
