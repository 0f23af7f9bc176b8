/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How unlike itself a signal is, without limits and without being told what to look for. */
#ifndef GS_HEALTH_ANOMALY_H
#define GS_HEALTH_ANOMALY_H

#include "common/health/signal.h"

/*
 * The anomaly score, 0 … 1, of VALUE as the next sample of S; call it before signal_add().  It is
 * the larger of two signals, the sample's own distance and that of the short mean from the long
 * one, each against a slowly decaying record of its own past values: 0.5 is as far out as the
 * record.  The first samples, of which nothing is known, score 0.  Updates the records in S.
 */
double anomaly_score(struct signal *s, double value);

#endif
