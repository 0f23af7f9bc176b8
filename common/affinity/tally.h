/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Counts by name, of which so many are told apart, and "other" counts the rest.  Where there are
 * more, those with the smallest digests of their names are told apart: so which they are does not
 * depend on who came first.
 */
#ifndef GS_AFFINITY_TALLY_H
#define GS_AFFINITY_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/intern.h"

enum { TALLY_NAMES = 32 }; /* told apart */

#define TALLY_OTHER "other"

struct tally_row {
    uint32_t name;   /* a number in the table of names that each call is given */
    uint64_t *count; /* owned: [width], each saturates */
};

/* Zero-initialise; tally_release() frees. */
struct tally {
    struct tally_row *row; /* owned */
    size_t n, cap;         /* at most TALLY_NAMES + 1 */
};

void tally_release(struct tally *t);

static inline struct tally_row *tally_find(const struct tally *t, uint32_t name)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->row[i].name == name)
            return &t->row[i];
    return NULL;
}

/*
 * The row of NAME, or of "other" if it is not told apart; added if new, with WIDTH counts.
 * *OVERFLOWED becomes true where there are too many.  NULL: out of memory.  Borrowed until the next
 * call.
 */
struct tally_row *tally_at_new(struct tally *t, struct intern *names, size_t width, uint32_t name,
                               bool *overflowed);
static inline struct tally_row *tally_at(struct tally *t, struct intern *names, size_t width,
                                         uint32_t name, bool *overflowed)
{
    struct tally_row *row = tally_find(t, name);
    return row ? row : tally_at_new(t, names, width, name, overflowed);
}

/* Adds FROM, whose name i is NUMBER[i] in NAMES.  0 or -ENOMEM. */
int tally_merge(struct tally *t, struct intern *names, size_t width, const struct tally *from,
                const uint32_t *number, bool *overflowed);

bool tally_is_other(const struct intern *names, uint32_t name);
/* Is A told apart rather than B? */
bool tally_goes_first(const struct intern *names, uint32_t a, uint32_t b);

#endif
