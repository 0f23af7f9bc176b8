/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "common/plan/figure.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

struct plan_figure plan_size_figure(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct plan_figure f;
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1024 && u + 1 < sizeof(units) / sizeof(*units)) {
        v /= 1024;
        u++;
    }
    snprintf(f.text, sizeof(f.text), u ? "%.1f %s" : "%.0f %s", v, units[u]);
    return f;
}

struct plan_figure plan_span_figure(double s)
{
    struct plan_figure f;
    if (fabs(s) < 120)
        snprintf(f.text, sizeof(f.text), "%.0f s", s);
    else if (fabs(s) < 7200)
        snprintf(f.text, sizeof(f.text), "%.0f min", s / 60);
    else if (fabs(s) < 172800)
        snprintf(f.text, sizeof(f.text), "%.1f h", s / 3600);
    else
        snprintf(f.text, sizeof(f.text), "%.1f d", s / 86400);
    return f;
}
