/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stuck.h"

#include <stddef.h>
#include <string.h>

/* The first range that ends behind OFFSET; s->n: none. */
static unsigned find(const struct stuck *s, uint64_t offset)
{
    unsigned i = 0;
    while (i < s->n && s->range[i].end <= offset)
        i++;
    return i;
}

static bool is_known(const struct stuck *s, uint64_t offset)
{
    const unsigned i = find(s, offset);
    return i < s->n && s->range[i].start <= offset;
}

static void insert(struct stuck *s, unsigned i, uint64_t start, uint64_t end)
{
    memmove(&s->range[i + 1], &s->range[i], (s->n - i) * sizeof(s->range[0]));
    s->range[i] = (struct stuck_range){start, end};
    s->n++;
}

static void take_out(struct stuck *s, unsigned i)
{
    s->n--;
    memmove(&s->range[i], &s->range[i + 1], (s->n - i) * sizeof(s->range[0]));
}

/* What is unknown so far, by itself or at its neighbours.  False: there is no room. */
static bool remember(struct stuck *s, uint64_t offset, uint64_t length)
{
    const unsigned i = find(s, offset);
    const bool follows = i > 0 && s->range[i - 1].end == offset;
    const bool precedes = i < s->n && s->range[i].start == offset + length;
    if (follows && precedes) {
        s->range[i - 1].end = s->range[i].end;
        take_out(s, i);
    } else if (follows) {
        s->range[i - 1].end = offset + length;
    } else if (precedes) {
        s->range[i].start = offset;
    } else if (s->n < STUCK_MAX) {
        insert(s, i, offset, offset + length);
    } else {
        return false;
    }
    return true;
}

bool stuck_add(struct stuck *s, uint64_t offset, uint64_t length, uint64_t now_us, bool *full)
{
    const bool first = s->n == 0;
    *full = !is_known(s, offset) && !remember(s, offset, length);
    if (*full)
        return false;
    if (first) {
        s->pause_us = STUCK_FIRST_US;
        s->next_us = now_us + s->pause_us;
        s->tries = 0;
        s->from = 0;
    } else if (s->tries && offset >= s->from) {
        s->tries--;
        s->from = offset + length;
    }
    return first;
}

uint64_t stuck_until(const struct stuck *s, uint64_t offset)
{
    if (!is_known(s, offset) || (s->tries && offset >= s->from))
        return offset;
    const uint64_t end = s->range[find(s, offset)].end;
    return s->tries && s->from < end ? s->from : end;
}

bool stuck_drop(struct stuck *s, uint64_t offset, uint64_t length)
{
    if (!is_known(s, offset))
        return false;
    const unsigned i = find(s, offset);
    const struct stuck_range whole = s->range[i];
    const uint64_t end = offset + length;
    if (whole.start < offset)
        s->range[i].end = offset;
    else if (end < whole.end)
        s->range[i].start = end;
    else
        take_out(s, i);
    if (whole.start < offset && end < whole.end && s->n < STUCK_MAX)
        insert(s, i + 1, end, whole.end);
    return s->n == 0;
}

bool stuck_is_time(struct stuck *s, uint64_t now_us)
{
    if (!s->n || now_us < s->next_us)
        return false;
    s->tries = STUCK_TRIES;
    if (s->from >= s->range[s->n - 1].end)
        s->from = 0; /* round and round */
    s->pause_us = 2 * s->pause_us < STUCK_LONGEST_US ? 2 * s->pause_us : STUCK_LONGEST_US;
    s->next_us = now_us + s->pause_us;
    return true;
}

uint64_t stuck_bytes(const struct stuck *s)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < s->n; i++)
        bytes += s->range[i].end - s->range[i].start;
    return bytes;
}
