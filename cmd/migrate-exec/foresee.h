/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Could a move begin?  For who gives something up for it first. */
#ifndef EXEC_FORESEE_H
#define EXEC_FORESEE_H

#include "cmd/migrate-exec/move.h"

/*
 * Looks, as far as that can be done without changing anything, at what M needs to begin, whose
 * names, epoch and size are set: a director, the source, the hook of the target, and the export
 * there if it has one.  GO; or FAILED or UNAVAILABLE, with the reason in m->why.  M can't be driven
 * after it.
 */
enum outcome foresee(struct move *m);

#endif
