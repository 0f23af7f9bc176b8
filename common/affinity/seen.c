/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/seen.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

enum { PRUNE_MIN = 65536 };

void seen_init(struct seen *s, double lateness_s)
{
    *s = (struct seen){.lateness_s = lateness_s, .newest = -1};
    pthread_mutex_init(&s->lock, NULL);
}

void seen_release(struct seen *s)
{
    free(s->old);
    free(s->met);
    pthread_mutex_destroy(&s->lock);
    seen_init(s, s->lateness_s);
}

void seen_run_init(struct seen_run *r)
{
    *r = (struct seen_run){.newest = -1, .expected = -1, .prune_at = PRUNE_MIN};
}

void seen_run_release(struct seen_run *r)
{
    free(r->fresh);
    seen_run_init(r);
}

static int by_time(const void *a, const void *b)
{
    const struct seen_record *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return (x->digest > y->digest) - (x->digest < y->digest);
}

/* Is the record kept from an earlier run, and not yet met in this one?  Then it is met now. */
static bool met_again(struct seen *s, const struct seen_record *r)
{
    size_t low = 0, high = s->n_old;
    bool met = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (by_time(&s->old[mid], r) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    pthread_mutex_lock(&s->lock);
    for (; !met && low < s->n_old && by_time(&s->old[low], r) == 0; low++)
        if (!s->met[low])
            met = s->met[low] = true;
    pthread_mutex_unlock(&s->lock);
    return met;
}

/* Drops what no later run can ask for. */
static void prune(const struct seen *s, struct seen_run *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (r->fresh[i].time >= seen_ask_from(s, r))
            r->fresh[n++] = r->fresh[i];
    r->n = n;
    r->prune_at = 2 * n > PRUNE_MIN ? 2 * n : PRUNE_MIN;
}

int seen_new(struct seen *s, struct seen_run *r, double time, uint64_t digest)
{
    struct seen_record record = {time, digest};
    if (time <= s->newest && met_again(s, &record))
        return 0;
    if (r->n >= r->prune_at)
        prune(s, r);
    if (r->n == r->cap && vec_room(&r->fresh, r->n, &r->cap, sizeof(*r->fresh)) < 0)
        return -ENOMEM;
    r->fresh[r->n++] = record;
    return 1;
}

/* The records of FROM, of SETTLED or later, behind the N of ALL; their number. */
static size_t keep(struct seen_record *all, size_t n, const struct seen_record *from, size_t more,
                   double settled)
{
    for (size_t i = 0; i < more; i++)
        if (from[i].time >= settled)
            all[n++] = from[i];
    return n;
}

/* S's own, and those of RUNS, from SETTLED on. */
static int replace(struct seen *s, const struct seen_run *runs, size_t n_runs, double newest,
                   double settled)
{
    size_t most = s->n_old, n;
    for (size_t i = 0; i < n_runs; i++)
        most += runs[i].n;
    struct seen_record *all = malloc((most + 1) * sizeof(*all));
    bool *met = calloc(most + 1, sizeof(*met));
    if (!all || !met) {
        free(all);
        free(met);
        return -ENOMEM;
    }
    n = keep(all, 0, s->old, s->n_old, settled);
    for (size_t i = 0; i < n_runs; i++)
        n = keep(all, n, runs[i].fresh, runs[i].n, settled);
    qsort(all, n, sizeof(*all), by_time);
    seen_release(s);
    s->newest = newest;
    s->settled = settled;
    s->old = all;
    s->met = met;
    s->n_old = n;
    return 0;
}

int seen_settle(struct seen *s, const struct seen_run *runs, size_t n)
{
    double newest = s->newest;
    for (size_t i = 0; i < n; i++)
        newest = fmax(newest, runs[i].newest);
    for (size_t i = 0; i < n; i++)
        if (runs[i].expected > newest)
            return -ESTALE;
    double settled = newest - s->lateness_s;
    /* A larger lateness than before can't bring back the digests that were dropped. */
    if (s->newest >= 0)
        settled = fmax(settled, s->settled);
    return replace(s, runs, n, newest, settled);
}

int seen_merge(struct seen *s, const struct seen *from)
{
    const struct seen_run run = {.fresh = from->old, .n = from->n_old};
    double settled = s->settled;
    if (from->newest < 0)
        return 0;
    if (s->newest < 0 || from->settled > settled)
        settled = from->settled;
    return replace(s, &run, 1, fmax(s->newest, from->newest), settled);
}
