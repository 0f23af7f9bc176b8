/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The comparison as an SVG file (W3C, "Scalable Vector Graphics 1.1", 2011). */
#include <errno.h>
#include <math.h>
#include <time.h>

#include "cmd/migrate-replay/chart.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"

enum {
    LEFT = 150,
    BAR_W = 480,
    ROW_H = 40,
    BAR_H = 12,
    TIME_H = 16,
    TOP = 46,
    RIGHT = 250,
    BOTTOM = 22,
    WIDTH = LEFT + BAR_W + RIGHT
};

static void need(int err)
{
    if (err < 0)
        err_die(EX_OSERR, "out of memory");
}

static void add_text(struct buf *b, double x, double y, const char *anchor, const char *text)
{
    need(buf_printf(b, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                    text));
}

static void add_box(struct buf *b, double x, double y, double w, double h, const char *colour)
{
    if (w > 0 && h > 0)
        need(buf_printf(b,
                        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                        "fill=\"%s\"/>\n",
                        x, y, w, h, colour));
}

static const char failed_colour[] = "#b30000", degraded_colour[] = "#fdbb84",
                  time_colour[] = "#777777";

static void add_figures(struct buf *b, const struct chart_row *r, double x, double y)
{
    const double all = r->requests > 0 ? r->requests : 1;
    char text[128];
    snprintf(text, sizeof(text), "%.3f %% failed, %.3f %% degraded", 100 * r->failed / all,
             100 * r->degraded / all);
    add_text(b, x, y + BAR_H - 2, "start", text);
    snprintf(text, sizeof(text), "moves: %llu for health (%llu needless), %llu for affinity",
             (unsigned long long)r->health_moves, (unsigned long long)r->mismigrations,
             (unsigned long long)r->affinity_moves);
    add_text(b, x, y + BAR_H + TIME_H - 2, "start", text);
}

/* Labels are a policy's name and a limit's with its value: nothing that means something in XML. */
static void add_row(struct buf *b, const struct chart *c, const struct chart_row *r, double y)
{
    const double most = chart_most(c), most_part = chart_most_of_part(c);
    const double failed = r->failed / most * BAR_W, degraded = r->degraded / most * BAR_W;
    const double part = (double)BAR_W / TALLY_PARTS;
    add_text(b, LEFT - 8, y + BAR_H - 2, "end", r->label);
    add_box(b, LEFT, y, failed, BAR_H, failed_colour);
    add_box(b, LEFT + failed, y, degraded, BAR_H, degraded_colour);
    for (int i = 0; i < TALLY_PARTS; i++) {
        const double h = sqrt(r->bad[i] / most_part) * (TIME_H - 2);
        add_box(b, LEFT + i * part, y + BAR_H + TIME_H - h, part - 0.5, h, time_colour);
    }
    add_figures(b, r, LEFT + BAR_W + 8, y);
}

static void add_day(struct buf *b, double time, double x, double y, const char *anchor)
{
    const time_t t = (time_t)time;
    struct tm tm;
    char text[32];
    if (!gmtime_r(&t, &tm))
        return;
    strftime(text, sizeof(text), "%d %b %Y", &tm);
    add_text(b, x, y, anchor, text);
}

static void add_head(struct buf *b, double height)
{
    need(buf_printf(b,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
                    "font-family=\"sans-serif\" font-size=\"10\">\n"
                    "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                    WIDTH, height));
    need(buf_printf(b,
                    "<text x=\"%d\" y=\"16\" font-weight=\"bold\">Requests that met a failed or "
                    "degraded gateway</text>\n",
                    LEFT));
    add_box(b, LEFT, 24, 10, 10, failed_colour);
    add_text(b, LEFT + 14, 33, "start", "failed");
    add_box(b, LEFT + 60, 24, 10, 10, degraded_colour);
    add_text(b, LEFT + 74, 33, "start", "degraded");
    add_box(b, LEFT + 140, 24, 10, 10, time_colour);
    add_text(b, LEFT + 154, 33, "start", "both, when (square root)");
}

void chart_svg(const struct chart *c, const char *path)
{
    struct buf b = {0};
    const double axis = TOP + ROW_H * (double)c->n;
    add_head(&b, axis + BOTTOM);
    for (size_t i = 0; i < c->n; i++)
        add_row(&b, c, &c->rows[i], TOP + ROW_H * (double)i);
    add_day(&b, c->start, LEFT, axis + 8, "start");
    add_day(&b, c->end, LEFT + BAR_W, axis + 8, "end");
    need(buf_adds(&b, "</svg>\n"));
    const int err = fsfile_put(path, b.data, b.len);
    if (err < 0)
        err_die(EX_CANTCREAT, "cannot create '%s': %s", path, err_text(err));
    buf_release(&b);
}
