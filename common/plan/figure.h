/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes and spans of time as people read them. */
#ifndef GS_PLAN_FIGURE_H
#define GS_PLAN_FIGURE_H

#include <stdint.h>

struct plan_figure {
    char text[32];
};

/* "512 B", "1.5 GiB". */
struct plan_figure plan_size_figure(uint64_t bytes);

/* Of S seconds: "90 s", "22 min", "3.5 h", "2.1 d". */
struct plan_figure plan_span_figure(double s);

#endif
