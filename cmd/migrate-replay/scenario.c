/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/scenario.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/error.h"

void scenario_add(struct scenario *s, const struct scenario_event *e)
{
    err_need(vec_room(&s->events, s->n, &s->cap, sizeof(*s->events)) == 0);
    s->events[s->n++] = *e;
}

static bool of_operator(const struct scenario_event *e)
{
    return e->kind == SCENARIO_CORDON || e->kind == SCENARIO_DRAIN;
}

static int in_order(const void *pa, const void *pb)
{
    const struct scenario_event *a = pa, *b = pb;
    if (a->gateway != b->gateway)
        return a->gateway < b->gateway ? -1 : 1;
    if (a->onset != b->onset)
        return a->onset < b->onset ? -1 : 1;
    return (int)a->kind - (int)b->kind;
}

void scenario_settle(struct scenario *s, size_t gateways)
{
    s->first = calloc(gateways + 1, sizeof(*s->first));
    err_need(s->first != NULL);
    if (s->n)
        qsort(s->events, s->n, sizeof(*s->events), in_order);
    size_t at = 0;
    for (size_t g = 0; g <= gateways; g++) {
        while (at < s->n && s->events[at].gateway < g)
            at++;
        s->first[g] = at;
    }
}

/* ---- reading ---- */

/* Why the times of a record make no sense; NULL: they do. */
static const char *fault(const struct rec_reader *r, enum rec_scenario_kind kind)
{
    const bool onset = rec_present(r, SCENARIO_ONSET), failure = rec_present(r, SCENARIO_FAILURE);
    const double repair = rec_real(r, SCENARIO_REPAIR);
    const bool by_hand = kind == SCENARIO_CORDON || kind == SCENARIO_DRAIN;
    if (kind == SCENARIO_SUDDEN ? onset || !failure : !onset)
        return "a sudden failure has a failure and no onset, all others have an onset";
    if (by_hand && failure)
        return "what the operator does is no failure";
    if (onset && failure && rec_real(r, SCENARIO_ONSET) >= rec_real(r, SCENARIO_FAILURE))
        return "the failure must come after the onset";
    if ((onset && repair <= rec_real(r, SCENARIO_ONSET)) ||
        (failure && repair <= rec_real(r, SCENARIO_FAILURE)))
        return "the repair must come last";
    return NULL;
}

static void take(struct scenario *s, const struct fleet *f, struct rec_reader *r)
{
    const long g = intern_find(&f->gateway_names, rec_text(r, SCENARIO_GATEWAY));
    const enum rec_scenario_kind kind = rec_word(r, SCENARIO_KIND);
    const char *why = fault(r, kind);
    if (why)
        err_die(EX_DATAERR, "%s: %s", rec_reader_where(r), why);
    if (g < 0)
        err_die(EX_DATAERR, "%s: gateway '%s' is not in gateways.csv", rec_reader_where(r),
                rec_text(r, SCENARIO_GATEWAY));
    struct scenario_event e = {
        .gateway = (size_t)g,
        .onset = rec_real(r, SCENARIO_ONSET),
        .failure = rec_present(r, SCENARIO_FAILURE) ? rec_real(r, SCENARIO_FAILURE) : INFINITY,
        .repair = rec_real(r, SCENARIO_REPAIR),
        .kind = kind,
    };
    if (kind == SCENARIO_SUDDEN)
        e.onset = e.failure;
    /* One that recovers was half-way then. */
    e.due = isinf(e.failure) ? e.repair + (e.repair - e.onset) : e.failure;
    scenario_add(s, &e);
}

void scenario_read(struct scenario *s, const struct fleet *f, const char *path)
{
    char *paths[] = {(char *)path};
    struct rec_reader *r = rec_reader_new(&rec_scenario);
    int got;
    err_need(r != NULL);
    rec_reader_files(r, paths, 1);
    while ((got = rec_reader_next(r)) > 0)
        take(s, f, r);
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
    scenario_settle(s, f->gateway_names.n);
}

/* ---- writing ---- */

int scenario_write(const struct scenario *s, const struct fleet *f, struct rec_writer *w)
{
    int err = rec_writer_header(w);
    for (size_t i = 0; !err && i < s->n; i++) {
        const struct scenario_event *e = &s->events[i];
        rec_put_text(w, SCENARIO_GATEWAY, f->gateways[e->gateway].name);
        if (e->kind != SCENARIO_SUDDEN)
            rec_put_real(w, SCENARIO_ONSET, e->onset);
        if (isfinite(e->failure))
            rec_put_real(w, SCENARIO_FAILURE, e->failure);
        rec_put_real(w, SCENARIO_REPAIR, e->repair);
        rec_put_word(w, SCENARIO_KIND, e->kind);
        err = rec_write(w);
    }
    return err;
}

void scenario_release(struct scenario *s)
{
    free(s->events);
    free(s->first);
    *s = (struct scenario){0};
}

/* ---- asking ---- */

enum scenario_condition scenario_condition(const struct scenario *s, size_t gateway, double time)
{
    enum scenario_condition c = CONDITION_WELL;
    for (size_t i = s->first[gateway]; i < s->first[gateway + 1]; i++) {
        const struct scenario_event *e = &s->events[i];
        if (of_operator(e) || time < e->onset || time >= e->repair)
            continue;
        if (time >= e->failure)
            return CONDITION_FAILED;
        c = CONDITION_DEGRADED;
    }
    return c;
}

bool scenario_unwarned(const struct scenario *s, size_t gateway, double time)
{
    for (size_t i = s->first[gateway]; i < s->first[gateway + 1]; i++) {
        const struct scenario_event *e = &s->events[i];
        if (e->kind == SCENARIO_SUDDEN && time >= e->failure && time < e->repair)
            return true;
    }
    return false;
}

bool scenario_trouble(const struct scenario *s, size_t gateway, double from, double to)
{
    for (size_t i = s->first[gateway]; i < s->first[gateway + 1]; i++) {
        const struct scenario_event *e = &s->events[i];
        if (!of_operator(e) && e->onset <= to && from < e->repair)
            return true;
    }
    return false;
}

double scenario_progress(const struct scenario *s, size_t gateway, double time,
                         enum rec_scenario_kind *kind)
{
    for (size_t i = s->first[gateway]; i < s->first[gateway + 1]; i++) {
        const struct scenario_event *e = &s->events[i];
        if (of_operator(e) || time < e->onset || time >= fmin(e->repair, e->failure))
            continue;
        *kind = e->kind;
        return (time - e->onset) / (e->due - e->onset);
    }
    return 0;
}

enum rec_gateway_state scenario_state(const struct scenario *s, size_t gateway, double time,
                                      enum rec_gateway_state state)
{
    for (size_t i = s->first[gateway]; i < s->first[gateway + 1]; i++) {
        const struct scenario_event *e = &s->events[i];
        if (!of_operator(e) || time < e->onset || time >= e->repair)
            continue;
        if (e->kind == SCENARIO_DRAIN)
            return GATEWAY_STATE_DRAIN;
        state = state == GATEWAY_STATE_ACTIVE ? GATEWAY_STATE_CORDONED : state;
    }
    return state;
}
