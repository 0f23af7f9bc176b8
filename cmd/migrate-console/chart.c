/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/chart.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/migrate-console/text.h"
#include "common/base/parse.h"

enum { HEIGHT = 12, MARGIN = 10, HOUR_S = 3600 };

struct hour {
    double start, requests, lower, upper;
};

static int by_start(const void *a, const void *b)
{
    double x = ((const struct hour *)a)->start, y = ((const struct hour *)b)->start;
    return x < y ? -1 : x > y;
}

static double field(const struct records *r, size_t row, const char *name)
{
    double v = 0;
    parse_f64(records_get(r, row, name), &v);
    return v;
}

/* The sites' hours, those of one time added up: owned, N of them. */
static struct hour *hours_of(const struct records *r, size_t *n)
{
    struct hour *h = calloc(records_n(r) + 1, sizeof(*h));
    if (!h)
        words_no_memory();
    for (size_t i = 0; i < records_n(r); i++)
        h[i] = (struct hour){field(r, i, "start"), field(r, i, "requests"), field(r, i, "lower"),
                             field(r, i, "upper")};
    qsort(h, records_n(r), sizeof(*h), by_start);
    *n = 0;
    for (size_t i = 0; i < records_n(r); i++) {
        if (*n && h[*n - 1].start >= h[i].start) {
            h[*n - 1].requests += h[i].requests;
            h[*n - 1].lower += h[i].lower;
            h[*n - 1].upper += h[i].upper;
        } else {
            h[(*n)++] = h[i];
        }
    }
    return h;
}

/* What a bar, the rest of its interval, and the mark of its lower end look like. */
struct ink {
    const char *bar, *lower, *interval;
};

static const struct ink *ink(void)
{
    static const struct ink colour = {"\033[48;5;67m \033[m", "\033[48;5;25m \033[m",
                                      "\033[48;5;238m \033[m"};
    static const struct ink shades = {"▓", "█", "░"}, ascii = {"#", "@", ":"};
    return text_colour() ? &colour : text_is_utf8() ? &shades : &ascii;
}

/* The cell of H in the row whose lower edge is at FROM: surely, probably, perhaps or hardly. */
static const char *cell(const struct hour *h, double from, const struct ink *i)
{
    return from < h->lower      ? i->lower
           : from < h->requests ? i->bar
           : from < h->upper    ? i->interval
                                : " ";
}

static void print_row(const struct hour *h, size_t n, size_t times, double from)
{
    const struct ink *i = ink();
    for (size_t k = 0; k < n; k++)
        for (size_t t = 0; t < times; t++)
            fputs(cell(&h[k], from, i), stdout);
    putchar('\n');
}

static void print_axis(const struct hour *h, size_t n, size_t times)
{
    size_t skip = 0;
    printf("%*s ", MARGIN - 1, "UTC");
    for (size_t k = 0; k < n * times; k++) {
        unsigned hour = (unsigned)fmod(h[k / times].start / HOUR_S, 24);
        if (skip) {
            skip--;
        } else if (k % times == 0 && hour % 6 == 0 && k + 2 <= n * times) {
            printf("%02u", hour);
            skip = 1;
        } else {
            putchar(' ');
        }
    }
    putchar('\n');
}

void chart_forecast(struct console *c, const struct records *r)
{
    size_t n, room = text_columns() - MARGIN - 1;
    struct hour *h = hours_of(r, &n);
    double top = 0, sum = 0;
    (void)c;
    for (size_t i = 0; i < n; i++) {
        top = fmax(top, fmax(h[i].upper, h[i].requests));
        sum += h[i].requests;
    }
    if (n == 0) {
        puts("no forecast");
        free(h);
        return;
    }
    printf("%s: %.0f requests predicted in %zu hours; surely, probably, perhaps: %s %s %s\n",
           records_get(r, 0, "volume"), sum, n, ink()->lower, ink()->bar, ink()->interval);
    n = room && n > room ? room : n;
    size_t times = room / n > 4 ? 4 : room / n;
    for (int row = HEIGHT - 1; row >= 0; row--) {
        if (row % 3 == HEIGHT % 3)
            printf("%*.0f ", MARGIN - 1, top * row / HEIGHT);
        else
            printf("%*s", MARGIN, "");
        print_row(h, n, times, top * row / HEIGHT);
    }
    print_axis(h, n, times);
    free(h);
}
