/* SPDX-License-Identifier: GPL-3.0-or-later */
/* STATE/health.state, and the lock beside it.  Failures end the program. */
#ifndef GS_HEALTH_SCORE_STATE_H
#define GS_HEALTH_SCORE_STATE_H

#include "common/health/board.h"

/*
 * Makes the folder DIR if need be and takes its lock, which lasts until the descriptor returned is
 * closed.  Ends with 75 if another run holds it.
 */
int state_lock(const char *dir);

/* Fills the empty board B; leaves it empty if there is no state yet. */
void state_load(const char *dir, struct health_board *b);

/* Replaces the state by B, at once and durably. */
void state_save(const char *dir, const struct health_board *b);

#endif
