/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/heat.h"

#include <errno.h>
#include <stdlib.h>

static unsigned largest_shift(const struct demand_volume *v)
{
    unsigned shift = CELLS_SHIFT_MIN;
    for (size_t i = 0; i < v->n_weeks; i++)
        if (v->weeks[i]->cells.shift > shift)
            shift = v->weeks[i]->cells.shift;
    return shift;
}

/* Which segments of size 2^SHIFT were touched; PLACE[segment] becomes their place in that order. */
static size_t place_segments(const struct demand_volume *v, unsigned shift,
                             unsigned place[CELLS_SEGMENTS])
{
    bool touched[CELLS_SEGMENTS] = {false};
    struct cell cell[CELLS_ROW];
    size_t n = 0;
    for (size_t i = 0; i < v->n_weeks; i++)
        for (unsigned h = 0; h < HOURS_A_WEEK; h++) {
            const struct cells *c = &v->weeks[i]->cells;
            size_t cells = cells_hour(c, h, cell);
            for (size_t k = 0; k < cells; k++)
                if (cell[k].segment1 - 1 != CELLS_FLUSH)
                    touched[(cell[k].segment1 - 1) >> (shift - c->shift)] = true;
        }
    for (size_t s = 0; s < CELLS_SEGMENTS; s++)
        if (touched[s])
            place[s] = (unsigned)n++;
    return n;
}

/* The hour of the day of the hour H of a week: weeks begin at midnight. */
static unsigned of_day(unsigned h)
{
    return h % HOURS_A_DAY;
}

static void add_cell(struct heat *h, unsigned hour, const struct cell *c, unsigned by,
                     const unsigned *place, double weight)
{
    uint32_t segment = c->segment1 - 1;
    double requests = weight * ((double)c->of[CELLS_READS] + (double)c->of[CELLS_WRITES]);
    h->week[hour] += requests;
    h->day[of_day(hour)] += requests;
    h->all += requests;
    if (segment == CELLS_FLUSH)
        return;
    struct heat_segment *s = &h->segment[place[segment >> by]];
    s->index = segment >> by;
    for (size_t k = 0; k < CELLS_KINDS; k++) {
        double v = weight * (double)c->of[k];
        s->week[hour][k] += v;
        s->day[of_day(hour)][k] += v;
        s->all[k] += v;
    }
}

int heat_make(const struct demand *d, const struct demand_volume *v, struct heat *out)
{
    unsigned place[CELLS_SEGMENTS] = {0};
    struct cell cell[CELLS_ROW];
    *out = (struct heat){.shift = largest_shift(v)};
    out->n = place_segments(v, out->shift, place);
    out->segment = calloc(out->n + 1, sizeof(*out->segment));
    if (!out->segment)
        return -ENOMEM;
    for (size_t i = 0; i < v->n_weeks; i++)
        for (unsigned h = 0; h < HOURS_A_WEEK; h++) {
            const struct cells *c = &v->weeks[i]->cells;
            /* In order, so that the same cells give the same sums, to the last bit. */
            size_t n = cells_hour(c, h, cell);
            for (size_t k = 0; k < n; k++)
                add_cell(out, h, &cell[k], out->shift - c->shift, place,
                         demand_weight(d, v->weeks[i]->week));
        }
    return 0;
}

void heat_release(struct heat *h)
{
    free(h->segment);
    *h = (struct heat){0};
}

/* SEEN of N, filled up with the coarser pattern P of one. */
static double filled(double seen, double n, double p)
{
    return (seen + HEAT_PRIOR * p) / (n + HEAT_PRIOR);
}

void heat_spread(const struct heat *h, int64_t hour, double requests, struct heat_cell *out)
{
    unsigned of_week = (unsigned)(hour % HOURS_A_WEEK), day = of_day(of_week);
    for (size_t i = 0; i < h->n; i++)
        for (size_t k = 0; k < CELLS_KINDS; k++) {
            const struct heat_segment *s = &h->segment[i];
            double p = h->all > 0 ? s->all[k] / h->all : 0;
            p = filled(s->day[day][k], h->day[day], p);
            p = filled(s->week[of_week][k], h->week[of_week], p);
            out[i].of[k] = requests * p;
        }
}
