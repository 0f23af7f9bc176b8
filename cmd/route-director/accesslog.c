/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "accesslog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/rng.h"
#include "common/record/schema.h"
#include "logwriter.h"
#include "volume.h"

enum {
    FLUSH_EVERY_US = 500000, /* a record waits so long in its tap, at most */
    RECORD_MAX = 3 * NAME_LEN_MAX + 256,
};

struct accesslog {
    struct logwriter *writer;
    uint64_t sample;
    char count[24];        /* what ends a line of a sample */
    struct buf headers[2]; /* of this log, and of one with or without counts */
};

struct accesslog_tap {
    struct accesslog *log;
    struct loop *loop;
    struct logpiece *piece; /* NULL: none yet */
    struct loop_timer timer;
    struct rng rng;
    uint64_t epoch_us; /* Unix time of the monotonic clock's zero */
    uint64_t second;   /* of the last record, as text */
    char second_text[20];
    size_t second_len;
};

/* ---- formatting ---- */

static char *put_text(char *p, const char *s)
{
    size_t n = strlen(s);
    memcpy(p, s, n);
    return p + n;
}

/* V as two digits. */
static char *put_pair(char *p, unsigned v)
{
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    memcpy(p, pairs + 2 * v, 2);
    return p + 2;
}

/* Decimal digits of V. */
static unsigned digits(uint64_t v)
{
    /* Powers of ten, but for the first: 0 has a digit, too. */
    static const uint64_t power[20] = {
        0,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
        1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 10000000000000000000u,
    };
    /* 1233/4096 is log10(2), closely enough for 64 bits: N is right, or one too few. */
    unsigned n = (64 - (unsigned)__builtin_clzll(v | 1)) * 1233 >> 12;
    return n + (v >= power[n]);
}

/* Digits are written where they belong, from the last one: bytes that are just written would be
 * slow to copy. */
static char *put_u64(char *p, uint64_t v)
{
    unsigned n = digits(v);
    char *d = p + n;
    for (; v >= 100; v /= 100)
        put_pair(d -= 2, (unsigned)(v % 100));
    if (v >= 10)
        put_pair(d - 2, (unsigned)v);
    else
        d[-1] = (char)('0' + v);
    return p + n;
}

/* Microseconds as seconds, as records print a time: up to 6 decimals, zeros trimmed. */
static char *put_time(char *p, struct accesslog_tap *tap, uint64_t us)
{
    if (us / 1000000 != tap->second || !tap->second_len) {
        tap->second = us / 1000000;
        tap->second_len = (size_t)(put_u64(tap->second_text, tap->second) - tap->second_text);
    }
    /* All of it, for speed; what is too much is overwritten. */
    memcpy(p, tap->second_text, sizeof(tap->second_text));
    p += tap->second_len;
    unsigned frac = (unsigned)(us % 1000000);
    if (!frac)
        return p;
    *p++ = '.';
    p = put_pair(p, frac / 10000);
    p = put_pair(p, frac / 100 % 100);
    p = put_pair(p, frac % 100);
    while (p[-1] == '0')
        p--;
    return p;
}

static const char *op_name(uint16_t type)
{
    switch (type) {
    case NBD_CMD_READ:
        return rec_op_words[OP_READ];
    case NBD_CMD_WRITE:
        return rec_op_words[OP_WRITE];
    case NBD_CMD_TRIM:
        return rec_op_words[OP_TRIM];
    case NBD_CMD_WRITE_ZEROES:
        return rec_op_words[OP_ZERO];
    case NBD_CMD_FLUSH:
        return rec_op_words[OP_FLUSH];
    default:
        return NULL; /* CACHE: no access that a record knows */
    }
}

static char *put_record(char *p, struct accesslog_tap *tap, const struct volume *v,
                        const struct request *r, const char *op, uint64_t latency_us)
{
    p = put_time(p, tap, tap->epoch_us + r->arrived_us);
    *p++ = ',';
    p = put_text(p, v->name);
    *p++ = ',';
    p = put_text(p, v->route.gateway);
    *p++ = ',';
    p = put_text(p, r->client_name);
    *p++ = ',';
    p = put_text(p, op);
    *p++ = ',';
    p = put_u64(p, r->nbd.offset);
    *p++ = ',';
    p = put_u64(p, r->nbd.length);
    *p++ = ',';
    p = put_u64(p, latency_us);
    *p++ = ',';
    if (r->error)
        p = put_text(p, err_name((int)r->error));
    if (tap->log->sample)
        p = put_text(p, tap->log->count);
    *p++ = '\n';
    return p;
}

/* ---- the tap ---- */

static void set_clock(struct accesslog_tap *tap)
{
    tap->epoch_us = (uint64_t)(clock_now() * 1e6) - clock_mono_us();
}

/* Whether what the tap has is gone from it. */
static bool hand_over(struct accesslog_tap *tap, enum logwriter_when when)
{
    if (!tap->piece || !tap->piece->len)
        return true;
    if (!logwriter_put(tap->log->writer, tap->piece, when))
        return false;
    tap->piece = NULL;
    loop_timer_cancel(tap->loop, &tap->timer);
    set_clock(tap); /* which may have been set meanwhile */
    return true;
}

/* A writer that is late gets full pieces only, so that many small ones do not fill its queue. */
static void on_timer(struct loop_timer *t)
{
    struct accesslog_tap *tap =
        (struct accesslog_tap *)((char *)t - offsetof(struct accesslog_tap, timer));
    if (!hand_over(tap, LOGWRITER_IDLE))
        loop_timer_set(tap->loop, t, loop_now_us(tap->loop) + FLUSH_EVERY_US, on_timer);
}

/* There is no room for another record. */
static void full(struct accesslog_tap *tap)
{
    if (hand_over(tap, LOGWRITER_ROOM))
        return;
    logwriter_drop(tap->log->writer, tap->piece->lines);
    tap->piece->len = 0;
    tap->piece->lines = 0;
}

void accesslog_add(struct accesslog_tap *tap, const struct volume *v, const struct request *r,
                   uint64_t now_us)
{
    const char *op;
    if (!tap || !r->client_name || !(op = op_name(r->nbd.type)))
        return;
    /* By chance, or a pattern in the requests might never be seen. */
    if (tap->log->sample && rng_below(&tap->rng, tap->log->sample) != 0)
        return;
    if (!tap->piece && !(tap->piece = logwriter_piece(tap->log->writer))) {
        logwriter_drop(tap->log->writer, 1);
        return;
    }
    struct logpiece *piece = tap->piece;
    const char *end = put_record(piece->data + piece->len, tap, v, r, op, now_us - r->arrived_us);
    piece->len = (size_t)(end - piece->data);
    piece->lines++;
    if (piece->len > LOGPIECE_SIZE - RECORD_MAX)
        full(tap);
    else if (!tap->timer.place)
        loop_timer_set(tap->loop, &tap->timer, now_us + FLUSH_EVERY_US, on_timer);
}

int accesslog_tap_new(struct accesslog *log, struct loop *loop, struct accesslog_tap **out)
{
    struct accesslog_tap *tap = calloc(1, sizeof(*tap));
    if (!tap)
        return -ENOMEM;
    tap->log = log;
    tap->loop = loop;
    /* Another sequence for each tap and start: nobody is to know which requests are seen. */
    rng_init(&tap->rng, clock_mono_us() ^ (uint64_t)(uintptr_t)tap);
    set_clock(tap);
    *out = tap;
    return 0;
}

void accesslog_tap_flush(struct accesslog_tap *tap)
{
    hand_over(tap, LOGWRITER_ROOM);
}

void accesslog_tap_free(struct accesslog_tap *tap)
{
    if (!tap)
        return;
    hand_over(tap, LOGWRITER_ALWAYS);
    loop_timer_cancel(tap->loop, &tap->timer);
    free(tap->piece);
    free(tap);
}

/* ---- the log ---- */

uint64_t accesslog_dropped(const struct accesslog *log)
{
    return log ? logwriter_dropped(log->writer) : 0;
}

void accesslog_reopen(struct accesslog *log)
{
    logwriter_reopen(log->writer);
}

static int make_header(bool with_count, struct buf *out)
{
    struct rec_writer *w = rec_writer_new(&rec_access, NULL);
    if (!w)
        return -ENOMEM;
    if (with_count)
        rec_writer_with(w, ACCESS_COUNT);
    int r = rec_format_header(w, out);
    rec_writer_free(w);
    return r;
}

static void release(struct accesslog *log)
{
    buf_release(&log->headers[0]);
    buf_release(&log->headers[1]);
    free(log);
}

int accesslog_open(const struct accesslog_opts *set, struct accesslog **out)
{
    struct accesslog *log = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    log->sample = set->sample;
    log->count[0] = ',';
    *put_u64(log->count + 1, log->sample) = 0;
    int r = make_header(log->sample != 0, &log->headers[0]);
    if (r == 0)
        r = make_header(log->sample == 0, &log->headers[1]);
    if (r == 0) {
        const struct logfile_opts file = {.path = set->path,
                                          .header = log->headers[0].data,
                                          .old_header = log->headers[1].data,
                                          .size_bytes = set->size_bytes};
        r = logwriter_new(&file, set->keep, &log->writer);
    }
    if (r < 0) {
        release(log);
        return r;
    }
    *out = log;
    return 0;
}

const char *accesslog_error(int err)
{
    return logfile_error(err);
}

void accesslog_close(struct accesslog *log)
{
    /* Else its thread goes on, and with it what it knows. */
    if (log && logwriter_free(log->writer))
        release(log);
}
