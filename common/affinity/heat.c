/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/affinity/heat.h"

/* The heat of segment S in the hours FROM … TO − 1 of the day. */
static struct heat_cell heat_of(const struct demand_segment *s, size_t from, size_t to)
{
    struct heat_cell c = {0};
    for (size_t h = from; h < to; h++)
        for (size_t k = 0; k < DEMAND_KINDS; k++)
            c.of[k] += s->heat[h][k];
    return c;
}

/* All requests remembered of the hours FROM … TO − 1 of the day. */
static double requests_of(const struct demand_volume *v, size_t from, size_t to)
{
    double sum = 0;
    for (size_t i = 0; i < v->n_segments; i++) {
        struct heat_cell c = heat_of(v->segments[i], from, to);
        sum += c.of[DEMAND_READS] + c.of[DEMAND_WRITES];
    }
    for (size_t h = from; h < to; h++)
        sum += v->flushes[h];
    return sum;
}

void heat_spread(const struct demand_volume *v, int64_t hour, double requests,
                 struct heat_cell *out)
{
    size_t from = (size_t)(hour % HOURS_A_DAY), to = from + 1;
    double all = requests_of(v, from, to);
    if (all <= 0) {
        from = 0;
        to = HOURS_A_DAY;
        all = requests_of(v, from, to);
    }
    for (size_t i = 0; i < v->n_segments; i++) {
        out[i] = heat_of(v->segments[i], from, to);
        for (size_t k = 0; k < DEMAND_KINDS; k++)
            out[i].of[k] *= all > 0 ? requests / all : 0;
    }
}
