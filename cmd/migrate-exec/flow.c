/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/flow_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    BUFFER_ALIGN = 4096, /* unaligned buffers cost recv() a multiple */
    NAP_MS = 20,         /* while throttled with nothing in flight */
    DEPTH = 16,          /* long extents in flight; of short ones as many as there are slots */
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

uint64_t flow_piece_min(const struct flow *f)
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
    f->unflushed = true;
    f->extent_max = extent_limit(source, target, bwlimit);
    f->piece = flow_piece_min(f); /* it grows soon, where the source is quick */
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
    for (int side = 0; side < LANE_SIDES; side++)
        lanes_free(&f->sides[side]);
    for (int i = 0; i < SLOTS; i++) {
        free(f->slots[i].extent.source);
        free(f->slots[i].extent.target);
    }
    free(f);
}

void flow_widen(struct flow *f, enum flow_side side, struct nbd_export *const *more, unsigned n)
{
    lanes_add(&f->sides[side == FLOW_TARGET ? LANE_TARGET : LANE_SOURCE], more, n);
}

int flow_flush(struct flow *f, int timeout_ms)
{
    if (!f->unflushed)
        return 0;
    int r = nbd_export_flush_all(f->sides[1].conn, f->sides[1].n, timeout_ms);
    f->unflushed = r < 0;
    return r;
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

int flow_fail(struct flow *f, enum flow_side side, int err, const char *text)
{
    if (f->error.err == 0) {
        f->error.side = side;
        f->error.err = err;
        snprintf(f->error.text, sizeof(f->error.text), "%s", text);
    }
    return f->error.err;
}

int flow_fail_director(struct flow *f, int err)
{
    return flow_fail(f, FLOW_DIRECTOR, err, director_error(f->director));
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

static void sample(struct flow *f)
{
    uint64_t now = clock_mono_us();
    uint64_t us = now - f->sampled_us;
    if (!f->limiter || !f->throttled || us < FLOW_SAMPLE_US)
        return;
    f->slow_limit = f->limiter(f->limiter_arg, f->claimed_sampled * 1000000 / us);
    f->claimed_sampled = 0;
    f->sampled_us = now;
}

/* Settles claim C, of which nothing need be read or sent. */
static void pass_over(struct flow *f, const struct claim *c)
{
    struct flow_result *res = &f->result;
    uint64_t begin = clock_mono_us();
    int r = f->trust_map ? director_unchanged(f->director, c->id, &res->left)
                         : director_synced(f->director, &c->id, 1, &res->left);
    if (r < 0) {
        flow_fail_director(f, r);
        return;
    }
    res->unchanged += c->length;
    res->us -= clock_mono_us() - begin; /* it tells nothing of the pace */
    if (f->tick)
        f->tick(f->tick_arg, res->left);
}

/* The next extents of the job, in order.  As director_claim(). */
static int claim_next(struct flow *f, struct claim *claims, size_t count)
{
    while (f->order && f->job->kind == CLAIM_COPY && f->order_at < f->order->n) {
        const struct heat_range *range = &f->order->range[f->order_at];
        int r = director_claim_in(f->director, range->from, range->to, claim_size(f), claims,
                                  &f->result.backlog);
        if (r != 0)
            return r;
        f->order_at++;
    }
    return director_claim(f->director, f->job->kind, claim_size(f), claims, count,
                          &f->result.backlog);
}

/* How many extents there is room for: as many bytes in flight as DEPTH long ones have. */
static size_t room(const struct flow *f)
{
    uint64_t most = DEPTH * claim_size(f);
    size_t count = SLOTS - f->busy < CLAIM_BATCH ? SLOTS - f->busy : CLAIM_BATCH;
    if (count == 0 || f->bytes_in_flight >= most)
        return 0;
    if (f->throttled && limit_now(f))
        return 1;
    uint64_t each = f->mean_length ? f->mean_length : claim_size(f);
    uint64_t fit = (most - f->bytes_in_flight + each - 1) / each;
    return fit < count ? (size_t)fit : count;
}

static void start(struct flow *f, const struct claim *c)
{
    struct slot *s = free_slot(f);
    f->claimed_sampled += c->length;
    f->mean_length = f->mean_length ? (7 * f->mean_length + c->length) / 8 : c->length;
    if (f->throttled && limit_now(f)) {
        uint64_t now = clock_mono_us();
        if (f->earliest_us < now)
            f->earliest_us = now;
        f->earliest_us += c->length * 1000000 / limit_now(f);
    }
    s->extent.claim = *c;
    slot_start(s);
}

/* Claims COUNT extents, or as many as there are.  The bytes, 0 (nothing to claim) or -errno. */
static int64_t claim_some(struct flow *f, size_t count)
{
    struct claim claims[CLAIM_BATCH];
    int64_t bytes = 0;
    int n = claim_next(f, claims, count);
    if (n < 0)
        return flow_fail_director(f, n);
    /* Also after an error every one of them: it is given back then. */
    for (int i = 0; i < n; i++) {
        if (claims[i].unchanged)
            pass_over(f, &claims[i]);
        else
            start(f, &claims[i]);
        bytes += (int64_t)claims[i].length;
    }
    return bytes;
}

/* ---- what is done ---- */

static void settled(struct slot *s)
{
    struct flow *f = s->extent.flow;
    if (f->job->settled)
        f->job->settled(&s->extent);
    f->result.bytes += s->extent.claim.length;
    f->result.claims++;
    slot_free(s);
}

/* At most CLAIM_BATCH slots that are done, in the same way: their number, and their claims. */
static size_t done_slots(struct flow *f, struct slot *slots[CLAIM_BATCH],
                         uint64_t claims[CLAIM_BATCH])
{
    size_t n = 0;
    for (int i = 0; i < SLOTS && n < CLAIM_BATCH; i++) {
        if (f->slots[i].state != SLOT_DONE ||
            (n && f->slots[i].extent.equal != slots[0]->extent.equal))
            continue;
        claims[n] = f->slots[i].extent.claim.id;
        slots[n++] = &f->slots[i];
    }
    return n;
}

static int tell_done(struct flow *f, const uint64_t *claims, size_t n, bool equal)
{
    uint64_t *left = &f->result.left;
    if (f->job->kind == CLAIM_PROVE)
        return director_proved(f->director, claims, n, left);
    return equal ? director_equal(f->director, claims, n, left)
                 : director_synced(f->director, claims, n, left);
}

/*
 * Tells the director of every extent that is done, also after an error of its own, that the source
 * is away, say: what is not ended is haunted when we leave (S2).  If it is gone that ends at once.
 */
static void settle(struct flow *f)
{
    struct slot *slots[CLAIM_BATCH];
    uint64_t claims[CLAIM_BATCH];
    while (f->done) {
        size_t n = done_slots(f, slots, claims);
        int r = tell_done(f, claims, n, slots[0]->extent.equal);
        if (r < 0)
            flow_fail_director(f, r);
        for (size_t i = 0; i < n; i++) {
            if (r < 0)
                slot_free(slots[i]);
            else
                settled(slots[i]);
        }
        if (r == 0 && f->tick)
            f->tick(f->tick_arg, f->result.left);
    }
}

/* How long the bandwidth limit still forbids a claim. */
static uint64_t throttle_us(const struct flow *f)
{
    uint64_t now = clock_mono_us();
    return f->throttled && f->earliest_us > now ? f->earliest_us - now : 0;
}

static bool must_stop(const struct flow *f, const struct flow_limits *lim, uint64_t claimed)
{
    const struct flow_result *res = &f->result;
    if (lim->until_nothing_left && res->claims && !f->busy && res->left == 0 && !res->differing)
        return true;
    return f->error.err || signals_pending() || (lim->bytes && claimed >= lim->bytes) ||
           (lim->deadline_us && clock_mono_us() >= lim->deadline_us);
}

/* Waits for replies.  When none comes for too long, what is unanswered is lost. */
static void wait_replies(struct flow *f, int timeout_ms)
{
    int n = lanes_wait(f->sides, timeout_ms < 0 ? (int)f->io_timeout_ms : timeout_ms);
    if (n > 0 || n == -EINTR || timeout_ms >= 0)
        return;
    bool lost = false;
    for (int i = 0; i < SLOTS; i++) {
        struct slot *s = &f->slots[i];
        if (s->state == SLOT_FREE)
            continue;
        lost = lost || s->writes;
        slot_free(s);
    }
    bool source = lanes_busy(&f->sides[LANE_SOURCE]);
    flow_fail(f, source ? FLOW_SOURCE : FLOW_TARGET, -ETIMEDOUT,
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

enum filled {
    FILLED_NO_ROOM, /* or an error, which is kept */
    FILLED_NOTHING, /* to claim */
    FILLED_LATER,   /* as the limit has it, which was waited for a while */
    FILLED_SOME,
};

/* Claims what there is room for; *CLAIMED grows by its bytes. */
static enum filled fill(struct flow *f, uint64_t *claimed)
{
    size_t count = room(f);
    if (count == 0)
        return FILLED_NO_ROOM;
    sample(f);
    uint64_t forbidden = throttle_us(f);
    if (forbidden) {
        nap(f, forbidden);
        return FILLED_LATER;
    }
    int64_t bytes = claim_some(f, count);
    if (bytes < 0)
        return FILLED_NO_ROOM;
    *claimed += (uint64_t)bytes;
    return bytes > 0 ? FILLED_SOME : FILLED_NOTHING;
}

int flow_run(struct flow *f, const struct flow_job *job, const struct flow_limits *limits,
             struct flow_result *out)
{
    uint64_t claimed = 0;
    uint64_t begin = clock_mono_us();
    f->job = job;
    f->throttled = limits->throttled;
    f->mean_length = 0;
    f->result = (struct flow_result){.left = 0};
    f->error = (struct flow_error){.side = FLOW_NOBODY};
    bool stop = false;
    while (!stop || f->busy) {
        stop = (f->look && f->throttled && f->look(f->look_arg)) || stop;
        settle(f);
        stop = stop || must_stop(f, limits, claimed);
        enum filled filled = stop ? FILLED_NO_ROOM : fill(f, &claimed);
        if (filled == FILLED_SOME || filled == FILLED_LATER || f->done)
            continue;
        if (f->busy)
            wait_replies(f, -1);
        else if (filled == FILLED_NOTHING)
            stop = f->result.none = true;
    }
    f->result.us += clock_mono_us() - begin;
    *out = f->result;
    return f->error.err;
}
