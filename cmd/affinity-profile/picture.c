/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/picture.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/affinity/heat.h"
#include "common/base/error.h"

static void *alloc(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    if (!p)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    return p;
}

static void size_text(char *out, size_t size, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double v = (double)bytes;
    size_t u = 0;
    for (; v >= 1024; u++)
        v /= 1024;
    snprintf(out, size, "%.4g%c", v, units[u]);
}

size_t picture_level(double value, double most, size_t levels)
{
    if (!(value > 0) || !(most > 0))
        return 0;
    return (size_t)ceil(sqrt(value / most) * (double)(levels - 1));
}

/* A row, if there is still room for one. */
static struct picture_row *add_row(struct picture *pic, enum picture_part part)
{
    if (pic->n[part] == PICTURE_ROWS)
        return NULL;
    struct picture_row *r = &pic->row[part][pic->n[part]++];
    r->value = alloc(pic->columns, sizeof(*r->value));
    return r;
}

static size_t column_of(const struct picture *pic, int64_t hour)
{
    return (size_t)(hour - pic->hour) / pic->hours;
}

static bool is_shown(const struct picture *pic, int64_t hour)
{
    return hour >= pic->hour && column_of(pic, hour) < pic->columns;
}

/* ---- segments ---- */

/* Segments a row, so that all that were touched fit. */
static size_t segments_a_row(const struct heat *h)
{
    size_t last = h->n ? h->segment[h->n - 1].index : 0;
    return last / PICTURE_ROWS + 1;
}

/* What was counted in the hours of W before NOW. */
static void add_past_week(struct picture *pic, const struct demand_week *w, int64_t now,
                          unsigned shift, size_t a_row)
{
    struct cell cell[CELLS_ROW];
    for (unsigned h = 0; h < HOURS_A_WEEK; h++) {
        int64_t hour = w->week * HOURS_A_WEEK + h;
        size_t n = hour < now && is_shown(pic, hour) ? cells_hour(&w->cells, h, cell) : 0;
        for (size_t k = 0; k < n; k++) {
            uint32_t segment = cell[k].segment1 - 1;
            if (segment == CELLS_FLUSH)
                continue;
            size_t row = (segment >> (shift - w->cells.shift)) / a_row;
            pic->row[PICTURE_SEGMENTS][row].value[column_of(pic, hour)] +=
                (double)cell[k].of[CELLS_READS] + (double)cell[k].of[CELLS_WRITES];
        }
    }
}

static void add_predicted_cells(struct picture *pic, const struct heat *h, const struct outlook *o,
                                size_t a_row)
{
    struct heat_cell *cell = alloc(h->n, sizeof(*cell));
    for (size_t i = 0; i < o->hours; i++) {
        double requests = 0;
        for (size_t c = 0; c < o->n; c++)
            requests += o->site[c].point[i].requests;
        pic->predicted += requests;
        heat_spread(h, o->hour + (int64_t)i, requests, cell);
        for (size_t s = 0; s < h->n; s++)
            pic->row[PICTURE_SEGMENTS][h->segment[s].index / a_row]
                .value[column_of(pic, o->hour + (int64_t)i)] +=
                cell[s].of[CELLS_READS] + cell[s].of[CELLS_WRITES];
    }
    free(cell);
}

static void add_segments(struct picture *pic, const struct profile *p,
                         const struct demand_volume *v, const struct outlook *o)
{
    struct heat h;
    if (heat_make(&p->demand, v, &h) < 0)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    size_t a_row = segments_a_row(&h), last = h.n ? h.segment[h.n - 1].index : 0;
    size_text(pic->unit, sizeof(pic->unit), (uint64_t)a_row << h.shift);
    for (size_t row = 0; row <= last / a_row; row++)
        size_text(add_row(pic, PICTURE_SEGMENTS)->label, PICTURE_LABEL,
                  (uint64_t)(row * a_row) << h.shift);
    for (size_t i = 0; i < v->n_weeks; i++)
        add_past_week(pic, v->weeks[i], o->hour, h.shift, a_row);
    add_predicted_cells(pic, &h, o, a_row);
    heat_release(&h);
}

/* ---- sites and gateways ---- */

static void add_site_past(struct picture *pic, struct picture_row *r, const struct profile *p,
                          const struct demand_site *s, int64_t now)
{
    double *y;
    struct series series;
    if (demand_series(&p->demand, s, now, &y, &series) < 0)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    for (size_t i = 0; i < series.n; i++)
        if (is_shown(pic, series.start + (int64_t)i))
            r->value[column_of(pic, series.start + (int64_t)i)] += y[i];
    free(y);
}

static void add_sites(struct picture *pic, const struct profile *p, const struct demand_volume *v,
                      const struct outlook *o)
{
    for (size_t i = 0; i < v->n_sites; i++) {
        struct picture_row *r = add_row(pic, PICTURE_SITES);
        if (!r)
            return;
        snprintf(r->label, sizeof(r->label), "%.30s", v->sites[i].site);
        add_site_past(pic, r, p, &v->sites[i], o->hour);
        for (size_t c = 0; c < o->n; c++)
            for (size_t k = 0; o->site[c].site == v->sites[i].site && k < o->hours; k++)
                r->value[column_of(pic, o->hour + (int64_t)k)] += o->site[c].point[k].requests;
    }
}

/* Which gateway served an hour of the past is not remembered. */
static void add_gateways(struct picture *pic, const struct profile *p,
                         const struct demand_volume *v, const struct outlook *o)
{
    size_t n = p->fleet.gateway_names.n;
    double *by_gateway = alloc(n, sizeof(*by_gateway));
    for (size_t g = 0; g < n; g++) {
        struct picture_row *r = add_row(pic, PICTURE_GATEWAYS);
        if (!r)
            break;
        snprintf(r->label, sizeof(r->label), "%.30s", p->fleet.gateways[g].name);
        for (size_t i = 0; i < pic->past; i++)
            r->value[i] = NAN;
    }
    for (size_t k = 0; k < o->hours; k++) {
        report_by_gateway(p, v, o, k, by_gateway);
        for (size_t g = 0; g < pic->n[PICTURE_GATEWAYS]; g++)
            pic->row[PICTURE_GATEWAYS][g].value[column_of(pic, o->hour + (int64_t)k)] +=
                by_gateway[g];
    }
    free(by_gateway);
}

static void find_most(struct picture *pic)
{
    for (size_t part = 0; part < PICTURE_PARTS; part++)
        for (size_t i = 0; i < pic->n[part]; i++)
            for (size_t k = 0; k < pic->columns; k++)
                pic->most[part] = fmax(pic->most[part], pic->row[part][i].value[k]);
}

void picture_make(const struct profile *p, const struct demand_volume *v, double ahead_s,
                  size_t most_columns, struct picture *out)
{
    struct outlook o;
    size_t ahead = (size_t)ceil(ahead_s / 3600);
    *out = (struct picture){.volume = v->volume};
    out->hours = (2 * ahead + most_columns - 1) / most_columns;
    out->past = (ahead + out->hours - 1) / out->hours;
    out->columns = 2 * out->past;
    outlook_make(p, v, out->past * out->hours, &o);
    out->hour = o.hour - (int64_t)(out->past * out->hours);
    add_segments(out, p, v, &o);
    add_sites(out, p, v, &o);
    add_gateways(out, p, v, &o);
    find_most(out);
    outlook_release(&o);
}

void picture_release(struct picture *pic)
{
    for (size_t part = 0; part < PICTURE_PARTS; part++)
        for (size_t i = 0; i < pic->n[part]; i++)
            free(pic->row[part][i].value);
}
