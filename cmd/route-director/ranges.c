/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

/* The first held range that ends behind OFFSET: the only one that can overlap from the left. */
static size_t find(const struct ranges *r, uint64_t offset)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->held[mid].end <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool ranges_busy(const struct ranges *r, uint64_t offset, uint64_t length)
{
    size_t i = find(r, offset);
    return i < r->n && r->held[i].start < offset + length;
}

int ranges_take(struct ranges *r, uint64_t offset, uint64_t length)
{
    size_t i = find(r, offset);
    if (i < r->n && r->held[i].start < offset + length)
        return -EBUSY;
    if (vec_room(&r->held, r->n, &r->cap, sizeof(*r->held)) < 0)
        return -ENOMEM;
    memmove(r->held + i + 1, r->held + i, (r->n - i) * sizeof(*r->held));
    r->held[i] = (struct range){offset, offset + length};
    r->n++;
    return 0;
}

void ranges_drop(struct ranges *r, uint64_t offset, uint64_t length)
{
    size_t i = find(r, offset);
    if (i >= r->n || r->held[i].start != offset || r->held[i].end != offset + length)
        abort(); /* never taken: the books are wrong, and writing on would risk data */
    r->n--;
    memmove(r->held + i, r->held + i + 1, (r->n - i) * sizeof(*r->held));
}

void ranges_release(struct ranges *r)
{
    free(r->held);
    *r = (struct ranges){0};
}
