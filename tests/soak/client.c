/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "procs.h"

/*
 * DEPTH_MAX: requests of one connection under way.  PAYLOAD_MAX: bytes of all of them, which bounds
 * the memory.  RETRY_US: between two attempts to connect.  QUIET_US: without new requests after an
 * error, or a gateway that stays away were asked for errors as fast as the processor can.
 */
enum { DEPTH_MAX = 32, PAYLOAD_MAX = 96 << 20, RETRY_US = 100000, QUIET_US = 100000 };
/* A hold of a move may keep a write back for as long. */
enum { HOLD_US = 3000000 };
enum { HOT_UNITS = 256, MIB = 1 << 20, READ_ALL_BYTES = MIB };

enum op_kind { OP_READ, OP_WRITE, OP_ZERO, OP_TRIM, OP_FLUSH, OP_CACHE, OP_STATUS, OP_KINDS };

struct op {
    bool used;
    enum op_kind kind;
    uint32_t flags;
    uint64_t offset, length; /* bytes */
    uint64_t first, n;       /* units, of what changes data */
    uint64_t number;
    uint64_t asked_us;
    uint64_t flush; /* of model_flush_asked() */
    int64_t cookie;
    struct model_read read;
    unsigned char *buf;
    struct conn *c;
};

enum conn_state { CONN_DOWN, CONN_OPENING, CONN_READY };

struct conn {
    struct world *w;
    struct volume *v;
    unsigned id;
    enum conn_state state;
    struct nbd_handle *h;
    struct rng rng;
    struct op ops[DEPTH_MAX];
    unsigned n_flying, depth;
    unsigned burst; /* requests until the next change of habits */
    uint64_t retry_us, down_us, stalled_us, quiet_us;
    uint64_t read_next; /* of a read of all: the next byte */
    bool flush_next;
};

static const char *const kind_names[] = {"read",  "write", "zero",  "trim",
                                         "flush", "cache", "status"};

static void note(struct conn *c, const char *what, const struct op *o, int error)
{
    trace_add(&c->w->trace, (struct event){.at_us = clock_mono_us() - c->w->begin_us,
                                           .what = what,
                                           .volume = c->v->name,
                                           .first = o ? o->first : 0,
                                           .n = o ? o->n : 0,
                                           .op = o ? o->number : 0,
                                           .conn = c->id,
                                           .error = error});
}

static bool changes_data(enum op_kind k)
{
    return k == OP_WRITE || k == OP_ZERO || k == OP_TRIM;
}

static bool reads_data(enum op_kind k)
{
    return k == OP_READ || k == OP_STATUS;
}

/* ---- ends of requests ---- */

static void add_ghost(struct volume *v, const struct op *o)
{
    if (v->n_ghosts == v->cap_ghosts) {
        v->cap_ghosts = v->cap_ghosts ? 2 * v->cap_ghosts : 32;
        struct ghost *more = realloc(v->ghosts, v->cap_ghosts * sizeof(*more));
        if (!more)
            soak_abort(v->w, EX_OSERR, "%s", err_text(ENOMEM));
        v->ghosts = more;
    }
    v->ghosts[v->n_ghosts++] = (struct ghost){
        o->first, o->n, o->number,
        clock_mono_us() + (uint64_t)(v->w->set.ghost_s * 1e6) + HOLD_US * (v->n_gateways > 1)};
}

/* Whoever has them still has had the time to execute them: none is on its way while its gateway
 * stands still or is away. */
static void settle_ghosts(struct volume *v)
{
    size_t kept = 0;
    uint64_t grace_us = (uint64_t)(v->w->set.ghost_s * 1e6) + HOLD_US * (v->n_gateways > 1);
    bool still = v->w->director.stopped;
    for (unsigned i = 0; i < v->n_gateways; i++)
        still = still || v->gateways[i].proc.stopped || v->gateways[i].proc.state != PROC_UP;
    for (size_t i = 0; i < v->n_ghosts; i++) {
        struct ghost g = v->ghosts[i];
        if (still)
            g.over_us = v->w->now_us + grace_us;
        if (v->w->now_us >= g.over_us)
            model_over(v->model, g.first, g.n, g.op);
        else
            v->ghosts[kept++] = g;
    }
    v->n_ghosts = kept;
}

static void forget(struct op *o)
{
    struct conn *c = o->c;
    if (reads_data(o->kind))
        model_read_over(c->v->model, &o->read);
    if (o->buf)
        c->w->payload_bytes -= o->length;
    free(o->buf);
    *o = (struct op){0};
    c->n_flying--;
}

/* The connection has ended with O unanswered. */
static void abandon(struct op *o)
{
    struct conn *c = o->c;
    if (changes_data(o->kind)) {
        note(c, "never answered", o, 0);
        model_doubtful(c->v->model, o->first, o->n, o->number, false);
        add_ghost(c->v, o);
    }
    forget(o);
}

/* "Not fast" is an answer, no failure. */
static bool not_fast(const struct op *o, int error)
{
    return o->kind == OP_ZERO && o->flags & LIBNBD_CMD_FLAG_FAST_ZERO &&
           (error == ENOTSUP || error == EOPNOTSUPP);
}

static bool error_due(const struct op *o)
{
    const struct volume *v = o->c->v;
    return o->asked_us <= v->lenient_until_us && clock_mono_us() >= v->lenient_from_us;
}

static void failed(struct op *o, int error)
{
    struct conn *c = o->c;
    note(c, kind_names[o->kind], o, error);
    if (!not_fast(o, error) && !error_due(o)) {
        struct finding f = {.unit = o->n ? o->first : UINT64_MAX};
        snprintf(f.what, sizeof(f.what), "%s of %" PRIu64 " bytes at %" PRIu64 " got %s",
                 kind_names[o->kind], o->length, o->offset, err_name(error));
        soak_fail(c->w, c->v, &f, NULL, "connection %u: an error where none was due", c->id);
    }
    if (!not_fast(o, error)) {
        c->w->count.errors++;
        c->quiet_us = c->w->now_us + QUIET_US;
    }
    if (changes_data(o->kind))
        model_doubtful(c->v->model, o->first, o->n, o->number, true);
}

static void succeeded(struct op *o)
{
    struct conn *c = o->c;
    struct model *m = c->v->model;
    struct finding f;
    if (o->n)
        note(c, "answered", o, 0);
    if (o->asked_us > c->v->answered_us)
        c->v->answered_us = o->asked_us;
    if (o->kind == OP_READ && !model_check(m, &o->read, o->offset, o->buf, o->length, &f))
        soak_fail(c->w, c->v, &f, &o->read, "connection %u: read of %" PRIu64 " bytes at %" PRIu64,
                  c->id, o->length, o->offset);
    if (o->kind == OP_WRITE || o->kind == OP_ZERO)
        model_acked(m, o->first, o->n, o->number, o->flags & LIBNBD_CMD_FLAG_FUA);
    else if (o->kind == OP_TRIM)
        model_doubtful(m, o->first, o->n, o->number, true);
    else if (o->kind == OP_FLUSH)
        model_flushed(m, o->flush);
    c->w->count.requests++;
    if (o->kind == OP_READ || o->kind == OP_WRITE)
        c->w->count.bytes += o->length;
}

/* ---- ends of connections ---- */

static void go_down(struct conn *c, uint64_t retry_us)
{
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        if (c->ops[i].used)
            abandon(&c->ops[i]);
    nbd_close(c->h);
    c->h = NULL;
    if (c->state == CONN_READY)
        c->down_us = c->w->now_us;
    c->state = CONN_DOWN;
    c->retry_us = retry_us;
    c->stalled_us = 0;
}

static const struct proc *peer(const struct conn *c)
{
    return c->w->set.direct ? &c->v->gateways[c->v->owner].proc : &c->w->director;
}

/* The other side has ended it, which nobody is told of by a kill of ours: clients_cut() came
 * before. */
static void was_cut(struct conn *c)
{
    if (c->state != CONN_READY) {
        c->w->count.refused++;
    } else {
        note(c, "was cut off", NULL, 0);
        c->w->count.cuts++;
        if (!c->w->set.tolerate_cuts)
            soak_fail(c->w, c->v, NULL, NULL, "connection %u was cut off: %s", c->id,
                      nbd_get_error() ? nbd_get_error() : "no reason");
    }
    go_down(c, c->w->now_us + RETRY_US);
}

void clients_cut(struct world *w, struct volume *v)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned k = 0; k < w->set.n_conns; k++) {
            struct conn *c = w->volumes[i].conns[k];
            if (c->h && (!v || v == c->v))
                go_down(c, w->now_us);
        }
}

/* ---- opening ---- */

static void open_conn(struct conn *c)
{
    c->h = nbd_create();
    if (!c->h || nbd_set_export_name(c->h, c->v->name) < 0 ||
        nbd_add_meta_context(c->h, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        /* Some clients know the old form of replies only. */
        nbd_set_request_structured_replies(c->h, c->id % 3 != 0) < 0)
        soak_abort(c->w, EX_OSERR, "libnbd: %s", nbd_get_error());
    c->state = CONN_OPENING;
    if (nbd_aio_connect_unix(c->h, peer(c)->socket) < 0)
        was_cut(c);
}

static void opened(struct conn *c)
{
    int64_t size = nbd_get_size(c->h);
    if (size != (int64_t)c->v->size)
        soak_fail(c->w, c->v, NULL, NULL, "connection %u: the size is %" PRId64 ", not %" PRIu64,
                  c->id, size, c->v->size);
    if (nbd_is_read_only(c->h) != 0)
        soak_fail(c->w, c->v, NULL, NULL, "connection %u: the volume is read-only", c->id);
    c->state = CONN_READY;
    c->w->count.reconnects++;
    note(c, "is open", NULL, 0);
}

/* ---- asking ---- */

static bool can(const struct conn *c, enum op_kind k)
{
    switch (k) {
    case OP_ZERO:
        return nbd_can_zero(c->h) == 1;
    case OP_TRIM:
        return nbd_can_trim(c->h) == 1;
    case OP_FLUSH:
        return nbd_can_flush(c->h) == 1;
    case OP_CACHE:
        return nbd_can_cache(c->h) == 1;
    case OP_STATUS:
        return nbd_can_meta_context(c->h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    default:
        return true;
    }
}

/* An extent of a block status's answer, which starts where the last one ended. */
static int on_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries, size_t n,
                      int *error)
{
    struct op *o = arg;
    struct conn *c = o->c;
    struct finding f;
    uint64_t end = o->offset + o->length;
    (void)error;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    for (size_t i = 0; i + 1 < n && offset < end; i += 2) {
        uint64_t len = entries[i] < end - offset ? entries[i] : end - offset;
        if (entries[i + 1] & LIBNBD_STATE_ZERO &&
            !model_check_zero(c->v->model, &o->read, offset, len, &f))
            soak_fail(c->w, c->v, &f, &o->read, "connection %u: block status at %" PRIu64, c->id,
                      o->offset);
        offset += entries[i];
    }
    return 0;
}

static int64_t send_op(struct conn *c, struct op *o)
{
    switch (o->kind) {
    case OP_READ:
        return nbd_aio_pread(c->h, o->buf, o->length, o->offset, NBD_NULL_COMPLETION, 0);
    case OP_WRITE:
        return nbd_aio_pwrite(c->h, o->buf, o->length, o->offset, NBD_NULL_COMPLETION, o->flags);
    case OP_ZERO:
        return nbd_aio_zero(c->h, o->length, o->offset, NBD_NULL_COMPLETION, o->flags);
    case OP_TRIM:
        return nbd_aio_trim(c->h, o->length, o->offset, NBD_NULL_COMPLETION, o->flags);
    case OP_FLUSH:
        return nbd_aio_flush(c->h, NBD_NULL_COMPLETION, 0);
    case OP_CACHE:
        return nbd_aio_cache(c->h, o->length, o->offset, NBD_NULL_COMPLETION, 0);
    default:
        return nbd_aio_block_status(c->h, o->length, o->offset,
                                    (nbd_extent_callback){.callback = on_extents, .user_data = o},
                                    NBD_NULL_COMPLETION, 0);
    }
}

static struct op *free_op(struct conn *c)
{
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        if (!c->ops[i].used)
            return &c->ops[i];
    return NULL;
}

/* Asks P, which is copied.  The model hears of it first. */
static void ask(struct conn *c, const struct op *p)
{
    struct op *o = free_op(c);
    struct model *m = c->v->model;
    *o = *p;
    o->used = true;
    o->c = c;
    o->number = ++c->w->next_op;
    o->asked_us = clock_mono_us();
    c->n_flying++;
    if (o->kind == OP_READ || o->kind == OP_WRITE) {
        o->buf = malloc(o->length);
        if (!o->buf)
            soak_abort(c->w, EX_OSERR, "%s", err_text(ENOMEM));
        c->w->payload_bytes += o->length;
    }
    if (o->kind == OP_WRITE)
        model_pattern(m, o->first, o->n, o->number, o->buf);
    if (changes_data(o->kind))
        model_asked(m, o->first, o->n, o->number, o->kind != OP_WRITE);
    if (reads_data(o->kind))
        model_read_asked(m, &o->read);
    if (o->kind == OP_FLUSH)
        o->flush = model_flush_asked(m);
    if (o->n)
        note(c,
             o->flags & LIBNBD_CMD_FLAG_FUA && o->kind == OP_WRITE ? "write with FUA"
                                                                   : kind_names[o->kind],
             o, 0);
    o->cookie = send_op(c, o);
    if (o->cookie < 0 && !nbd_aio_is_dead(c->h) && !nbd_aio_is_closed(c->h))
        soak_abort(c->w, EX_SOFTWARE, "libnbd: %s", nbd_get_error());
}

/* ---- what to ask ---- */

static enum op_kind random_kind(struct conn *c)
{
    static const struct {
        unsigned below; /* of 1000 */
        enum op_kind kind;
    } mix[] = {{400, OP_READ},  {800, OP_WRITE}, {870, OP_ZERO},   {905, OP_TRIM},
               {930, OP_FLUSH}, {945, OP_CACHE}, {1000, OP_STATUS}};
    uint64_t x = rng_below(&c->rng, 1000);
    size_t i = 0;
    while (x >= mix[i].below)
        i++;
    return can(c, mix[i].kind) ? mix[i].kind : OP_READ;
}

/* Many small ones, some large. */
static uint64_t random_units(struct conn *c, enum op_kind k)
{
    uint64_t x = rng_below(&c->rng, 1000), all = model_units(c->v->model);
    uint64_t max = x < 600 ? 16 : x < 920 ? 256 : x < 998 ? 2048 : k == OP_READ ? 65535 : 4096;
    uint64_t n = 1 + rng_below(&c->rng, max);
    return n < all ? n : all;
}

static uint32_t random_flags(struct conn *c, enum op_kind k)
{
    uint64_t x = rng_below(&c->rng, 24);
    uint32_t flags = 0;
    if (x < 2 && changes_data(k) && nbd_can_fua(c->h) == 1)
        flags |= LIBNBD_CMD_FLAG_FUA;
    if (k == OP_ZERO && x % 2)
        flags |= LIBNBD_CMD_FLAG_NO_HOLE;
    if (k == OP_ZERO && x % 3 == 0 && nbd_can_fast_zero(c->h) == 1)
        flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
    return flags;
}

/* Half of all goes to the same few units, so that much overlaps. */
static struct op random_op(struct conn *c)
{
    struct op o = {.kind = random_kind(c)};
    uint64_t all = model_units(c->v->model), n = random_units(c, o.kind);
    uint64_t room = all - n + 1, x = rng_below(&c->rng, 2);
    uint64_t first = rng_below(&c->rng, x && room > HOT_UNITS ? HOT_UNITS : room);
    uint64_t cut = c->v->aligned ? 0 : rng_below(&c->rng, UNIT_BYTES);
    o.flags = random_flags(c, o.kind);
    o.offset = model_offset(c->v->model, first);
    o.length = n * UNIT_BYTES;
    if (changes_data(o.kind)) {
        o.first = first;
        o.n = n;
    } else if (o.kind == OP_READ && cut % 2) {
        /* Reads may begin and end in the middle of a unit. */
        o.offset += cut / 2;
        o.length -= cut / 2 + cut / 4;
    } else if (o.kind == OP_FLUSH) {
        o.offset = o.length = 0;
    }
    return o;
}

/* Now and then: another depth, a pause, a good-bye without a word.  False: not now. */
static bool change_habits(struct conn *c)
{
    static const unsigned depths[] = {1, 2, 4, 8, 16, DEPTH_MAX};
    struct world *w = c->w;
    uint64_t x = rng_below(&c->rng, 100);
    c->burst = 10 + (unsigned)rng_below(&c->rng, 200);
    c->depth = depths[rng_below(&c->rng, sizeof(depths) / sizeof(*depths))];
    uint64_t pause_us = rng_below(&c->rng, 1000000);
    if (x < 8 && w->set.faults & 1u << FAULT_CLIENT) {
        w->count.faults[FAULT_CLIENT]++;
        note(c, "closes", NULL, 0);
        go_down(c, w->now_us + (x % 2 ? pause_us / 4 : 0));
        return false;
    }
    if (x >= 8 && x < 18 && w->set.faults & 1u << FAULT_STALL) {
        w->count.faults[FAULT_STALL]++;
        note(c, "reads nothing for a while", NULL, 0);
        c->stalled_us = w->now_us + pause_us;
    }
    /* A volume that moves has quiet moments, or most hand-overs would never find one. */
    if (x >= 18 && x < 80 && c->v->n_gateways > 1)
        c->quiet_us = w->now_us + pause_us;
    return true;
}

static bool room_for_more(const struct conn *c)
{
    return c->state == CONN_READY && c->n_flying < c->depth && !nbd_aio_is_dead(c->h) &&
           c->w->payload_bytes < PAYLOAD_MAX && c->w->now_us >= c->quiet_us;
}

static void ask_at_random(struct conn *c)
{
    while (room_for_more(c)) {
        if (!c->burst && !change_habits(c))
            return;
        c->burst--;
        struct op o = random_op(c);
        ask(c, &o);
    }
}

static void ask_in_order(struct conn *c)
{
    c->depth = 4;
    while (room_for_more(c) && c->flush_next) {
        c->flush_next = false;
        if (can(c, OP_FLUSH))
            ask(c, &(struct op){.kind = OP_FLUSH});
    }
    while (room_for_more(c) && c->read_next < c->v->size) {
        uint64_t left = c->v->size - c->read_next;
        struct op o = {.kind = OP_READ, .offset = c->read_next};
        o.length = left < READ_ALL_BYTES ? left : READ_ALL_BYTES;
        c->read_next += o.length;
        ask(c, &o);
        if (room_for_more(c) && can(c, OP_STATUS)) {
            o.kind = OP_STATUS;
            ask(c, &o);
        }
    }
}

/* ---- the turn ---- */

static struct op *op_of(struct conn *c, int64_t cookie)
{
    for (unsigned i = 0; i < DEPTH_MAX; i++)
        if (c->ops[i].used && c->ops[i].cookie == cookie)
            return &c->ops[i];
    soak_abort(c->w, EX_SOFTWARE, "libnbd ends a request that was not asked");
}

/* What libnbd has completed, also by answers that came just before the connection's end. */
static void take_answers(struct conn *c)
{
    int64_t cookie;
    while (c->n_flying && (cookie = nbd_aio_peek_command_completed(c->h)) > 0) {
        struct op *o = op_of(c, cookie);
        int r = nbd_aio_command_completed(c->h, (uint64_t)cookie);
        int error = r < 0 ? nbd_get_errno() : 0;
        if (r < 0 && error == ENOTCONN) {
            abandon(o);
            continue;
        }
        if (r < 0)
            failed(o, error ? error : EIO);
        else
            succeeded(o);
        forget(o);
    }
}

static void check_late(struct conn *c)
{
    struct world *w = c->w;
    uint64_t limit_us = (uint64_t)(w->set.hang_s * 1e6);
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        const struct op *o = &c->ops[i];
        if (!o->used || w->now_us < o->asked_us + limit_us)
            continue;
        struct finding f = {.unit = o->n ? o->first : UINT64_MAX};
        snprintf(f.what, sizeof(f.what), "%s of %" PRIu64 " bytes at %" PRIu64, kind_names[o->kind],
                 o->length, o->offset);
        soak_fail(w, c->v, &f, NULL, "connection %u: no answer within %g s", c->id, w->set.hang_s);
    }
    if (c->state != CONN_READY && w->now_us > c->down_us + limit_us)
        soak_fail(w, c->v, NULL, NULL, "connection %u cannot be opened for %g s", c->id,
                  w->set.hang_s);
}

static bool is_stalled(const struct conn *c)
{
    return c->stalled_us > c->w->now_us && c->w->phase == PHASE_RUN;
}

/* Makes use of what poll said. */
static void notify(struct conn *c, short revents)
{
    unsigned dir = nbd_aio_get_direction(c->h);
    if (dir & LIBNBD_AIO_DIRECTION_READ && revents & (POLLIN | POLLHUP | POLLERR))
        nbd_aio_notify_read(c->h);
    else if (dir & LIBNBD_AIO_DIRECTION_WRITE && revents & (POLLOUT | POLLHUP | POLLERR))
        nbd_aio_notify_write(c->h);
}

static void turn(struct conn *c, short revents)
{
    struct world *w = c->w;
    if (c->state == CONN_DOWN && w->now_us >= c->retry_us && peer(c)->state == PROC_UP)
        open_conn(c);
    if (c->h && revents)
        notify(c, revents);
    if (c->state == CONN_READY)
        take_answers(c);
    if (c->h && (nbd_aio_is_dead(c->h) || nbd_aio_is_closed(c->h)))
        was_cut(c);
    else if (c->state == CONN_OPENING && nbd_aio_is_ready(c->h))
        opened(c);
    check_late(c);
    if (is_stalled(c))
        return;
    if (w->phase == PHASE_RUN)
        ask_at_random(c);
    else if (w->phase == PHASE_READ)
        ask_in_order(c);
}

size_t clients_poll(struct world *w, struct pollfd *fds, size_t max)
{
    size_t n = 0;
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned k = 0; k < w->set.n_conns && n < max; k++) {
            const struct conn *c = w->volumes[i].conns[k];
            unsigned dir = c->h && !is_stalled(c) ? nbd_aio_get_direction(c->h) : 0;
            fds[n++] = (struct pollfd){
                .fd = dir ? nbd_aio_get_fd(c->h) : -1,
                .events = (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                                  (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0))};
        }
    return n;
}

void clients_turn(struct world *w, const struct pollfd *fds, size_t n)
{
    size_t at = 0;
    for (unsigned i = 0; i < w->n_volumes; i++) {
        settle_ghosts(&w->volumes[i]);
        for (unsigned k = 0; k < w->set.n_conns && at < n; k++, at++)
            turn(w->volumes[i].conns[k], fds[at].revents);
    }
}

/* ---- all of them ---- */

void clients_setup(struct world *w)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned k = 0; k < w->set.n_conns; k++) {
            struct conn *c = calloc(1, sizeof(*c));
            if (!c)
                soak_abort(w, EX_OSERR, "%s", err_text(ENOMEM));
            c->w = w;
            c->v = &w->volumes[i];
            c->id = i * CONNS_MAX + k + 1;
            c->down_us = w->now_us;
            rng_init(&c->rng, w->set.seed * 1000 + c->id);
            c->depth = 4;
            c->burst = 50;
            w->volumes[i].conns[k] = c;
        }
}

void clients_release(struct world *w)
{
    for (unsigned i = 0; i < w->n_volumes; i++) {
        for (unsigned k = 0; k < CONNS_MAX; k++) {
            struct conn *c = w->volumes[i].conns[k];
            if (c && c->h)
                go_down(c, 0);
            free(c);
            w->volumes[i].conns[k] = NULL;
        }
        free(w->volumes[i].ghosts);
    }
}

bool clients_calm(const struct world *w)
{
    for (unsigned i = 0; i < w->n_volumes; i++) {
        if (w->volumes[i].n_ghosts)
            return false;
        for (unsigned k = 0; k < w->set.n_conns; k++) {
            const struct conn *c = w->volumes[i].conns[k];
            if (c->state != CONN_READY || c->n_flying)
                return false;
            if (w->phase == PHASE_READ && (c->flush_next || c->read_next < c->v->size))
                return false;
        }
    }
    return true;
}

void clients_read_all(struct world *w)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned k = 0; k < w->set.n_conns; k++)
            w->volumes[i].conns[k]->read_next = 0;
}

void clients_flush(struct world *w)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        w->volumes[i].conns[0]->flush_next = true;
}
