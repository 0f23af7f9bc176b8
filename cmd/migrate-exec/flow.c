/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/flow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    SLOTS = 16,
    SIDES = 2,
    EXTENT_MAX = 512 * 1024,
    EXTENT_MIN = 64 * 1024, /* the director's block: it claims no less */
    BUFFER_ALIGN = 4096,    /* unaligned buffers cost recv() a multiple */
    PIECE_MIN = 4 * 1024,   /* of a read from a slow source */
    SLOW_US = 200 * 1000,   /* an extent that took longer is asked for in smaller pieces … */
    QUICK_US = 50 * 1000,   /* … and one that was quicker in larger ones, … */
    QUICK_ROW = 64,         /* … but so many in a row after one was slow */
    NAP_MS = 20,            /* while throttled with nothing in flight */
    ASK_GAP_MAX = 255, /* extents between two questions for block status that found no zeroes */
};

enum slot_state { SLOT_FREE, SLOT_ASKING, SLOT_READING, SLOT_WRITING };

struct slot {
    struct flow_extent extent; /* first: jobs get a pointer to it */
    enum slot_state state;
    unsigned pending; /* requests not answered yet */
    unsigned writes;  /* of them writes to the target */
    uint64_t begun_us;
    uint64_t zero_from, zero_to; /* the last run of zeroes that the source told of */
    uint32_t zero;               /* one bit for each EXTENT_MIN that reads as zero */
    bool failed;
    bool lost; /* a write ended unanswered */
};

/* The connections to a gateway; the first is the caller's. */
struct lanes {
    struct nbd_export *conn[FLOW_CONNECTIONS];
    unsigned n;
};

struct flow {
    struct director *director;
    struct lanes sides[SIDES]; /* source, target */
    uint64_t bwlimit;
    unsigned io_timeout_ms; /* no reply of any request for so long: the gateway is gone */
    uint64_t extent_max;
    uint64_t piece;   /* of a read: a source in trouble serves small requests before large ones */
    bool cautious;    /* an extent was slow */
    unsigned quick;   /* extents in a row that were not */
    unsigned ask_in;  /* so many extents are read before block status is asked for again … */
    unsigned ask_gap; /* … and so many were before: a question is not free everywhere */
    bool trust_map;
    uint64_t earliest_us; /* of the next claim under the bandwidth limit */
    struct slot slots[SLOTS];
    unsigned busy;
    const struct flow_job *job;
    bool throttled;            /* the present run keeps to the limits */
    struct flow_result result; /* of the present run */
    struct flow_error error;
    flow_limiter *limiter; /* NULL: none */
    void *limiter_arg;
    uint64_t slow_limit;      /* what it said last */
    uint64_t sampled_us;      /* when, … */
    uint64_t claimed_sampled; /* … and how much was claimed since */
    const struct heat *order; /* of copy claims; NULL: the director's */
    size_t order_at;
    struct digests *digests;
    flow_tick *tick;
    void *tick_arg;
    flow_look *look;
    void *look_arg;
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

static const struct nbd_export_info *info(const struct flow *f, int side)
{
    return nbd_export_info(f->sides[side].conn[0]);
}

static uint64_t piece_min(const struct flow *f)
{
    uint64_t min = info(f, 0)->block_min;
    return min > PIECE_MIN ? min : PIECE_MIN;
}

struct flow *flow_new(struct director *director, struct nbd_export *source,
                      struct nbd_export *target, uint64_t bwlimit)
{
    struct flow *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->director = director;
    f->sides[0] = (struct lanes){.conn = {source}, .n = 1};
    f->sides[1] = (struct lanes){.conn = {target}, .n = 1};
    f->bwlimit = bwlimit;
    f->io_timeout_ms = IO_TIMEOUT_MS;
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
    for (int side = 0; side < SIDES; side++)
        for (unsigned i = 1; i < f->sides[side].n; i++)
            nbd_export_free(f->sides[side].conn[i]);
    for (int i = 0; i < SLOTS; i++) {
        free(f->slots[i].extent.source);
        free(f->slots[i].extent.target);
    }
    free(f);
}

void flow_widen(struct flow *f, enum flow_side side, struct nbd_export *const *more, unsigned n)
{
    struct lanes *l = &f->sides[side == FLOW_TARGET];
    for (unsigned i = 0; i < n; i++)
        l->conn[l->n++] = more[i];
}

int flow_flush(struct flow *f, int timeout_ms)
{
    return nbd_export_flush_all(f->sides[1].conn, f->sides[1].n, timeout_ms);
}

/* The connection to SIDE with the least to do. */
static struct nbd_export *lane(const struct flow *f, int side)
{
    const struct lanes *l = &f->sides[side];
    struct nbd_export *best = l->conn[0];
    for (unsigned i = 1; i < l->n; i++)
        if (nbd_export_in_flight(l->conn[i]) < nbd_export_in_flight(best))
            best = l->conn[i];
    return best;
}

static bool waits_for(const struct flow *f, int side)
{
    for (unsigned i = 0; i < f->sides[side].n; i++)
        if (nbd_export_in_flight(f->sides[side].conn[i]))
            return true;
    return false;
}

/* Waits for replies on any connection, as nbd_export_wait(). */
static int wait_all(const struct flow *f, int timeout_ms)
{
    struct nbd_export *all[SIDES * FLOW_CONNECTIONS];
    size_t n = 0;
    for (int side = 0; side < SIDES; side++)
        for (unsigned i = 0; i < f->sides[side].n; i++)
            all[n++] = f->sides[side].conn[i];
    return nbd_export_wait(all, n, timeout_ms);
}

void flow_on_sample(struct flow *f, flow_limiter *fn, void *arg)
{
    f->limiter = fn;
    f->limiter_arg = arg;
    f->sampled_us = clock_mono_us();
}

void flow_set_order(struct flow *f, const struct heat *h)
{
    f->order = h;
    f->order_at = 0;
}

void flow_set_digests(struct flow *f, struct digests *d)
{
    f->digests = d;
}

void flow_set_bwlimit(struct flow *f, uint64_t bwlimit)
{
    f->bwlimit = bwlimit;
    f->extent_max = extent_limit(f->sides[0].conn[0], f->sides[1].conn[0], bwlimit);
    if (f->piece > f->extent_max)
        f->piece = f->extent_max;
    f->earliest_us = 0;
}

void flow_set_io_timeout(struct flow *f, unsigned ms)
{
    f->io_timeout_ms = ms;
}

void flow_on_look(struct flow *f, flow_look *fn, void *arg)
{
    f->look = fn;
    f->look_arg = arg;
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
    return info(x->flow, 1)->zeroes;
}

struct director *flow_director(const struct flow_extent *x)
{
    return x->flow->director;
}

struct digests *flow_digests(const struct flow_extent *x)
{
    return x->flow->digests;
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

static void start_reads(struct slot *s);

/* What the answer teaches of when to ask again. */
static void learn_gap(struct flow *f, bool zeroes)
{
    f->ask_gap = zeroes ? 0 : 2 * f->ask_gap + 1;
    if (f->ask_gap > ASK_GAP_MAX)
        f->ask_gap = ASK_GAP_MAX;
    f->ask_in = f->ask_gap;
}

/* All requests of the slot's state have ended: on to the next. */
static void advance(struct slot *s)
{
    struct flow *f = s->extent.flow;
    if (!s->failed && s->state == SLOT_ASKING) {
        learn_gap(f, s->zero != 0);
        start_reads(s);
        return;
    }
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
        r = write_started(s, nbd_export_write(lane(f, 1), x->source + offset, len,
                                              x->claim.offset + offset, target_written, s));
    }
    return r;
}

int flow_zero(struct flow_extent *x, uint64_t offset, uint64_t length)
{
    struct slot *s = (struct slot *)x;
    x->flow->ask_in = 0; /* there are zeroes about */
    return write_started(
        s, nbd_export_zero(lane(x->flow, 1), length, x->claim.offset + offset, target_written, s));
}

/* Called with ascending ranges, which may touch. */
static void source_zeroes(void *arg, uint64_t offset, uint64_t length)
{
    struct slot *s = arg;
    const struct claim *c = &s->extent.claim;
    if (s->zero_to != offset || s->zero_from == s->zero_to)
        s->zero_from = offset;
    s->zero_to = offset + length;
    for (uint64_t i = 0; i * EXTENT_MIN < c->length; i++) {
        uint64_t from = c->offset + i * EXTENT_MIN;
        uint64_t to = from + EXTENT_MIN;
        if (to > c->offset + c->length)
            to = c->offset + c->length;
        if (s->zero_from <= from && to <= s->zero_to)
            s->zero |= UINT32_C(1) << i;
    }
}

static bool is_zero(const struct slot *s, uint64_t at)
{
    return s->zero >> (at / EXTENT_MIN) & 1;
}

/* The bytes from AT on that are all known as zero, or all not known. */
static uint64_t run_length(const struct slot *s, uint64_t at)
{
    uint64_t end = at;
    do
        end = (end / EXTENT_MIN + 1) * EXTENT_MIN;
    while (end < s->extent.claim.length && is_zero(s, end) == is_zero(s, at));
    return (end < s->extent.claim.length ? end : s->extent.claim.length) - at;
}

/* Reads the extent from one side, in pieces, but for zeroes of the source that are known.  What was
 * started is counted, also on failure. */
static int start_side(struct slot *s, int side, unsigned char *to, nbd_export_done *done)
{
    struct flow *f = s->extent.flow;
    const struct claim *c = &s->extent.claim;
    uint64_t len;
    for (uint64_t at = 0; at < c->length; at += len) {
        len = side == 0 ? run_length(s, at) : c->length - at;
        if (side == 0 && is_zero(s, at)) {
            memset(to + at, 0, len);
            continue;
        }
        if (len > f->piece)
            len = f->piece;
        int r = nbd_export_read(lane(f, side), to + at, len, c->offset + at, done, s);
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
    s->extent.zero = is_zero(s, 0) && run_length(s, 0) == s->extent.claim.length;
    s->pending = 1; /* until both are started */
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

static void status_known(void *arg, int result)
{
    struct slot *s = arg;
    if (result == -ENOTCONN)
        request_failed(s, FLOW_SOURCE, "block status of source", result);
    else if (result < 0)
        s->zero = 0; /* then it is read */
    ended(s);
}

static bool should_ask(struct flow *f)
{
    if (!f->job->asks_status || !info(f, 0)->status)
        return false;
    if (f->ask_in == 0)
        return true;
    f->ask_in--;
    return false;
}

/* The slot's extent has been claimed. */
static void start_slot(struct slot *s)
{
    struct flow *f = s->extent.flow;
    const struct claim *c = &s->extent.claim;
    s->failed = s->lost = false;
    s->writes = 0;
    s->zero = 0;
    s->zero_from = s->zero_to = 0;
    f->busy++;
    if (should_ask(f)) {
        s->state = SLOT_ASKING;
        s->pending = 1;
        if (nbd_export_status(lane(f, 0), c->length, c->offset, source_zeroes, status_known, s) ==
            0)
            return;
    }
    start_reads(s);
}

static struct slot *free_slot(struct flow *f)
{
    for (int i = 0; i < SLOTS; i++)
        if (f->slots[i].state == SLOT_FREE)
            return &f->slots[i];
    return NULL;
}

/* What holds now, bytes a second; 0: nothing. */
static uint64_t limit_now(const struct flow *f)
{
    uint64_t slow = f->slow_limit;
    return slow && (!f->bwlimit || slow < f->bwlimit) ? slow : f->bwlimit;
}

static uint64_t claim_size(const struct flow *f)
{
    uint64_t size = f->piece > EXTENT_MIN ? f->piece : EXTENT_MIN;
    while (f->throttled && f->slow_limit && size > EXTENT_MIN && size > f->slow_limit / 16)
        size /= 2;
    return size;
}

static void sample(struct flow *f, const struct flow_limits *lim)
{
    uint64_t now = clock_mono_us();
    uint64_t us = now - f->sampled_us;
    if (!f->limiter || !lim->throttled || us < FLOW_SAMPLE_US)
        return;
    f->slow_limit = f->limiter(f->limiter_arg, f->claimed_sampled * 1000000 / us);
    f->claimed_sampled = 0;
    f->sampled_us = now;
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

/* The next extent of the job, in order.  As director_claim(). */
static int claim_next(struct flow *f, struct claim *c)
{
    while (f->order && f->job->kind == CLAIM_COPY && f->order_at < f->order->n) {
        const struct heat_range *range = &f->order->range[f->order_at];
        int r = director_claim_in(f->director, range->from, range->to, claim_size(f), c,
                                  &f->result.backlog);
        if (r != 0)
            return r;
        f->order_at++;
    }
    return director_claim(f->director, f->job->kind, claim_size(f), c, &f->result.backlog);
}

/* Claims one extent.  1, 0 (nothing to claim) or -errno. */
static int claim_one(struct flow *f, struct slot *s, const struct flow_limits *lim)
{
    struct claim *c = &s->extent.claim;
    int r = claim_next(f, c);
    if (r < 0)
        return fail_director(f, r);
    if (r == 0)
        return 0;
    if (c->unchanged)
        return pass_over(f, c);
    f->claimed_sampled += c->length;
    if (lim->throttled && limit_now(f)) {
        uint64_t now = clock_mono_us();
        if (f->earliest_us < now)
            f->earliest_us = now;
        f->earliest_us += c->length * 1000000 / limit_now(f);
    }
    start_slot(s);
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
    int n = wait_all(f, timeout_ms < 0 ? (int)f->io_timeout_ms : timeout_ms);
    if (n > 0 || n == -EINTR || timeout_ms >= 0)
        return;
    bool lost = false;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &f->slots[i];
        lost = lost || (s->state != SLOT_FREE && s->writes);
        s->state = SLOT_FREE;
    }
    f->busy = 0;
    bool source = waits_for(f, 0);
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
    f->throttled = limits->throttled;
    f->result = (struct flow_result){.left = 0};
    f->error = (struct flow_error){.side = FLOW_NOBODY};
    bool stop = false;
    while (!stop || f->busy) {
        if (f->look && limits->throttled)
            f->look(f->look_arg);
        stop = stop || must_stop(f, limits, claimed);
        struct slot *s = stop ? NULL : free_slot(f);
        if (s)
            sample(f, limits);
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
