/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/health/grade.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Alarms closer than this are one; and so long a failure is still that failure. */
#define EPISODE_S 3600.0

/* What is remembered of a gateway while its points are gone through. */
struct gate {
    double last_alarm; /* -INFINITY: none yet */
    bool seen;
    bool alarmed;
    bool fails;
};

static bool within(const struct grade_failure *f, size_t n, size_t gateway, double after,
                   double until)
{
    for (size_t i = 0; i < n; i++)
        if (f[i].gateway == gateway && f[i].time > after && f[i].time <= until)
            return true;
    return false;
}

enum grade_truth grade_truth(const struct grade_failure *f, size_t n,
                             const struct grade_failure *others, size_t n_others, size_t gateway,
                             double time, double horizon_s, double end)
{
    if (within(f, n, gateway, time - EPISODE_S, time) ||
        within(others, n_others, gateway, time - EPISODE_S, time + horizon_s))
        return GRADE_UNKNOWN;
    if (within(f, n, gateway, time, time + horizon_s))
        return GRADE_FAILS;
    return time + horizon_s > end ? GRADE_UNKNOWN : GRADE_HEALTHY;
}

static void grade_probability(struct grade *g, const struct grade_point *p)
{
    if (p->truth == GRADE_UNKNOWN)
        return;
    double failed = p->truth == GRADE_FAILS;
    size_t bin = (size_t)fmin(p->p * GRADE_BINS, GRADE_BINS - 1);
    g->known++;
    g->brier += (p->p - failed) * (p->p - failed);
    g->bins[bin].n++;
    g->bins[bin].failed += p->truth == GRADE_FAILS;
}

/* Notes in LEADS, NaN at first, when the alarm that begins with P was the first for a failure. */
static void begin_alarm(struct grade *g, const struct grade_point *p, const struct grade_failure *f,
                        size_t n_failures, double horizon_s, double *leads)
{
    g->alarms += p->truth != GRADE_UNKNOWN;
    g->true_alarms += p->truth == GRADE_FAILS;
    for (size_t i = 0; i < n_failures; i++) {
        double lead = f[i].time - p->time;
        if (f[i].gateway == p->gateway && lead > 0 && lead <= horizon_s && isnan(leads[i]))
            leads[i] = lead;
    }
}

static void grade_alarm(struct grade *g, struct gate *gate, const struct grade_point *p,
                        const struct grade_failure *f, size_t n_failures, double horizon_s,
                        double *leads)
{
    gate->seen = true;
    if (!p->alarm)
        return;
    if (p->time - gate->last_alarm > EPISODE_S)
        begin_alarm(g, p, f, n_failures, horizon_s, leads);
    gate->last_alarm = p->time;
    gate->alarmed = gate->alarmed || p->truth == GRADE_HEALTHY;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The leads, of which NaN are missed, into G. */
static void grade_leads(struct grade *g, double *leads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g->moved += leads[i] >= GRADE_MOVE_S;
        if (!isnan(leads[i]))
            leads[g->met++] = leads[i];
    }
    qsort(leads, g->met, sizeof(*leads), by_size);
    g->lead_p10_s = g->met ? leads[(size_t)(0.1 * (double)(g->met - 1))] : NAN;
    g->lead_median_s = g->met ? leads[(g->met - 1) / 2] : NAN;
}

int grade_points(const struct grade_point *p, size_t n, const struct grade_failure *f,
                 size_t n_failures, double horizon_s, struct grade *out)
{
    size_t n_gates = 0;
    for (size_t i = 0; i < n; i++)
        n_gates = p[i].gateway >= n_gates ? p[i].gateway + 1 : n_gates;
    struct gate *gates = calloc(n_gates + 1, sizeof(*gates));
    double *leads = calloc(n_failures + 1, sizeof(*leads));
    int r = gates && leads ? 0 : -ENOMEM;
    if (r < 0)
        goto out;
    for (size_t i = 0; i < n_gates; i++)
        gates[i].last_alarm = -INFINITY;
    for (size_t i = 0; i < n_failures; i++) {
        leads[i] = NAN;
        if (f[i].gateway < n_gates)
            gates[f[i].gateway].fails = true;
    }
    *out = (struct grade){.failures = n_failures};
    for (size_t i = 0; i < n; i++) {
        grade_probability(out, &p[i]);
        grade_alarm(out, &gates[p[i].gateway], &p[i], f, n_failures, horizon_s, leads);
    }
    for (size_t i = 0; i < n_gates; i++) {
        bool healthy = gates[i].seen && !gates[i].fails;
        out->healthy += healthy;
        out->mismoved += healthy && gates[i].alarmed;
    }
    out->brier = out->known ? out->brier / (double)out->known : NAN;
    grade_leads(out, leads, n_failures);
out:
    free(gates);
    free(leads);
    return r;
}
