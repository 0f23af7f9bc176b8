/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-exec/lateproof.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-exec/sides.h"
#include "cmd/migrate-exec/signals.h"
#include "common/base/clock.h"
#include "common/base/error.h"

enum {
    PIECE = 256 * 1024,
    DEPTH = 8, /* pieces in flight, on each side */
    PAGE = 4096,
    ALIGN = 4096,
    NOTE_US = 10 * 1000000, /* between two notes in the journal */
    NAP_MS = 20,
};

enum side { COPY, OWNER, SIDES };

/* A piece of the volume, read on both sides. */
struct piece {
    unsigned char *data[SIDES];
    uint64_t offset, length;
};

struct prover {
    struct move *m;
    struct late_proof *p;
    struct nbd_export *from[SIDES];
    uint64_t piece_max;
    struct piece piece[DEPTH];
    unsigned n;
    int error[SIDES];
    uint64_t noted_us, begun_us;
    uint64_t begun_at; /* where this run began */
};

/* ---- the journal ---- */

#define UNTIL "proof until "
#define ALL   "proof of all "
#define FAULT "proof: "

static bool begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

bool late_proof_is_note(const struct event *e)
{
    return e->phase == PHASE_RETIRE && e->event == EVENT_PASS && begins(e->detail, UNTIL);
}

/* "N bytes, N changed …" */
static bool take_numbers(const char *text, uint64_t *until, uint64_t *changed)
{
    char copy[256];
    char *rest = copy;
    snprintf(copy, sizeof(copy), "%s", text);
    const char *first = strsep(&rest, " ");
    strsep(&rest, " ");
    const char *second = strsep(&rest, " ");
    return second && parse_u64(first, until) == 0 && parse_u64(second, changed) == 0;
}

bool late_proof_take(const struct event *e, struct late_proof *p)
{
    uint64_t until, changed;
    if (e->phase != PHASE_RETIRE || (e->event != EVENT_PASS && e->event != EVENT_STALLED))
        return false;
    if (begins(e->detail, FAULT))
        return true;
    bool all = begins(e->detail, ALL);
    if (!all && !begins(e->detail, UNTIL))
        return false;
    if (take_numbers(e->detail + strlen(all ? ALL : UNTIL), &until, &changed))
        *p = (struct late_proof){.until = until, .changed = changed, .done = all};
    return true;
}

static int note(struct prover *v)
{
    v->noted_us = clock_mono_us();
    return move_note(v->m, EVENT_PASS, UNTIL "%llu bytes, %llu changed since the switch",
                     (unsigned long long)v->p->until, (unsigned long long)v->p->changed);
}

/* ---- reading ---- */

static void copy_read(void *arg, int result)
{
    struct prover *v = arg;
    if (result < 0)
        v->error[COPY] = result;
}

static void owner_read(void *arg, int result)
{
    struct prover *v = arg;
    if (result < 0)
        v->error[OWNER] = result;
}

static void start(struct prover *v, struct piece *p)
{
    static nbd_export_done *const done[SIDES] = {copy_read, owner_read};
    for (int s = 0; s < SIDES; s++) {
        int r = nbd_export_read(v->from[s], p->data[s], p->length, p->offset, done[s], v);
        if (r < 0)
            v->error[s] = r;
    }
}

static bool in_flight(const struct prover *v)
{
    return nbd_export_in_flight(v->from[COPY]) || nbd_export_in_flight(v->from[OWNER]);
}

/* The next pieces, on both sides.  GO, or FAILED with the reason. */
static enum outcome read_pieces(struct prover *v)
{
    struct move *m = v->m;
    uint64_t at = v->p->until;
    for (v->n = 0; v->n < DEPTH && at < m->size_bytes; v->n++) {
        struct piece *p = &v->piece[v->n];
        uint64_t left = m->size_bytes - at;
        p->offset = at;
        p->length = left < v->piece_max ? left : v->piece_max;
        at += p->length;
        start(v, p);
    }
    while (in_flight(v)) {
        int n = nbd_export_wait(v->from, SIDES, (int)m->exec->io_timeout_ms);
        if (n == 0)
            return move_fails(m, "%s does not answer",
                              nbd_export_in_flight(v->from[COPY]) ? m->source : m->target);
        if (n < 0 && n != -EINTR)
            return move_fails(m, "cannot read: %s", err_text(n));
    }
    for (int s = 0; s < SIDES; s++)
        if (v->error[s] < 0)
            return move_fails(m, "cannot read from %s: %s", s == COPY ? m->source : m->target,
                              err_text(v->error[s]));
    return GO;
}

/* ---- comparing ---- */

/* Both differ at these bytes: clients must have written there since. */
static enum outcome explain(struct prover *v, uint64_t offset, uint64_t length)
{
    struct move *m = v->m;
    uint64_t run;
    for (; length; offset += run, length -= run) {
        enum since_switch what;
        if (!m->director && move_find_director(m) != GO)
            return FAILED;
        int r = director_changed(m->director, m->epoch + 1, offset, length, &run, &what);
        if (r < 0)
            return move_fails(m, "the director does not say what changed: %.120s",
                              director_error(m->director));
        if (what == SINCE_UNKNOWN)
            return move_fails(m, "%.40s and %.40s differ at %llu, and what changed is not tracked",
                              m->source, m->target, (unsigned long long)offset);
        if (what == SINCE_UNCHANGED)
            return move_fails(
                m,
                "%.40s and %.40s differ at %llu, where no client wrote since the switch; --revert "
                "without --verify=full goes back to what %.40s has",
                m->source, m->target, (unsigned long long)offset, m->source);
        v->p->changed += run;
    }
    return GO;
}

static enum outcome compare(struct prover *v, const struct piece *p)
{
    uint64_t from = 0; /* where what differs begins */
    for (uint64_t at = 0; at < p->length; at += PAGE) {
        uint64_t len = p->length - at < PAGE ? p->length - at : PAGE;
        bool equal = memcmp(p->data[COPY] + at, p->data[OWNER] + at, len) == 0;
        enum outcome o = equal && at > from ? explain(v, p->offset + from, at - from) : GO;
        if (o != GO)
            return o;
        if (equal)
            from = at + len;
    }
    return from < p->length ? explain(v, p->offset + from, p->length - from) : GO;
}

/* ---- all of it ---- */

/* Waits for the bandwidth limit. */
static void keep_pace(const struct prover *v)
{
    uint64_t limit = v->m->exec->bwlimit;
    if (!limit)
        return;
    double us = (double)(v->p->until - v->begun_at) * 1e6 / (double)limit;
    uint64_t due = v->begun_us + (uint64_t)us;
    while (clock_mono_us() < due && !signals_pending())
        poll(NULL, 0, NAP_MS);
}

static enum outcome one_round(struct prover *v)
{
    enum outcome o = read_pieces(v);
    for (unsigned i = 0; o == GO && i < v->n; i++) {
        o = compare(v, &v->piece[i]);
        if (o == GO)
            v->p->until = v->piece[i].offset + v->piece[i].length;
    }
    if (o == GO && clock_mono_us() - v->noted_us >= NOTE_US && note(v) < 0)
        o = move_fails(v->m, "cannot write the journal");
    progress_show(&v->m->progress, v->m->id, "proof", v->p->until, v->m->size_bytes);
    return o;
}

static enum outcome prove(struct prover *v)
{
    struct move *m = v->m;
    v->begun_us = v->noted_us = clock_mono_us();
    v->begun_at = v->p->until;
    while (v->p->until < m->size_bytes) {
        enum outcome o = one_round(v);
        if (o != GO)
            return o;
        keep_pace(v);
        if (signals_pending() && v->p->until < m->size_bytes) {
            note(v);
            return move_stalls(m, "interrupted by %s", signals_pending());
        }
    }
    int r = move_event(m, EVENT_PASS, ALL "%llu bytes, %llu changed since the switch",
                       (unsigned long long)v->p->until, (unsigned long long)v->p->changed);
    v->p->done = r == 0;
    return r < 0 ? move_journal_failed(m, r) : GO;
}

static enum outcome connect_side(struct prover *v, enum side s)
{
    struct move *m = v->m;
    const char *name = s == COPY ? m->source : m->target;
    const struct fleet_gateway *g = fleet_gateway(m->exec->fleet, name);
    char why[200];
    if (!g)
        return move_fails(m, "gateway '%s' is not in gateways.csv", name);
    int r = side_connect(name, g->uri, m->volume, m->size_bytes, 0, m->exec->io_timeout_ms,
                         &v->from[s], why, sizeof(why));
    if (r < 0)
        return move_fails(m, "%s", why);
    uint64_t max = nbd_export_info(v->from[s])->block_max / PAGE * PAGE;
    if (max < v->piece_max)
        v->piece_max = max;
    return GO;
}

static enum outcome make_room(struct prover *v)
{
    for (int i = 0; i < DEPTH; i++)
        for (int s = 0; s < SIDES; s++) {
            v->piece[i].data[s] = aligned_alloc(ALIGN, PIECE);
            if (!v->piece[i].data[s])
                return move_fails(v->m, "%s", err_text(ENOMEM));
        }
    return GO;
}

/* The exports first: what is unanswered points into the buffers. */
static void release(struct prover *v)
{
    for (int s = 0; s < SIDES; s++)
        nbd_export_free(v->from[s]);
    for (int i = 0; i < DEPTH; i++)
        for (int s = 0; s < SIDES; s++)
            free(v->piece[i].data[s]);
}

enum outcome late_proof(struct move *m, struct late_proof *p)
{
    struct prover v = {.m = m, .p = p, .piece_max = PIECE};
    m->phase = PHASE_RETIRE;
    if (p->until > m->size_bytes) /* a note of nothing that this was */
        *p = (struct late_proof){.until = 0};
    enum outcome o = make_room(&v);
    if (o == GO)
        o = connect_side(&v, COPY);
    if (o == GO)
        o = connect_side(&v, OWNER);
    if (o == GO)
        o = prove(&v);
    release(&v);
    progress_clear(&m->progress);
    if (o == FAILED)
        move_event(m, EVENT_STALLED, FAULT "%.240s", m->why);
    return o == UNAVAILABLE ? FAILED : o;
}
