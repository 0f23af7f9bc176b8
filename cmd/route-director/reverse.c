/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "reverse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "catchup.h"
#include "changes.h"
#include "common/base/error.h"
#include "control.h"
#include "io.h"
#include "move.h"
#include "owner.h"
#include "peer.h"
#include "quarantine.h"
#include "reprove.h"
#include "standby.h"
#include "track.h"

/*
 * Unanswered writes are kept in memory: so many bytes at most, and so many of them; so many that
 * wait for others which they overlap.
 */
enum { BYTES_MAX = 64 << 20, WRITES_MAX = 16384, QUEUE_MAX = 256 };
/* A late write is noticed after a LOOKSth of --reverse-timeout more. */
enum { LOOKS = 4 };
/* So many blocks in a row that are written to are looked at for one to prove. */
enum { BUSY_MAX = 16 };

enum state { OPENING, ON, DRAINING, FLUSHING, NEVER, ENDED, DROPPED };

struct reverse {
    struct volume *v;
    enum state state, before; /* BEFORE: it was opened */
    char gateway[NAME_LEN_MAX + 1];
    struct leg *leg;       /* OPENING … FLUSHING */
    struct ranges sent;    /* and not answered */
    struct requestq queue; /* wait for one that they overlap */
    size_t unanswered;     /* both together */
    uint64_t bytes;        /* of their data */
    size_t asked;          /* FLUSHING: not answered yet */
    bool flush_failed;
    bool reads;           /* … known blocks as well, of which … */
    bool readable, other; /* … one could be read, one has other data (S13) */
    bool yields;          /* DRAINING, FLUSHING: to take the owner's place */
    bool closing;         /* the director ends: what is known is of no use any more */
    uint64_t flushing_since_us, looked_us;
    struct loop_timer tick;
    struct catchup catchup;            /* ON */
    struct reprove reprove;            /* ON */
    uint64_t proving_from, proving_to; /* what is being proved … */
    bool written_to;                   /* … which a client has written to since it was claimed */
    struct standby standby;            /* ON, and while it yields */
    struct control *starter, *stopper; /* whose verb is not answered yet */
    const char *word;                  /* of DROPPED, as in reverse_word(); static */
    char why[512];
};

bool reverse_is_open(const struct volume *v)
{
    return v->reverse && v->reverse->state < NEVER;
}

const char *reverse_word(const struct volume *v)
{
    const struct reverse *m = v->reverse;
    static const char *const words[] = {
        [OPENING] = "starting", [ON] = "on",   [DRAINING] = "ending",
        [FLUSHING] = "ending",  [NEVER] = "-", [ENDED] = "ended",
    };
    return !m ? "-" : m->state == DROPPED ? m->word : words[m->state];
}

static uint64_t now_us(const struct reverse *m)
{
    return loop_now_us(m->v->d->loop);
}

static struct control *take(struct control **c)
{
    struct control *was = *c;
    *c = NULL;
    return was;
}

/* ---- the end ---- */

/* Has the leg's server ended, so that nothing it was sent can land any more (S2)? */
static bool server_is_gone(const struct leg *l)
{
    return l->peer.pidfd >= 0 && peer_is_gone(l->peer.pidfd);
}

static void stop_work(struct reverse *m)
{
    catchup_stop(&m->catchup);
    reprove_stop(&m->reprove);
}

static void close_leg(struct reverse *m)
{
    struct volume *v = m->v;
    loop_timer_cancel(v->d->loop, &m->tick);
    stop_work(m);
    standby_end(&m->standby);
    m->yields = false;
    requestq_init(&m->queue); /* they end with those that were sent: */
    if (m->leg) {
        leg_free(m->leg);
        m->leg = NULL;
        volume_forget_role(v, ROLE_TARGET, NBD_EIO);
    } /* else who took it over has what is not answered there */
    ranges_release(&m->sent);
}

/* It could not be opened: what it was before it is still. */
static void not_opened(struct reverse *m, int err, const char *why)
{
    struct volume *v = m->v;
    struct control *c = take(&m->starter);
    m->state = m->before;
    close_leg(m);
    err_warn("volume '%s': cannot mirror to the copy on '%s': %s", v->name, m->gateway, why);
    control_err(c, err, "%s", why);
    if (m->state != ENDED)
        volume_unuse(v);
}

/*
 * Nothing is known of what it gave to the copy.  The writes that are unanswered are marked in the
 * map since before they left; until they have landed, or never will, no way back begins (S2).
 */
static void drop(struct reverse *m, int err, const char *word, const char *why)
{
    struct volume *v = m->v;
    if (m->state == OPENING) {
        not_opened(m, err, why);
        return;
    }
    if (m->sent.n && !server_is_gone(m->leg)) {
        quarantine_add(v->d, v->name, NULL);
        standby_doubt(&m->standby, &m->leg->peer);
    }
    m->state = DROPPED;
    m->word = word;
    snprintf(m->why, sizeof(m->why), "%s", why);
    if (v->changes)
        changes_unmirror(v->changes);
    close_leg(m);
    err_warn("volume '%s': the copy on '%s' is not mirrored any more: %s; all that was written "
             "since the switch counts as changed there",
             v->name, m->gateway, why);
    control_err(take(&m->stopper), EIO, "dropped: %s", why);
    volume_unuse(v);
}

/* ---- in order ---- */

/* What is known of the copy goes with the volume, which stays open for it until now. */
static void let_go(struct reverse *m)
{
    struct volume *v = m->v;
    m->state = NEVER;
    if (v->changes)
        changes_unmirror(v->changes);
    volume_unuse(v);
}

static void ended(struct reverse *m)
{
    m->state = ENDED;
    close_leg(m);
    control_ok(take(&m->stopper), "%s", "");
    if (m->closing)
        let_go(m);
}

static void start_work(struct reverse *m);

/* It was to take the owner's place, and does not: all goes on. */
static void go_on(struct reverse *m)
{
    m->yields = false;
    m->state = ON;
    start_work(m);
}

/* Ends in order with its leg the target of a move that promotes it, if that is right still. */
static void hand_over(struct reverse *m)
{
    struct volume *v = m->v;
    struct leg *l = m->leg;
    bool right = reverse_may_promote(v) && standby_is_due(&m->standby);
    struct move *move = right ? move_new_stand_in(v, m->gateway) : NULL;
    if (!move) {
        go_on(m);
        return;
    }
    move->held_at_us = standby_hand_over(&m->standby);
    m->leg = NULL;
    m->state = ENDED;
    close_leg(m);
    move_stand_in(move, l);
}

/* One more answer after the drain. */
static void answered(struct reverse *m)
{
    if (--m->asked || m->state != FLUSHING)
        return;
    if (m->flush_failed)
        drop(m, EIO, "dropped-error", "it could not flush");
    else if (m->other)
        drop(m, EILSEQ, "dropped-error", "it does not have what the owner made durable");
    else if (m->reads && !m->readable)
        drop(m, EIO, "dropped-error", "it cannot read what the owner made durable");
    else if (m->yields && !m->stopper && !m->closing)
        hand_over(m);
    else
        ended(m);
}

static void flushed(struct request *s)
{
    struct reverse *m = s->arg;
    m->flush_failed |= s->error != 0;
    answered(m);
}

/* A block that is known to be durable was read of the copy. */
static void compared(struct request *s)
{
    struct reverse *m = s->arg;
    unsigned char block[WITNESS_BLOCK];
    bool whole = owner_gather(s, block);
    m->readable |= whole;
    m->other |= whole && !witness_holds(&m->v->owner.witness, (unsigned)s->mark, block);
    answered(m);
}

/*
 * All is answered: the flush, on every connection.  Who is to be the owner must also have what is
 * known to be durable: since its old connections ended anybody may have put another copy there.
 */
static void flush(struct reverse *m)
{
    m->state = FLUSHING;
    m->flush_failed = m->reads = m->readable = m->other = false;
    m->flushing_since_us = now_us(m);
    unsigned n = m->leg->lost ? 0 : m->leg->n_ready;
    for (unsigned i = 0; i < n; i++) {
        struct request *s =
            io_copy_request(m->v, &(struct nbd_request){.type = NBD_CMD_FLUSH}, flushed, m);
        if (!s) {
            drop(m, ENOMEM, "dropped-memory", err_text(ENOMEM));
            return;
        }
        m->asked++;
        leg_send(m->leg, s, ROLE_TARGET, i);
    }
    if (n && m->yields) {
        size_t blocks = owner_ask_other(m->v, m->leg, compared, m);
        m->reads = blocks > 0;
        m->asked += blocks;
    }
    if (!n)
        drop(m, EIO, "dropped-lost", m->leg->error);
}

static void end(struct reverse *m)
{
    m->state = DRAINING;
    stop_work(m);
    if (!m->unanswered)
        flush(m);
}

/* The owner is dead (standby.h). */
static void yield(void *arg)
{
    struct reverse *m = arg;
    if (m->state != ON)
        return;
    m->yields = true;
    end(m);
}

bool reverse_may_promote(const struct volume *v)
{
    const struct reverse *m = v->reverse;
    return m && (m->state == ON || m->yields) && !m->leg->lost && v->changes &&
           changes_copy_whole(v->changes) && !changes_bytes(v->changes) &&
           standby_is_ready(&m->standby, m->gateway);
}

void reverse_owner_away(struct volume *v)
{
    struct reverse *m = v->reverse;
    if (!m)
        return;
    m->written_to = true; /* what it had answered before may not be what it has when it is back */
    if (v->changes)
        changes_unprove(v->changes);
    standby_owner_away(&m->standby);
}

bool reverse_give_way(struct volume *v)
{
    struct reverse *m = v->reverse;
    if (m && m->state == OPENING)
        drop(m, ECONNABORTED, "dropped-stopped", "it was stopped before it began");
    else if (m && m->state == ON)
        end(m);
    return !reverse_is_open(v);
}

void reverse_settle(struct volume *v)
{
    struct reverse *m = v->reverse;
    if (!m)
        return;
    m->closing = true;
    if (reverse_give_way(v) && m->state == ENDED)
        let_go(m);
}

void reverse_stop(struct volume *v, struct control *c)
{
    struct reverse *m = v->reverse;
    if (v->move && v->move->stands_in) {
        control_err(c, EAGAIN, "the copy is taking the place of a dead owner");
        return;
    }
    if (m && (m->yields || m->standby.holding)) {
        control_err(c, EAGAIN, "the owner is away, and the copy may take its place");
        return;
    }
    if (!m || m->state == NEVER) {
        control_err(c, ENOENT, "the volume's kept copy is not mirrored");
        return;
    }
    if (m->stopper) {
        control_err(c, EAGAIN, "somebody else is ending it");
        return;
    }
    if (m->state == OPENING)
        reverse_give_way(v);
    if (m->state == DROPPED) {
        control_err(c, EIO, "dropped: %s", m->why);
    } else if (!reverse_is_open(v)) {
        control_ok(c, "%s", "");
    } else {
        m->stopper = c; /* flushed() or drop() answers */
        reverse_give_way(v);
    }
}

/* ---- writes ---- */

/* TRIM may leave anything behind, and FAST_ZERO fail on one side alone (S20). */
static bool takes(const struct reverse *m, const struct request *r)
{
    const uint16_t alone = NBD_CMD_FLAG_FAST_ZERO | NBD_CMD_FLAG_NO_HOLE;
    if (r->nbd.type == NBD_CMD_WRITE_ZEROES)
        return m->leg->export.flags & NBD_TF_WRITE_ZEROES && !(r->nbd.flags & alone);
    return r->nbd.type == NBD_CMD_WRITE;
}

static bool overlap(const struct request *a, const struct request *b)
{
    return a->nbd.offset < b->nbd.offset + b->nbd.length &&
           b->nbd.offset < a->nbd.offset + a->nbd.length;
}

/* The last that S would have to wait for in the queue; NULL: none. */
static struct request *last_before(const struct requestq *queue, const struct request *s)
{
    struct request *last = NULL;
    for (struct request *q = queue->first; q; q = q->next)
        if (overlap(q, s))
            last = q;
    return last;
}

/* False: S waits for one that is not answered. */
static bool send(struct reverse *m, struct request *s)
{
    if (last_before(&m->queue, s) || ranges_take(&m->sent, s->nbd.offset, s->nbd.length) < 0)
        return false;
    leg_send(m->leg, s, ROLE_TARGET, s->slot);
    return true;
}

/* Those that wait for nobody any more. */
static void send_queued(struct reverse *m)
{
    struct requestq waiting = m->queue;
    if (!waiting.first)
        return;
    requestq_init(&m->queue);
    struct request *next;
    for (struct request *s = waiting.first; s; s = next) {
        next = s->next;
        if (!send(m, s))
            requestq_push(&m->queue, s);
    }
}

static uint64_t data_bytes(const struct request *r)
{
    return r->nbd.type == NBD_CMD_WRITE ? r->nbd.length : 0;
}

static void written(struct request *s)
{
    struct reverse *m = s->arg;
    m->unanswered--;
    m->bytes -= data_bytes(s);
    if (!m->leg)
        return; /* it is dropped, which is why S ends */
    ranges_drop(&m->sent, s->nbd.offset, s->nbd.length);
    if (s->error) {
        char why[64];
        snprintf(why, sizeof(why), "it failed a write (%s)", err_name((int)s->error));
        drop(m, EIO, "dropped-error", why);
        return;
    }
    send_queued(m);
    if (m->state == DRAINING && !m->unanswered)
        flush(m);
}

/*
 * One that was to be sent before R, over the very same bytes, need not be sent at all: it gets R's
 * data.  So what is written again and again waits once.
 */
static bool take_place(struct reverse *m, const struct request *r)
{
    struct request *q = last_before(&m->queue, r);
    if (!q || q->nbd.offset != r->nbd.offset || q->nbd.length != r->nbd.length ||
        q->nbd.type != NBD_CMD_WRITE || r->nbd.type != NBD_CMD_WRITE)
        return false;
    chunk_put(&m->v->d->pool, q->wire.chunk);
    q->wire = r->wire;
    chunk_ref(q->wire.chunk);
    return true;
}

/* Now, or behind those that it overlaps.  False: it can't be had; DATA is the caller's still. */
static bool give(struct reverse *m, const struct nbd_request *n, struct slice data,
                 void (*done)(struct request *s))
{
    if (m->queue.n >= QUEUE_MAX)
        return false;
    struct request *s = io_copy_request(
        m->v, &(struct nbd_request){.type = n->type, .offset = n->offset, .length = n->length},
        done, m);
    if (!s)
        return false;
    s->wire = data;
    m->unanswered++;
    m->bytes += data_bytes(s);
    if (!send(m, s))
        requestq_push(&m->queue, s);
    return true;
}

/* R's data for the copy.  False: it can't be had. */
static bool send_too(struct reverse *m, const struct request *r)
{
    struct slice data = {0};
    if (take_place(m, r))
        return true;
    if (r->nbd.type == NBD_CMD_WRITE) {
        data = r->wire;
        chunk_ref(data.chunk);
    }
    if (give(m, &r->nbd, data, written))
        return true;
    chunk_put(&m->v->d->pool, data.chunk);
    return false;
}

/* A block that lagged behind is there, or the mirror is dropped. */
static void caught_up(struct request *s)
{
    struct reverse *m = s->arg;
    written(s);
    catchup_goes_on(&m->catchup);
}

static bool give_block(void *arg, uint64_t offset, struct slice data)
{
    const struct nbd_request n = {
        .type = NBD_CMD_WRITE, .offset = offset, .length = (uint32_t)(data.len - NBD_REQUEST_LEN)};
    return give(arg, &n, data, caught_up);
}

bool reverse_write(struct volume *v, const struct request *r)
{
    struct reverse *m = v->reverse;
    catchup_written(&m->catchup, r->nbd.offset, r->nbd.length);
    if (r->nbd.offset < m->proving_to && m->proving_from < r->nbd.offset + r->nbd.length)
        m->written_to = true;
    if (m->state != ON || !v->changes || !takes(m, r) ||
        !changes_all_equal(v->changes, r->nbd.offset, r->nbd.length))
        return false;
    if (m->bytes + data_bytes(r) > BYTES_MAX || m->unanswered >= WRITES_MAX) {
        drop(m, ETIMEDOUT, "dropped-slow", "it is so slow that too many writes wait for it");
        return false;
    }
    changes_mark_mirrored(v->changes, r->nbd.offset, r->nbd.length); /* before it leaves (S11) */
    return send_too(m, r);
}

/* ---- the copy is proved anew ---- */

static struct leg *copys_leg(void *arg)
{
    struct reverse *m = arg;
    return m->state == ON && m->v->changes && !m->leg->lost ? m->leg : NULL;
}

static bool any_unproved(const void *arg)
{
    const struct reverse *m = arg;
    return changes_unproved_bytes(m->v->changes) > 0;
}

/* May anything be landing there, on either side, that was not answered yet? */
static bool is_moving(const struct reverse *m, uint64_t offset, uint64_t length)
{
    const struct request there = {.nbd = {.offset = offset, .length = (uint32_t)length}};
    return io_range_taken(m->v, offset, length) || ranges_busy(&m->sent, offset, length) ||
           last_before(&m->queue, &there);
}

/* The next block, round and round, that nobody writes to. */
static bool claim_block(void *arg, uint64_t max, uint64_t *offset, uint64_t *length)
{
    struct reverse *m = arg;
    (void)max; /* what is longer is found out when it is to be read */
    *offset = m->proving_to;
    for (int i = 0; i < BUSY_MAX; i++) {
        if (!changes_unproved(m->v->changes, offset, length)) {
            *offset = 0; /* round and round */
            if (!changes_unproved(m->v->changes, offset, length))
                return false;
        }
        m->proving_from = *offset;
        m->proving_to = *offset + *length;
        m->written_to = false;
        if (!is_moving(m, *offset, *length))
            return true;
        *offset = m->proving_to;
    }
    return false;
}

static bool end_block(void *arg, enum reprove_result result)
{
    struct reverse *m = arg;
    const uint64_t offset = m->proving_from, length = m->proving_to - m->proving_from;
    if (m->written_to || !m->v->changes || result == REPROVE_UNKNOWN)
        return false;
    if (result == REPROVE_EQUAL)
        changes_proved(m->v->changes, offset, length);
    else
        changes_mark(m->v->changes, offset, length);
    return true;
}

static void start_work(struct reverse *m)
{
    static const struct reprove_ops ops = {copys_leg, any_unproved, claim_block, end_block};
    catchup_start(&m->catchup, m->v, m->leg->export.max_block, give_block, m);
    reprove_init(&m->reprove, m->v, m->gateway, &ops, m);
    m->proving_from = m->proving_to = 0;
}

/* ---- lateness ---- */

static bool is_late(const struct reverse *m, uint64_t before_us)
{
    const struct requests *t = &m->v->d->requests;
    for (size_t i = 0; m->unanswered && i < t->n; i++) {
        const struct request *s = t->slots[i];
        if (s->volume == m->v && s->waiting & ROLE_TARGET && s->done &&
            s->nbd.type != NBD_CMD_FLUSH && s->nbd.type != NBD_CMD_READ &&
            s->mirrored_us < before_us)
            return true;
    }
    return false;
}

static void look(struct loop_timer *t);

static void go_on_looking(struct reverse *m, uint64_t next_us)
{
    loop_timer_set(m->v->d->loop, &m->tick, next_us, look);
    if (m->state == ON)
        reprove_look(&m->reprove);
}

static void look(struct loop_timer *t)
{
    struct reverse *m = (struct reverse *)((char *)t - offsetof(struct reverse, tick));
    const struct settings *set = &m->v->d->set;
    uint64_t now = now_us(m);
    uint64_t pause = set->reverse_us / LOOKS + 1;
    /* This process itself was stopped or starved: there may be answers that it has not read. */
    bool late_ourselves = now - m->looked_us > set->reverse_us;
    /* While clients wait for it a slow copy is better than none. */
    bool patient = m->standby.holding && set->retry_us > set->reverse_us;
    uint64_t late = patient ? set->retry_us : set->reverse_us;
    m->looked_us = now;
    if (!late_ourselves && now > late && is_late(m, now - late))
        drop(m, ETIMEDOUT, "dropped-slow", "a write was not answered in time (--reverse-timeout)");
    else if (m->asked && now > m->flushing_since_us + set->retry_us)
        drop(m, ETIMEDOUT, "dropped-slow", "it does not answer a flush (--retry-for)");
    else
        go_on_looking(m, now + pause);
}

/* ---- the beginning ---- */

/* Why nothing can be mirrored now; NULL: nothing is in the way.  *ERR is the error's number. */
static const char *objection(struct volume *v, int *err)
{
    const struct move *move = v->move;
    bool over = !move || move->phase == MOVE_GONE || (move->phase == MOVE_RETIRE && move->retired);
    *err = EINVAL;
    if (!track_is_kept(&v->route, v->route.target))
        return "no copy of an uncommitted move is kept";
    *err = EBUSY;
    if (!over)
        return "a move of the volume is open";
    *err = EINVAL;
    if (!v->changes || !changes_copy_whole(v->changes))
        return "what has changed since the copy was left is not known";
    *err = EAGAIN;
    if (quarantine_left_us(v->d, v->name))
        return "writes of a connection that ended may still land there";
    return NULL;
}

static void leg_ready(struct leg *l)
{
    struct reverse *m = l->owner;
    struct volume *v = m->v;
    int err;
    const char *why = objection(v, &err);
    if (!why && (why = move_misfit(v, l, false)))
        err = EOPNOTSUPP;
    if (!why && changes_mirror(v->changes) < 0) {
        err = ENOMEM;
        why = err_text(ENOMEM);
    }
    if (why) {
        drop(m, err, "", why);
        return;
    }
    m->state = ON;
    m->looked_us = now_us(m);
    start_work(m);
    look(&m->tick);
    standby_begin(&m->standby);
    control_ok(take(&m->starter), "%llu", (unsigned long long)changes_bytes(v->changes));
}

static void leg_lost(struct leg *l)
{
    struct reverse *m = l->owner;
    char why[sizeof(l->error)];
    snprintf(why, sizeof(why), "%s", l->error);
    drop(m, EHOSTUNREACH, "dropped-lost", why);
}

static const struct leg_ops leg_ops = {
    .ready = leg_ready, .lost = leg_lost, .answered = volume_answered, .data = volume_data};

/* Opens the leg.  0, or -errno with WHY. */
static int open_leg(struct reverse *m, char *why, size_t size)
{
    struct volume *v = m->v;
    char uri[1024];
    snprintf(m->gateway, sizeof(m->gateway), "%s", v->route.target);
    int r = volume_gateway_uri(v->d, m->gateway, v->name, uri, sizeof(uri), why, size);
    if (r < 0)
        return r;
    m->leg = leg_open(v->d, m->gateway, uri, v->name, &leg_ops, m);
    if (m->leg)
        return 0;
    snprintf(why, size, "%s", err_text(ENOMEM));
    return -ENOMEM;
}

/* The volume's, made if it has none yet; NULL: out of memory. */
static struct reverse *of_volume(struct volume *v)
{
    if (v->reverse)
        return v->reverse;
    struct reverse *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->v = v;
    m->state = NEVER;
    requestq_init(&m->queue);
    standby_init(&m->standby, v, yield, m);
    return v->reverse = m;
}

void reverse_start(struct volume *v, struct control *c)
{
    char why[512];
    int err;
    const char *no = objection(v, &err);
    if (no) {
        control_err(c, err, "%s", no);
        goto unuse;
    }
    struct reverse *m = of_volume(v);
    if (!m) {
        control_err(c, ENOMEM, "%s", err_text(ENOMEM));
        goto unuse;
    }
    if (m->state == ON) {
        control_ok(c, "%llu", (unsigned long long)changes_bytes(v->changes));
        goto unuse;
    }
    if (reverse_is_open(v)) {
        control_err(c, EAGAIN, "it is %s", reverse_word(v));
        goto unuse;
    }
    int r = open_leg(m, why, sizeof(why));
    if (r < 0) {
        control_err(c, r, "%s", why);
        goto unuse;
    }
    m->before = m->state;
    m->state = OPENING;
    m->starter = c;
    if (m->before != ENDED)
        return; /* else it has its use of the volume already */
unuse:
    volume_unuse(v);
}

void reverse_control_gone(struct volume *v, const struct control *c)
{
    struct reverse *m = v->reverse;
    if (m && m->starter == c)
        m->starter = NULL;
    if (m && m->stopper == c)
        m->stopper = NULL;
}

void reverse_forget(struct volume *v, const char *why)
{
    struct reverse *m = v->reverse;
    if (!m)
        return;
    if (reverse_is_open(v))
        drop(m, ECONNABORTED, "dropped-stopped", why);
    if (m->state == ENDED)
        let_go(m);
    standby_release(&m->standby);
    v->reverse = NULL;
    free(m);
}
