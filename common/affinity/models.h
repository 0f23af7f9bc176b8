/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fitted models by volume and site, kept between runs. */
#ifndef GS_AFFINITY_MODELS_H
#define GS_AFFINITY_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/intern.h"
#include "common/forecast/model.h"

struct models_entry {
    struct model model;
    int64_t hour; /* the first hour behind what it was fitted to */
};

/* Zero-initialise; models_release() frees. */
struct models {
    struct intern keys; /* "VOLUME/SITE": '/' can't be in a name */
    struct models_entry *entry;
    size_t cap;
    uint64_t nets; /* the origin of the nets that they were trained with; 0: none */
};

void models_release(struct models *m);

/* The entry of VOLUME and SITE; NULL if there is none.  Borrowed until the next models_put(). */
const struct models_entry *models_find(const struct models *m, const char *volume,
                                       const char *site);
/* Adds or replaces an entry.  0 or -ENOMEM. */
int models_put(struct models *m, const char *volume, const char *site,
               const struct models_entry *e);

/* To and from the bytes of a file, as weekfile_pack() and weekfile_unpack(). */
int models_pack(const struct models *m, struct buf *out);
int models_unpack(const struct buf *file, struct models *m);

#endif
