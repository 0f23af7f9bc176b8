/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Demand, and what of it was counted, as the bytes of one file: so that both change together.  The
 * same content makes the same bytes, in whatever order it came.
 */
#ifndef GS_AFFINITY_STATE_H
#define GS_AFFINITY_STATE_H

#include "common/affinity/demand.h"
#include "common/affinity/seen.h"
#include "common/base/buf.h"

/* The last hour a record's time can lie in. */
#define STATE_HOUR_MAX (253402300799 / 3600)

/* Appends the file to OUT, without hours that D no longer remembers.  0 or -ENOMEM. */
int state_pack(const struct demand *d, const struct seen *s, struct buf *out);

/*
 * Reads FILE into D and S, both initialised and empty.  0, -EBADMSG (damaged), -EPROTO (not such a
 * file, or of another version) or -ENOMEM; D and S may then hold a part.
 */
int state_unpack(const struct buf *file, struct demand *d, struct seen *s);

#endif
