/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stuck.h"

#include <stddef.h>

static const struct stuck_block *find(const struct stuck *s, uint64_t offset)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->block[i].offset == offset)
            return &s->block[i];
    return NULL;
}

bool stuck_add(struct stuck *s, uint64_t offset, uint64_t length, uint64_t now_us, bool *full)
{
    const struct stuck_block *known = find(s, offset);
    const bool first = s->n == 0;
    *full = !known && s->n == STUCK_MAX;
    if (*full)
        return false;
    s->block[known ? (size_t)(known - s->block) : s->n++] =
        (struct stuck_block){offset, length, false};
    if (first) {
        s->pause_us = STUCK_FIRST_US;
        s->next_us = now_us + s->pause_us;
    }
    return first;
}

bool stuck_skips(const struct stuck *s, uint64_t offset)
{
    const struct stuck_block *known = find(s, offset);
    return known && !known->due;
}

bool stuck_drop(struct stuck *s, uint64_t offset)
{
    const struct stuck_block *known = find(s, offset);
    if (!known)
        return false;
    s->block[known - s->block] = s->block[--s->n];
    return s->n == 0;
}

bool stuck_is_time(struct stuck *s, uint64_t now_us)
{
    if (!s->n || now_us < s->next_us)
        return false;
    for (unsigned i = 0; i < s->n; i++)
        s->block[i].due = true;
    s->pause_us = 2 * s->pause_us < STUCK_LONGEST_US ? 2 * s->pause_us : STUCK_LONGEST_US;
    s->next_us = now_us + s->pause_us;
    return true;
}

uint64_t stuck_bytes(const struct stuck *s)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < s->n; i++)
        bytes += s->block[i].length;
    return bytes;
}
