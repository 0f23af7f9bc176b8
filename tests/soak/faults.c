/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <string.h>

#include "client.h"
#include "moves.h"
#include "procs.h"

enum { SECOND_US = 1000000 };

/* ---- what the model has to know ---- */

/* Has nobody heard of V since P, its gateway or the director, was started?  An answer to a request
 * asked since tells that all was replayed, and that a new director has flushed the gateway. */
static bool fresh(const struct volume *v, const struct proc *p)
{
    return p->state != PROC_UP || v->answered_us <= p->started_us;
}

/* Is there something of V that only its gateway G has, and would lose? */
static bool alone(struct world *w, struct volume *v, unsigned g)
{
    moves_look(w, v);
    return g == v->owner && !w->set.direct && fresh(v, &w->director);
}

static void gateway_dies(struct world *w, struct volume *v, unsigned g, uint64_t start_us)
{
    bool double_failure = alone(w, v, g);
    proc_kill(w, &v->gateways[g].proc, start_us);
    if (w->set.direct)
        clients_cut(w, v);
    if (double_failure)
        model_crash(v->model);
}

static void director_dies(struct world *w, uint64_t start_us)
{
    proc_kill(w, &w->director, start_us);
    clients_cut(w, NULL);
    /* What it still had to replay died with it. */
    for (unsigned i = 0; i < w->n_volumes; i++) {
        struct volume *v = &w->volumes[i];
        moves_look(w, v);
        if (fresh(v, &v->gateways[v->owner].proc))
            model_crash(v->model);
    }
}

/* ---- the kinds ---- */

static uint64_t within(struct world *w, double seconds)
{
    return w->now_us + rng_below(&w->fault_rng, (uint64_t)(seconds * SECOND_US));
}

static void do_kill(struct world *w, struct volume *v, unsigned g)
{
    gateway_dies(w, v, g, within(w, 3));
}

static void do_twice(struct world *w, struct volume *v, unsigned g)
{
    struct proc *p = &v->gateways[g].proc;
    p->again = true;
    p->again_after_us = rng_below(&w->fault_rng, SECOND_US / 10);
    p->again_down_us = rng_below(&w->fault_rng, 3 * SECOND_US);
    gateway_dies(w, v, g, within(w, 1));
}

/*
 * One that others than the director may have written to goes on before the quarantine is over: its
 * assumption is that what a dead writer has sent lands by then (S2).
 */
static void do_stop(struct world *w, struct volume *v, unsigned g)
{
    proc_stop(w, &v->gateways[g].proc, within(w, v->n_gateways > 1 ? w->set.ghost_s / 2 : 2));
}

static void do_away(struct world *w, struct volume *v, unsigned g)
{
    uint64_t retry_us = (uint64_t)(w->set.retry_for_s * SECOND_US);
    v->lenient_from_us = w->now_us;
    /* The director may need some seconds to see that it is back. */
    gateway_dies(w, v, g, within(w, 3) + retry_us);
    v->lenient_until_us = v->gateways[g].proc.start_us + 5 * SECOND_US;
}

static void do_director(struct world *w, struct volume *v, unsigned g)
{
    (void)v, (void)g;
    director_dies(w, within(w, 1));
}

static void do_crash(struct world *w, struct volume *v, unsigned g)
{
    director_dies(w, within(w, 1));
    gateway_dies(w, v, g, within(w, 1));
}

static void do_freeze(struct world *w, struct volume *v, unsigned g)
{
    (void)v, (void)g;
    proc_stop(w, &w->director, within(w, 2));
}

static void do_mover(struct world *w, struct volume *v, unsigned g)
{
    (void)g;
    moves_kill(w, v);
}

static void do_halt(struct world *w, struct volume *v, unsigned g)
{
    (void)g;
    moves_stop(w, v, within(w, 3));
}

static void do_signal(struct world *w, struct volume *v, unsigned g)
{
    (void)g;
    moves_interrupt(w, v);
}

static const struct {
    const char *name;
    /* NULL: the clients do it by themselves. */
    void (*run)(struct world *w, struct volume *v, unsigned g);
    bool gateway, director, mover; /* whom it strikes */
} kinds[FAULT_KINDS] = {
    [FAULT_KILL] = {"kill", do_kill, true, false, false},
    [FAULT_TWICE] = {"twice", do_twice, true, false, false},
    [FAULT_STOP] = {"stop", do_stop, true, false, false},
    [FAULT_AWAY] = {"away", do_away, true, false, false},
    [FAULT_DIRECTOR] = {"director", do_director, false, true, false},
    [FAULT_CRASH] = {"crash", do_crash, true, true, false},
    [FAULT_CLIENT] = {"client", NULL, false, false, false},
    [FAULT_STALL] = {"stall", NULL, false, false, false},
    [FAULT_FREEZE] = {"freeze", do_freeze, false, true, false},
    [FAULT_MOVER] = {"mover", do_mover, false, false, true},
    [FAULT_HALT] = {"halt", do_halt, false, false, true},
    [FAULT_SIGNAL] = {"signal", do_signal, false, false, true},
};

/* An owner that has not recovered is spared, or outages would add up to more than --retry-for. */
static bool may_strike_gateway(const struct volume *v, unsigned g)
{
    const struct proc *p = &v->gateways[g].proc;
    if (p->state != PROC_UP || p->stopped || p->again)
        return false;
    return g != v->owner || !fresh(v, p);
}

static bool may_strike(const struct world *w, const struct volume *v, unsigned g, size_t f)
{
    const struct proc *d = &w->director;
    if (!(w->set.faults & 1u << f) || !kinds[f].run)
        return false;
    if (kinds[f].gateway && !may_strike_gateway(v, g))
        return false;
    if (kinds[f].mover && !moves_runs(w, v))
        return false;
    return !kinds[f].director || (d->state == PROC_UP && !d->stopped);
}

bool faults_strike(struct world *w, struct volume *v, unsigned g, enum fault f)
{
    if (!may_strike(w, v, g, f))
        return false;
    w->count.faults[f]++;
    kinds[f].run(w, v, g);
    return true;
}

const char *fault_name(enum fault f)
{
    return kinds[f].name;
}

int faults_parse(const char *list, unsigned *bits)
{
    unsigned all = 0;
    if (strcmp(list, "all") == 0)
        all = (1u << FAULT_KINDS) - 1;
    else if (strcmp(list, "none") != 0)
        for (const char *p = list, *end; p; p = *end ? end + 1 : NULL) {
            size_t f = 0;
            end = strchrnul(p, ',');
            while (f < FAULT_KINDS && (strlen(kinds[f].name) != (size_t)(end - p) ||
                                       memcmp(kinds[f].name, p, (size_t)(end - p)) != 0))
                f++;
            if (f == FAULT_KINDS)
                return -EINVAL;
            all |= 1u << f;
        }
    *bits = all;
    return 0;
}

/* ---- time ---- */

static void plan_next(struct world *w)
{
    w->next_fault_us =
        within(w, 1.8 * w->set.fault_every_s) + (uint64_t)(0.1 * w->set.fault_every_s * SECOND_US);
}

void faults_setup(struct world *w)
{
    rng_init(&w->fault_rng, w->set.seed);
    plan_next(w);
}

/* The owner in every other case, or one of all. */
static unsigned random_gateway(struct world *w, struct volume *v)
{
    moves_look(w, v);
    if (v->n_gateways == 1 || rng_below(&w->fault_rng, 2))
        return v->owner;
    return (unsigned)rng_below(&w->fault_rng, v->n_gateways);
}

/* The kinds are tried from a random one on. */
static void begin(struct world *w)
{
    struct volume *v = &w->volumes[rng_below(&w->fault_rng, w->n_volumes)];
    unsigned g = random_gateway(w, v);
    size_t first = (size_t)rng_below(&w->fault_rng, FAULT_KINDS);
    for (size_t i = 0; i < FAULT_KINDS; i++)
        if (faults_strike(w, v, g, (enum fault)((first + i) % FAULT_KINDS)))
            return;
}

/* What follows from what happened before. */
static void follow_up(struct world *w, struct volume *v, unsigned g)
{
    struct proc *p = &v->gateways[g].proc;
    if (p->aborted) {
        p->aborted = false;
        w->count.aborts++;
        gateway_dies(w, v, g, w->now_us + SECOND_US / 10);
    }
    if (p->again && p->state == PROC_UP && w->now_us >= p->started_us + p->again_after_us) {
        p->again = false;
        gateway_dies(w, v, g, w->now_us + p->again_down_us);
    }
}

void faults_tick(struct world *w, bool new)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        for (unsigned g = 0; g < w->volumes[i].n_gateways; g++)
            follow_up(w, &w->volumes[i], g);
    if (!new || w->now_us < w->next_fault_us)
        return;
    begin(w);
    plan_next(w);
}
