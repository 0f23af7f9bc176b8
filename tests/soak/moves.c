/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "moves.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/route/store.h"
#include "faults.h"
#include "kept.h"
#include "procs.h"
#include "story.h"

/*
 * MOVERS: at once.  SETTLE_US: what is open must end within this time once nothing fails any more.
 * STRIKE_US: a planned strike comes at most so long after the event that it waits for.
 */
enum { MOVERS = 3, SECOND_US = 1000000, STRIKE_US = 60000, LOG_SHOWN = 4000 };
#define SETTLE_US (60 * (uint64_t)SECOND_US)

enum verb {
    VERB_PLAN,
    VERB_RESUME,
    VERB_CUTOVER,
    VERB_ABORT,
    VERB_COMMIT,
    VERB_REVERT,
    VERB_MODIFY,
    VERBS
};

static const char *const verb_names[VERBS] = {"plan",   "resume", "cutover", "abort",
                                              "commit", "revert", "modify"};
static const char *const verb_notes[VERBS] = {
    "migrate-exec PLAN",     "migrate-exec --resume", "migrate-exec --cutover",
    "migrate-exec --abort",  "migrate-exec --commit", "migrate-exec --revert",
    "migrate-exec --modify",
};
/* By enum rec_event. */
static const char *const event_notes[] = {
    "move: begin",    "move: pass",     "move: mirror",    "move: hold",
    "move: switched", "move: deferred", "move: stalled",   "move: failed",
    "move: aborted",  "move: reverted", "move: committed", "move: manual-recovery"};

/* What will go wrong when a certain event comes. */
struct strike {
    bool armed;
    enum rec_event at;
    enum fault fault;
    bool source;               /* whose gateway */
    uint64_t after_us, due_us; /* due 0: the event has not come */
    unsigned volume;
};

/* A migrate-exec. */
struct mover {
    struct proc p;
    enum verb verb;
    unsigned volumes; /* a bit for each that is its alone; 0: it interferes with another */
    bool killed, told;
    struct strike strike;
};

/* What is remembered of a volume. */
struct place {
    uint64_t epoch;
    unsigned owner;
    enum rec_route_state state;
    uint64_t rest_us;    /* nothing is begun before */
    uint64_t strange_us; /* since when the route says that a move is open, and no journal does */
};

struct moves {
    struct world *w;
    struct route_store *store;
    struct kept *kept;
    struct rng rng;
    char state[96];
    struct mover movers[MOVERS];
    struct place places[VOLUMES_MAX];
    int history;
    uint64_t next_us; /* when something is begun again */
    uint64_t calm_us; /* since when everything is to come to an end; 0: not yet */
    unsigned plans;
    uint64_t begun[VERBS], switched, events, strikes;
};

static uint64_t below(struct moves *m, uint64_t n)
{
    return rng_below(&m->rng, n);
}

static struct place *place_of(struct moves *m, const struct volume *v)
{
    return &m->places[v - m->w->volumes];
}

static unsigned bit(const struct world *w, const struct volume *v)
{
    return 1u << (v - w->volumes);
}

static bool movable(const struct volume *v)
{
    return v->n_gateways > 1;
}

bool moves_possible(const struct world *w)
{
    bool any = false;
    for (unsigned i = 0; i < w->n_volumes; i++)
        any = any || movable(&w->volumes[i]);
    return any && !w->set.direct;
}

/* The number of V's gateway NAME. */
static unsigned gateway_of(const struct volume *v, const char *name)
{
    for (unsigned g = 0; g < v->n_gateways; g++)
        if (strcmp(v->gateways[g].proc.name, name) == 0)
            return g;
    soak_fail(v->w, v, NULL, NULL, "'%s' is none of its gateways", name);
}

/* ---- the store ---- */

static struct route read_route(struct moves *m, const struct volume *v)
{
    struct route r = {.epoch = 0};
    int e = route_store_get(m->store, v->name, &r);
    if (e != 1)
        soak_fail(m->w, v, NULL, NULL, "the route store has no record: %s", err_text(e));
    return r;
}

/* The route as it is now, which must be one that may follow the last. */
static struct route look(struct moves *m, struct volume *v)
{
    struct route r = read_route(m, v);
    struct place *p = place_of(m, v);
    unsigned owner = gateway_of(v, r.gateway);
    if (r.epoch < p->epoch)
        soak_fail(m->w, v, NULL, NULL, "the epoch fell from %" PRIu64 " to %" PRIu64, p->epoch,
                  r.epoch);
    if (r.epoch == p->epoch && owner != p->owner)
        soak_fail(m->w, v, NULL, NULL, "at epoch %" PRIu64 " the owner was %s and is %s", r.epoch,
                  v->gateways[p->owner].proc.name, r.gateway);
    if (r.state == ROUTE_STATE_MANUAL_RECOVERY)
        soak_fail(m->w, v, NULL, NULL, "it is in manual recovery");
    p->epoch = r.epoch;
    p->owner = v->owner = owner;
    p->state = r.state;
    return r;
}

void moves_look(struct world *w, struct volume *v)
{
    if (w->moves && movable(v))
        look(w->moves, v);
}

/* ---- who drives what ---- */

static struct mover *mover_of(const struct moves *m, const struct volume *v)
{
    for (unsigned i = 0; i < MOVERS; i++) {
        const struct mover *x = &m->movers[i];
        if (x->p.pid && x->volumes & bit(m->w, v))
            return (struct mover *)(uintptr_t)x;
    }
    return NULL;
}

bool moves_runs(const struct world *w, const struct volume *v)
{
    const struct mover *x = w->moves ? mover_of(w->moves, v) : NULL;
    return x && !x->p.stopped;
}

void moves_kill(struct world *w, const struct volume *v)
{
    struct mover *x = mover_of(w->moves, v);
    soak_note_of(w, v, "migrate-exec is killed on", verb_names[x->verb]);
    kill(x->p.pid, SIGKILL);
    x->killed = true;
}

void moves_stop(struct world *w, const struct volume *v, uint64_t cont_us)
{
    struct mover *x = mover_of(w->moves, v);
    soak_note_of(w, v, "migrate-exec is stopped on", verb_names[x->verb]);
    proc_stop(w, &x->p, cont_us);
}

void moves_interrupt(struct world *w, const struct volume *v)
{
    struct mover *x = mover_of(w->moves, v);
    soak_note_of(w, v, "migrate-exec is interrupted on", verb_names[x->verb]);
    kill(x->p.pid, below(w->moves, 2) ? SIGINT : SIGTERM);
    x->told = true;
}

/* ---- what must hold ---- */

/* The disk of V's owner has what is durable. */
static void check_disk(struct moves *m, struct volume *v)
{
    char path[200];
    struct finding f;
    snprintf(path, sizeof(path), "%s/%s", v->gateways[v->owner].path, v->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char *data = malloc(v->size);
    if (fd < 0 || !data || pread(fd, data, v->size, 0) != (ssize_t)v->size)
        soak_fail(m->w, v, NULL, NULL, "cannot read the owner's '%s': %s", path, err_text(errno));
    if (!model_check_disk(v->model, 0, data, v->size, &f)) {
        struct model_read r;
        model_read_asked(v->model, &r);
        soak_fail(m->w, v, &f, &r, "the disk of the owner, %s", v->gateways[v->owner].proc.name);
    }
    free(data);
    close(fd);
}

/* What the journals and the store say of V does not contradict. */
static void check_truth(struct moves *m, struct volume *v, const struct route *r)
{
    struct story next, s;
    bool has_next = story_read(m->state, v->name, r->epoch + 1, &next);
    bool has_last = story_read(m->state, v->name, r->epoch, &s);
    struct route now = look(m, v);
    if (now.epoch != r->epoch || now.state != r->state)
        return; /* it goes on under our hands */
    if (has_next && next.switched)
        soak_fail(m->w, v, NULL, NULL, "journal '%s' has a switch, the store is at epoch %" PRIu64,
                  next.last.id, r->epoch);
    if (!has_last)
        return;
    bool there = strcmp(r->gateway, s.last.target) == 0;
    if (s.twice)
        soak_fail(m->w, v, NULL, NULL, "journal '%s' has two switches", s.last.id);
    if (s.switched && !there)
        soak_fail(m->w, v, NULL, NULL, "journal '%s' has switched to %s, the owner is %s",
                  s.last.id, s.last.target, r->gateway);
    if (story_failed(&s) && there)
        soak_fail(m->w, v, NULL, NULL, "journal '%s' has failed, and the owner is %s", s.last.id,
                  r->gateway);
    if (r->state == ROUTE_STATE_UNCOMMITTED && s.last.event == EVENT_COMMITTED)
        soak_fail(m->w, v, NULL, NULL, "journal '%s' is committed, the route is not", s.last.id);
}

/* V is let go by who drove it: all that must hold then. */
static void settled(struct moves *m, struct volume *v)
{
    struct story s;
    struct route r = look(m, v);
    check_truth(m, v, &r);
    check_disk(m, v);
    kept_check(m->kept);
    bool waits = r.state == ROUTE_STATE_UNCOMMITTED && story_read(m->state, v->name, r.epoch, &s) &&
                 s.known && !story_open(&s);
    if (waits) {
        struct story back;
        if (!story_read(m->state, v->name, r.epoch + 1, &back))
            kept_add_export(m->kept, v, gateway_of(v, s.last.source));
    }
    for (unsigned g = 0; g < v->n_gateways; g++)
        kept_add_cold(m->kept, v, g);
}

/* What status 0 says. */
static void check_done(struct moves *m, const struct mover *x, struct volume *v)
{
    struct story s = {.epoch = 0};
    struct route r = look(m, v);
    bool any = story_read(m->state, v->name, r.epoch, &s);
    bool ok = true;
    switch (x->verb) {
    case VERB_PLAN:
    case VERB_REVERT:
    case VERB_CUTOVER:
        ok = any && s.switched && r.state == ROUTE_STATE_UNCOMMITTED;
        break;
    case VERB_COMMIT:
        ok = r.state == ROUTE_STATE_STEADY && any && s.last.event == EVENT_COMMITTED;
        break;
    case VERB_ABORT:
        ok = r.state == ROUTE_STATE_STEADY || r.state == ROUTE_STATE_UNCOMMITTED;
        break;
    default:
        break;
    }
    if (!ok)
        soak_fail(m->w, v, NULL, NULL,
                  "migrate-exec %s said that it was done, and the route is %s at epoch %" PRIu64
                  ", %s, the last of '%s' %s",
                  verb_names[x->verb], r.gateway, r.epoch, rec_route_state_words[r.state],
                  s.last.id, any ? rec_event_words[s.last.event] : "nothing");
}

/* ---- their ends ---- */

static void ended(struct moves *m, struct mover *x, int status)
{
    struct world *w = m->w;
    unsigned volumes = x->volumes;
    bool by_signal = WIFSIGNALED(status);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    x->p.pid = 0;
    x->volumes = 0;
    int signal = by_signal ? WTERMSIG(status) : 0;
    /* One that comes before there is a migration, or after, ends it at once. */
    bool due =
        (x->killed && signal == SIGKILL) || (x->told && (signal == SIGINT || signal == SIGTERM));
    if (by_signal && !due)
        soak_fail(w, NULL, NULL, NULL, "migrate-exec %s ended by signal %d", verb_names[x->verb],
                  signal);
    if (code != 0 && code != EX_NO && code != EX_UNAVAILABLE && code != EX_TEMPFAIL &&
        !(x->told && (code == 130 || code == 143)))
        soak_fail(w, NULL, NULL, NULL, "migrate-exec %s ended with status %d", verb_names[x->verb],
                  code);
    for (unsigned i = 0; i < w->n_volumes; i++) {
        struct volume *v = &w->volumes[i];
        if (!(volumes & 1u << i))
            continue;
        soak_note_of(w, v, "migrate-exec has ended on", verb_names[x->verb]);
        if (!by_signal && code == 0)
            check_done(m, x, v);
        settled(m, v);
        place_of(m, v)->rest_us = w->now_us + below(m, SECOND_US / 2);
    }
}

static void reap(struct moves *m)
{
    for (unsigned i = 0; i < MOVERS; i++) {
        struct mover *x = &m->movers[i];
        int status;
        if (x->p.pid && waitpid(x->p.pid, &status, WNOHANG) == x->p.pid)
            ended(m, x, status);
        if (x->p.pid && x->p.stopped && m->w->now_us >= x->p.cont_us) {
            kill(x->p.pid, SIGCONT);
            x->p.stopped = false;
        }
    }
}

/* ---- the history, as it grows ---- */

static void on_event(struct moves *m, const struct story_event *e)
{
    struct world *w = m->w;
    for (unsigned i = 0; i < w->n_volumes; i++) {
        struct volume *v = &w->volumes[i];
        if (strcmp(v->name, e->volume) != 0)
            continue;
        m->events++;
        m->switched += e->event == EVENT_SWITCHED;
        soak_note_of(w, v, event_notes[e->event], v->gateways[gateway_of(v, e->target)].proc.name);
        struct mover *x = mover_of(m, v);
        struct strike *s = x ? &x->strike : NULL;
        if (s && s->armed && !s->due_us && s->at == e->event) {
            s->due_us = w->now_us + s->after_us;
            s->volume = i;
        }
    }
}

/* An event that was appended only in part is read when it is whole. */
static void read_history(struct moves *m)
{
    char path[128];
    if (m->history < 0) {
        snprintf(path, sizeof(path), "%s/history.csv", m->state);
        m->history = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (m->history < 0)
        return;
    off_t at = lseek(m->history, 0, SEEK_CUR);
    char text[4096], *line, *end;
    ssize_t n = pread(m->history, text, sizeof(text) - 1, at);
    if (n <= 0)
        return;
    text[n] = 0;
    for (line = text; (end = strchr(line, '\n')); line = end + 1) {
        struct story_event e;
        *end = 0;
        if (story_parse(line, &e))
            on_event(m, &e);
    }
    lseek(m->history, at + (line - text), SEEK_SET);
}

static void strike(struct moves *m)
{
    struct world *w = m->w;
    for (unsigned i = 0; i < MOVERS; i++) {
        struct mover *x = &m->movers[i];
        struct strike *s = &x->strike;
        if (!x->p.pid || !s->armed || !s->due_us || w->now_us < s->due_us)
            continue;
        struct volume *v = &w->volumes[s->volume];
        struct story t;
        struct route r = look(m, v);
        s->armed = false;
        if (!story_read(m->state, v->name, r.epoch + 1, &t) &&
            !story_read(m->state, v->name, r.epoch, &t))
            continue;
        unsigned g = gateway_of(v, s->source ? t.last.source : t.last.target);
        m->strikes += faults_strike(w, v, g, s->fault);
    }
}

/* ---- beginning ---- */

/* argv of X gets further words. */
__attribute__((format(printf, 2, 3))) static void word(struct mover *x, const char *fmt, ...)
{
    char text[200];
    size_t n = 0;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    while (x->p.argv[n])
        n++;
    if (n + 1 < sizeof(x->p.argv) / sizeof(*x->p.argv))
        x->p.argv[n] = strdup(text);
}

static struct mover *free_mover(struct moves *m)
{
    for (unsigned i = 0; i < MOVERS; i++)
        if (!m->movers[i].p.pid)
            return &m->movers[i];
    return NULL;
}

/* The command line of X begins. */
static void prepare(struct moves *m, struct mover *x, enum verb verb)
{
    struct proc p = {.pid = 0};
    proc_release(&x->p);
    *x = (struct mover){.p = p, .verb = verb};
    snprintf(x->p.name, sizeof(x->p.name), "mover-%u", (unsigned char)(x - m->movers));
    word(x, "migrate-exec");
    word(x, "--io-timeout=5s");
    word(x, "--quarantine=10s");
}

/* What was kept of V's copies may be written to from now on. */
static void launch(struct moves *m, struct mover *x)
{
    struct world *w = m->w;
    char path[128];
    kept_check(m->kept);
    for (unsigned i = 0; i < w->n_volumes; i++) {
        if (!(x->volumes & 1u << i))
            continue;
        kept_drop(m->kept, &w->volumes[i]);
        soak_note(w, &w->volumes[i], verb_notes[x->verb]);
    }
    snprintf(path, sizeof(path), "%s/%s.log", w->dir, x->p.name);
    FILE *f = fopen(path, "ae");
    if (f) {
        fprintf(f, "%.3f $", (double)(clock_mono_us() - w->begin_us) / 1e6);
        for (size_t i = 0; x->p.argv[i]; i++)
            fprintf(f, " %s", x->p.argv[i]);
        fputc('\n', f);
        fclose(f);
    }
    m->begun[x->verb]++;
    proc_start(w, &x->p);
}

/* What shall go wrong with it, if anything. */
static void arm(struct moves *m, struct mover *x)
{
    static const enum rec_event events[] = {EVENT_BEGIN, EVENT_PASS, EVENT_MIRROR,
                                            EVENT_HOLD,  EVENT_HOLD, EVENT_SWITCHED};
    static const enum fault faults[] = {FAULT_MOVER,    FAULT_MOVER,    FAULT_HALT, FAULT_SIGNAL,
                                        FAULT_KILL,     FAULT_KILL,     FAULT_STOP, FAULT_FREEZE,
                                        FAULT_DIRECTOR, FAULT_DIRECTOR, FAULT_CRASH};
    if (below(m, 4) == 0)
        return;
    x->strike = (struct strike){
        .armed = true,
        .at = events[below(m, sizeof(events) / sizeof(*events))],
        .fault = faults[below(m, sizeof(faults) / sizeof(*faults))],
        .source = below(m, 2),
        .after_us = below(m, 2) ? below(m, STRIKE_US) : 0,
    };
}

/* How it is driven. */
static void add_options(struct moves *m, struct mover *x)
{
    static const char *const actions[] = {"defer", "defer", "abort", "retry"};
    if (m->calm_us) {
        word(x, "--window=3000");
        word(x, "--attempts=20");
        word(x, "--on-fail=defer");
        return;
    }
    word(x, "--window=%u", (unsigned)(20u << below(m, 7)));
    word(x, "--attempts=%u", (unsigned)(1 + below(m, 4)));
    word(x, "--on-fail=%s", actions[below(m, 4)]);
    if (below(m, 2))
        word(x, "--bwlimit=%uM", (unsigned)(2u << below(m, 5)));
    if (below(m, 2))
        word(x, "--connections=%u", (unsigned)(1 + below(m, 4)));
    if (below(m, 3) == 0)
        word(x, "--compare=%s", below(m, 2) ? "always" : "never");
    if (below(m, 6) == 0)
        word(x, "--max-slowdown=50");
}

static void add_row(struct moves *m, FILE *f, const struct volume *v, const struct route *r)
{
    unsigned target = (unsigned)below(m, v->n_gateways - 1);
    if (target >= v->owner)
        target++;
    fprintf(f, "%.0f,%s,%s,%s,%" PRIu64 ",optional,,,,,,,,\n", clock_now(), v->name, r->gateway,
            v->gateways[target].proc.name, r->epoch);
}

/* May V be planned, with nothing of it open? */
static bool is_idle(struct moves *m, struct volume *v, struct route *r)
{
    struct story s;
    if (!movable(v) || mover_of(m, v) || m->w->now_us < place_of(m, v)->rest_us)
        return false;
    *r = look(m, v);
    return r->state == ROUTE_STATE_STEADY &&
           !(story_read(m->state, v->name, r->epoch + 1, &s) && story_open(&s)) &&
           !(story_read(m->state, v->name, r->epoch, &s) && story_open(&s));
}

/* A plan for V and, at times, for others that have nothing else to do. */
static void begin_plan(struct moves *m, struct mover *x, struct volume *v)
{
    struct world *w = m->w;
    char path[128];
    struct route r;
    bool more = below(m, 3) == 0;
    snprintf(path, sizeof(path), "%s/plan-%u.csv", w->dir, m->plans++);
    FILE *f = fopen(path, "we");
    if (!f)
        soak_abort(w, EX_CANTCREAT, "cannot create '%s': %s", path, err_text(errno));
    fputs("time,volume,source,target,epoch,kind,benefit,reverse_benefit,source_ghs,target_ghs,das,"
          "bytes,not_before,reason\n",
          f);
    prepare(m, x, VERB_PLAN);
    for (unsigned i = 0; i < w->n_volumes; i++) {
        struct volume *u = &w->volumes[i];
        if ((u != v && !more) || !is_idle(m, u, &r))
            continue;
        add_row(m, f, u, &r);
        x->volumes |= 1u << i;
    }
    fclose(f);
    word(x, "--overwrite");
    if (x->volumes & (x->volumes - 1))
        word(x, "--jobs=%u", (unsigned)(1 + below(m, 3)));
    add_options(m, x);
    word(x, "%s", path);
    arm(m, x);
    launch(m, x);
}

static void begin_verb(struct moves *m, struct mover *x, struct volume *v, enum verb verb,
                       const char *id)
{
    prepare(m, x, verb);
    x->volumes = bit(m->w, v);
    if (verb == VERB_COMMIT) {
        uint64_t how = below(m, 4);
        if (how < 2)
            word(x, how ? "--archive" : "--remove");
    } else if (verb != VERB_ABORT) {
        add_options(m, x);
    }
    word(x, "--%s", verb_names[verb]);
    word(x, "%s", id);
    arm(m, x);
    launch(m, x);
}

/* The migration S of V is open. */
static void go_on(struct moves *m, struct mover *x, struct volume *v, const struct story *s)
{
    bool deferred = s->last.event == EVENT_DEFERRED;
    uint64_t dice = below(m, 10);
    enum verb verb = VERB_RESUME;
    if (!m->calm_us && dice < 3 && s->last.phase != PHASE_RETIRE && !s->switched)
        verb = VERB_ABORT;
    else if (deferred && dice < 7)
        verb = VERB_CUTOVER;
    else if (!m->calm_us && s->switched)
        verb = dice < 4 ? VERB_RESUME : dice < 7 ? VERB_COMMIT : VERB_REVERT;
    if (s->last.phase == PHASE_RETIRE && s->last.event == EVENT_BEGIN && verb == VERB_REVERT)
        verb = VERB_COMMIT;
    begin_verb(m, x, v, verb, s->last.id);
}

/* The route says that a move is open, and no journal does. */
static void strange(struct moves *m, struct volume *v, const struct route *r)
{
    struct place *p = place_of(m, v);
    if (!p->strange_us)
        p->strange_us = m->w->now_us;
    if (m->w->now_us > p->strange_us + 10 * SECOND_US)
        soak_fail(m->w, v, NULL, NULL, "the route is %s, and no migration is open",
                  rec_route_state_words[r->state]);
}

/* Takes the next step with V, if there is one to take. */
static void step(struct moves *m, struct mover *x, struct volume *v)
{
    struct story next, last;
    struct route r = look(m, v);
    bool has_next = story_read(m->state, v->name, r.epoch + 1, &next);
    bool has_last = story_read(m->state, v->name, r.epoch, &last);
    struct place *p = place_of(m, v);
    if (has_next && story_open(&next))
        go_on(m, x, v, &next);
    else if (has_last && story_open(&last))
        go_on(m, x, v, &last);
    else if (r.state == ROUTE_STATE_MOVING || r.state == ROUTE_STATE_DEFERRED)
        strange(m, v, &r);
    else if (r.state == ROUTE_STATE_STEADY && !m->calm_us)
        begin_plan(m, x, v);
    else if (r.state == ROUTE_STATE_UNCOMMITTED && has_last && !m->calm_us)
        begin_verb(m, x, v, below(m, 2) ? VERB_COMMIT : VERB_REVERT, last.last.id);
    if (r.state != ROUTE_STATE_MOVING && r.state != ROUTE_STATE_DEFERRED)
        p->strange_us = 0;
}

/* Somebody gets in the way of who drives V. */
static void interfere(struct moves *m, struct mover *x, struct volume *v)
{
    struct story s;
    struct route r = look(m, v);
    if (below(m, 8) || !story_read(m->state, v->name, r.epoch + 1, &s) || !story_open(&s))
        return;
    bool abort = below(m, 3) == 0;
    prepare(m, x, abort ? VERB_ABORT : below(m, 2) ? VERB_MODIFY : VERB_RESUME);
    if (x->verb == VERB_MODIFY)
        word(x, "--bwlimit=%uM", (unsigned)(4u << below(m, 5)));
    word(x, "--%s", verb_names[x->verb]);
    word(x, "%s", s.last.id);
    launch(m, x);
}

static void begin_some(struct moves *m)
{
    struct world *w = m->w;
    struct mover *x = free_mover(m);
    if (!x || w->now_us < m->next_us)
        return;
    m->next_us = w->now_us + below(m, SECOND_US / 5);
    struct volume *v = &w->volumes[below(m, w->n_volumes)];
    if (!movable(v) || w->now_us < place_of(m, v)->rest_us)
        return;
    if (!mover_of(m, v))
        step(m, x, v);
    else if (!m->calm_us)
        interfere(m, x, v);
}

/* ---- the whole ---- */

void moves_setup(struct world *w)
{
    if (!moves_possible(w))
        return;
    struct moves *m = w->moves = calloc(1, sizeof(*m));
    if (!m || !(m->kept = kept_new(w)))
        soak_abort(w, EX_OSERR, "%s", err_text(ENOMEM));
    m->w = w;
    m->history = -1;
    snprintf(m->state, sizeof(m->state), "%s/state", w->dir);
    rng_init(&m->rng, w->set.seed ^ UINT64_C(0x6d6f7665)); /* a stream of its own */
    int r = route_store_open(m->state, false, &m->store);
    if (r < 0)
        soak_abort(w, EX_IOERR, "cannot open the route store: %s", err_text(r));
    for (unsigned i = 0; i < w->n_volumes; i++)
        look(m, &w->volumes[i]);
}

void moves_release(struct world *w)
{
    struct moves *m = w->moves;
    if (!m)
        return;
    for (unsigned i = 0; i < MOVERS; i++)
        proc_release(&m->movers[i].p);
    route_store_close(m->store);
    kept_free(m->kept);
    if (m->history >= 0)
        close(m->history);
    free(m);
    w->moves = NULL;
}

void moves_tick(struct world *w, bool new)
{
    struct moves *m = w->moves;
    if (!m)
        return;
    if (!new && !m->calm_us)
        m->calm_us = w->now_us;
    if (m->calm_us && w->now_us > m->calm_us + SETTLE_US)
        soak_fail(w, NULL, NULL, NULL, "the moves do not come to an end");
    read_history(m);
    if (new)
        strike(m);
    reap(m);
    begin_some(m);
}

bool moves_calm(const struct world *w)
{
    struct moves *m = w->moves;
    struct story s;
    if (!m)
        return true;
    for (unsigned i = 0; i < MOVERS; i++)
        if (m->movers[i].p.pid)
            return false;
    for (unsigned i = 0; i < w->n_volumes; i++) {
        struct volume *v = &m->w->volumes[i];
        if (!movable(v))
            continue;
        struct route r = look(m, v);
        if (r.state == ROUTE_STATE_MOVING || r.state == ROUTE_STATE_DEFERRED ||
            (story_read(m->state, v->name, r.epoch + 1, &s) && story_open(&s)) ||
            (story_read(m->state, v->name, r.epoch, &s) && story_open(&s)))
            return false;
    }
    return true;
}

void moves_explain(const struct world *w, const struct volume *v)
{
    const struct moves *m = w->moves;
    char path[160];
    if (!m || (v && !movable(v)))
        return;
    for (unsigned i = 0; i < MOVERS; i++) {
        char title[64];
        snprintf(title, sizeof(title), "the last words of mover-%u", i);
        snprintf(path, sizeof(path), "%s/mover-%u.log", w->dir, i);
        story_tail(path, title, LOG_SHOWN, stdout);
    }
    snprintf(path, sizeof(path), "%s/history.csv", m->state);
    story_tail(path, "the end of the history", LOG_SHOWN, stdout);
    snprintf(path, sizeof(path), "%s/routes.log", m->state);
    story_tail(path, "the end of the route store", 1000, stdout);
}

void moves_summary(const struct world *w)
{
    const struct moves *m = w->moves;
    if (!m)
        return;
    printf("; moves:");
    for (int i = 0; i < VERBS; i++)
        printf(" %s %" PRIu64, verb_names[i], m->begun[i]);
    printf(" switched %" PRIu64 " events %" PRIu64 " strikes %" PRIu64, m->switched, m->events,
           m->strikes);
}
