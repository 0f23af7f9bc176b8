/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pictures as text: a line a part of the volume, a site or a gateway, a character some hours. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/affinity-profile/picture.h"
#include "common/base/term.h"

enum { LEVELS = 9, LABEL = 14, WIDTH = 120, WIDTH_MIN = 40 };

/* How a level between nothing and the maximum is drawn. */
typedef const char *const palette[LEVELS];

static palette ascii_cells = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
static palette shade_cells = {" ", "░", "░", "▒", "▒", "▓", "▓", "█", "█"};
static palette colour_cells = {
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

static const char *const *cells_for_output(void)
{
    if (term_colour())
        return colour_cells;
    return term_utf8() ? shade_cells : ascii_cells;
}

static void draw_row(const struct picture *pic, const struct picture_row *r, double most,
                     const char *const *cell)
{
    printf("%*.*s |", LABEL, LABEL, r->label);
    for (size_t i = 0; i < pic->columns; i++) {
        if (i == pic->past)
            putchar('|');
        fputs(isnan(r->value[i]) ? " " : cell[picture_level(r->value[i], most, LEVELS)], stdout);
    }
    puts("|");
}

/* The hours of the day, at every sixth or, where a column is more hours, at midnight. */
static void draw_axis(const struct picture *pic)
{
    size_t every = pic->hours <= 3 ? 6 : HOURS_A_DAY, skip = 0;
    printf("%*s  ", LABEL, "UTC");
    for (size_t i = 0; i < pic->columns; i++) {
        int64_t hour = pic->hour + (int64_t)(i * pic->hours);
        bool mark = hour % (int64_t)every < (int64_t)pic->hours && i + 2 <= pic->columns;
        if (i == pic->past && !skip)
            putchar(' ');
        if (skip) {
            skip--;
        } else if (mark) {
            printf("%02d", (int)(hour % HOURS_A_DAY / (int64_t)every * (int64_t)every));
            skip = i + 1 == pic->past ? 0 : 1;
        } else {
            putchar(' ');
        }
    }
    putchar('\n');
}

static void draw(const struct picture *pic, const char *const *cell)
{
    printf(
        "%s: %.0f requests predicted in %zu hours, %s a line; %zu %s a column, past | predicted\n",
        pic->volume, pic->predicted, pic->past * pic->hours, pic->unit, pic->hours,
        pic->hours == 1 ? "hour" : "hours");
    for (size_t part = 0; part < PICTURE_PARTS; part++) {
        for (size_t i = 0; i < pic->n[part]; i++)
            draw_row(pic, &pic->row[part][i], pic->most[part], cell);
        if (part == PICTURE_SEGMENTS)
            draw_axis(pic);
    }
}

void chart_heat(const struct profile *p, const struct demand_volume *const *v, size_t n,
                double ahead_s)
{
    const char *const *cell = cells_for_output();
    size_t room = term_width(WIDTH, WIDTH_MIN) - LABEL - 5;
    for (size_t i = 0; i < n; i++) {
        struct picture pic;
        picture_make(p, v[i], ahead_s, room, &pic);
        draw(&pic, cell);
        picture_release(&pic);
    }
}
