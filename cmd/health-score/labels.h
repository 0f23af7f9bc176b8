/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happened to the gateways, and what was predicted for them while records were read: for
 * fitting and for grading.  Failures end the program.
 */
#ifndef GS_HEALTH_SCORE_LABELS_H
#define GS_HEALTH_SCORE_LABELS_H

#include <stddef.h>

#include "common/health/board.h"
#include "common/record/record.h"

struct labels;

/*
 * Reads failure records from FIT, to be fitted on, and from GRADE, to be graded by; NULL: none.
 * HORIZON_S is that of the probabilities.
 */
struct labels *labels_new(const char *fit, const char *grade, double horizon_s);
void labels_free(struct labels *l);

/* Keeps what B says of GATEWAY at NOW, every five minutes of each gateway's time. */
void labels_note(struct labels *l, struct health_board *b, size_t gateway, double now);

/*
 * Fits B's model on what was noted.  If there is also something to be graded by, only the first two
 * thirds of the time are used.  With fewer than five failures B stays as it is, and it is said why.
 */
void labels_fit(struct labels *l, struct health_board *b);

/*
 * Prints grade records to W: of B's probabilities, of a plain alarm beyond warn, and of the last
 * values; over all the time, or, after labels_fit(), its last third.
 */
void labels_grade(struct labels *l, struct health_board *b, struct rec_writer *w);

#endif
