/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/affinity-profile/count.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/affinity/adding.h"
#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/record/accesses.h"
#include "common/record/schema.h"

static int into_init(struct count_into *into, const struct profile *p)
{
    demand_init(&into->demand, p->demand.keep_hours);
    return names_init(&into->names, &p->fleet);
}

static void into_release(struct count_into *into)
{
    demand_release(&into->demand);
    names_release(&into->names);
}

int counter_init(struct counter *c, struct profile *p, const struct ingest *how)
{
    *c = (struct counter){.p = p, .how = how, .from_hour = INT64_MIN, .newest = -1};
    seen_run_init(&c->seen);
    c->reader = rec_reader_new(&rec_access);
    int r = into_init(&c->all, p);
    return c->reader ? r : -ENOMEM;
}

void counter_release(struct counter *c)
{
    for (size_t i = 0; i < c->n_open; i++)
        into_release(&c->open[i].into);
    free(c->open);
    into_release(&c->all);
    seen_run_release(&c->seen);
    rec_reader_free(c->reader);
    buf_release(&c->scratch);
}

/* ---- hours of a pipe ---- */

/* The open hour HOUR, added if new.  NULL: out of memory. */
static struct count_into *open_hour(struct counter *c, int64_t hour)
{
    size_t at = c->n_open;
    while (at && c->open[at - 1].hour > hour)
        at--;
    if (at && c->open[at - 1].hour == hour)
        return &c->open[at - 1].into;
    if (vec_room(&c->open, c->n_open, &c->cap_open, sizeof(*c->open)) < 0)
        return NULL;
    memmove(c->open + at + 1, c->open + at, (c->n_open - at) * sizeof(*c->open));
    c->open[at].hour = hour;
    c->n_open++;
    if (into_init(&c->open[at].into, c->p) < 0)
        return NULL;
    return &c->open[at].into;
}

/* Hours before BEFORE are complete. */
static int close_hours(struct counter *c, int64_t before)
{
    size_t n = 0;
    int r = 0;
    while (r == 0 && n < c->n_open && c->open[n].hour < before) {
        r = demand_merge(&c->all.demand, &c->open[n].into.demand);
        into_release(&c->open[n++].into);
    }
    memmove(c->open, c->open + n, (c->n_open - n) * sizeof(*c->open));
    c->n_open -= n;
    return r;
}

int64_t counter_close(struct counter *c, double lateness_s)
{
    int64_t before = (int64_t)floor((c->newest - lateness_s) / 3600);
    int r = close_hours(c, before);
    return r < 0 ? r : before;
}

/* Where a record of HOUR is counted.  NULL: out of memory. */
static struct count_into *into_of(struct counter *c, int64_t hour)
{
    if (!c->by_hour)
        return &c->all;
    /* Some at a time: merging costs the same for a thousand records as for one. */
    double lateness_s = c->p->index.seen.lateness_s;
    if (c->n_open > (size_t)(lateness_s / 3600) + 8 && counter_close(c, lateness_s) < 0)
        return NULL;
    return open_hour(c, hour);
}

/* ---- one record ---- */

/* "A,B", at AT of SCRATCH, in which there is room. */
static struct names_pair pair_of(struct buf *scratch, struct access_text a, struct access_text b)
{
    size_t at = scratch->len;
    buf_add(scratch, a.at, a.len);
    buf_add(scratch, ",", 1);
    buf_add(scratch, b.at, b.len);
    return (struct names_pair){scratch->data + at, scratch->len - at, a.len};
}

/* Counts A, of HOUR: 0 or -ENOMEM. */
static int count_access(struct counter *c, struct count_into *into, int64_t hour,
                        const struct access *a)
{
    struct demand_record r;
    buf_clear(&c->scratch);
    if (buf_reserve(&c->scratch, a->volume.len + a->gateway.len + a->client.len + a->op.len + 2))
        return -ENOMEM;
    struct names_pair route = pair_of(&c->scratch, a->volume, a->gateway);
    struct names_pair origin = pair_of(&c->scratch, a->client, a->op);
    if (names_find(&into->names, &into->demand, route, origin, &r) < 0)
        return -ENOMEM;
    r.hour = hour;
    r.offset = a->offset;
    r.length = a->length;
    r.count = a->count;
    return demand_add_later(&into->demand, &r);
}

/* Is the current record, of TIME, to be counted?  1, 0, or -ENOMEM. */
static int is_new(struct counter *c, double time)
{
    uint64_t d;
    if (c->how->source)
        return 1;
    enum seen_verdict verdict = seen_look(&c->p->index.seen, &c->seen, time);
    if (verdict != SEEN_ASK)
        return verdict == SEEN_COUNT;
    if (access_digest(c->reader, &c->scratch, &d) < 0)
        return -ENOMEM;
    return seen_new(&c->p->index.seen, &c->seen, time, d);
}

/* The hour of TIME; most often that of the record before, without a division. */
static inline int64_t hour_of(struct counter *c, double time)
{
    double since = time - (double)c->hour * 3600;
    /* Where a quotient may be rounded up to the next hour, it decides. */
    if (since < 0 || since > 3599)
        c->hour = (int64_t)(time / 3600);
    return c->hour;
}

static inline void note_time(struct counter *c, struct count_into *into, double time)
{
    if (time > c->newest)
        c->newest = time;
    if (into && time > into->demand.newest)
        into->demand.newest = time;
}

/* Counts A, the current record, if it is new: 1, 0, -ENOMEM; -ERANGE and -EDOM: see below. */
static int count_record(struct counter *c, const struct access *a)
{
    uint64_t end;
    int64_t hour = hour_of(c, a->time);
    if (a->time > c->how->latest)
        return -EDOM;
    /* Checked before it is noted as counted. */
    if (__builtin_add_overflow(a->offset, a->length, &end) || end > INT64_MAX)
        return -ERANGE;
    note_time(c, NULL, a->time);
    int fresh = hour < c->from_hour ? 0 : is_new(c, a->time);
    if (fresh <= 0)
        return fresh;
    struct count_into *into = into_of(c, hour);
    int e = into ? count_access(c, into, hour, a) : -ENOMEM;
    if (e == 0)
        note_time(c, into, a->time);
    return e < 0 ? e : 1;
}

/* ---- many records ---- */

/* Some lines, and what was read of the first of them. */
struct batch {
    struct rec_lines lines;
    struct accesses read;
};

/* The line I of B as access_digest() does it: without a count that is empty. */
static uint64_t digest_of(const struct batch *b, size_t i)
{
    const char *line = i ? b->read.line[i - 1].end : b->lines.text;
    const char *newline = b->read.line[i].end - 1;
    bool no_count = b->lines.fields > ACCESS_COUNT && newline[-1] == ',';
    return hash64(line, (size_t)(newline - line) - no_count);
}

static inline struct names_pair route_of(const struct access_line *l)
{
    return (struct names_pair){l->route, l->route_len, 0};
}

static inline struct names_pair origin_of(const struct access_line *l)
{
    return (struct names_pair){l->origin, l->origin_len, 0};
}

/* What L, in HOUR, says behind what its NAMES do. */
static inline struct demand_record record_of(const struct access_line *l, int64_t hour,
                                             struct demand_record names)
{
    names.hour = hour;
    names.offset = l->offset;
    names.length = l->length;
    names.count = l->count;
    return names;
}

/* Counts line I of B, if it is new: 1, 0, -ENOMEM, or -EINVAL: count_record() has to. */
static int count_line(struct counter *c, const struct batch *b, size_t i)
{
    const struct access_line *l = &b->read.line[i];
    int64_t hour = hour_of(c, l->time);
    if (l->time > c->last || hour < c->from_hour)
        return -EINVAL;
    struct count_into *into = into_of(c, hour);
    if (!into)
        return -ENOMEM;
    struct demand_record r;
    int e = names_find(&into->names, &into->demand, route_of(l), origin_of(l), &r);
    if (e < 0)
        return e;
    r = record_of(l, hour, r);
    struct seen *seen = &c->p->index.seen;
    enum seen_verdict verdict = c->how->source ? SEEN_COUNT : seen_look(seen, &c->seen, l->time);
    int fresh = verdict == SEEN_COUNT;
    if (verdict == SEEN_ASK)
        fresh = seen_new(seen, &c->seen, l->time, digest_of(b, i));
    if (fresh < 0)
        return fresh;
    note_time(c, fresh ? into : NULL, l->time);
    e = fresh ? demand_add_later(&into->demand, &r) : 0;
    return e < 0 ? e : fresh;
}

/* Are all of B to be counted, in the same hour?  Then C is in it. */
static bool is_alike(struct counter *c, const struct batch *b)
{
    double first = b->read.first, last = b->read.last;
    if (last > c->last || hour_of(c, last) != hour_of(c, first) || c->hour < c->from_hour)
        return false;
    return c->how->source || seen_counts_all(&c->p->index.seen, &c->seen, first, last);
}

/* The two loops stand apart, so that each has all registers. */

/* The numbers of the lines FROM … of B, as far as they were met lately; behind the last of them. */
__attribute__((noinline)) static size_t find_names(const struct count_into *into,
                                                   const struct batch *b, size_t from,
                                                   struct names_numbers out[ACCESSES_MOST])
{
    size_t n = from;
    for (; n < b->read.n; n++) {
        const struct access_line *l = &b->read.line[n];
        if (!names_known(&into->names, route_of(l), origin_of(l), &out[n]))
            break;
        demand_spot_fetch(&into->demand, names_record(out[n]).volume);
    }
    return n;
}

/* Adds L, in HOUR, with NAMES, if that is not easy: 0 or -ENOMEM. */
__attribute__((noinline)) static int add_line(struct demand *d, const struct access_line *l,
                                              int64_t hour, struct names_numbers names)
{
    struct demand_record r = record_of(l, hour, names_record(names));
    return demand_add_later(d, &r);
}

/* Adds the lines FROM … TO − 1 of B, in HOUR, with these NAMES: 0 or -ENOMEM. */
__attribute__((noinline)) static int add_lines(struct demand *d, const struct batch *b, size_t from,
                                               size_t to, int64_t hour,
                                               const struct names_numbers *names)
{
    int e = 0;
    for (size_t i = from; e == 0 && i < to; i++) {
        const struct access_line *l = &b->read.line[i];
        struct demand_record r = record_of(l, hour, names_record(names[i]));
        if (r.volume >= d->n_spots || !demand_spot_takes(&d->spot[r.volume], r))
            e = add_line(d, l, hour, names[i]);
    }
    return e;
}

/*
 * Counts the lines FROM … of B, whose hour is C's and which are all new, as far as their names were
 * met lately; behind the last of them.  *ERROR: 0 or -ENOMEM.
 */
static size_t count_known(struct counter *c, const struct batch *b, size_t from, int *error)
{
    struct names_numbers names[ACCESSES_MOST];
    struct count_into *into = into_of(c, c->hour);
    *error = into ? 0 : -ENOMEM;
    size_t to = into ? find_names(into, b, from, names) : from;
    if (to == from)
        return from;
    double newest = b->read.line[from].time;
    for (size_t i = from + 1; i < to; i++)
        newest = b->read.line[i].time > newest ? b->read.line[i].time : newest;
    *error = add_lines(&into->demand, b, from, to, c->hour, names);
    seen_note(&c->seen, newest);
    note_time(c, into, newest);
    c->records += to - from;
    return to;
}

/* Counts the lines of B up to one that count_line() does not: how many, and what that said. */
static size_t count_batch(struct counter *c, const struct batch *b, int *error)
{
    bool alike = is_alike(c, b);
    size_t n = 0;
    while (n < b->read.n) {
        n = alike ? count_known(c, b, n, error) : n;
        if (*error < 0 || n == b->read.n)
            break;
        int counted = count_line(c, b, n);
        if (counted < 0) {
            *error = counted;
            break;
        }
        c->records += (uint64_t)counted;
        n++;
    }
    return n;
}

/* Counts the next records as far as they are at hand and plain: 0 or -ENOMEM. */
static int count_lines(struct counter *c)
{
    struct batch b;
    int e = 0;
    while (!e && accesses_quick() && rec_reader_lines(c->reader, &b.lines)) {
        accesses_read(&b.lines, &b.read);
        if (!b.read.n)
            break;
        size_t n = count_batch(c, &b, &e);
        if (n)
            rec_reader_take(c->reader, n, (size_t)(b.read.line[n - 1].end - b.lines.text));
    }
    return e == -ENOMEM ? e : 0;
}

/* ---- a part ---- */

static void set_failure(struct count_part *part, int status, const char *text)
{
    part->status = status;
    snprintf(part->message, sizeof(part->message), "%s", text);
}

/* Goes on after a record that is malformed, if that is wanted. */
static bool forgive(struct counter *c, struct count_part *part, int status, const char *text)
{
    if (status != EX_DATAERR || !c->how->keep_going) {
        set_failure(part, status, text);
        return false;
    }
    err_warn("%s", text);
    c->status = status;
    return true;
}

/* What a record that was not counted, for the reason E, means: go on? */
static bool take_failure(struct counter *c, struct count_part *part, int e)
{
    char text[1200];
    if (e != -ERANGE && e != -EDOM) {
        set_failure(part, EX_OSERR, err_text(e));
        return false;
    }
    snprintf(text, sizeof(text), "%s: %s", rec_reader_where(c->reader),
             e == -ERANGE ? "offset + length is too large" : "time lies in the future");
    return forgive(c, part, EX_DATAERR, text);
}

static void set_last(struct counter *c)
{
    c->last = c->how->until >= 0 ? fmin(c->how->until, c->how->latest) : c->how->latest;
}

static void count_part(struct counter *c, struct count_part *part)
{
    struct rec_reader *r = c->reader;
    struct access a;
    int got;
    c->newest = part->newest = -1;
    set_last(c);
    part->end = part->from;
    if (part->in_range)
        rec_reader_range(r, part->path, part->from, part->to, c->how->source);
    else
        rec_reader_files(r, part->path, 1);
    while ((got = rec_reader_next(r)) != 0) {
        if (got < 0) {
            if (!forgive(c, part, rec_reader_status(r), rec_reader_error(r)))
                return;
            if (got == -EBADMSG)
                part->end = rec_reader_offset(r);
            continue;
        }
        access_take(r, &a);
        if (c->how->until >= 0 && a.time > c->how->until) {
            c->later++;
            /* What was left for later is where the source goes on. */
            if (c->how->source && part->in_range)
                return;
            continue;
        }
        int counted = count_record(c, &a);
        if (counted >= 0)
            c->records += (uint64_t)counted;
        else if (!take_failure(c, part, counted))
            return;
        if (count_lines(c) < 0) {
            set_failure(part, EX_OSERR, err_text(-ENOMEM));
            return;
        }
        part->end = rec_reader_offset(r);
        part->newest = c->newest;
    }
}

double counter_peek(struct counter *c, char *const *path, uint64_t from)
{
    struct access a;
    uint64_t end;
    double newest = -1;
    set_last(c);
    rec_reader_range(c->reader, path, from, UINT64_MAX, false);
    for (int got; (got = rec_reader_next(c->reader)) != 0;) {
        if (got < 0 && got != -EBADMSG)
            break; /* counter_run() will say why */
        if (got < 0)
            continue;
        access_take(c->reader, &a);
        bool fits = !__builtin_add_overflow(a.offset, a.length, &end) && end <= INT64_MAX;
        if (fits && a.time <= c->last && a.time > newest)
            newest = a.time;
    }
    return newest;
}

void counter_run(struct counter *c, struct count_part *part)
{
    count_part(c, part);
    if (demand_settle(&c->all.demand) < 0 && !part->status)
        set_failure(part, EX_OSERR, err_text(-ENOMEM));
}
