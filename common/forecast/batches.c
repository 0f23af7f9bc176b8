/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/forecast/batches.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/rng.h"

/*
 * Sequences are cut to one of a few lengths, so that there are enough of each to be computed
 * together.
 */
static size_t cut(size_t steps)
{
    static const size_t lengths[] = {SAMPLE_STEPS, 21, 16, 12, 9, 6, 4, 2, 1};
    size_t i = 0;
    while (lengths[i] > steps)
        i++;
    return lengths[i];
}

/* Whole sequences that END's days make, at least one. */
static size_t turns(size_t end)
{
    return (end / HOURS_A_DAY) / SAMPLE_STEPS + 1;
}

/* Sequences of each length, into COUNT; their sum. */
static size_t count_parts(const struct sample *s, size_t n, size_t count[SAMPLE_STEPS + 1])
{
    size_t all = 0;
    for (size_t i = 0; i <= SAMPLE_STEPS; i++)
        count[i] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t hour = 0; hour < HOURS_A_DAY && hour < s[i].points; hour++) {
            size_t end = s[i].points - 1 - hour, days = end / HOURS_A_DAY + 1;
            count[cut(days)] += turns(end);
            all += turns(end);
        }
    return all;
}

static size_t groups_of(const size_t count[SAMPLE_STEPS + 1], size_t size)
{
    size_t groups = 0;
    for (size_t i = 0; i <= SAMPLE_STEPS; i++)
        groups += (count[i] + size - 1) / size;
    return groups;
}

size_t batches_count(const struct sample *s, size_t n, size_t size)
{
    size_t count[SAMPLE_STEPS + 1];
    count_parts(s, n, count);
    return groups_of(count, size);
}

/* Puts each sequence among those of its length; of a long series, from anywhere in it. */
static void fill(const struct sample *s, size_t n, struct rng *r, size_t at[SAMPLE_STEPS + 1],
                 struct batches_part *part)
{
    for (size_t i = 0; i < n; i++)
        for (size_t hour = 0; hour < HOURS_A_DAY && hour < s[i].points; hour++) {
            size_t end = s[i].points - 1 - hour, days = end / HOURS_A_DAY + 1;
            size_t steps = cut(days), room = days - steps;
            for (size_t k = turns(end); k-- > 0;) {
                size_t back = room ? (size_t)rng_below(r, room + 1) * HOURS_A_DAY : 0;
                part[at[steps]++] =
                    (struct batches_part){(uint32_t)i, (uint32_t)(end - back), (uint32_t)steps};
            }
        }
}

static void shuffle_parts(struct rng *r, struct batches_part *p, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(r, i);
        struct batches_part t = p[i - 1];
        p[i - 1] = p[j];
        p[j] = t;
    }
}

static void shuffle_groups(struct rng *r, struct batches_group *g, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(r, i);
        struct batches_group t = g[i - 1];
        g[i - 1] = g[j];
        g[j] = t;
    }
}

int batches_draw(const struct sample *s, size_t n, size_t size, uint64_t seed, struct batches *out)
{
    size_t count[SAMPLE_STEPS + 1], at[SAMPLE_STEPS + 1], from = 0;
    struct batches b = {.parts = count_parts(s, n, count)};
    struct rng r;
    rng_init(&r, seed);
    b.part = calloc(b.parts + 1, sizeof(*b.part));
    b.group = calloc(groups_of(count, size) + 1, sizeof(*b.group));
    if (!b.part || !b.group) {
        batches_release(&b);
        return -ENOMEM;
    }
    for (size_t i = 0; i <= SAMPLE_STEPS; from += count[i++])
        at[i] = from;
    fill(s, n, &r, at, b.part);
    from = 0;
    for (size_t i = 0; i <= SAMPLE_STEPS; from += count[i++]) {
        shuffle_parts(&r, b.part + from, count[i]);
        for (size_t j = 0; j < count[i]; j += size) {
            size_t left = count[i] - j;
            b.group[b.groups++] = (struct batches_group){from + j, left < size ? left : size};
        }
    }
    shuffle_groups(&r, b.group, b.groups);
    *out = b;
    return 0;
}

void batches_release(struct batches *b)
{
    free(b->part);
    free(b->group);
    *b = (struct batches){0};
}
