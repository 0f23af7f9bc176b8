/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The predicted heat as a picture: a line a part of the volume, a character an hour. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/affinity-profile/profile.h"
#include "common/affinity/heat.h"
#include "common/base/error.h"

enum { CHART_ROWS = 24, CHART_COLUMNS = HOURS_A_WEEK, CHART_LEVELS = 9, LABEL = 14 };

/* How a level between nothing and the maximum is drawn. */
struct palette {
    const char *const *cell; /* [CHART_LEVELS] */
};

static const char *const ascii_cells[CHART_LEVELS] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
static const char *const shade_cells[CHART_LEVELS] = {" ", "░", "░", "▒", "▒", "▓", "▓", "█", "█"};
static const char *const colour_cells[CHART_LEVELS] = {
    " ",
    "\033[48;5;17m \033[m",
    "\033[48;5;18m \033[m",
    "\033[48;5;54m \033[m",
    "\033[48;5;90m \033[m",
    "\033[48;5;126m \033[m",
    "\033[48;5;167m \033[m",
    "\033[48;5;208m \033[m",
    "\033[48;5;220m \033[m",
};

struct grid {
    double cell[CHART_ROWS][CHART_COLUMNS];
    size_t rows, columns;
    double most;
};

static struct palette palette_for(void)
{
    const char *no_colour = getenv("NO_COLOR");
    if (isatty(STDOUT_FILENO) && !(no_colour && *no_colour))
        return (struct palette){colour_cells};
    setlocale(LC_CTYPE, "");
    const char *charset = nl_langinfo(CODESET);
    return (struct palette){strcmp(charset, "UTF-8") == 0 ? shade_cells : ascii_cells};
}

static void grid_add(struct grid *g, size_t row, size_t column, double v)
{
    g->cell[row][column] += v;
    if (g->cell[row][column] > g->most)
        g->most = g->cell[row][column];
}

static void print_row(const struct grid *g, size_t row, const char *label, struct palette pal)
{
    printf("%*.*s |", LABEL, LABEL, label);
    for (size_t i = 0; i < g->columns; i++) {
        /* The square root shows the quiet hours too. */
        double part = g->most > 0 ? sqrt(g->cell[row][i] / g->most) : 0;
        size_t level = (size_t)ceil(part * (CHART_LEVELS - 1));
        fputs(pal.cell[level], stdout);
    }
    puts("|");
}

/* The hours of the day, every six hours. */
static void print_axis(int64_t hour, size_t columns)
{
    printf("%*s  ", LABEL, "UTC");
    for (size_t i = 0; i < columns;) {
        int64_t of_day = (hour + (int64_t)i) % HOURS_A_DAY;
        if (of_day % 6 == 0 && i + 2 <= columns) {
            printf("%02d", (int)of_day);
            i += 2;
        } else {
            putchar(' ');
            i++;
        }
    }
    putchar('\n');
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

/* Segments a row, so that all that were touched fit. */
static size_t segments_a_row(const struct demand_volume *v)
{
    size_t last = v->n_segments ? v->segments[v->n_segments - 1]->index : 0;
    return last / CHART_ROWS + 1;
}

static double fill_segments(const struct demand_volume *v, const struct outlook *o, struct grid *g)
{
    struct heat_cell *cell = calloc(v->n_segments + 1, sizeof(*cell));
    double sum = 0;
    size_t per_row = segments_a_row(v);
    if (!cell)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    for (size_t i = 0; i < g->columns; i++) {
        double requests = 0;
        for (size_t c = 0; c < o->n; c++)
            requests += o->site[c].point[i].requests;
        sum += requests;
        heat_spread(v, o->hour + (int64_t)i, requests, cell);
        for (size_t s = 0; s < v->n_segments; s++)
            grid_add(g, v->segments[s]->index / per_row, i,
                     cell[s].of[DEMAND_READS] + cell[s].of[DEMAND_WRITES]);
    }
    free(cell);
    return sum;
}

static void draw_segments(const struct demand_volume *v, const struct outlook *o,
                          struct palette pal)
{
    struct grid g = {.columns = o->hours};
    char label[32], unit[32];
    size_t per_row = segments_a_row(v);
    double sum = fill_segments(v, o, &g);
    size_text(unit, sizeof(unit), (uint64_t)per_row << v->shift);
    printf("%s: %.0f requests predicted in %zu hours, %s a line\n", v->volume, sum, o->hours, unit);
    size_t last = v->n_segments ? v->segments[v->n_segments - 1]->index : 0;
    for (size_t row = 0; row <= last / per_row; row++) {
        size_text(label, sizeof(label), (uint64_t)(row * per_row) << v->shift);
        print_row(&g, row, label, pal);
    }
}

/* A line for each gateway: the requests that are near to it. */
static void draw_gateways(const struct profile *p, const struct demand_volume *v,
                          const struct outlook *o, struct palette pal)
{
    size_t n = p->fleet.gateway_names.n;
    double *by_gateway = calloc(n + 1, sizeof(*by_gateway));
    struct grid g = {.columns = o->hours};
    if (!by_gateway)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
    for (size_t i = 0; i < g.columns; i++) {
        report_by_gateway(p, v, o, i, by_gateway);
        for (size_t k = 0; k < n && k < CHART_ROWS; k++)
            grid_add(&g, k, i, by_gateway[k]);
    }
    for (size_t k = 0; k < n && k < CHART_ROWS; k++)
        print_row(&g, k, p->fleet.gateways[k].name, pal);
    free(by_gateway);
}

void chart_heat(const struct profile *p, double ahead_s)
{
    struct palette pal = palette_for();
    const struct demand_volume **v = profile_volumes(p);
    size_t hours = (size_t)ceil(ahead_s / 3600);
    for (size_t i = 0; p->now >= 0 && i < p->demand.volumes.n; i++) {
        struct outlook o;
        outlook_make(p, v[i], hours < CHART_COLUMNS ? hours : CHART_COLUMNS, &o);
        draw_segments(v[i], &o, pal);
        print_axis(o.hour, o.hours);
        draw_gateways(p, v[i], &o, pal);
        outlook_release(&o);
    }
    free(v);
}
