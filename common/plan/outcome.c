/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/outcome.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/plan/score.h"

enum rec_outcome plan_outcome_of(enum plan_why why)
{
    if (why <= PLAN_WHY_DEMAND)
        return OUTCOME_PAID_OFF;
    return why <= PLAN_WHY_NOTHING ? OUTCOME_MISMIGRATION : OUTCOME_UNKNOWN;
}

/* ---- taking in ---- */

/* The number of NAME, which is the intern's copy afterwards; or -ENOMEM. */
static long keep(struct intern *names, const char **name)
{
    const long id = intern_add(names, *name);
    if (id >= 0)
        *name = names->names[id];
    return id;
}

int plan_grades_row(struct plan_grades *g, const struct plan_graded *row)
{
    struct plan_graded new = *row;
    const long volume = keep(&g->volumes, &new.volume);
    const long from = keep(&g->gateways, &new.source);
    const long to = keep(&g->gateways, &new.target);
    if (volume < 0 || from < 0 || to < 0 || vec_room(&g->rows, g->n, &g->cap, sizeof(*g->rows)) < 0)
        return -ENOMEM;
    new.from = (size_t)from;
    new.to = (size_t)to;
    new.requests = new.near_source = new.near_target = 0;
    new.after_s = NAN;
    g->rows[g->n++] = new;
    return 0;
}

int plan_grades_trouble(struct plan_grades *g, const char *gateway, double time,
                        enum plan_trouble trouble)
{
    const long id = intern_add(&g->gateways, gateway);
    if (id < 0 || vec_room(&g->troubles, g->n_troubles, &g->troubles_cap, sizeof(*g->troubles)) < 0)
        return -ENOMEM;
    g->troubles[g->n_troubles++] = (struct plan_troubled){(size_t)id, time, trouble};
    return 0;
}

/* ---- the same move once ---- */

static int by_number(double a, double b)
{
    return (a > b) - (a < b);
}

/* Moves of one volume and way, one after the other. */
static int by_way(const void *pa, const void *pb)
{
    const struct plan_graded *a = pa, *b = pb;
    int c = strcmp(a->volume, b->volume);
    if (!c)
        c = strcmp(a->source, b->source);
    if (!c)
        c = strcmp(a->target, b->target);
    if (!c)
        c = (a->epoch > b->epoch) - (a->epoch < b->epoch);
    return c ? c : by_number(a->time, b->time);
}

static bool repeats(const struct plan_graded *first, const struct plan_graded *row,
                    double horizon_s)
{
    return first->volume == row->volume && first->from == row->from && first->to == row->to &&
           first->epoch == row->epoch && row->time - first->time < horizon_s;
}

static void drop_repeats(struct plan_grades *g)
{
    size_t n = 0;
    if (g->n)
        qsort(g->rows, g->n, sizeof(*g->rows), by_way);
    for (size_t i = 0; i < g->n; i++)
        if (!n || !repeats(&g->rows[n - 1], &g->rows[i], g->horizon_s))
            g->rows[n++] = g->rows[i];
    g->n = n;
}

/* ---- the demand that came ---- */

static int by_volume(const void *pa, const void *pb)
{
    const struct plan_graded *a = pa, *b = pb;
    const int c = strcmp(a->volume, b->volume);
    return c ? c : by_number(a->time, b->time);
}

int plan_grades_open(struct plan_grades *g)
{
    drop_repeats(g);
    if (g->n)
        qsort(g->rows, g->n, sizeof(*g->rows), by_volume);
    g->first = calloc(g->volumes.n + 1, 2 * sizeof(*g->first));
    if (!g->first)
        return -ENOMEM;
    for (size_t i = 0; i < g->n; i++) {
        const size_t v = (size_t)intern_find(&g->volumes, g->rows[i].volume);
        if (!i || g->rows[i].volume != g->rows[i - 1].volume)
            g->first[2 * v] = i;
        g->first[2 * v + 1] = i + 1;
    }
    return 0;
}

static void add_request(struct plan_graded *row, double count, const double *closeness, size_t n)
{
    if (row->from >= n || row->to >= n)
        return;
    row->requests += count;
    row->near_source += count * closeness[row->from];
    row->near_target += count * closeness[row->to];
}

/* The first row of FROM … UNTIL, in order of time, that is at or after TIME. */
static size_t row_at(const struct plan_grades *g, size_t from, size_t until, double time)
{
    while (from < until) {
        const size_t mid = from + (until - from) / 2;
        if (g->rows[mid].time < time)
            from = mid + 1;
        else
            until = mid;
    }
    return from;
}

void plan_grades_request(struct plan_grades *g, const char *volume, double time, double count,
                         const double *closeness, size_t n)
{
    const long v = intern_find(&g->volumes, volume);
    if (v < 0)
        return;
    const size_t first = g->first[2 * v];
    /* Of those before TIME, the latest first. */
    for (size_t i = row_at(g, first, g->first[2 * v + 1], time); i-- > first;) {
        if (time - g->rows[i].time > g->demand_s)
            break;
        add_request(&g->rows[i], count, closeness, n);
    }
}

double plan_graded_source_das(const struct plan_graded *row)
{
    return row->requests > 0 ? row->near_source / row->requests : (double)NAN;
}

double plan_graded_target_das(const struct plan_graded *row)
{
    return row->requests > 0 ? row->near_target / row->requests : (double)NAN;
}

/* ---- judging ---- */

static int by_trouble(const void *pa, const void *pb)
{
    const struct plan_troubled *a = pa, *b = pb;
    if (a->gateway != b->gateway)
        return a->gateway < b->gateway ? -1 : 1;
    return a->time != b->time ? by_number(a->time, b->time)
                              : (a->trouble > b->trouble) - (a->trouble < b->trouble);
}

/* GATEWAY's first after FROM, at most at UNTIL, that is UNCLEAR or not; NULL: none. */
static const struct plan_troubled *first_trouble(const struct plan_grades *g, size_t gateway,
                                                 double from, double until, bool unclear)
{
    size_t low = 0, high = g->n_troubles;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const struct plan_troubled *t = &g->troubles[mid];
        if (t->gateway < gateway || (t->gateway == gateway && t->time <= from))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < g->n_troubles && g->troubles[low].gateway == gateway; low++) {
        const struct plan_troubled *t = &g->troubles[low];
        if (t->time > until)
            break;
        if ((t->trouble == PLAN_TROUBLE_UNCLEAR) == unclear)
            return t;
    }
    return NULL;
}

/* Was it made for a demand that would be nearer to the target? */
static bool for_demand(const struct plan_graded *row)
{
    return plan_exceeds(row->target_das, row->source_das);
}

/* Nearer to the target, and by enough for guard 4, healths as planned. */
static bool demand_came(const struct plan_graded *row, double margin)
{
    const double nearer = plan_graded_target_das(row) - plan_graded_source_das(row);
    const double healthier = row->target_ghs - row->source_ghs;
    return nearer > 0 && plan_exceeds(nearer + (isnan(healthier) ? 0 : 2 * healthier), margin);
}

static void settle(struct plan_graded *row, enum plan_why why, const struct plan_troubled *t)
{
    row->why = why;
    row->after_s = t ? t->time - row->time : (double)NAN;
}

/* That nobody has heard of the source any more before UNTIL, in *OUT. */
static bool fell_silent(const struct plan_grade_terms *t, const struct plan_graded *row,
                        double until, struct plan_troubled *out)
{
    if (!t->seen_until || t->seen_until[row->from] + t->silence_s >= until)
        return false;
    *out = (struct plan_troubled){row->from, fmax(t->seen_until[row->from], row->time),
                                  PLAN_TROUBLE_UNCLEAR};
    return true;
}

static void judge(const struct plan_grades *g, const struct plan_grade_terms *t,
                  struct plan_graded *row)
{
    const double until = row->time + g->horizon_s;
    const struct plan_troubled *source = first_trouble(g, row->from, row->time, until, false);
    const struct plan_troubled *target = first_trouble(g, row->to, row->time, until, false);
    struct plan_troubled silence;
    const bool demand_known = t->demand_until >= row->time + g->demand_s;
    if (row->drained)
        settle(row, PLAN_WHY_DRAINED, NULL);
    else if (source && (!target || source->time < target->time))
        settle(row, source->trouble == PLAN_TROUBLE_FAILED ? PLAN_WHY_FAILED : PLAN_WHY_DEGRADED,
               source);
    else if (target)
        settle(row,
               target->trouble == PLAN_TROUBLE_FAILED ? PLAN_WHY_TARGET_FAILED
                                                      : PLAN_WHY_TARGET_DEGRADED,
               target);
    else if (t->known_until < until)
        settle(row, PLAN_WHY_TOO_SOON, NULL);
    else if (demand_known && demand_came(row, t->margin))
        settle(row, PLAN_WHY_DEMAND, NULL);
    else if ((source = first_trouble(g, row->from, row->time, until, true)))
        settle(row, PLAN_WHY_UNCLEAR, source);
    else if (fell_silent(t, row, until, &silence))
        settle(row, PLAN_WHY_UNCLEAR, &silence);
    else if (!demand_known && for_demand(row))
        settle(row, PLAN_WHY_NO_ACCESS, NULL);
    else
        settle(row, PLAN_WHY_NOTHING, NULL);
}

static int by_time(const void *pa, const void *pb)
{
    const struct plan_graded *a = pa, *b = pb;
    const int c = by_number(a->time, b->time);
    return c ? c : by_way(pa, pb);
}

void plan_grades_judge(struct plan_grades *g, const struct plan_grade_terms *t)
{
    if (g->n_troubles)
        qsort(g->troubles, g->n_troubles, sizeof(*g->troubles), by_trouble);
    for (size_t i = 0; i < g->n; i++)
        judge(g, t, &g->rows[i]);
    if (g->n)
        qsort(g->rows, g->n, sizeof(*g->rows), by_time);
}

void plan_grades_release(struct plan_grades *g)
{
    intern_release(&g->gateways);
    intern_release(&g->volumes);
    free(g->rows);
    free(g->first);
    free(g->troubles);
    *g = (struct plan_grades){0};
}
