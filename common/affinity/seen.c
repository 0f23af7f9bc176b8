/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

enum { PRUNE_MIN = 65536 };

void seen_init(struct seen *s, double lateness_s)
{
    *s = (struct seen){
        .lateness_s = lateness_s, .newest = -1, .run_newest = -1, .prune_at = PRUNE_MIN};
}

void seen_release(struct seen *s)
{
    free(s->old);
    free(s->met);
    free(s->fresh);
    seen_init(s, s->lateness_s);
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
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (by_time(&s->old[mid], r) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < s->n_old && by_time(&s->old[low], r) == 0; low++)
        if (!s->met[low]) {
            s->met[low] = true;
            return true;
        }
    return false;
}

/* Drops what no later run can ask for. */
static void prune(struct seen *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_fresh; i++)
        if (s->fresh[i].time >= s->run_newest - s->lateness_s)
            s->fresh[n++] = s->fresh[i];
    s->n_fresh = n;
    s->prune_at = 2 * n > PRUNE_MIN ? 2 * n : PRUNE_MIN;
}

int seen_new(struct seen *s, double time, uint64_t digest)
{
    struct seen_record r = {time, digest};
    if (s->newest >= 0 && (time < s->settled || (time <= s->newest && met_again(s, &r))))
        return 0;
    if (time > s->run_newest)
        s->run_newest = time;
    if (time < s->run_newest - s->lateness_s)
        return 1;
    if (s->n_fresh >= s->prune_at)
        prune(s);
    if (vec_room(&s->fresh, s->n_fresh, &s->cap_fresh, sizeof(*s->fresh)) < 0)
        return -ENOMEM;
    s->fresh[s->n_fresh++] = r;
    return 1;
}

int seen_settle(struct seen *s)
{
    double newest = s->run_newest > s->newest ? s->run_newest : s->newest;
    double settled = newest - s->lateness_s;
    /* A larger lateness than before can't bring back the digests that were dropped. */
    if (s->newest >= 0 && settled < s->settled)
        settled = s->settled;
    struct seen_record *all = malloc((s->n_old + s->n_fresh + 1) * sizeof(*all));
    bool *met = calloc(s->n_old + s->n_fresh + 1, sizeof(*met));
    if (!all || !met) {
        free(all);
        free(met);
        return -ENOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < s->n_old; i++)
        if (s->old[i].time >= settled)
            all[n++] = s->old[i];
    for (size_t i = 0; i < s->n_fresh; i++)
        if (s->fresh[i].time >= settled)
            all[n++] = s->fresh[i];
    qsort(all, n, sizeof(*all), by_time);
    double lateness_s = s->lateness_s;
    seen_release(s);
    s->lateness_s = lateness_s;
    s->newest = s->run_newest = newest;
    s->settled = settled;
    s->old = all;
    s->met = met;
    s->n_old = n;
    return 0;
}
