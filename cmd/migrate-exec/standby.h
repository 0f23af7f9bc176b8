/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kept copy that is to stand by (--standby): --resume sees to it that it is mirrored, as a mirror
 * ends with its director, and when the copy is slow or away for a while.
 */
#ifndef EXEC_STANDBY_H
#define EXEC_STANDBY_H

#include "cmd/migrate-exec/story.h"

/* Has the migration whose journal says S left a copy that stands by? */
bool standby_is(const struct story *s);

/*
 * Has the copy of M, whose journal is locked and says S, mirrored again unless it is.  SETTLED,
 * also if that can't be done now, which is told of; or another outcome with its message printed.
 */
enum outcome standby_renew(struct move *m, const struct story *s);

#endif
