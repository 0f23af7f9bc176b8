/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index of a state folder: which files of weeks belong to it, and which records they hold.  It
 * alone is replaced, and so a change of any number of files is one step.
 */
#ifndef GS_AFFINITY_INDEX_H
#define GS_AFFINITY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/affinity/seen.h"
#include "common/affinity/sources.h"
#include "common/affinity/weekfile.h"
#include "common/base/buf.h"
#include "common/base/hash.h"

struct index_week {
    int64_t week;
    bool has[WEEKFILE_KINDS];
    struct hash128 digest[WEEKFILE_KINDS]; /* of the whole file, which it names too */
    bool loaded[WEEKFILE_KINDS];           /* not saved: its content is in memory */
};

/* index_init(); index_release() frees. */
struct index {
    int64_t newest_hour; /* as in struct demand */
    double newest;
    struct seen seen;
    struct sources sources;
    struct index_week *week; /* owned, ascending */
    size_t n, cap;
};

void index_init(struct index *x, double lateness_s);
void index_release(struct index *x);

/* The entry of WEEK, added if new.  NULL: out of memory.  Borrowed until the next one is added. */
struct index_week *index_at(struct index *x, int64_t week);

/* The file's name, without a folder: "demand-002926-0123456789abcdef". */
enum { INDEX_NAME = 64 };
void index_name(const struct index_week *w, enum weekfile_kind kind, char name[INDEX_NAME]);

/* Appends the file to OUT.  0 or -ENOMEM. */
int index_pack(const struct index *x, struct buf *out);

/*
 * Reads FILE into the empty X.  0, -EBADMSG (damaged), -EPROTO (not such a file, or of another
 * version) or -ENOMEM; X may then hold a part.
 */
int index_unpack(const struct buf *file, struct index *x);

#endif
