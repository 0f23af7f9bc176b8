/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gates of an LSTM cell (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
 * 2000), for a batch of sequences at one step.  A row of Z holds N units' input, forget, candidate
 * and output gates, in this order.
 */
#ifndef GS_FORECAST_GATES_H
#define GS_FORECAST_GATES_H

#include <stddef.h>

/*
 * Z: sums of ROWS rows, replaced by the gates' values.  C_BEFORE: the cells before (rows of N).
 * C, TANH_C, H: the cells, their tanh and the outputs.
 */
void gates_forward(size_t rows, size_t n, float *z, const float *c_before, float *c, float *tanh_c,
                   float *h);

/*
 * Z: the gates' values, replaced by the loss's derivatives by the sums.  DH: derivatives by H.  DC:
 * derivatives by C out of the step behind, replaced by those by C_BEFORE.
 */
void gates_backward(size_t rows, size_t n, float *z, const float *c_before, const float *tanh_c,
                    const float *dh, float *dc);

#endif
