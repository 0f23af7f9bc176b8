/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a migration's volume is: asked of the store, then of the live director (S15). */
#ifndef EXEC_PLACE_H
#define EXEC_PLACE_H

#include "cmd/migrate-exec/move.h"

enum place {
    ON_SOURCE,
    ON_TARGET,  /* or there still, after ways back that came to nothing */
    SUPERSEDED, /* on the source, with another move open */
    TAKEN_OVER, /* on the source again, by no move: the kept copy took the place of a dead owner */
    ELSEWHERE,  /* or nobody can tell */
};

/* By the store, whose record goes to ROUTE. */
enum place place_of(const struct move *m, struct route *route);

/* Is a copy kept on GATEWAY? */
bool place_keeps(const struct route *r, const char *gateway);

/*
 * Does the director that has the volume open agree with the store about its owner?  GO also when
 * nobody serves it.
 */
enum outcome place_ask_director(struct move *m, const struct route *route);

/* It is for an operator to find out: MANUAL, with the reason. */
enum outcome place_unknown(struct move *m, const struct route *route);

/* Writes the event of an outcome found here, not by move_drive(), and says it.  Returns O. */
enum outcome place_report(struct move *m, enum outcome o);

#endif
