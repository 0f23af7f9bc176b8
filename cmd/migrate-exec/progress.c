/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/clock.h"

enum { REDRAW_US = 200 * 1000, BAR = 20, COLUMNS = 80, COLUMNS_MAX = 250 };

static const double mib = 1048576;

void progress_init(struct progress *p)
{
    *p = (struct progress){.on = isatty(STDERR_FILENO) == 1};
}

void progress_line(char *out, size_t size, const char *what, const char *phase, uint64_t done,
                   uint64_t total, double rate)
{
    static const char full[] = "####################";
    double part = total ? (double)(done < total ? done : total) / (double)total : 1;
    double left = (double)(done < total ? total - done : 0);
    int marks = (int)(part * BAR);
    int n = snprintf(out, size, "%.24s %s [%.*s%*s] %3.0f%%, %.1f MiB left", what, phase, marks,
                     full, BAR - marks, "", part * 100, left / mib);
    if (rate > 0 && n > 0 && (size_t)n < size) {
        double s = left / rate;
        uint64_t whole = s < 359999 ? (uint64_t)s : 359999;
        snprintf(out + n, size - (size_t)n, ", %.1f MiB/s, %u:%02u:%02u", rate / mib,
                 (unsigned)(whole / 3600), (unsigned)(whole / 60 % 60), (unsigned)(whole % 60));
    }
}

/* What a line may take without the terminal breaking it. */
static int columns(void)
{
    struct winsize w;
    int n = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col : COLUMNS;
    return n < COLUMNS_MAX ? n - 1 : COLUMNS_MAX;
}

void progress_show(struct progress *p, const char *what, const char *phase, uint64_t done,
                   uint64_t total)
{
    uint64_t now = clock_mono_us();
    if (p->cell) {
        atomic_store(&p->cell->done, strcmp(phase, "proof") == 0 ? total + done : done);
        atomic_store(&p->cell->total, 2 * total);
        return;
    }
    if (!p->on || total == 0 || (p->shown && now - p->last_us < REDRAW_US))
        return;
    if (p->phase != phase)
        p->rate = (struct rate){.n = 0};
    p->phase = phase;
    p->last_us = now;
    p->shown = true;
    rate_add(&p->rate, now, done);
    char line[COLUMNS_MAX + 1];
    progress_line(line, sizeof(line), what, phase, done, total, rate_per_second(&p->rate));
    fprintf(stderr, "\r\033[K%.*s", columns(), line);
    fflush(stderr);
}

void progress_clear(struct progress *p)
{
    if (!p->shown && !(p->on && p->cell)) /* another process may show one */
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->shown = false;
}
