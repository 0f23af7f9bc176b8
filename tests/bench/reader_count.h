/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counts by volume and hour, alike for every reader that is compared. */
#ifndef GS_BENCH_READER_COUNT_H
#define GS_BENCH_READER_COUNT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/intern.h"

/* Hours that a bench's log may span. */
#define COUNT_HOURS 400

/* Zero-initialise.  The process ends with it: nothing is freed. */
struct count {
    struct intern volumes;
    uint64_t (*counts)[COUNT_HOURS]; /* by volume */
    uint64_t first;                  /* the hour of column 0 */
};

static inline void count_add(struct count *c, const char *volume, size_t len, uint64_t hour)
{
    size_t before = c->volumes.n;
    long id = intern_add_bytes(&c->volumes, volume, len);
    if (id < 0)
        err_die(EX_OSERR, "out of memory");
    if (c->volumes.n > before) {
        c->counts = reallocarray(c->counts, c->volumes.n, sizeof(*c->counts));
        if (!c->counts)
            err_die(EX_OSERR, "out of memory");
        for (size_t i = 0; i < COUNT_HOURS; i++)
            c->counts[id][i] = 0;
    }
    if (!c->first)
        c->first = hour;
    if (hour < c->first || hour - c->first >= COUNT_HOURS)
        err_die(EX_DATAERR, "hour out of range");
    c->counts[id][hour - c->first]++;
}

static inline void count_print(const struct count *c)
{
    for (size_t id = 0; id < c->volumes.n; id++)
        for (uint64_t i = 0; i < COUNT_HOURS; i++)
            if (c->counts[id][i])
                printf("%s %llu %llu\n", c->volumes.names[id], (unsigned long long)(c->first + i),
                       (unsigned long long)c->counts[id][i]);
}

#endif
