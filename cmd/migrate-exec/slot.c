/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An extent's way: block status, reads, the job's decision, writes. */
#include "cmd/migrate-exec/flow_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    SLOW_US = 200 * 1000, /* an extent that took longer is asked for in smaller pieces … */
    QUICK_US = 50 * 1000, /* … and one that was quicker in larger ones, … */
    QUICK_ROW = 64,       /* … but so many in a row after one was slow */
    ASK_GAP_MAX = 255,    /* extents between two questions for block status that found no zeroes */
};

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
    flow_fail(s->extent.flow, side, err, text);
}

void slot_free(struct slot *s)
{
    struct flow *f = s->extent.flow;
    f->done -= s->state == SLOT_DONE;
    s->state = SLOT_FREE;
    f->busy--;
    f->bytes_in_flight -= s->extent.claim.length;
}

/* Every reply that will come has come, and one was bad: give the claim back, unless it must be
 * kept for ever. */
static void give_up(struct slot *s)
{
    struct flow *f = s->extent.flow;
    if (s->lost) {
        f->error.lost = true;
    } else {
        int r = director_release(f->director, s->extent.claim.id);
        if (r < 0)
            flow_fail_director(f, r);
    }
    slot_free(s);
}

/* Every reply is in and good. */
static void finish(struct slot *s)
{
    struct flow *f = s->extent.flow;
    int r = f->job->check ? f->job->check(&s->extent) : 1;
    if (r < 0)
        flow_fail_director(f, r);
    if (r <= 0) {
        slot_free(s);
        return;
    }
    s->state = SLOT_DONE;
    f->done++;
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
        if (f->piece / 2 >= flow_piece_min(f))
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
        finish(s);
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
    s->extent.flow->unflushed = true;
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
        r = write_started(s,
                          nbd_export_write(lanes_idlest(&f->sides[LANE_TARGET]), x->source + offset,
                                           len, x->claim.offset + offset, target_written, s));
    }
    return r;
}

int flow_zero(struct flow_extent *x, uint64_t offset, uint64_t length)
{
    struct slot *s = (struct slot *)x;
    x->flow->ask_in = 0; /* there are zeroes about */
    return write_started(s, nbd_export_zero(lanes_idlest(&x->flow->sides[LANE_TARGET]), length,
                                            x->claim.offset + offset, target_written, s));
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
        int r =
            nbd_export_read(lanes_idlest(&f->sides[side]), to + at, len, c->offset + at, done, s);
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
    if (!f->job->asks_status || !nbd_export_info(f->sides[LANE_SOURCE].conn[0])->status)
        return false;
    if (f->ask_in == 0)
        return true;
    f->ask_in--;
    return false;
}

void slot_start(struct slot *s)
{
    struct flow *f = s->extent.flow;
    const struct claim *c = &s->extent.claim;
    s->failed = s->lost = s->extent.equal = false;
    s->writes = 0;
    s->zero = 0;
    s->zero_from = s->zero_to = 0;
    f->busy++;
    f->bytes_in_flight += c->length;
    if (should_ask(f)) {
        s->state = SLOT_ASKING;
        s->pending = 1;
        if (nbd_export_status(lanes_idlest(&f->sides[LANE_SOURCE]), c->length, c->offset,
                              source_zeroes, status_known, s) == 0)
            return;
    }
    start_reads(s);
}
