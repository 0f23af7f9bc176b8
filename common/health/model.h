/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A probability of failure that is fitted on failures: regularised logistic regression. */
#ifndef GS_HEALTH_MODEL_H
#define GS_HEALTH_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What speaks for a failure of a gateway, each 0 … 1: the largest of its metrics, times weight. */
enum health_feature {
    FEATURE_LEVEL,
    FEATURE_DRIFT,
    FEATURE_TREND,
    FEATURE_BURST,
    FEATURE_ANOMALY, /* consensus_steady() */
    FEATURE_RULES,   /* the probability that the rules come to */
    HEALTH_FEATURES
};

/* An example: what was seen, and whether a failure followed within the horizon. */
struct health_example {
    double features[HEALTH_FEATURES];
    bool failed;
};

/* Zero-initialised it is not fitted. */
struct health_model {
    bool fitted;
    double bias;
    double weights[HEALTH_FEATURES];
};

/*
 * Fits M on N examples: maximum likelihood with a penalty of half the squared weights (the bias is
 * free), by Newton's method (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning,
 * 4.4.1).  0; -EDOM: there are not both kinds of examples, or no optimum was found; M is unchanged
 * then.
 */
int health_model_fit(struct health_model *m, const struct health_example *examples, size_t n);

/* The probability for FEATURES; M must be fitted. */
double health_model_p(const struct health_model *m, const double features[HEALTH_FEATURES]);

#endif
