/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pictures as one SVG file (W3C, "Scalable Vector Graphics 1.1", 2011), one below another. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/affinity-profile/picture.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

enum { CELL_W = 8, CELL_H = 10, LEFT = 120, GAP = 12, TITLE = 26, AXIS = 16, COLUMNS = 192 };

/* From dark to light, readable without colours too. */
static const char *const colours[] = {"#f4f4f4", "#fde8c8", "#fdd49e", "#fdbb84", "#fc8d59",
                                      "#ef6548", "#d7301f", "#b30000", "#7f0000"};
enum { LEVELS = sizeof(colours) / sizeof(colours[0]) };

static void need(int r)
{
    if (r < 0)
        err_die(EX_OSERR, "%s", err_text(ENOMEM));
}

/* Names hold no character that means something in XML (parse_name()). */
static void add_text(struct buf *b, size_t x, size_t y, const char *anchor, const char *text)
{
    need(buf_printf(b, "<text x=\"%zu\" y=\"%zu\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                    text));
}

static void add_row(struct buf *b, const struct picture *pic, const struct picture_row *r,
                    double most, size_t y)
{
    add_text(b, LEFT - 6, y + CELL_H - 2, "end", r->label);
    for (size_t i = 0; i < pic->columns; i++) {
        if (isnan(r->value[i]))
            continue;
        size_t level = picture_level(r->value[i], most, LEVELS);
        need(buf_printf(b,
                        "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" fill=\"%s\">"
                        "<title>%.1f</title></rect>\n",
                        LEFT + i * CELL_W, y, CELL_W, CELL_H, colours[level], r->value[i]));
    }
}

static void add_axis(struct buf *b, const struct picture *pic, size_t y)
{
    for (size_t i = 0; i < pic->columns; i++) {
        time_t t = (time_t)(pic->hour + (int64_t)(i * pic->hours)) * 3600;
        struct tm tm;
        char text[32];
        if (t / 3600 % HOURS_A_DAY >= (int64_t)pic->hours || !gmtime_r(&t, &tm))
            continue;
        strftime(text, sizeof(text), "%a %d %b", &tm);
        add_text(b, LEFT + i * CELL_W, y + 11, "start", text);
    }
}

/* Where the past ends. */
static void add_now(struct buf *b, const struct picture *pic, size_t from, size_t to)
{
    size_t x = LEFT + pic->past * CELL_W;
    need(buf_printf(b, "<line x1=\"%zu\" y1=\"%zu\" x2=\"%zu\" y2=\"%zu\" stroke=\"#333\"/>\n", x,
                    from, x, to));
}

/* The picture of one volume, from Y on; where it ends. */
static size_t add_volume(struct buf *b, const struct picture *pic, size_t y)
{
    need(buf_printf(b,
                    "<text x=\"6\" y=\"%zu\" font-weight=\"bold\">%s: past | predicted, %.0f "
                    "requests in %zu hours; %s a line; UTC</text>\n",
                    y + 14, pic->volume, pic->predicted, pic->past * pic->hours, pic->unit));
    y += TITLE;
    size_t top = y;
    for (size_t part = 0; part < PICTURE_PARTS; part++) {
        for (size_t i = 0; i < pic->n[part]; i++, y += CELL_H)
            add_row(b, pic, &pic->row[part][i], pic->most[part], y);
        if (part == PICTURE_SEGMENTS) {
            add_axis(b, pic, y);
            y += AXIS - GAP / 2;
        }
        y += GAP / 2;
    }
    add_now(b, pic, top - 4, y);
    return y + GAP;
}

void svg_heat(const struct profile *p, const struct demand_volume *const *v, size_t n,
              double ahead_s, const char *path)
{
    struct buf body = {0}, file = {0};
    size_t y = GAP, columns = 0;
    for (size_t i = 0; i < n; i++) {
        struct picture pic;
        picture_make(p, v[i], ahead_s, COLUMNS, &pic);
        y = add_volume(&body, &pic, y);
        columns = pic.columns > columns ? pic.columns : columns;
        picture_release(&pic);
    }
    need(buf_printf(&file,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" "
                    "font-family=\"sans-serif\" font-size=\"10\">\n"
                    "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                    LEFT + columns * CELL_W + GAP, y));
    need(buf_add(&file, body.data, body.len));
    need(buf_adds(&file, "</svg>\n"));
    int r = fsfile_put(path, file.data, file.len);
    if (r < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", path, err_text(r));
    buf_release(&body);
    buf_release(&file);
}
