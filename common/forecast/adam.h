/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steps against a gradient: Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and
 * Hutter 2019), the gradient's length bounded, and the moving average of the weights that forecasts
 * are made with.
 */
#ifndef GS_FORECAST_ADAM_H
#define GS_FORECAST_ADAM_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise, then adam_init(); adam_release() frees. */
struct adam {
    size_t n;                        /* weights */
    uint64_t step;                   /* so many were made */
    float *weight, *average, *m, *v; /* [n], owned; m and v: the gradient's moments */
};

/* N weights, all 0.  0 or -ENOMEM. */
int adam_init(struct adam *a, size_t n);
void adam_release(struct adam *a);

/*
 * One step of RATE and DECAY a step against GRADIENT, which is scaled down to length 1 if longer.
 */
void adam_step(struct adam *a, float *gradient, double rate, double decay);

#endif
