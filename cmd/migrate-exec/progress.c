/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { REDRAW_US = 200 * 1000, BAR = 30 };

void progress_init(struct progress *p)
{
    *p = (struct progress){.on = isatty(STDERR_FILENO) == 1};
}

void progress_show(struct progress *p, const char *what, uint64_t done, uint64_t total)
{
    static const char full[] = "##############################";
    uint64_t now = clock_mono_us();
    if (!p->on || total == 0 || now - p->last_us < REDRAW_US)
        return;
    p->last_us = now;
    p->shown = true;
    double part = (double)done / (double)total;
    int marks = (int)(part * BAR);
    fprintf(stderr, "\r%.60s [%.*s%*s] %3.0f%% of %.1f MiB ", what, marks, full, BAR - marks, "",
            part * 100, (double)total / 1048576);
    fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (!p->shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->shown = false;
}
