/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "control.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accesslog.h"
#include "changes.h"
#include "common/base/error.h"
#include "common/base/parse.h"
#include "move.h"
#include "owner.h"
#include "quarantine.h"
#include "reread.h"
#include "reverse.h"
#include "stats.h"
#include "track.h"
#include "worker.h"

/* Of one reply to "missing": extents.  To that, and to "changed": bytes that are looked at. */
enum { MISSING_MAX = 1024 };
static const uint64_t LOOK_SPAN = UINT64_C(64) << 30;

/* What changed is asked. */
struct look {
    uint64_t epoch, offset, length;
};

struct control {
    struct director *d;
    const struct control_ops *ops;
    void *front;
    bool busy;   /* a verb is not answered yet */
    bool closed; /* gone when the job and the task are done */
    bool job_pending;
    bool waiting;            /* on WAIT */
    struct storejob job;     /* of reload */
    struct volume_wait wait; /* of begin, reverse and changed */
    struct move_order order; /* … which is for that, … */
    struct look look;        /* … or for this */
    struct volume *looked;   /* kept open for the next look; NULL: none */
    struct loop_task over;   /* after the last answer, or the end */
    struct buf reply;        /* being gathered */
    size_t data_len;         /* of it */
    /* From here on: the front's between two verbs, the agent's during one. */
    const struct verb *verb;
    const char *line;
    struct stats_sum *sum;
    struct buf answer;
    size_t answer_data_len;
    bool last, ok;
    struct loop_msg ask, answered, leave, gone;
};

/*
 * Has FN run in worker TO's thread; called in FROM's.  With one thread, and between a front and its
 * agent in worker 0, that is a plain call.
 */
static void hop(const struct director *from, const struct director *to, struct loop_msg *m,
                void (*fn)(struct loop_msg *m))
{
    if (from == to)
        fn(m);
    else
        loop_post(to->loop, m, fn);
}

static struct director *front_of(const struct control *c)
{
    return workers_director(c->d->workers, 0);
}

/* ---- answers ---- */

/* HEAD, a blank if there is text, and the text, as one line. */
__attribute__((format(printf, 3, 0))) static void send_text(struct control *c, const char *head,
                                                            const char *fmt, va_list ap)
{
    char text[4096];
    if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
        text[0] = 0;
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ' ';
    if (!c->closed)
        buf_printf(&c->reply, "%s%s%s\n", head, *head && *text ? " " : "", text);
}

static void tell_answer(struct loop_msg *m)
{
    struct control *c = (struct control *)((char *)m - offsetof(struct control, answered));
    c->ops->answered(c->front, &c->answer, c->answer_data_len, c->ok);
}

static void tell_gone(struct loop_msg *m)
{
    struct control *c = (struct control *)((char *)m - offsetof(struct control, gone));
    void *front = c->front;
    const struct control_ops *ops = c->ops;
    buf_release(&c->reply);
    buf_release(&c->answer);
    free(c);
    ops->gone(front);
}

/* Whoever called may still look at C in this round; a store job still knows it. */
static void gone_task(struct loop_task *t)
{
    struct control *c = (struct control *)((char *)t - offsetof(struct control, over));
    if (!c->job_pending)
        hop(c->d, front_of(c), &c->gone, tell_gone);
}

/* The last line is in the reply. */
static void verb_over(struct control *c, bool ok)
{
    assert(c->busy);
    c->busy = false;
    if (c->closed) {
        loop_task_add(c->d->loop, &c->over, gone_task);
        return;
    }
    struct buf old = c->answer;
    c->answer = c->reply;
    c->answer_data_len = c->data_len;
    c->ok = ok;
    c->reply = old;
    hop(c->d, front_of(c), &c->answered, tell_answer);
}

/* A line of data before the answer. */
__attribute__((format(printf, 2, 3))) static void control_line(struct control *c, const char *fmt,
                                                               ...)
{
    va_list ap;
    va_start(ap, fmt);
    send_text(c, "", fmt, ap);
    va_end(ap);
}

void control_ok(struct control *c, const char *fmt, ...)
{
    if (!c)
        return;
    va_list ap;
    va_start(ap, fmt);
    c->data_len = c->reply.len;
    send_text(c, "ok", fmt, ap);
    va_end(ap);
    verb_over(c, true);
}

void control_err(struct control *c, int err, const char *fmt, ...)
{
    char head[64];
    if (!c)
        return;
    snprintf(head, sizeof(head), "err %s", err_name(err));
    va_list ap;
    va_start(ap, fmt);
    c->data_len = c->reply.len;
    send_text(c, head, fmt, ap);
    va_end(ap);
    verb_over(c, false);
}

/* ---- verbs without a move ---- */

static const char *phase_of(const struct volume *v)
{
    if (v->owner.place == OWNER_DISTRUSTED)
        return "manual-recovery";
    return v->move ? move_phase_name(v->move) : "steady";
}

/* Which sides copiers reach through the director alone. */
static const char *private_sides(const struct volume *v)
{
    const struct move *m = v->move;
    bool source = !(v->owner.has.flags & NBD_TF_MULTI_CONN);
    bool target = m && m->blocks && m->leg && leg_is_private(m->leg);
    if (source)
        return target ? "both" : "source";
    return target ? "target" : "none";
}

/* What the drivers of its move have sent to the target. */
static const char *copies_word(const struct volume *v)
{
    const struct move *m = v->move;
    if (!m || !m->blocks)
        return "-";
    return m->copies_flushed ? "flushed" : "unflushed";
}

static void status_line(struct control *c, const struct volume *v)
{
    const struct move *m = v->move;
    struct blocks_counts n = {0};
    if (m && m->blocks)
        n = blocks_counts(m->blocks);
    bool open = m && m->blocks;
    bool promoted = !open && v->promoted_epoch && v->promoted_epoch == v->route.epoch;
    bool promotable = open ? move_may_promote(m) : reverse_may_promote(v);
    if (promoted)
        n.unproved = v->promoted_unproved;
    else if (!open && reverse_is_open(v) && v->changes)
        n.unproved = changes_unproved_bytes(v->changes);
    const char *target = open ? m->target : "-";
    struct buf latency = {0};
    char changed[24] = "-";
    if (v->changes)
        snprintf(changed, sizeof(changed), "%llu", (unsigned long long)changes_bytes(v->changes));
    stats_words(v, loop_now_us(c->d->loop), &latency);
    control_line(
        c,
        "volume=%s owner=%s epoch=%llu phase=%s target=%s size=%llu block=%d blocks=%llu "
        "dirty=%llu copying=%llu haunted=%llu synced=%llu unproved=%llu clients=%u inflight=%zu "
        "held=%zu requests=%llu errors=%llu pause_us=%llu log_dropped=%llu "
        "replayed=%llu reconnects=%llu expired=%llu gateway=%s away_ms=%llu unflushed=%zu "
        "durable=%s changed=%s promotable=%s promoted=%s verify=%s exempt=%llu reverse=%s "
        "private=%s copies=%s stuck=%llu%s",
        v->name, v->route.gateway, (unsigned long long)v->route.epoch, phase_of(v), target,
        (unsigned long long)v->route.size_bytes, BLOCK_SIZE,
        (unsigned long long)((v->route.size_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE),
        (unsigned long long)n.dirty, (unsigned long long)n.copying, (unsigned long long)n.haunted,
        (unsigned long long)n.synced, (unsigned long long)n.unproved, v->n_clients, v->inflight,
        v->held.n, (unsigned long long)v->requests, (unsigned long long)v->errors,
        (unsigned long long)v->pause_us, (unsigned long long)accesslog_dropped(c->d->log),
        (unsigned long long)v->replayed, (unsigned long long)v->reconnects,
        (unsigned long long)v->expired, owner_place_name(v),
        (unsigned long long)(owner_away_us(v) / 1000), replay_bytes(&v->owner.log),
        v->owner.has.flags & NBD_TF_FLUSH ? "by-flush" : "no-flush", changed,
        promotable ? "yes" : "no", promoted ? "yes" : "no",
        open ? rec_verify_words[m->verify] : "-", (unsigned long long)n.exempt, reverse_word(v),
        private_sides(v), copies_word(v),
        (unsigned long long)(open ? stuck_bytes(&m->keepup.stuck) : 0),
        latency.data ? latency.data : "");
    buf_release(&latency);
}

static void run_status(struct control *c, char **args)
{
    bool any = false;
    for (const struct volume *v = c->d->volumes; v; v = v->next) {
        if (v->state != VOLUME_SERVING || (args[0] && strcmp(args[0], v->name) != 0))
            continue;
        status_line(c, v);
        any = true;
    }
    if (args[0] && !any)
        control_err(c, ENOENT, "volume '%s' is not being served", args[0]);
    else
        control_ok(c, "%s", "");
}

static void run_stats(struct control *c, char **args)
{
    int r = stats_records(c->d, args[0], c->sum, c->last, &c->reply);
    if (r == -ENOENT)
        control_err(c, ENOENT, "volume '%s' is not being served", args[0]);
    else if (r < 0)
        control_err(c, -r, "%s", err_text(r));
    else
        control_ok(c, "%s", "");
}

static void reloaded(struct storejob *j)
{
    struct control *c = j->arg;
    c->job_pending = false;
    if (j->result < 0)
        control_err(c, j->result, "%s", j->error);
    else if (reread_apply(c->d, j) < 0)
        control_err(c, EBUSY, "a commit is under way");
    else
        control_ok(c, "%s", "");
}

static void run_reload(struct control *c, char **args)
{
    c->job = (struct storejob){.kind = STOREJOB_GET, .done = reloaded, .arg = c};
    snprintf(c->job.route.volume, sizeof(c->job.route.volume), "%s", args[0]);
    c->job_pending = true;
    storejobs_queue(c->d->jobs, &c->job);
}

/* ---- what has changed since the switch ---- */

static bool number(struct control *c, const char *arg, uint64_t max, uint64_t *out)
{
    if (parse_u64(arg, out) == 0 && *out <= max)
        return true;
    control_err(c, EINVAL, "'%s' is not a number in range", arg);
    return false;
}

static void look_no_more(struct control *c)
{
    struct volume *v = c->looked;
    c->looked = NULL;
    if (v)
        volume_unuse(v);
}

/*
 * A block is marked before its write leaves, and never unmarked: who read the owner before asking
 * knows by the answer if it can have seen anything else than what was switched to (S10).
 */
static void answer_look(struct control *c)
{
    const struct volume *v = c->looked;
    const struct look *l = &c->look;
    enum changes_kind kind;
    if (l->epoch != v->route.epoch || !track_is_kept(&v->route, v->route.target)) {
        control_err(c, ESTALE, "the route is at epoch %llu, %s", (unsigned long long)v->route.epoch,
                    rec_route_state_words[v->route.state]);
    } else if (!l->length || l->offset >= v->route.size_bytes ||
               l->length > v->route.size_bytes - l->offset) {
        control_err(c, EINVAL, "not bytes of the volume");
    } else if (!v->changes || !changes_copy_whole(v->changes)) {
        control_ok(c, "%llu unknown", (unsigned long long)l->length);
    } else {
        uint64_t most = l->length < LOOK_SPAN ? l->length : LOOK_SPAN; /* clients wait meanwhile */
        uint64_t run = changes_run(v->changes, l->offset, most, &kind);
        control_ok(c, "%llu %s", (unsigned long long)run,
                   kind == CHANGES_NONE ? "unchanged" : "changed");
    }
}

static void opened_to_look(struct volume_wait *w, struct volume *v, const char *error)
{
    struct control *c = (struct control *)((char *)w - offsetof(struct control, wait));
    c->waiting = false;
    c->looked = v;
    if (v)
        answer_look(c);
    else
        control_err(c, EHOSTUNREACH, "volume can't be served: %s", error);
}

static void run_changed(struct control *c, char **args)
{
    struct look *l = &c->look;
    if (!number(c, args[1], UINT64_MAX, &l->epoch) || !number(c, args[2], UINT64_MAX, &l->offset) ||
        !number(c, args[3], UINT64_MAX, &l->length))
        return;
    if (c->looked && c->looked->state == VOLUME_SERVING && strcmp(c->looked->name, args[0]) == 0) {
        answer_look(c);
        return;
    }
    look_no_more(c);
    c->wait.done = opened_to_look;
    c->waiting = true;
    volume_open(c->d, args[0], &c->wait);
}

/* ---- verbs of a move ---- */

static void opened(struct volume_wait *w, struct volume *v, const char *error)
{
    struct control *c = (struct control *)((char *)w - offsetof(struct control, wait));
    c->waiting = false;
    if (v)
        move_begin(v, c, &c->order);
    else
        control_err(c, EHOSTUNREACH, "volume can't be served: %s", error);
}

/* A word of VERIFY_…: 0 or -EINVAL. */
static int parse_verify(const char *word, enum rec_verify *out)
{
    for (unsigned i = 0; rec_verify_words[i]; i++)
        if (strcmp(word, rec_verify_words[i]) == 0) {
            *out = (enum rec_verify)i;
            return 0;
        }
    return -EINVAL;
}

/* What stands behind the target.  On the way back what was equal is the map's to say. */
static int parse_begin_options(char **words, struct move_order *o)
{
    static const char verify[] = "verify=";
    const size_t len = sizeof(verify) - 1;
    const char *mode = NULL;
    for (; *words; words++) {
        if (strncmp(*words, verify, len) == 0)
            mode = *words + len;
        else if (strcmp(*words, "no-flush") == 0)
            o->no_flush = true;
        else if (strcmp(*words, "shared") == 0)
            o->shared = true;
        else
            o->back = true;
    }
    o->verify = o->back ? VERIFY_DELTA : VERIFY_FULL;
    return mode ? parse_verify(mode, &o->verify) : 0;
}

static void run_begin(struct control *c, char **args)
{
    struct move_order *o = &c->order;
    *o = (struct move_order){.epoch = 0};
    if (parse_u64(args[1], &o->epoch) < 0 || parse_name(args[2]) < 0) {
        control_err(c, EINVAL, "not an epoch, or not a gateway's name");
        return;
    }
    if (parse_begin_options(args + 3, o) < 0) {
        control_err(c, EINVAL, "verify full, delta or none");
        return;
    }
    snprintf(o->target, sizeof(o->target), "%s", args[2]);
    c->wait.done = opened;
    c->waiting = true;
    volume_open(c->d, args[0], &c->wait);
}

static void opened_reverse(struct volume_wait *w, struct volume *v, const char *error)
{
    struct control *c = (struct control *)((char *)w - offsetof(struct control, wait));
    c->waiting = false;
    if (v)
        reverse_start(v, c);
    else
        control_err(c, EHOSTUNREACH, "volume can't be served: %s", error);
}

static void run_reverse(struct control *c, char **args)
{
    struct volume *v = args[1] ? volume_find(c->d, args[0]) : NULL;
    if (v) {
        reverse_stop(v, c);
    } else if (args[1]) {
        control_err(c, ENOENT, "volume '%s' is not being served", args[0]);
    } else {
        c->wait.done = opened_reverse;
        c->waiting = true;
        volume_open(c->d, args[0], &c->wait);
    }
}

/* The move of volume NAME that C drives.  NULL: C has its answer. */
static struct move *driven(struct control *c, const char *name)
{
    const struct volume *other = NULL;
    for (const struct volume *v = c->d->volumes; v; v = v->next) {
        if (strcmp(v->name, name) != 0 || !v->move)
            continue;
        other = v;
        if (v->move->driver != c)
            continue;
        if (v->move->phase != MOVE_GONE && v->move->phase != MOVE_ENDING)
            return v->move;
        control_err(c, ECONNABORTED, "%s", v->move->why);
        return NULL;
    }
    if (other)
        control_err(c, EBUSY, "this connection did not begin the move of '%s'", name);
    else
        control_err(c, ENOENT, "no move of volume '%s'", name);
    return NULL;
}

/* ARG as a list of claims with commas between them: their number, or 0: C has its answer. */
static size_t claim_list(struct control *c, char *arg, uint64_t ids[CLAIMS_MAX])
{
    size_t n = 0;
    char *rest = arg;
    for (char *word; (word = strsep(&rest, ","));) {
        if (n == CLAIMS_MAX) {
            control_err(c, EINVAL, "more than %d claims", CLAIMS_MAX);
            return 0;
        }
        if (!number(c, word, UINT32_MAX, &ids[n++]))
            return 0;
    }
    return n;
}

static void run_claim(struct control *c, char **args)
{
    uint64_t max, count = 1;
    bool copy = strcmp(args[1], "copy") == 0;
    struct move *m = driven(c, args[0]);
    if (!m)
        return;
    if (!copy && strcmp(args[1], "prove") != 0)
        control_err(c, EINVAL, "claim copy, or prove");
    else if (number(c, args[2], UINT64_MAX, &max) &&
             (!args[3] || number(c, args[3], CLAIMS_MAX, &count)))
        move_claim(m, c, copy ? CLAIM_COPY : CLAIM_PROVE, max, count ? count : 1);
}

static void run_claimin(struct control *c, char **args)
{
    uint64_t from, to, max;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT64_MAX, &from) && number(c, args[2], UINT64_MAX, &to) &&
        number(c, args[3], UINT64_MAX, &max))
        move_claim_in(m, c, from, to, max);
}

static void run_synced(struct control *c, char **args)
{
    uint64_t ids[CLAIMS_MAX];
    struct move *m = driven(c, args[0]);
    size_t n = m ? claim_list(c, args[1], ids) : 0;
    if (n && args[2])
        move_adopt(m, c, ids, n, strcmp(args[2], "equal") == 0);
    else if (n)
        move_done(m, c, CLAIM_COPY, ids, n);
}

static void run_proved(struct control *c, char **args)
{
    uint64_t ids[CLAIMS_MAX];
    struct move *m = driven(c, args[0]);
    size_t n = m ? claim_list(c, args[1], ids) : 0;
    if (n)
        move_done(m, c, CLAIM_PROVE, ids, n);
}

static void run_release(struct control *c, char **args)
{
    uint64_t claim;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT32_MAX, &claim))
        move_release(m, c, claim);
}

static void run_differs(struct control *c, char **args)
{
    uint64_t claim;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT32_MAX, &claim))
        move_differs(m, c, claim);
}

static void run_mirror(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_mirror(m, c);
}

/* What the target of an open move lacks, for whoever asks. */
static void run_missing(struct control *c, char **args)
{
    uint64_t from, max, offset, length;
    const struct volume *v = c->d->volumes;
    while (v && (strcmp(v->name, args[0]) != 0 || !v->move || !v->move->blocks))
        v = v->next;
    if (!number(c, args[1], UINT64_MAX, &from) || !number(c, args[2], MISSING_MAX, &max))
        return;
    if (!v) {
        control_err(c, ENOENT, "no move of volume '%s' is open", args[0]);
        return;
    }
    uint64_t size = v->route.size_bytes;
    uint64_t to = from < size && size - from > LOOK_SPAN ? from + LOOK_SPAN : size;
    for (; max && blocks_missing(v->move->blocks, from, to, &offset, &length); max--) {
        control_line(c, "%llu %llu", (unsigned long long)offset, (unsigned long long)length);
        from = offset + length;
    }
    struct blocks_counts n = blocks_counts(v->move->blocks);
    control_ok(c, "%s %llu %llu", v->move->target, (unsigned long long)(max ? to : from),
               (unsigned long long)(size - n.synced));
}

static void run_defer(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_defer(m, c);
}

static void run_hold(struct control *c, char **args)
{
    uint64_t window_ms;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], 60000, &window_ms))
        move_hold(m, c, window_ms);
}

static void run_detach(struct control *c, char **args)
{
    uint64_t window_ms;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], 60000, &window_ms))
        move_detach(m, c, window_ms);
}

static void run_unhold(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_unhold(m, c);
}

static void run_flush(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_flush(m, c);
}

static void run_switch(struct control *c, char **args)
{
    uint64_t epoch;
    struct move *m = driven(c, args[0]);
    if (m && number(c, args[1], UINT64_MAX, &epoch))
        move_switch(m, c, epoch);
}

static void run_retire(struct control *c, char **args)
{
    struct move *m = driven(c, args[0]);
    if (m)
        move_retire(m, c);
}

static void run_abort(struct control *c, char **args)
{
    for (struct volume *v = c->d->volumes; v; v = v->next)
        if (strcmp(v->name, args[0]) == 0 && v->move) {
            move_abort(v->move, c);
            return;
        }
    control_err(c, ENOENT, "no move of volume '%s'", args[0]);
}

static const struct verb verbs[] = {
    {"abort", "abort VOLUME", 1, run_abort},
    {"begin", "begin VOLUME EPOCH TARGET [back|shared] [no-flush] [verify=full|delta|none]", 3,
     run_begin},
    {"changed", "changed VOLUME EPOCH OFFSET LENGTH", 4, run_changed},
    {"claim", "claim VOLUME copy|prove MAX_BYTES [COUNT]", 3, run_claim},
    {"claimin", "claimin VOLUME FROM TO MAX_BYTES", 4, run_claimin},
    {"defer", "defer VOLUME", 1, run_defer},
    {"detach", "detach VOLUME WINDOW_MS", 2, run_detach},
    {"differs", "differs VOLUME CLAIM", 2, run_differs},
    {"flush", "flush VOLUME", 1, run_flush},
    {"help", "help", 0, NULL},
    {"hold", "hold VOLUME WINDOW_MS", 2, run_hold},
    {"mirror", "mirror VOLUME", 1, run_mirror},
    {"missing", "missing VOLUME FROM MAX", 3, run_missing},
    {"proved", "proved VOLUME CLAIM[,CLAIM...]", 2, run_proved},
    {"release", "release VOLUME CLAIM", 2, run_release},
    {"reload", "reload VOLUME", 1, run_reload},
    {"retire", "retire VOLUME", 1, run_retire},
    {"reverse", "reverse VOLUME [off]", 1, run_reverse},
    {"stats", "stats [VOLUME]", VERB_TABLE, run_stats},
    {"status", "status [VOLUME]", VERB_LINES, run_status},
    {"switch", "switch VOLUME EPOCH", 2, run_switch},
    {"synced", "synced VOLUME CLAIM[,CLAIM...] [equal|unchanged]", 2, run_synced},
    {"unhold", "unhold VOLUME", 1, run_unhold},
};

const struct verb *control_verbs(size_t *n)
{
    *n = sizeof(verbs) / sizeof(verbs[0]);
    return verbs;
}

/* ---- the front's side ---- */

int control_split(char *line, char *words[CONTROL_ARGS_MAX + 1])
{
    int n = 0;
    char *save = NULL;
    memset(words, 0, (CONTROL_ARGS_MAX + 1) * sizeof(*words));
    for (char *a = strtok_r(line, " \t\r", &save); a; a = strtok_r(NULL, " \t\r", &save)) {
        if (n == CONTROL_ARGS_MAX)
            return -E2BIG;
        words[n++] = a;
    }
    return n;
}

static void on_ask(struct loop_msg *m)
{
    struct control *c = (struct control *)((char *)m - offsetof(struct control, ask));
    char line[CONTROL_LINE_MAX];
    char *words[CONTROL_ARGS_MAX + 1];
    /* A copy: once the verb is answered the line is the front's again, maybe in another thread. */
    snprintf(line, sizeof(line), "%s", c->line);
    control_split(line, words);
    buf_clear(&c->reply);
    c->busy = true;
    c->verb->run(c, words + 1);
}

static void on_leave(struct loop_msg *m)
{
    struct control *c = (struct control *)((char *)m - offsetof(struct control, leave));
    struct volume *next;
    c->closed = true;
    if (c->waiting)
        volume_open_cancel(c->d, &c->wait);
    for (struct volume *v = c->d->volumes; v; v = next) {
        next = v->next;
        reverse_control_gone(v, c);
        if (v->move)
            move_control_gone(v->move, c);
    }
    quarantine_writer_gone(c->d, c);
    look_no_more(c);
    loop_task_add(c->d->loop, &c->over, gone_task);
}

struct control *control_new(struct director *d, const struct control_ops *ops, void *front)
{
    struct control *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->d = d;
    c->ops = ops;
    c->front = front;
    return c;
}

void control_ask(struct control *c, const struct verb *verb, const char *line,
                 struct stats_sum *sum, bool last)
{
    c->verb = verb;
    c->line = line;
    c->sum = sum;
    c->last = last;
    hop(front_of(c), c->d, &c->ask, on_ask);
}

void control_leave(struct control *c)
{
    hop(front_of(c), c->d, &c->leave, on_leave);
}
