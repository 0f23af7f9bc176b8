/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/sample.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-console/moves.h"
#include "cmd/migrate-console/text.h"
#include "common/base/clock.h"

enum { WIDE = 110 };

/* A rate follows the last look by so much. */
static const double freshness = 0.3;

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

/* ---- the director's lines ---- */

/* The number at KEY of LINE; NaN: none. */
static double number(const char *line, const char *key)
{
    char text[64];
    double v;
    words_value(line, key, text, sizeof(text));
    return parse_f64(text, &v) < 0 ? NAN : v;
}

/* The line of VOLUME in TEXT, NUL-terminated: owned; NULL: it is not open. */
static char *line_of(const struct buf *text, const char *volume)
{
    char name[NAME_LEN_MAX + 1];
    for (const char *p = text->len ? text->data : ""; *p;) {
        size_t len = strcspn(p, "\n");
        char *line = strndup(p, len);
        words_need(line ? 0 : -ENOMEM);
        words_value(line, "volume", name, sizeof(name));
        if (strcmp(name, volume) == 0)
            return line;
        free(line);
        p += len + (p[len] == '\n');
    }
    return NULL;
}

static void note(struct console *c, const struct latency *l)
{
    for (size_t i = 0; i < c->n_latencies; i++) {
        if (strcmp(c->latencies[i].volume, l->volume) == 0) {
            c->latencies[i] = *l;
            return;
        }
    }
    words_need(vec_room(&c->latencies, c->n_latencies, &c->cap_latencies, sizeof(*c->latencies)));
    c->latencies[c->n_latencies++] = *l;
}

void sample_note_latencies(struct console *c, const struct buf *director)
{
    char phase[32];
    for (const char *p = director->len ? director->data : ""; *p;) {
        size_t len = strcspn(p, "\n");
        char *line = strndup(p, len);
        words_need(line ? 0 : -ENOMEM);
        struct latency l = {"", number(line, "read_us_p99"), number(line, "write_us_p99")};
        words_value(line, "volume", l.volume, sizeof(l.volume));
        words_value(line, "phase", phase, sizeof(phase));
        if (*l.volume && strcmp(phase, "steady") == 0)
            note(c, &l);
        free(line);
        p += len + (p[len] == '\n');
    }
}

/* ---- tracks ---- */

static struct track *track_of(struct sample *s, const struct records *r, size_t row, bool add)
{
    const char *id = records_get(r, row, "migration");
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->track[i].id, id) == 0)
            return &s->track[i];
    if (!add)
        return NULL;
    words_need(vec_room(&s->track, s->n, &s->cap, sizeof(*s->track)));
    struct track *t = &s->track[s->n++];
    *t = (struct track){.pause_us = NAN, .before = {"", NAN, NAN}};
    copy(t->id, sizeof(t->id), id);
    copy(t->volume, sizeof(t->volume), records_get(r, row, "volume"));
    copy(t->source, sizeof(t->source), records_get(r, row, "source"));
    copy(t->target, sizeof(t->target), records_get(r, row, "target"));
    return t;
}

static void advance(struct track *t, double done, double total)
{
    uint64_t now = clock_mono_us();
    if (t->seen_us && now > t->seen_us && total == t->total) {
        double rate = (done - t->done) / (double)(now - t->seen_us) * 1e6;
        rate = rate > 0 ? rate : 0;
        t->rate = t->rate > 0 ? freshness * rate + (1 - freshness) * t->rate : rate;
    }
    t->done = done;
    t->total = total;
    t->seen_us = now;
}

/* While the director has the move open it knows more than the journal. */
static void take_live(struct track *t, const char *line)
{
    char target[NAME_LEN_MAX + 1], verify[16];
    double size = number(line, "size"), missing = 0;
    static const char *const parts[] = {"dirty", "copying", "haunted"};
    t->read_us = number(line, "read_us_p99");
    t->write_us = number(line, "write_us_p99");
    words_value(line, "target", target, sizeof(target));
    if (t->over || strcmp(target, t->target) != 0 || !(size > 0))
        return;
    words_value(line, "phase", t->phase, sizeof(t->phase));
    words_value(line, "verify", verify, sizeof(verify));
    for (size_t i = 0; i < 3; i++)
        missing += number(line, parts[i]) > 0 ? number(line, parts[i]) : 0;
    bool proves = strcmp(verify, "none") != 0;
    double unproved = number(line, "unproved");
    /* What is not copied is not proved either, whether or not it is counted. */
    unproved = proves ? fmax(unproved > 0 ? unproved : 0, missing) : 0;
    advance(t, fmax((proves ? 2 : 1) * size - missing - unproved, 0), (proves ? 2 : 1) * size);
}

static void take_event(struct track *t, const struct records *r, size_t row)
{
    const char *event = records_get(r, row, "event");
    double pause, done = 0, total = 0;
    t->over = moves_is_over(event) || strcmp(event, "switched") == 0;
    copy(t->phase, sizeof(t->phase),
         t->over || strcmp(event, "deferred") == 0 || strcmp(event, "stalled") == 0 ||
                 strcmp(event, "manual-recovery") == 0
             ? event
             : records_get(r, row, "phase"));
    if (parse_f64(records_get(r, row, "pause_us"), &pause) == 0)
        t->pause_us = pause;
    parse_f64(records_get(r, row, "bytes_done"), &done);
    parse_f64(records_get(r, row, "bytes_total"), &total);
    if (strcmp(event, "switched") == 0)
        t->done = t->total = total > 0 ? total : 1;
    else if (!t->seen_us && total > 0)
        t->done = done, t->total = total;
    if (t->over)
        t->rate = 0;
}

int sample_take(struct sample *s, struct console *c, const struct buf *events,
                const struct buf *director)
{
    struct records r = {0};
    if (records_parse(&r, events) < 0)
        return -EBADMSG;
    sample_note_latencies(c, director);
    for (size_t i = 0; i < records_n(&r); i++) {
        const char *event = records_get(&r, i, "event");
        double time = 0;
        parse_f64(records_get(&r, i, "time"), &time);
        bool over = moves_is_over(event) || strcmp(event, "switched") == 0;
        struct track *t = track_of(s, &r, i, !over || time >= s->since);
        if (!t)
            continue;
        take_event(t, &r, i);
        char *line = line_of(director, t->volume);
        t->read_us = t->write_us = NAN;
        if (line)
            take_live(t, line);
        free(line);
        for (size_t k = 0; !*t->before.volume && k < c->n_latencies; k++)
            if (!t->over && strcmp(c->latencies[k].volume, t->volume) == 0)
                t->before = c->latencies[k];
    }
    records_release(&r);
    return 0;
}

void sample_release(struct sample *s)
{
    free(s->track);
    *s = (struct sample){0};
}

/* ---- the table ---- */

static void bar(struct buf *b, double part, size_t width)
{
    bool utf8 = text_is_utf8();
    size_t full = (size_t)(part * (double)width);
    for (size_t i = 0; i < width; i++)
        words_need(buf_adds(b, i < full ? (utf8 ? "█" : "#") : (utf8 ? "░" : ".")));
}

static void progress_cells(struct table *t, const struct track *m, size_t width)
{
    struct buf b = {0};
    double part = m->total > 0 ? m->done / m->total : 0;
    part = part > 1 ? 1 : part;
    bar(&b, part, width);
    words_need(buf_printf(&b, " %3.0f%%", floor(part * 100)));
    table_take(t, &b);
    if (m->rate > 0) {
        text_bytes(&b, (uint64_t)m->rate);
        words_need(buf_adds(&b, "/s"));
    }
    table_take(t, &b);
    if (m->rate > 0 && !m->over)
        text_seconds(&b, (m->total - m->done) / m->rate);
    table_take(t, &b);
    buf_release(&b);
}

static void maybe_us(struct buf *b, double us)
{
    if (isnan(us))
        words_need(buf_adds(b, "-"));
    else
        text_us(b, us);
}

/* The worse of reading and writing, before the move and of late. */
static void latency_cell(struct table *t, const struct track *m)
{
    struct buf b = {0};
    double before = fmax(m->before.read_us, m->before.write_us),
           now = fmax(m->read_us, m->write_us);
    if (!isnan(before) || !isnan(now)) {
        maybe_us(&b, before);
        words_need(buf_adds(&b, ">"));
        maybe_us(&b, now);
    }
    table_take(t, &b);
    buf_release(&b);
}

void sample_table(const struct sample *s, size_t width, struct buf *out)
{
    static const char *const narrow[] = {"migration", "phase",  "progress", ">rate",
                                         ">ETA",      ">pause", ">p99",     NULL};
    static const char *const wide[] = {"migration", "volume", "from",   "to",   "phase", "progress",
                                       ">rate",     ">ETA",   ">pause", ">p99", NULL};
    struct table t = {0};
    struct buf b = {0};
    bool is_wide = width >= WIDE;
    table_begin(&t, is_wide ? wide : narrow);
    for (size_t i = 0; i < s->n; i++) {
        const struct track *m = &s->track[i];
        table_cell(&t, m->id);
        if (is_wide) {
            table_cell(&t, m->volume);
            table_cell(&t, m->source);
            table_cell(&t, m->target);
        }
        table_cell(&t, m->phase);
        progress_cells(&t, m, is_wide ? 30 : 10);
        if (!isnan(m->pause_us))
            text_us(&b, m->pause_us);
        table_take(&t, &b);
        latency_cell(&t, m);
    }
    table_format(&t, width, out);
    table_release(&t);
    buf_release(&b);
}
