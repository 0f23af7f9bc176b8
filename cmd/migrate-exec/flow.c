/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/flow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    SLOTS = 8,
    EXTENT_MAX = 1024 * 1024,
    EXTENT_MIN = 64 * 1024, /* the director's block: it claims no less */
    BUFFER_ALIGN = 4096,    /* unaligned buffers cost recv() a multiple */
    PIECE_MIN = 4 * 1024,   /* of a read from a slow source */
    SLOW_US = 200 * 1000,   /* an extent that took longer is asked for in smaller pieces … */
    QUICK_US = 50 * 1000,   /* … and one that was quicker in larger ones, … */
    QUICK_ROW = 64,         /* … but so many in a row after one was slow */
    IO_TIMEOUT_MS = 30000,  /* no reply of any request for so long: the gateway is gone */
    NAP_MS = 20,            /* while throttled with nothing in flight */
};

enum slot_state { SLOT_FREE, SLOT_READING, SLOT_WRITING };

struct slot {
    struct flow_extent extent; /* first: jobs get a pointer to it */
    enum slot_state state;
    unsigned pending; /* requests not answered yet */
    unsigned writes;  /* of them writes to the target */
    uint64_t begun_us;
    bool failed;
    bool lost; /* a write ended unanswered */
};

struct flow {
    struct director *director;
    struct nbd_export *exports[2]; /* source, target */
    uint64_t bwlimit;
    uint64_t extent_max;
    uint64_t piece; /* of a read: a source in trouble serves small requests before large ones */
    bool cautious;  /* an extent was slow */
    bool trust_map;
    unsigned quick;       /* extents in a row that were not */
    uint64_t earliest_us; /* of the next claim under the bandwidth limit */
    struct slot slots[SLOTS];
    unsigned busy;
    const struct flow_job *job;
    struct flow_result result; /* of the present run */
    struct flow_error error;
    flow_tick *tick;
    void *tick_arg;
};

/* Short extents under a low bandwidth limit, so that it is kept evenly. */
static uint64_t extent_limit(const struct nbd_export *source, const struct nbd_export *target,
                             uint64_t bwlimit)
{
    uint64_t max = EXTENT_MAX;
    while (bwlimit && max > EXTENT_MIN && max > bwlimit / 16)
        max /= 2;
    if (nbd_export_info(source)->block_max < max)
        max = nbd_export_info(source)->block_max;
    if (nbd_export_info(target)->block_max < max)
        max = nbd_export_info(target)->block_max;
    return max;
}

static uint64_t piece_min(const struct flow *f)
{
    uint64_t min = nbd_export_info(f->exports[0])->block_min;
    return min > PIECE_MIN ? min : PIECE_MIN;
}

struct flow *flow_new(struct director *director, struct nbd_export *source,
                      struct nbd_export *target, uint64_t bwlimit)
{
    struct flow *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->director = director;
    f->exports[0] = source;
    f->exports[1] = target;
    f->bwlimit = bwlimit;
    f->extent_max = extent_limit(source, target, bwlimit);
    f->piece = piece_min(f); /* it grows soon, where the source is quick */
    for (int i = 0; i < SLOTS; i++) {
        struct flow_extent *x = &f->slots[i].extent;
        x->flow = f;
        x->source = aligned_alloc(BUFFER_ALIGN, EXTENT_MAX);
        x->target = aligned_alloc(BUFFER_ALIGN, EXTENT_MAX);
        if (!x->source || !x->target) {
            flow_free(f);
            return NULL;
        }
    }
    return f;
}

void flow_free(struct flow *f)
{
    if (!f)
        return;
    for (int i = 0; i < SLOTS; i++) {
        free(f->slots[i].extent.source);
        free(f->slots[i].extent.target);
    }
    free(f);
}

void flow_trust_map(struct flow *f, bool trust)
{
    f->trust_map = trust;
}

void flow_on_tick(struct flow *f, flow_tick *fn, void *arg)
{
    f->tick = fn;
    f->tick_arg = arg;
}

const struct flow_error *flow_error(const struct flow *f)
{
    return &f->error;
}

bool flow_can_zero(const struct flow_extent *x)
{
    return nbd_export_info(x->flow->exports[1])->zeroes;
}

struct director *flow_director(const struct flow_extent *x)
{
    return x->flow->director;
}

void flow_count_difference(struct flow_extent *x)
{
    x->flow->result.differing++;
}

/* Keeps the first error; returns it. */
static int fail(struct flow *f, enum flow_side side, int err, const char *text)
{
    if (f->error.err == 0) {
        f->error.side = side;
        f->error.err = err;
        snprintf(f->error.text, sizeof(f->error.text), "%s", text);
    }
    return f->error.err;
}

static int fail_director(struct flow *f, int err)
{
    return fail(f, FLOW_DIRECTOR, err, director_error(f->director));
}

/* An answered or ended request of a slot.  WHAT is for the message. */
static void request_failed(struct slot *s, enum flow_side side, const char *what, int err)
{
    char text[256];
    const struct claim *c = &s->extent.claim;
    if (err == -ENOTCONN)
        snprintf(text, sizeof(text), "%s: connection lost", what);
    else
        snprintf(text, sizeof(text), "%s at %llu: %s", what, (unsigned long long)c->offset,
                 err_text(err));
    s->failed = true;
    fail(s->extent.flow, side, err, text);
}

static void slot_free(struct slot *s)
{
    s->state = SLOT_FREE;
    s->extent.flow->busy--;
}

/* Every reply that will come has come, and one was bad: give the claim back, unless it must be
 * kept for ever. */
static void give_up(struct slot *s)
{
    struct flow *f = s->extent.flow;
    if (s->lost) {
        f->error.lost = true;
    } else if (f->error.side != FLOW_DIRECTOR) {
        int r = director_release(f->director, s->extent.claim.id);
        if (r < 0)
            fail_director(f, r);
    }
    slot_free(s);
}

static void settle(struct slot *s)
{
    struct flow *f = s->extent.flow;
    struct flow_result *res = &f->result;
    uint64_t left = res->left;
    int r = f->job->settle(&s->extent, &left);
    if (r < 0) {
        fail_director(f, r);
        slot_free(s);
        return;
    }
    res->left = left;
    res->bytes += s->extent.claim.length;
    res->claims++;
    slot_free(s);
    if (f->tick)
        f->tick(f->tick_arg, left);
}

/*
 * An extent's reads are in: were the pieces too large, or small without need?  As TCP's congestion
 * window: doubled by each quick extent at first, and with caution once one was slow.
 */
static void adapt_piece(struct flow *f, uint64_t took_us)
{
    if (took_us > SLOW_US) {
        f->cautious = true;
        f->quick = 0;
        if (f->piece / 2 >= piece_min(f))
            f->piece /= 2;
        return;
    }
    f->quick = took_us < QUICK_US ? f->quick + 1 : 0;
    if (f->quick < (f->cautious ? QUICK_ROW : 1) || f->piece * 2 > f->extent_max)
        return;
    f->piece *= 2;
    f->quick = 0;
}

/* All requests of the slot's state have ended: on to the next. */
static void advance(struct slot *s)
{
    struct flow *f = s->extent.flow;
    if (!s->failed && s->state == SLOT_READING) {
        adapt_piece(f, clock_mono_us() - s->begun_us);
        s->state = SLOT_WRITING;
        s->pending++; /* held while deciding, lest an early end of a write calls us again */
        int r = f->job->decide(&s->extent);
        if (r < 0)
            request_failed(s, FLOW_TARGET, "write to target", r);
        if (--s->pending > 0)
            return;
    }
    if (s->failed)
        give_up(s);
    else
        settle(s);
}

static void ended(struct slot *s)
{
    if (--s->pending == 0)
        advance(s);
}

static void source_read(void *arg, int result)
{
    struct slot *s = arg;
    if (result < 0)
        request_failed(s, FLOW_SOURCE, "read from source", result);
    ended(s);
}

static void target_read(void *arg, int result)
{
    struct slot *s = arg;
    if (result < 0)
        request_failed(s, FLOW_TARGET, "read from target", result);
    ended(s);
}

static void target_written(void *arg, int result)
{
    struct slot *s = arg;
    s->writes--;
    if (result == -ENOTCONN)
        s->lost = true;
    if (result < 0)
        request_failed(s, FLOW_TARGET, "write to target", result);
    ended(s);
}

static int write_started(struct slot *s, int r)
{
    if (r < 0)
        return r;
    s->pending++;
    s->writes++;
    return 0;
}

int flow_write(struct flow_extent *x, uint64_t offset, uint64_t length)
{
    struct slot *s = (struct slot *)x;
    struct flow *f = x->flow;
    uint64_t end = offset + length;
    int r = 0;
    /* A claim may be longer than what the target takes at once: the director's block is. */
    for (uint64_t len; r == 0 && offset < end; offset += len) {
        len = end - offset < f->extent_max ? end - offset : f->extent_max;
        f->result.sent += len;
        r = write_started(s, nbd_export_write(f->exports[1], x->source + offset, len,
                                              x->claim.offset + offset, target_written, s));
    }
    return r;
}

int flow_zero(struct flow_extent *x, uint64_t offset, uint64_t length)
{
    struct slot *s = (struct slot *)x;
    return write_started(s, nbd_export_zero(x->flow->exports[1], length, x->claim.offset + offset,
                                            target_written, s));
}

/* Reads the extent from one side, in pieces.  What was started is counted, also on failure. */
static int start_side(struct slot *s, int side, unsigned char *to, nbd_export_done *done)
{
    struct flow *f = s->extent.flow;
    const struct claim *c = &s->extent.claim;
    for (uint64_t at = 0; at < c->length; at += f->piece) {
        uint64_t len = c->length - at < f->piece ? c->length - at : f->piece;
        int r = nbd_export_read(f->exports[side], to + at, len, c->offset + at, done, s);
        if (r < 0)
            return r;
        s->pending++;
    }
    return 0;
}

static void start_reads(struct slot *s)
{
    struct flow *f = s->extent.flow;
    s->state = SLOT_READING;
    s->begun_us = clock_mono_us();
    s->failed = s->lost = false;
    s->writes = 0;
    s->pending = 1; /* until both are started */
    f->busy++;
    int r = start_side(s, 0, s->extent.source, source_read);
    if (r < 0)
        request_failed(s, FLOW_SOURCE, "read from source", r);
    if (r == 0 && f->job->reads_target) {
        r = start_side(s, 1, s->extent.target, target_read);
        if (r < 0)
            request_failed(s, FLOW_TARGET, "read from target", r);
    }
    ended(s);
}

static struct slot *free_slot(struct flow *f)
{
    for (int i = 0; i < SLOTS; i++)
        if (f->slots[i].state == SLOT_FREE)
            return &f->slots[i];
    return NULL;
}

static uint64_t claim_size(const struct flow *f)
{
    return f->piece > EXTENT_MIN ? f->piece : EXTENT_MIN;
}

/* Settles claim C, of which nothing need be read or sent.  1 or -errno. */
static int pass_over(struct flow *f, const struct claim *c)
{
    struct flow_result *res = &f->result;
    uint64_t begin = clock_mono_us();
    int r = f->trust_map ? director_unchanged(f->director, c->id, &res->left)
                         : director_synced(f->director, c->id, &res->left);
    if (r < 0)
        return fail_director(f, r);
    res->unchanged += c->length;
    res->us -= clock_mono_us() - begin; /* it tells nothing of the pace */
    if (f->tick)
        f->tick(f->tick_arg, res->left);
    return 1;
}

/* Claims one extent.  1, 0 (nothing to claim) or -errno. */
static int claim_one(struct flow *f, struct slot *s, const struct flow_limits *lim)
{
    struct claim *c = &s->extent.claim;
    int r = director_claim(f->director, f->job->kind, claim_size(f), c, &f->result.backlog);
    if (r < 0)
        return fail_director(f, r);
    if (r == 0)
        return 0;
    if (c->unchanged)
        return pass_over(f, c);
    if (lim->throttled && f->bwlimit) {
        uint64_t now = clock_mono_us();
        if (f->earliest_us < now)
            f->earliest_us = now;
        f->earliest_us += c->length * 1000000 / f->bwlimit;
    }
    start_reads(s);
    return 1;
}

/* How long the bandwidth limit still forbids a claim. */
static uint64_t throttle_us(const struct flow *f, const struct flow_limits *lim)
{
    uint64_t now = clock_mono_us();
    return lim->throttled && f->earliest_us > now ? f->earliest_us - now : 0;
}

static bool must_stop(const struct flow *f, const struct flow_limits *lim, uint64_t claimed)
{
    return f->error.err || signals_pending() || (lim->bytes && claimed >= lim->bytes) ||
           (lim->deadline_us && clock_mono_us() >= lim->deadline_us);
}

/* Waits for replies.  When none comes for too long, what is unanswered is lost. */
static void wait_replies(struct flow *f, int timeout_ms)
{
    int n = nbd_export_wait(f->exports, 2, timeout_ms < 0 ? IO_TIMEOUT_MS : timeout_ms);
    if (n > 0 || n == -EINTR || timeout_ms >= 0)
        return;
    bool lost = false;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &f->slots[i];
        lost = lost || (s->state != SLOT_FREE && s->writes);
        s->state = SLOT_FREE;
    }
    f->busy = 0;
    bool source = nbd_export_in_flight(f->exports[0]) > 0;
    fail(f, source ? FLOW_SOURCE : FLOW_TARGET, -ETIMEDOUT,
         source ? "source does not answer" : "target does not answer");
    f->error.lost = f->error.lost || lost;
}

static void nap(struct flow *f, uint64_t us)
{
    uint64_t before = clock_mono_us();
    int ms = us / 1000 + 1 < NAP_MS ? (int)(us / 1000) + 1 : NAP_MS;
    if (f->busy)
        wait_replies(f, ms);
    else
        poll(NULL, 0, ms);
    if (f->busy == 0)
        f->result.us -= clock_mono_us() - before; /* added again at the end of the run */
}

int flow_run(struct flow *f, const struct flow_job *job, const struct flow_limits *limits,
             struct flow_result *out)
{
    uint64_t claimed = 0;
    uint64_t begin = clock_mono_us();
    f->job = job;
    f->result = (struct flow_result){.left = 0};
    f->error = (struct flow_error){.side = FLOW_NOBODY};
    bool stop = false;
    while (!stop || f->busy) {
        stop = stop || must_stop(f, limits, claimed);
        struct slot *s = stop ? NULL : free_slot(f);
        uint64_t forbidden = s ? throttle_us(f, limits) : 0;
        if (forbidden) {
            nap(f, forbidden);
            continue;
        }
        int r = s ? claim_one(f, s, limits) : 0;
        if (r > 0) {
            claimed += s->extent.claim.length;
            continue;
        }
        if (f->busy)
            wait_replies(f, -1);
        else if (s && r == 0)
            stop = f->result.none = true;
    }
    f->result.us += clock_mono_us() - begin;
    *out = f->result;
    return f->error.err;
}
