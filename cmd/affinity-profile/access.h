/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is needed of an access record, taken out of it at once. */
#ifndef GS_AFFINITY_PROFILE_ACCESS_H
#define GS_AFFINITY_PROFILE_ACCESS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/record/record.h"

struct access_text {
    const char *at; /* borrowed until the next record; no NUL */
    size_t len;
};

struct access {
    double time;
    struct access_text volume, gateway, client, op; /* of these only the gateway may be empty */
    uint64_t offset, length, count;
};

/* The current record of R, which reads rec_access. */
void access_take(const struct rec_reader *r, struct access *out);

/*
 * A digest of everything that tells the current record from another: the columns' texts with commas
 * between, without the count if it has none.  SCRATCH is used.  0 or -ENOMEM.
 */
int access_digest(const struct rec_reader *r, struct buf *scratch, uint64_t *out);

#endif
