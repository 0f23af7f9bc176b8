/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What there is to draw of a volume: its parts, its sites and the gateways, by hours, the past
 * before the predicted.
 */
#ifndef GS_AFFINITY_PROFILE_PICTURE_H
#define GS_AFFINITY_PROFILE_PICTURE_H

#include "cmd/affinity-profile/profile.h"

enum { PICTURE_ROWS = 24, PICTURE_LABEL = 32 };

enum picture_part { PICTURE_SEGMENTS, PICTURE_SITES, PICTURE_GATEWAYS, PICTURE_PARTS };

struct picture_row {
    char label[PICTURE_LABEL];
    double *value; /* [columns], owned: requests; NAN where nothing is known */
};

struct picture {
    const char *volume;   /* borrowed */
    char unit[16];        /* the size of a segment's row: "64M" */
    int64_t hour;         /* hours since the epoch of the first column */
    size_t columns, past; /* of which so many are before now */
    size_t hours;         /* a column */
    double predicted;     /* requests in all predicted columns */
    struct picture_row row[PICTURE_PARTS][PICTURE_ROWS];
    size_t n[PICTURE_PARTS];
    double most[PICTURE_PARTS]; /* the largest value of each part */
};

/*
 * Makes the picture of V: as many hours before now as there are AHEAD, in at most MOST_COLUMNS
 * columns.  picture_release() frees.  Ends the program without memory.
 */
void picture_make(const struct profile *p, const struct demand_volume *v, double ahead_s,
                  size_t most_columns, struct picture *out);
void picture_release(struct picture *pic);

/* How hot a value is: 0 (nothing) … LEVELS − 1, by the square root, which shows the quiet too. */
size_t picture_level(double value, double most, size_t levels);

#endif
