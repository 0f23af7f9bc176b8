/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a volume's scores come from, in words and two tables. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/affinity-profile/profile.h"
#include "common/affinity/score.h"
#include "common/base/error.h"

static void need(int r)
{
    if (r < 0)
        err_die(EX_OSERR, "%s", err_text(r));
}

static const struct demand_volume *find(const struct profile *p, const char *volume)
{
    long id = intern_find(&p->demand.volumes, volume);
    return id < 0 || p->demand.volume[id].n_weeks == 0 ? NULL : &p->demand.volume[id];
}

/* Requests of a site within the horizon, from hourly values that begin with the hour of now. */
static double within(const struct profile *p, const double *hourly, size_t n, double horizon_s)
{
    double from = fmod(p->now, 3600);
    return score_window(hourly, n, from, from + horizon_s);
}

static double predicted(const struct profile *p, const struct outlook *o, size_t c,
                        double horizon_s)
{
    double *hourly = calloc(o->hours, sizeof(*hourly));
    need(hourly ? 0 : -ENOMEM);
    for (size_t i = 0; i < o->hours; i++)
        hourly[i] = o->site[c].point[i].requests;
    double sum = within(p, hourly, o->hours, horizon_s);
    free(hourly);
    return sum;
}

/* What the same hours of the last week had; −1 if that is not remembered. */
static double last_week(const struct profile *p, const struct demand_site *s,
                        const struct outlook *o, double horizon_s)
{
    double *y;
    struct series series;
    need(demand_series(&p->demand, s, o->hour, &y, &series));
    int64_t at = o->hour - HOURS_A_WEEK - series.start;
    size_t n = o->hours < HOURS_A_WEEK ? o->hours : HOURS_A_WEEK;
    double sum = -1;
    if (series.n && at >= 0)
        sum = within(p, y + at, n, horizon_s);
    free(y);
    return sum;
}

static const struct demand_site *site_of(const struct demand_volume *v, const char *name)
{
    for (size_t i = 0; i < v->n_sites; i++)
        if (strcmp(v->sites[i].site, name) == 0)
            return &v->sites[i];
    return NULL;
}

/* What the series' own model is mixed of. */
static void print_mixture(const struct model *m)
{
    const char *between = "; the baseline: ";
    for (int k = 0; k < MODEL_METHODS; k++)
        if (m->weight[k] > 0) {
            printf("%s%s %.0f %%", between, model_method_name((enum model_method)k),
                   100 * m->weight[k]);
            between = ", ";
        }
}

/* Why this model answers. */
static void print_reason(const struct model *m)
{
    printf("%s: %u hours of history", model_name(m), m->hours);
    if (model_kind_for(m->hours) == MODEL_MEAN)
        printf(", too few for a daily rhythm (72)");
    else if (model_kind_for(m->hours) == MODEL_DAILY)
        printf(", too few for a weekly one (504)");
    if (m->mase > 0)
        printf("; held-out error %.2f of repeating the day before", m->mase);
    if (m->net > 0 || m->net_gain != 0)
        printf("; weight of the LSTM %.0f %%, its own error %.1f %% %s the baseline's",
               100 * m->net, 100 * fabs(m->net_gain), m->net_gain < 0 ? "above" : "below");
    print_mixture(m);
    putchar('\n');
}

static void explain_sites(const struct profile *p, const struct demand_volume *v,
                          const struct outlook *o, const double *demand, double all,
                          double horizon_s)
{
    printf("\nRequests predicted by site:\n%-20s %12s %6s %12s %10s  %s\n", "site", "predicted",
           "part", "last week", "confidence", "model");
    for (size_t c = 0; c < o->n; c++) {
        double before = last_week(p, site_of(v, o->site[c].site), o, horizon_s);
        char text[32] = "unknown";
        if (before >= 0)
            snprintf(text, sizeof(text), "%.1f", before);
        printf("%-20s %12.1f %5.1f%% %12s %10.2f  ", o->site[c].site, demand[c],
               all > 0 ? 100 * demand[c] / all : 0, text, model_confidence(&o->site[c].model));
        print_reason(&o->site[c].model);
    }
    if (!o->n)
        puts("none: no complete hour of it is remembered");
}

static void explain_gateways(const struct profile *p, const struct demand_volume *v,
                             const struct outlook *o, const double *demand)
{
    size_t n = p->fleet.gateway_names.n;
    double *closeness = calloc(o->n * n + 1, sizeof(*closeness));
    double *column = calloc(o->n + 1, sizeof(*column));
    need(closeness && column ? 0 : -ENOMEM);
    for (size_t c = 0; c < o->n; c++)
        report_closeness(p, o->site[c].site, closeness + c * n);
    printf("\nGateways, by predicted demand times closeness:\n%-20s %6s %6s  %s\n", "gateway",
           "das", "served", "closeness to each site");
    for (size_t g = 0; g < n; g++) {
        const char *name = p->fleet.gateways[g].name;
        bool allowed = fleet_allowed(&p->fleet, v->volume, name);
        for (size_t c = 0; c < o->n; c++)
            column[c] = closeness[c * n + g];
        printf("%-20s %6.4f %5.1f%% ", name, score_das(demand, column, o->n),
               100 * demand_share(&p->demand, v, name));
        for (size_t c = 0; c < o->n; c++)
            printf(" %s %.3f", o->site[c].site, column[c]);
        puts(allowed ? "" : "  (volumes.csv does not allow it)");
    }
    free(closeness);
    free(column);
}

static void print_now(double now)
{
    time_t t = (time_t)now;
    struct tm tm;
    char text[64] = "?";
    if (gmtime_r(&t, &tm))
        strftime(text, sizeof(text), "%a %Y-%m-%d %H:%M UTC", &tm);
    printf("%.0f (%s)", now, text);
}

int explain(const struct profile *p, const char *volume, double horizon_s)
{
    const struct demand_volume *v = find(p, volume);
    struct outlook o;
    double all = 0;
    if (!v || p->now < 0) {
        err_warn("no request for '%s' is remembered", volume);
        return EX_NO;
    }
    outlook_make(p, v, (size_t)ceil((fmod(p->now, 3600) + horizon_s) / 3600), &o);
    double *demand = calloc(o.n + 1, sizeof(*demand));
    need(demand ? 0 : -ENOMEM);
    for (size_t c = 0; c < o.n; c++) {
        demand[c] = predicted(p, &o, c, horizon_s);
        all += demand[c];
    }
    printf("%s at ", volume);
    print_now(p->now);
    printf(": %.1f requests predicted in the next %.4g h\n", all, horizon_s / 3600);
    explain_sites(p, v, &o, demand, all, horizon_s);
    explain_gateways(p, v, &o, demand);
    if (all <= 0)
        puts("\nWithout demand every score is 0.5, with confidence 0.");
    free(demand);
    outlook_release(&o);
    return 0;
}
