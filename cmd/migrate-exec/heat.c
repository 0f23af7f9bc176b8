/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/heat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/record/record.h"
#include "common/record/schema.h"

enum { SOON_S = 3600 };

void heat_release(struct heat *h)
{
    free(h->range);
    *h = (struct heat){.range = NULL};
}

int heat_add(struct heat *h, uint64_t from, uint64_t to, double writes)
{
    if (from >= to)
        return 0;
    if (vec_room(&h->range, h->n, &h->cap, sizeof(*h->range)) < 0)
        return -ENOMEM;
    h->range[h->n++] = (struct heat_range){from, to, writes};
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct heat_range *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static int by_writes(const void *a, const void *b)
{
    const struct heat_range *x = a, *y = b;
    if (x->writes != y->writes)
        return x->writes < y->writes ? -1 : 1;
    return by_place(a, b);
}

/* Sums up equal ranges, and clips the others to what is behind them and to SIZE. */
static void merge(struct heat *h, uint64_t size)
{
    size_t n = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < h->n; i++) {
        struct heat_range r = h->range[i];
        bool again = n > 0 && h->range[n - 1].from == r.from && h->range[n - 1].to == r.to;
        if (again) {
            h->range[n - 1].writes += r.writes;
            continue;
        }
        if (r.to > size)
            r.to = size;
        if (r.from < end)
            r.from = end;
        if (r.from >= r.to)
            continue;
        h->range[n++] = r;
        end = r.to;
    }
    h->n = n;
}

static int fill_gaps(struct heat *h, uint64_t size)
{
    uint64_t end = 0;
    int r = 0;
    size_t n = h->n;
    for (size_t i = 0; i < n && r == 0; i++) {
        uint64_t from = h->range[i].from;
        uint64_t to = h->range[i].to;
        r = heat_add(h, end, from, 0);
        end = to;
    }
    return r < 0 ? r : heat_add(h, end, size, 0);
}

int heat_settle(struct heat *h, uint64_t size)
{
    if (h->n)
        qsort(h->range, h->n, sizeof(*h->range), by_place);
    merge(h, size);
    int r = fill_gaps(h, size);
    if (r == 0 && h->n)
        qsort(h->range, h->n, sizeof(*h->range), by_writes);
    return r;
}

/* Takes in the present record.  0 or -ENOMEM. */
static int take(struct heat *h, const struct rec_reader *r, const char *volume, double now)
{
    double start = rec_real(r, HEAT_START);
    uint64_t from = rec_uint(r, HEAT_OFFSET);
    uint64_t length = rec_uint(r, HEAT_LENGTH);
    bool soon = start < now + SOON_S && start + (double)rec_uint(r, HEAT_DURATION_S) > now;
    if (!soon || strcmp(rec_text(r, HEAT_VOLUME), volume) != 0)
        return 0;
    uint64_t to = length < UINT64_MAX - from ? from + length : UINT64_MAX;
    return heat_add(h, from, to, rec_real(r, HEAT_WRITES));
}

int heat_load(struct heat *h, const char *path, const char *volume, double now, char *why,
              size_t why_size)
{
    char *file = (char *)(uintptr_t)path; /* the reader does not change it */
    struct rec_reader *r = rec_reader_new(&rec_heat);
    int result = -ENOMEM;
    int more = 0;
    snprintf(why, why_size, "out of memory");
    if (!r)
        return result;
    rec_reader_files(r, &file, 1);
    result = 0;
    while (result == 0 && (more = rec_reader_next(r)) > 0)
        result = take(h, r, volume, now);
    if (more < 0) {
        snprintf(why, why_size, "%s", rec_reader_error(r));
        result = more;
    }
    rec_reader_free(r);
    return result;
}
