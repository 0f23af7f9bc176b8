/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A net of one LSTM layer (gates.h) with a linear layer on it that also sees the input:
 *
 *     y(t) = h(t) · Wo + x(t) · Ws + b,   h(t) = LSTM(x(t), h(t − 1), c(t − 1)),   h(−1) = 0
 *
 * and the gradient of a loss through all steps (Werbos 1990).  Rows are ordered by step, then by
 * sequence.
 */
#ifndef GS_FORECAST_LSTM_H
#define GS_FORECAST_LSTM_H

#include <stddef.h>

#include "common/base/rng.h"

/* Widths of the input, the hidden layer and the output. */
struct lstm_shape {
    size_t in, hidden, out;
};

/* All weights in one array: what an optimiser works on and a file holds. */
size_t lstm_weights(struct lstm_shape s);

/*
 * Draws W: uniform within ±1/√width as usual, forget gates open (bias 1), Ws and b 0 and Wo small,
 * so that an untrained net says next to nothing.
 */
void lstm_draw(struct lstm_shape s, struct rng *r, float *w);

/* Memory for passes over at most so many sequences and steps.  NULL: out of memory. */
struct lstm;
struct lstm *lstm_new(struct lstm_shape s, size_t sequences, size_t steps);
void lstm_free(struct lstm *l);

/*
 * Where all of the input of a pass is to be put: [steps][sequences][in].  Borrowed; it stays for
 * lstm_backward().
 */
float *lstm_input(struct lstm *l);

/* Runs the net with weights W; the outputs [steps][sequences][out] are borrowed until the next. */
const float *lstm_forward(struct lstm *l, const float *w, size_t sequences, size_t steps);

/* … for who only wants the outputs of the last step: [sequences][out]. */
const float *lstm_last(struct lstm *l, const float *w, size_t sequences, size_t steps);

/*
 * The gradient by the weights into GRADIENT, after lstm_forward() with the same W and sizes.  DY:
 * derivatives of the loss by the outputs.
 */
void lstm_backward(struct lstm *l, const float *w, const float *dy, float *gradient);

/* Multiplications and additions of one pass with its gradient, a row. */
double lstm_flops_training(struct lstm_shape s);

#endif
