/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions in words, for the `reason` of plan and verdict records. */
#ifndef GS_PLAN_WORDS_H
#define GS_PLAN_WORDS_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/plan/guards.h"

/*
 * Appends why the move of C, or its standby, is made, such as "mandatory: gw-a p_fail 0.83
 * (nbd_read_us rising), gw-b healthy 0.97; affinity 0.50 to 0.50; benefit 1.05".  0 or -ENOMEM.
 */
int plan_words_move(struct buf *b, const struct plan_case *c);

/* Appends what R, the answer to C, says, with its figures.  0 or -ENOMEM. */
int plan_words_refusal(struct buf *b, const struct plan_case *c, enum plan_refusal r);

/* Appends that the group moves together, and why HELD, another of it, may not.  0 or -ENOMEM. */
int plan_words_held(struct buf *b, const struct plan_case *held, enum plan_refusal r);

/*
 * Reads back from TEXT, which quotes plan_words_move(), what later decisions need: sets *MANDATORY
 * if it says so, and *DAS_GAIN (target less source) if it names the affinities; else leaves them.
 */
void plan_words_recall(const char *text, bool *mandatory, double *das_gain);

/* Does TEXT, of plan_words_move(), say that the operator had the source drained? */
bool plan_words_drained(const char *text);

#endif
