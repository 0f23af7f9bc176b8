/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/move_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/migrate-exec/ahead.h"
#include "cmd/migrate-exec/behind.h"
#include "cmd/migrate-exec/copy.h"
#include "cmd/migrate-exec/cutover.h"
#include "cmd/migrate-exec/giveway.h"
#include "cmd/migrate-exec/lanes.h"
#include "cmd/migrate-exec/mirrored.h"
#include "cmd/migrate-exec/missing.h"
#include "cmd/migrate-exec/modify.h"
#include "cmd/migrate-exec/overwrite.h"
#include "cmd/migrate-exec/passes.h"
#include "cmd/migrate-exec/promoted.h"
#include "cmd/migrate-exec/reach.h"
#include "cmd/migrate-exec/shared.h"
#include "cmd/migrate-exec/sides.h"
#include "cmd/migrate-exec/signals.h"
#include "cmd/migrate-exec/warm.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    PREDECESSOR_US = 5000000, /* a killed driver's connection is noticed sooner */
    PATIENCE_US = 1000000,    /* longer waits are told of */
    ASK_AGAIN_MS = 200,       /* between two tries to begin during a quarantine */
    FLUSH_MS = 120 * 1000,    /* outside of a hold */
    PASSES_MAX = 30,          /* before the mirror is switched on in any case */
};

void move_init(struct move *m, const struct exec *exec)
{
    *m = (struct move){.own = *exec, .phase = PHASE_REDIRECT, .ending = EVENT_FAILED};
    m->exec = &m->own;
    progress_init(&m->progress);
    m->progress.cell = exec->cell;
    m->progress.on = m->progress.on && (exec->jobs <= 1 || exec->cell); /* they share the line */
}

/* The exports first: what is unanswered points into the flow. */
void move_disconnect(struct move *m)
{
    lane_close(m->from);
    lane_close(m->to);
    flow_free(m->flow);
    digests_free(m->digests);
    heat_release(&m->heat);
    m->from = m->to = NULL;
    m->from_private = m->to_private = false;
    m->flow = NULL;
    m->digests = NULL;
}

void move_leave_director(struct move *m)
{
    director_close(m->director);
    m->director = NULL;
}

void move_release(struct move *m)
{
    progress_clear(&m->progress);
    move_disconnect(m);
    move_leave_director(m);
    journal_close(m->journal);
    m->journal = NULL;
}

/* ---- outcomes and events ---- */

__attribute__((format(printf, 4, 0))) static enum outcome
end_va(struct move *m, enum outcome o, enum rec_event event, const char *fmt, va_list ap)
{
    m->ending = event;
    vsnprintf(m->why, sizeof(m->why), fmt, ap);
    for (char *p = m->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return o;
}

enum outcome move_fails(struct move *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum outcome o = end_va(m, FAILED, EVENT_FAILED, fmt, ap);
    va_end(ap);
    return o;
}

enum outcome move_stalls(struct move *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum outcome o = end_va(m, DEFERRED, EVENT_STALLED, fmt, ap);
    va_end(ap);
    return o;
}

enum outcome move_ends(struct move *m, enum outcome o, enum rec_event event, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    end_va(m, o, event, fmt, ap);
    va_end(ap);
    return o;
}

void move_fill_event(const struct move *m, struct event *e, enum rec_event event)
{
    *e = (struct event){
        .time = clock_now(),
        .phase = m->phase,
        .event = event,
        .bytes_done = m->size_bytes - (m->dirty < m->size_bytes ? m->dirty : m->size_bytes),
        .bytes_total = m->size_bytes,
        .has_pause = event == EVENT_SWITCHED && m->has_pause,
        .pause_us = m->pause_us,
    };
    snprintf(e->migration, sizeof(e->migration), "%s", m->id);
    snprintf(e->volume, sizeof(e->volume), "%s", m->volume);
    snprintf(e->source, sizeof(e->source), "%s", m->source);
    snprintf(e->target, sizeof(e->target), "%s", m->target);
    snprintf(e->who, sizeof(e->who), "%s", m->exec->who);
}

/* Tells others of E.  What fails here does not undo what the journal has. */
static void publish(struct move *m, const struct event *e)
{
    int r = history_append(m->exec->dirs.state, e);
    if (r < 0)
        err_warn("cannot append to '%s/history.csv': %s", m->exec->dirs.state, err_text(r));
    progress_clear(&m->progress);
    event_put(m->exec->out, e);
    rec_write_now(m->exec->out); /* a failure is found by the check of stdout at exit */
}

static int append(struct move *m, const struct event *e)
{
    int r = journal_append(m->journal, e);
    if (r < 0)
        err_warn("cannot write the journal of '%s': %s", m->id, err_text(r));
    return r;
}

int move_event(struct move *m, enum rec_event event, const char *fmt, ...)
{
    struct event e;
    va_list ap;
    move_fill_event(m, &e, event);
    va_start(ap, fmt);
    vsnprintf(e.detail, sizeof(e.detail), fmt, ap);
    va_end(ap);
    int r = append(m, &e);
    if (r == 0)
        publish(m, &e);
    return r;
}

int move_note(struct move *m, enum rec_event event, const char *fmt, ...)
{
    struct event e;
    va_list ap;
    move_fill_event(m, &e, event);
    va_start(ap, fmt);
    vsnprintf(e.detail, sizeof(e.detail), fmt, ap);
    va_end(ap);
    return append(m, &e);
}

enum outcome move_journal_failed(struct move *m, int r)
{
    return move_stalls(m, "cannot write the journal: %s", err_text(r));
}

/* The director has said TEXT with the result R; what it said since is no matter. */
static enum outcome director_said(struct move *m, int r, const char *text)
{
    if (r == -ECONNRESET) {
        move_leave_director(m);
        return move_stalls(m, "%s", text);
    }
    if (r == -EAGAIN)
        return move_stalls(m, "%s", text); /* it keeps what is synced until the source is back */
    if (r == -ENOENT || (r == -ECONNABORTED && strcmp(text, "aborted") == 0))
        return move_ends(m, FAILED, EVENT_ABORTED, "by somebody else");
    /* A private export is closed for other reasons, too; the director would have stalled. */
    bool own = m->from && !m->from_private;
    if (r == -ECONNABORTED && own && !nbd_export_alive(m->from))
        return move_stalls(m, "the source is gone: %s", text);
    if (r == -ECONNABORTED)
        return move_fails(m, "the director gave up: %s", text);
    return move_fails(m, "director: %s", text);
}

enum outcome move_director_failed(struct move *m, int r)
{
    char text[200];
    snprintf(text, sizeof(text), "%s", director_error(m->director));
    return director_said(m, r, text);
}

enum outcome move_flow_failed(struct move *m)
{
    struct flow_error e = *flow_error(m->flow);
    if (e.lost)
        move_leave_director(m); /* it must not take the claims back, but treat them as haunted */
    if (e.side == FLOW_DIRECTOR)
        return m->director ? director_said(m, e.err, e.text) : move_stalls(m, "%s", e.text);
    if (e.side == FLOW_SOURCE && (e.err == -ENOTCONN || e.err == -ETIMEDOUT))
        return move_stalls(m, "%s", e.text);
    return move_fails(m, "%s", e.text);
}

enum outcome move_interrupted(struct move *m)
{
    const char *signal = signals_pending();
    if (!signal && m->gives_way[0])
        return move_stalls(m, "gives way to %s", m->gives_way);
    if (!signal)
        return GO;
    if (m->was_deferred)
        return move_ends(m, DEFERRED, EVENT_DEFERRED, "interrupted by %s", signal);
    return move_ends(m, FAILED, EVENT_ABORTED, "interrupted by %s", signal);
}

/* ---- redirect ---- */

struct hook move_hook(const struct move *m, const char *gateway)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, gateway);
    return (struct hook){
        .line = g ? g->hook : "",
        .gateway = gateway,
        .volume = m->volume,
        .size_bytes = m->size_bytes,
        .timeout_s = m->exec->hook_timeout_s,
    };
}

int move_open_director(struct move *m)
{
    const struct exec *x = m->exec;
    if (m->director)
        return 0;
    return director_open(x->control, x->dirs.state, x->dirs.run, m->volume, &m->director);
}

enum outcome move_find_director(struct move *m)
{
    const struct exec *x = m->exec;
    int r = move_open_director(m);
    if (r == 0)
        return GO;
    return move_ends(m, UNAVAILABLE, EVENT_STALLED, "no director answers %s '%s': %s",
                     x->control ? "at" : "in", x->control ? x->control : x->dirs.run, err_text(r));
}

/* Before the export is made or written to: after a kill --resume knows that it is ours. */
static enum outcome take_export(struct move *m)
{
    int r = move_note(m, EVENT_BEGIN, MOVE_TAKES_EXPORT);
    return r < 0 ? move_journal_failed(m, r) : GO;
}

/* Has the target's hook make the export if it is not there: of a cold copy, or a new one. */
static enum outcome provide_export(struct move *m)
{
    struct hook hook = move_hook(m, m->target);
    char why[200];
    uint64_t bytes;
    if (!hook_there(&hook))
        return GO; /* then the export must exist */
    int r = hook_size(&hook, &bytes, why, sizeof(why));
    if (r == HOOK_DONE || r == HOOK_CANNOT)
        return GO;
    if (r != HOOK_ABSENT)
        return move_fails(m, "hook of %s, size: %s", m->target, why);
    bool there = false;
    if (m->back)
        return move_fails(m, "the copy on %s is not there any more", m->target);
    enum outcome o = take_export(m);
    if (o == GO)
        o = warm_cold_copy(m, &there);
    if (o != GO || there)
        return o;
    r = hook_run(&hook, "create", why, sizeof(why));
    if (r != HOOK_DONE)
        return move_fails(m, "hook of %s, create: %s", m->target, why);
    m->created = true;
    return GO;
}

/*
 * An export that was there before may hold anybody's data: it is overwritten only if a move of this
 * volume made, filled or left it, or if the operator says so.
 */
static enum outcome may_overwrite(struct move *m)
{
    if (m->created)
        return GO;
    return m->exec->overwrite ? take_export(m) : overwrite_ask(m);
}

/*
 * Asks the director to begin, for as long as it says that a quarantine runs (S2), or that our dead
 * predecessor's connection is still there; and where a gateway takes one connection, for a moment
 * that it was sent away, as the gateway may not know yet that ours is over.
 */
static int begin_patiently(struct move *m, bool resumed, struct director_begun *begun)
{
    const struct director_order order = {.epoch = m->epoch,
                                         .target = m->target,
                                         .kind = m->shared ? BEGIN_SHARED
                                                 : m->back ? BEGIN_BACK
                                                           : BEGIN_COPY,
                                         .no_flush = !m->shared && verify_no_flush(m),
                                         .verify = m->terms.verify};
    uint64_t now = clock_mono_us();
    uint64_t quarantine_end = now + m->exec->quarantine_us;
    uint64_t busy_end = now + (resumed ? PREDECESSOR_US : 0);
    uint64_t lone_end = now + (m->lone ? UINT64_C(1000) * PART_MS : 0);
    uint64_t patience_end = now + PATIENCE_US;
    for (;;) {
        int r = director_begin(m->director, &order, begun);
        bool wait = (r == -EAGAIN && clock_mono_us() < quarantine_end) ||
                    (r == -EBUSY && clock_mono_us() < busy_end) ||
                    (r == -ENOTCONN && clock_mono_us() < lone_end);
        if (!wait || signals_pending() || giveway_look(m))
            return r;
        if (r == -EAGAIN && clock_mono_us() >= patience_end) {
            err_warn("'%s' waits: %s", m->id, director_error(m->director));
            patience_end = UINT64_MAX;
        }
        poll(NULL, 0, ASK_AGAIN_MS);
    }
}

/* What a refused begin means: nothing has changed at the director. */
static enum outcome begin_refused(struct move *m, int r)
{
    char text[200];
    snprintf(text, sizeof(text), "%s", director_error(m->director));
    if (r == -ECONNRESET) {
        move_leave_director(m);
        return move_stalls(m, "%s", text);
    }
    if (r == -EAGAIN)
        return move_stalls(m, "quarantine of unanswered writes: %s", text);
    return move_fails(m, "director refuses: %s", text);
}

/* How long clients wait without us. */
static void note_latency(struct move *m)
{
    struct director_status s;
    m->slowdown.percent = m->exec->max_slowdown;
    if (!m->exec->max_slowdown || director_status(m->director, &s) < 0)
        return;
    m->slowdown.before_us[SLOWDOWN_READ] = s.read_us_now;
    m->slowdown.before_us[SLOWDOWN_WRITE] = s.write_us_now;
}

/* The limit while copying at RATE; without an answer what it was: the next claim says why. */
static uint64_t ask_limit(void *arg, uint64_t rate)
{
    struct move *m = arg;
    struct director_status s;
    if (director_status(m->director, &s) < 0)
        return m->slowdown.limit;
    return slowdown_step(&m->slowdown, (uint64_t[]){s.read_us_now, s.write_us_now}, rate);
}

/* More connections to GATEWAY, for which the flow stands already. */
static void widen(struct move *m, enum flow_side side, const char *gateway)
{
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, gateway);
    const struct nbd_export *first = side == FLOW_TARGET ? m->to : m->from;
    struct nbd_export *more[LANES_MAX];
    unsigned n = side_widen(first, g->uri, m->volume, more, m->exec->connections - 1);
    flow_widen(m->flow, side, more, n);
}

static bool look_for_changes(void *arg)
{
    modify_look(arg);
    return giveway_look(arg);
}

static enum outcome begin(struct move *m, bool resumed)
{
    struct director_begun begun;
    note_latency(m);
    int r = begin_patiently(m, resumed, &begun);
    if (r < 0 && r != -ECONNRESET && move_interrupted(m) != GO)
        return move_interrupted(m);
    if (r < 0)
        return begin_refused(m, r);
    m->begun = true;
    m->attached = begun.attached;
    if (begun.size != m->size_bytes)
        return move_fails(m, "the director says %llu bytes, not %llu",
                          (unsigned long long)begun.size, (unsigned long long)m->size_bytes);
    m->dirty = m->shared ? 0 : m->size_bytes;
    m->block = begun.block;
    if (m->shared)
        return GO;
    /* A leg that was there before us holds what others wrote. */
    m->created = m->created && !begun.attached;
    enum outcome o = reach_both(m, &begun);
    if (o != GO)
        return o;
    m->flow = flow_new(m->director, m->from, m->to, m->exec->bwlimit);
    if (!m->flow)
        return move_fails(m, "out of memory");
    if (m->exec->max_slowdown)
        flow_on_sample(m->flow, ask_limit, m);
    m->digests = digests_new(m->size_bytes); /* without memory for it: a move without digest */
    flow_set_digests(m->flow, m->digests);
    if (!m->from_private)
        widen(m, FLOW_SOURCE, m->source);
    if (!m->to_private)
        widen(m, FLOW_TARGET, m->target);
    flow_set_io_timeout(m->flow, m->exec->io_timeout_ms);
    flow_on_look(m->flow, look_for_changes, m);
    flow_trust_map(m->flow, m->terms.verify != VERIFY_FULL);
    return GO;
}

/* Why it is done now: the plan's reason. */
static int tell_begin(struct move *m, bool resumed)
{
    const char *again = m->hands_over ? REC_TO_HAND_OVER : "resumed";
    const char *what = resumed ? again : m->ahead ? REC_STANDBY : "";
    const char *why = !resumed ? m->reason : m->exec->reason ? m->exec->reason : "";
    return move_event(m, EVENT_BEGIN, "%s%s%s", what, *what && *why ? MOVE_REASON : "", why);
}

static enum outcome redirect(struct move *m, bool resumed)
{
    m->phase = PHASE_REDIRECT;
    enum outcome o = move_find_director(m);
    if (o == GO && behind_clear(m->exec, m->volume, m->target) != GO)
        o = move_fails(m, "what was left behind on %s comes first", m->target);
    if (o == GO)
        o = shared_ask(m);
    /* On shared storage the source may be down; it is asked for no more than an unknown size. */
    if (o == GO && !m->from && (!m->shared || m->size_bytes == 0))
        o = reach_source(m);
    if (o == GO && m->ahead && m->shared)
        o = move_fails(m, AHEAD_SHARED, m->source, m->target);
    if (o != GO)
        return o;
    m->dirty = m->size_bytes;
    int r = m->ahead && !resumed ? ahead_note(m) : 0;
    if (r == 0)
        r = tell_begin(m, resumed);
    if (r == 0)
        r = verify_note(m);
    if (r < 0)
        return move_journal_failed(m, r);
    o = m->shared ? shared_prepare(m) : provide_export(m);
    if (o == GO && m->back) /* its connection may be the only one that the target takes (S9) */
        mirrored_give_way(m);
    if (o == GO)
        o = reach_target(m);
    if (o == GO && !m->shared)
        o = may_overwrite(m);
    r = o == GO && !m->shared ? verify_flushes(m) : 0;
    if (r < 0)
        return move_journal_failed(m, r);
    return o == GO ? begin(m, resumed) : o;
}

/* ---- replicate ---- */

static void show_dirty(void *arg, uint64_t left)
{
    struct move *m = arg;
    m->dirty = left;
    progress_show(&m->progress, m->id, "copy", m->size_bytes - left, m->size_bytes);
}

static bool compares(const struct move *m)
{
    if (m->exec->compare == COMPARE_AUTO)
        return !m->created;
    return m->exec->compare == COMPARE_ALWAYS;
}

enum outcome move_copy(struct move *m, const struct flow_limits *limits, struct flow_result *res)
{
    const struct flow_job *job = compares(m) ? &copy_differences : &copy_all;
    flow_on_tick(m->flow, show_dirty, m);
    int r = flow_run(m->flow, job, limits, res);
    if (r < 0)
        return move_flow_failed(m);
    pace_learn(&m->copy_pace, res->bytes, res->claims, res->us);
    m->dirty =
        res->none ? res->backlog.dirty + res->backlog.copying + res->backlog.haunted : res->left;
    return move_interrupted(m);
}

enum outcome move_flush(struct move *m, int timeout_ms)
{
    uint64_t begin_us = clock_mono_us();
    /* A private export is no connection of ours: the director flushes what went through it. */
    bool flushes = !m->to_private && nbd_export_info(m->to)->flush;
    int r = flushes ? flow_flush(m->flow, timeout_ms) : 0;
    if (r < 0)
        return move_fails(m, "flush of target: %s", nbd_export_error(m->to));
    r = director_flush(m->director);
    if (r < 0)
        return move_director_failed(m, r);
    /* One that had nothing to do says little of the next. */
    uint64_t us = clock_mono_us() - begin_us;
    uint64_t before = m->flush_us / 2;
    m->flush_us = us > before ? us : before;
    return GO;
}

/* What is dirty, copied, flushed and proved in the hold.  Until the first proof has been measured,
 * reading both sides is taken to cost what copying does. */
static uint64_t rest_us(const struct move *m)
{
    const struct pace *prove = m->prove_pace.byte_us > 0 ? &m->prove_pace : &m->copy_pace;
    return pace_predict(&m->copy_pace, m->dirty, m->block) +
           pace_predict(prove, m->dirty, m->block) + m->flush_us;
}

static const char *say_unchanged(const struct flow_result *res, char *text, size_t size)
{
    *text = 0;
    if (res->unchanged)
        snprintf(text, size, ", %llu unchanged", (unsigned long long)res->unchanged);
    return text;
}

/* What is expected to be written soon is copied last, or else it would be copied twice. */
static void order_first_pass(struct move *m)
{
    char why[256];
    if (!m->exec->heat || m->back)
        return;
    int r = heat_load(&m->heat, m->exec->heat, m->volume, clock_now(), why, sizeof(why));
    if (r == 0)
        r = heat_settle(&m->heat, m->size_bytes);
    if (r == 0)
        flow_set_order(m->flow, &m->heat);
    else
        err_warn("'%s' is copied without regard to heat: %s", m->volume, why);
}

/* Pre-copy: pass after pass, while clients go on writing. */
static enum outcome copy_passes(struct move *m)
{
    struct passes passes = {.n = 0};
    order_first_pass(m);
    for (int pass = 1; pass <= PASSES_MAX; pass++) {
        char text[48];
        struct flow_result res;
        struct flow_limits limits = {.bytes = m->dirty, .throttled = true};
        enum outcome o = move_copy(m, &limits, &res);
        flow_set_order(m->flow, NULL);
        if (o != GO)
            return o;
        char slowed[64] = "";
        if (m->slowdown.lowest)
            snprintf(slowed, sizeof(slowed), "; for clients slowed to %llu bytes/s at times",
                     (unsigned long long)m->slowdown.lowest);
        int r = move_event(m, EVENT_PASS, "pass %d: %llu bytes handled, %llu sent%s%s", pass,
                           (unsigned long long)res.bytes, (unsigned long long)res.sent,
                           say_unchanged(&res, text, sizeof(text)), slowed);
        if (r < 0)
            return move_journal_failed(m, r);
        passes_add(&passes, rest_us(m));
        if (passes_done(&passes, (uint64_t)m->exec->window_ms * 1000))
            return GO;
    }
    return GO;
}

static enum outcome replicate(struct move *m)
{
    m->phase = PHASE_REPLICATE;
    enum outcome o = copy_passes(m);
    if (o != GO)
        return o;
    int r = move_event(m, EVENT_MIRROR, "%s", "");
    if (r < 0)
        return move_journal_failed(m, r);
    r = director_mirror(m->director);
    if (r < 0)
        return move_director_failed(m, r);
    /* Now, outside of any hold, the bulk goes to the disk: the flush in the hold is short then. */
    return move_flush(m, FLUSH_MS);
}

enum outcome move_catch_up(struct move *m, uint64_t *bytes)
{
    struct director_status s;
    struct flow_result res;
    enum outcome o = begin(m, true);
    if (o == GO && !m->attached) { /* whoever drives it comes with a connection of its own */
        move_disconnect(m);
        move_leave_director(m);
        m->begun = false;
    }
    if (o != GO || !m->attached)
        return o;
    int r = director_status(m->director, &s);
    if (r < 0)
        return move_director_failed(m, r);
    *bytes = m->dirty = s.dirty + s.copying + s.haunted;
    struct flow_limits limits = {.bytes = m->dirty, .throttled = true};
    o = m->dirty ? move_copy(m, &limits, &res) : GO;
    return o == GO ? move_flush(m, FLUSH_MS) : o;
}

/* ---- ends ---- */

/* The director keeps the move for whoever goes on with it. */
static void leave_open(struct move *m)
{
    bool deferred = m->ending == EVENT_DEFERRED;
    int r = deferred && m->director ? director_defer(m->director) : 0;
    if (r < 0) /* it is mirrored all the same, and can be gone on with */
        err_warn("'%s' is not marked as deferred in its route: %s", m->id,
                 director_error(m->director));
    err_warn("'%s' %s: %s; go on with: migrate-exec --%s %s", m->id, rec_event_words[m->ending],
             m->why, deferred ? "cutover" : "resume", m->id);
}

/* As it was to be: the director goes on mirroring, and the source goes on serving. */
static enum outcome stand_by(struct move *m)
{
    move_disconnect(m);
    if (move_event(m, m->ending, "%s", m->why) < 0)
        return DEFERRED;
    int r = director_defer(m->director);
    if (r == 0)
        return SETTLED;
    err_warn("'%s' is not marked as deferred in its route: %s; go on with: migrate-exec --resume "
             "%s",
             m->id, director_error(m->director), m->id);
    return DEFERRED;
}

/* For who sees the status and not the events, which are in a file, say. */
static enum outcome say_end(const struct move *m, enum outcome o)
{
    if (o == FAILED || o == MANUAL)
        err_warn("'%s' %s: %s", m->id, rec_event_words[m->ending], m->why);
    return o;
}

/* Writes the event that ends the migration for this run. */
static enum outcome conclude(struct move *m, enum outcome o)
{
    switch (o) {
    case SWITCHED:
        return m->shared ? shared_finish(m) : move_finish(m);
    case SETTLED:
        return stand_by(m);
    case FAILED:
        return say_end(m, move_abort(m));
    case UNAVAILABLE:
        err_warn("cannot move '%s': %s", m->volume, m->why);
        return o;
    case DEFERRED:
    case MANUAL:
        move_disconnect(m);
        if (m->begun && !m->shared)
            missing_describe(m->exec, m->volume, m->why, sizeof(m->why));
        move_event(m, m->ending, "%s", m->why);
        if (o == DEFERRED)
            leave_open(m);
        return say_end(m, o);
    default:
        return o;
    }
}

/* A failure becomes a stall, for the same reason. */
static enum outcome stall_instead(struct move *m)
{
    m->ending = EVENT_STALLED;
    return DEFERRED;
}

enum outcome move_drive(struct move *m, bool resumed)
{
    modify_forget(m);
    enum outcome o = redirect(m, resumed);
    m->unsure = false;                       /* what becomes of it we shall see */
    if (resumed && o == FAILED && !m->begun) /* the director may have it still: keep it */
        o = stall_instead(m);
    if (o != GO && m->fenced) /* by who was killed; nobody has asked for a switch since */
        o = shared_unfence(m) == GO ? o : DEFERRED;
    if (o == GO && m->shared)
        return conclude(m, shared_hand_over(m));
    if (o == GO)
        o = replicate(m);
    if (o == GO)
        o = m->ahead ? ahead_stand(m) : hand_over(m);
    return conclude(m, promoted(m, o));
}
