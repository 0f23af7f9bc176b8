/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/dryrun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void describe(const struct move *m, double rate, char *out, size_t size)
{
    double limit = (double)m->exec->bwlimit;
    double effective = limit > 0 && (rate <= 0 || limit < rate) ? limit : rate;
    if (effective > 0)
        snprintf(out, size, "dry run: at most %llu bytes to move, about %.1f s at %.1f MiB/s",
                 (unsigned long long)m->size_bytes, (double)m->size_bytes / effective,
                 effective / 1048576);
    else
        snprintf(out, size, "dry run: at most %llu bytes to move",
                 (unsigned long long)m->size_bytes);
}

enum outcome dry_run(struct move *m)
{
    if (move_check_source(m) != GO) {
        err_warn("cannot move '%s': %s", m->volume, m->why);
        return FAILED;
    }
    struct event e;
    m->dirty = m->size_bytes;
    move_fill_event(m, &e, EVENT_BEGIN);
    describe(m, read_rate(m->from, m->size_bytes), e.detail, sizeof(e.detail));
    event_put(m->exec->out, &e);
    rec_write_now(m->exec->out);
    return SETTLED;
}
