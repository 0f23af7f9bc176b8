/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/term.h"

enum { WIDTH = 100, WIDTH_MIN = 60, LABEL = 24, LEVELS = 8 };

void chart_release(struct chart *c)
{
    free(c->rows);
    *c = (struct chart){0};
}

static struct chart_row *row_of(struct chart *c, const char *label)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->rows[i].label, label) == 0)
            return &c->rows[i];
    if (vec_room(&c->rows, c->n, &c->cap, sizeof(*c->rows)) < 0)
        err_die(EX_OSERR, "out of memory");
    struct chart_row *row = &c->rows[c->n++];
    *row = (struct chart_row){0};
    snprintf(row->label, sizeof(row->label), "%s", label);
    return row;
}

void chart_add(struct chart *c, const char *policy, const char *setting, const struct tally *t)
{
    char label[CHART_LABEL];
    snprintf(label, sizeof(label), "%s%s%s", policy, *setting ? " " : "", setting);
    struct chart_row *row = row_of(c, label);
    row->requests += t->requests;
    row->failed += t->failed;
    row->degraded += t->degraded;
    row->health_moves += t->health_moves;
    row->affinity_moves += t->affinity_moves;
    row->mismigrations += t->mismigrations;
    for (int i = 0; i < TALLY_PARTS; i++)
        row->bad[i] += t->bad[i];
}

double chart_most(const struct chart *c)
{
    double most = 1;
    for (size_t i = 0; i < c->n; i++)
        most = fmax(most, c->rows[i].failed + c->rows[i].degraded);
    return most;
}

double chart_most_of_part(const struct chart *c)
{
    double most = 1;
    for (size_t i = 0; i < c->n; i++)
        for (int k = 0; k < TALLY_PARTS; k++)
            most = fmax(most, c->rows[i].bad[k]);
    return most;
}

/* A share of N characters, of what is not nothing at least one. */
static size_t cells(double v, double most, size_t n)
{
    return v > 0 ? (size_t)fmax(1, round(v / most * (double)n)) : 0;
}

static void repeat(FILE *out, const char *what, size_t n)
{
    while (n--)
        fputs(what, out);
}

static void print_bar(const struct chart_row *r, double most, size_t room, bool utf8, FILE *out)
{
    const size_t failed = cells(r->failed, most, room), degraded = cells(r->degraded, most, room);
    const double all = r->requests > 0 ? r->requests : 1;
    fprintf(out, "%-*s ", LABEL, r->label);
    repeat(out, utf8 ? "█" : "#", failed);
    repeat(out, utf8 ? "▒" : "+", degraded);
    fprintf(out, " %.3f%% failed, %.3f%% degraded\n", 100 * r->failed / all,
            100 * r->degraded / all);
}

/* When it was; by the square root, which shows the little too. */
static void print_time(const struct chart_row *r, double most, bool utf8, FILE *out)
{
    static const char *const bars[LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[LEVELS] = {".", ":", "-", "=", "+", "*", "#", "@"};
    fprintf(out, "%*s ", LABEL, "");
    for (int i = 0; i < TALLY_PARTS; i += 2) {
        const double v = (r->bad[i] + r->bad[i + 1]) / 2 / most;
        const int level = (int)fmin(sqrt(v) * LEVELS, LEVELS - 1);
        fputs(v > 0 ? (utf8 ? bars : ascii)[level] : " ", out);
    }
    fprintf(out, "| moves: %llu for health, %llu of them needless; %llu for affinity\n",
            (unsigned long long)r->health_moves, (unsigned long long)r->mismigrations,
            (unsigned long long)r->affinity_moves);
}

void chart_print(const struct chart *c, FILE *out)
{
    const bool utf8 = term_utf8();
    const size_t room = term_width(WIDTH, WIDTH_MIN) - LABEL - 32;
    fprintf(out, "requests on failed (%s) and degraded (%s) gateways; below, when that was\n",
            utf8 ? "█" : "#", utf8 ? "▒" : "+");
    for (size_t i = 0; i < c->n; i++) {
        print_bar(&c->rows[i], chart_most(c), room, utf8, out);
        print_time(&c->rows[i], chart_most_of_part(c), utf8, out);
    }
}
