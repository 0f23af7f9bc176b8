/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A week of demand, or of heat, of all volumes as the bytes of one file.  The same content makes
 * the same bytes, in whatever order it came.
 */
#ifndef GS_AFFINITY_WEEKFILE_H
#define GS_AFFINITY_WEEKFILE_H

#include "common/affinity/demand.h"
#include "common/base/buf.h"

/* The last hour a record's time can lie in. */
#define WEEKFILE_HOUR_MAX (253402300799 / 3600)

enum weekfile_kind { WEEKFILE_DEMAND, WEEKFILE_HEAT, WEEKFILE_KINDS };

/* Takes the next LEN bytes of a file.  0, or -errno, with which the file ends. */
typedef int weekfile_take(void *ctx, const void *data, size_t len);

/* Hands WEEK of D, piece by piece, to TAKE (with CTX).  0, -ENOMEM, or what TAKE returned. */
int weekfile_put(const struct demand *d, enum weekfile_kind kind, int64_t week, weekfile_take *take,
                 void *ctx);
/* Appends WEEK of D to OUT.  0 or -ENOMEM. */
int weekfile_pack(const struct demand *d, enum weekfile_kind kind, int64_t week, struct buf *out);

/*
 * Adds what FILE says of WEEK to D.  0, -EBADMSG (damaged), -EPROTO (not such a file, or of another
 * version) or -ENOMEM; D may then hold a part.
 */
int weekfile_unpack(const struct buf *file, enum weekfile_kind kind, int64_t week,
                    struct demand *d);

#endif
