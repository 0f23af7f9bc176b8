/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/dryrun.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/reach.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/nbd/export.h"

/*
 * Little is asked for at a time: a source in trouble must not be burdened, and every reply must be
 * in before the connection is closed (nbdkit 1.32 dies when a client goes away while its requests
 * wait in the rate filter).
 */
enum {
    SAMPLE_BYTES = 32 * 1024 * 1024, /* read at most so much, … */
    SAMPLE_US = 300 * 1000,          /* … or so long */
    PIECE = 16 * 1024,
    DEPTH = 8,
    REPLY_MS = 5000,
    TRIPS = 6, /* of a hold: drain, last blocks, two flushes, last proof, commit */
};

struct sample {
    struct nbd_export *from;
    unsigned char *buffer; /* what is read is not looked at: all pieces share it */
    uint64_t next;
    uint64_t end;
    uint64_t bytes; /* read so far */
    uint64_t until_us;
    int error;
};

static void piece_read(void *arg, int result);

static void read_piece(struct sample *s)
{
    uint64_t len = s->end - s->next < PIECE ? s->end - s->next : PIECE;
    if (len == 0 || s->error < 0 || clock_mono_us() >= s->until_us)
        return;
    int r = nbd_export_read(s->from, s->buffer, len, s->next, piece_read, s);
    if (r < 0)
        s->error = r;
    s->next += len;
    s->bytes += len;
}

static void piece_read(void *arg, int result)
{
    struct sample *s = arg;
    if (result < 0)
        s->error = result;
    read_piece(s);
}

/* Bytes a second that the source was read with; 0 if it could not be measured. */
static double read_rate(struct nbd_export *from, uint64_t size)
{
    uint64_t begin = clock_mono_us();
    struct sample s = {
        .from = from,
        .buffer = malloc(PIECE),
        .end = size < SAMPLE_BYTES ? size : SAMPLE_BYTES,
        .until_us = begin + SAMPLE_US,
    };
    if (!s.buffer)
        return 0;
    for (int i = 0; i < DEPTH; i++)
        read_piece(&s);
    while (nbd_export_in_flight(from) && s.error == 0)
        if (nbd_export_wait(&from, 1, REPLY_MS) == 0)
            break;
    uint64_t us = clock_mono_us() - begin;
    bool good = s.error == 0 && nbd_export_in_flight(from) == 0 && us > 0;
    /* Requests that were given up still point into the buffer. */
    if (nbd_export_in_flight(from) == 0)
        free(s.buffer);
    return good ? (double)s.bytes * 1e6 / (double)us : 0;
}

/* ---- the pause ---- */

/* Pauses of earlier moves that are in the journals. */
struct pauses {
    uint64_t *us;
    size_t n;
    size_t cap;
};

static int take_pause(const struct event *e, void *arg)
{
    struct pauses *p = arg;
    if (!e->has_pause || e->phase == PHASE_RETIRE) /* its note repeats it */
        return 0;
    int r = vec_room(&p->us, p->n, &p->cap, sizeof(*p->us));
    if (r == 0)
        p->us[p->n++] = e->pause_us;
    return r;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* The median of the pauses that earlier moves had, of *N; what cannot be read does not count. */
static uint64_t median_pause_us(const struct exec *x, size_t *n)
{
    struct pauses p = {.n = 0};
    char **ids = NULL;
    size_t n_ids = 0;
    if (journal_ids(x->dirs.state, &ids, &n_ids) == 0)
        for (size_t i = 0; i < n_ids; i++)
            journal_each(x->dirs.state, ids[i], take_pause, &p);
    journal_ids_free(ids, n_ids);
    if (p.n)
        qsort(p.us, p.n, sizeof(*p.us), ascending);
    uint64_t median = p.n ? p.us[p.n / 2] : 0;
    *n = p.n;
    free(p.us);
    return median;
}

/* ---- in words ---- */

static void add(char *out, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void add(char *out, size_t size, const char *fmt, ...)
{
    size_t len = strlen(out);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out + len, size - len, fmt, ap);
    va_end(ap);
}

static void describe_pause(const struct exec *x, double rate, char *out, size_t size)
{
    size_t n;
    uint64_t earlier_us = median_pause_us(x, &n);
    /* A read's round trip while DEPTH of them share the rate (Little's law). */
    double trip_us = rate > 0 ? (double)DEPTH * PIECE * 1e6 / rate : 0;
    if (n)
        add(out, size, "; pause about %.1f ms, the median of %zu, ", (double)earlier_us / 1000, n);
    else if (trip_us > 0)
        add(out, size, "; pause about %.1f ms, %d round trips, ", TRIPS * trip_us / 1000, TRIPS);
    else
        add(out, size, "; pause ");
    add(out, size, "at most %u ms", x->window_ms);
}

static void describe(const struct move *m, const char *first, double rate, char *out, size_t size)
{
    const struct exec *x = m->exec;
    double limit = (double)x->bwlimit;
    double effective = limit > 0 && (rate <= 0 || limit < rate) ? limit : rate;
    snprintf(out, size, "dry run: %sat most %llu bytes to move", first,
             (unsigned long long)m->size_bytes);
    if (effective > 0)
        add(out, size, ", about %.1f s to copy and compare at %.1f MiB/s",
            2 * (double)m->size_bytes / effective, effective / 1048576);
    describe_pause(x, rate, out, size);
    if (m->terms.no_flush[0])
        add(out, size, "; no-flush: %s", m->source);
}

enum outcome dry_run(struct move *m, const char *first)
{
    migration_id(m->volume, m->epoch + 1, 1, m->id);
    move_find_director(m); /* it may have the one connection that the source takes */
    enum outcome o = shared_ask(m);
    if (o == GO && !m->shared)
        o = reach_source(m);
    if (o != GO) {
        err_warn("cannot move '%s': %s", m->volume, m->why);
        return FAILED;
    }
    struct event e;
    m->dirty = m->shared ? 0 : m->size_bytes;
    move_fill_event(m, &e, EVENT_BEGIN);
    if (m->shared)
        snprintf(e.detail, sizeof(e.detail),
                 "dry run: %son shared storage, no bytes to move; pause at most %u ms, "
                 "in which %s is fenced",
                 first, m->exec->fence_ms, m->source);
    else
        describe(m, first, m->from ? read_rate(m->from, m->size_bytes) : 0, e.detail,
                 sizeof(e.detail));
    event_put(m->exec->out, &e);
    rec_write_now(m->exec->out);
    return SETTLED;
}
