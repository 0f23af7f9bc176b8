/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A calendar file of any bytes, asked at any time.  Held to: it is refused with a reason and a
 * status for it, or the search for the next opening ends, at a moment that is open, with none that
 * is before it; a calendar without rules is always open.
 *
 * The first eight bytes are the time and whether a header stands before the rest.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/buf.h"
#include "common/plan/calendar_file.h"
#include "common/record/record.h"
#include "folder.h"
#include "fuzz.h"

enum { ASK_BYTES = 8, PROBES = 64 };

static const double day_s = 86400, year_s = 366 * 86400.0;

/* ---- the file ---- */

static void write_file(const struct buf *text)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/calendar.csv", folder());
    FILE *f = fopen(path, "w");
    require(f && fwrite(text->data, 1, text->len, f) == text->len && fclose(f) == 0);
}

/* ---- what is held to ---- */

static void check_refused(const struct refused *e)
{
    require(e->text[0] && !strchr(e->text, '\n'));
    require(e->status == EX_CONFIG || e->status == EX_IOERR || e->status == EX_NOINPUT);
}

/* Is it closed from FROM up to UNTIL, as far as one can see? */
static void check_closed(const struct plan_calendar *c, double from, double until)
{
    for (int i = 0; i < PROBES; i++) {
        const double time = from + (until - from) * i / PROBES;
        require(time >= until || !plan_calendar_open(c, time));
    }
    for (size_t i = 0; i < c->n_blackouts; i++)
        if (c->blackouts[i].until_s >= from && c->blackouts[i].until_s < until)
            require(!plan_calendar_open(c, c->blackouts[i].until_s));
    for (size_t i = 0; i < c->n_windows; i++)
        for (double d = floor(from / day_s) * day_s; d < until && d < from + 9 * day_s; d += day_s)
            if (d + c->windows[i].from_s >= from && d + c->windows[i].from_s < until)
                require(!plan_calendar_open(c, d + c->windows[i].from_s));
}

static void ask(const struct plan_calendar *c, double time)
{
    const double next = plan_calendar_next(c, time);
    require(c->n_windows || c->n_blackouts || next == time);
    require((next == time) == plan_calendar_open(c, time));
    if (isfinite(next)) {
        require(next >= time && next <= time + year_s && plan_calendar_open(c, next));
        check_closed(c, time, next);
    } else {
        require(next > 0);
        check_closed(c, time, time + 365 * day_s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan_calendar c = {0};
    struct refused e = {0};
    struct buf text = {0};
    uint64_t asked;
    if (size < ASK_BYTES)
        return 0;
    memcpy(&asked, data, sizeof(asked));
    if (asked & 1)
        require(buf_adds(&text, "rule,from,until,reason\n") == 0);
    require(buf_add(&text, data + ASK_BYTES, size - ASK_BYTES) == 0);
    write_file(&text);
    if (plan_calendar_load(&c, folder(), &e) < 0)
        check_refused(&e);
    else
        /* Any microsecond that a record can have. */
        ask(&c, (double)(asked >> 1) / 1e6 > REC_TIME_MAX ? (double)(asked % (1u << 31))
                                                          : (double)(asked >> 1) / 1e6);
    plan_calendar_release(&c);
    buf_release(&text);
    return 0;
}
