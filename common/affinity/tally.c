/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/tally.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/cells.h"
#include "common/base/buf.h"
#include "common/base/hash.h"
#include "common/base/saturate.h"

void tally_release(struct tally *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->row[i].count);
    free(t->row);
    *t = (struct tally){0};
}

bool tally_is_other(const struct intern *names, uint32_t name)
{
    return strcmp(names->names[name], TALLY_OTHER) == 0;
}

/* By the smaller digest, or, as good as never, by the name. */
bool tally_goes_first(const struct intern *names, uint32_t a, uint32_t b)
{
    const char *x = names->names[a], *y = names->names[b];
    uint64_t hx = hash64(x, strlen(x)), hy = hash64(y, strlen(y));
    return hx != hy ? hx < hy : strcmp(x, y) < 0;
}

static struct tally_row *add_row(struct tally *t, size_t width, uint32_t name)
{
    uint64_t *count = calloc(width, sizeof(*count));
    if (!count || vec_room(&t->row, t->n, &t->cap, sizeof(*t->row)) < 0) {
        free(count);
        return NULL;
    }
    struct tally_row *row = &t->row[t->n++];
    row->name = name;
    row->count = count;
    return row;
}

static void add_counts(struct tally_row *to, const struct tally_row *from, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to->count[i] = saturate_sum(to->count[i], from->count[i]);
}

/* The one that goes last of those told apart. */
static struct tally_row *last_row(const struct tally *t, const struct intern *names)
{
    struct tally_row *last = NULL;
    for (size_t i = 0; i < t->n; i++)
        if (!tally_is_other(names, t->row[i].name) &&
            (!last || tally_goes_first(names, last->name, t->row[i].name)))
            last = &t->row[i];
    return last;
}

struct tally_row *tally_at_new(struct tally *t, struct intern *names, size_t width, uint32_t name,
                               bool *overflowed)
{
    long other = intern_add(names, TALLY_OTHER);
    if (other < 0)
        return NULL;
    bool has_rest = tally_find(t, (uint32_t)other) != NULL;
    if (name == (uint32_t)other || t->n - has_rest < TALLY_NAMES)
        return add_row(t, width, name);
    *overflowed = true;
    if (!has_rest && !add_row(t, width, (uint32_t)other))
        return NULL;
    struct tally_row *rest = tally_find(t, (uint32_t)other), *last = last_row(t, names);
    assert(rest && last); /* the table is full, of others and the rest */
    if (tally_goes_first(names, last->name, name))
        return rest;
    /* NAME takes the last one's row, whose counts go to the rest. */
    add_counts(rest, last, width);
    memset(last->count, 0, width * sizeof(*last->count));
    last->name = name;
    return last;
}

int tally_merge(struct tally *t, struct intern *names, size_t width, const struct tally *from,
                const uint32_t *number, bool *overflowed)
{
    for (size_t i = 0; i < from->n; i++) {
        struct tally_row *row = tally_at(t, names, width, number[from->row[i].name], overflowed);
        if (!row)
            return -ENOMEM;
        add_counts(row, &from->row[i], width);
    }
    return 0;
}
