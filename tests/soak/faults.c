/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <string.h>

#include "client.h"
#include "procs.h"

enum { SECOND_US = 1000000 };

/* ---- what the model has to know ---- */

/* Has nobody heard of V since P, its gateway or the director, was started?  An answer to a request
 * asked since tells that all was replayed, and that a new director has flushed the gateway. */
static bool fresh(const struct volume *v, const struct proc *p)
{
    return p->state != PROC_UP || v->answered_us <= p->started_us;
}

static void gateway_dies(struct world *w, struct volume *v, uint64_t start_us)
{
    bool double_failure = !w->set.direct && fresh(v, &w->director);
    proc_kill(w, &v->gateway, start_us);
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
    for (unsigned i = 0; i < w->n_volumes; i++)
        if (fresh(&w->volumes[i], &w->volumes[i].gateway))
            model_crash(w->volumes[i].model);
}

/* ---- the kinds ---- */

static uint64_t within(struct world *w, double seconds)
{
    return w->now_us + rng_below(&w->fault_rng, (uint64_t)(seconds * SECOND_US));
}

static void do_kill(struct world *w, struct volume *v)
{
    gateway_dies(w, v, within(w, 3));
}

static void do_twice(struct world *w, struct volume *v)
{
    v->gateway.again = true;
    v->gateway.again_after_us = rng_below(&w->fault_rng, SECOND_US / 10);
    v->gateway.again_down_us = rng_below(&w->fault_rng, 3 * SECOND_US);
    gateway_dies(w, v, within(w, 1));
}

static void do_stop(struct world *w, struct volume *v)
{
    proc_stop(w, &v->gateway, within(w, 2));
}

static void do_away(struct world *w, struct volume *v)
{
    uint64_t retry_us = (uint64_t)(w->set.retry_for_s * SECOND_US);
    v->lenient_from_us = w->now_us;
    /* The director may need some seconds to see that it is back. */
    gateway_dies(w, v, within(w, 3) + retry_us);
    v->lenient_until_us = v->gateway.start_us + 5 * SECOND_US;
}

static void do_director(struct world *w, struct volume *v)
{
    (void)v;
    director_dies(w, within(w, 1));
}

static void do_crash(struct world *w, struct volume *v)
{
    director_dies(w, within(w, 1));
    gateway_dies(w, v, within(w, 1));
}

static const struct {
    const char *name;
    void (*run)(struct world *w, struct volume *v); /* NULL: the clients do it by themselves */
    bool gateway, director;                         /* whom it strikes */
} kinds[FAULT_KINDS] = {
    [FAULT_KILL] = {"kill", do_kill, true, false},
    [FAULT_TWICE] = {"twice", do_twice, true, false},
    [FAULT_STOP] = {"stop", do_stop, true, false},
    [FAULT_AWAY] = {"away", do_away, true, false},
    [FAULT_DIRECTOR] = {"director", do_director, false, true},
    [FAULT_CRASH] = {"crash", do_crash, true, true},
    [FAULT_CLIENT] = {"client", NULL, false, false},
    [FAULT_STALL] = {"stall", NULL, false, false},
};

/* May it strike now?  A gateway that has not recovered is spared, or outages would add up to more
 * than --retry-for. */
static bool may_strike(const struct world *w, const struct volume *v, size_t f)
{
    if (!(w->set.faults & 1u << f) || !kinds[f].run)
        return false;
    if (kinds[f].gateway && (fresh(v, &v->gateway) || v->gateway.again))
        return false;
    return !kinds[f].director || w->director.state == PROC_UP;
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

/* The kinds are tried from a random one on. */
static void begin(struct world *w)
{
    struct volume *v = &w->volumes[rng_below(&w->fault_rng, w->n_volumes)];
    size_t first = (size_t)rng_below(&w->fault_rng, FAULT_KINDS);
    for (size_t i = 0; i < FAULT_KINDS; i++) {
        size_t f = (first + i) % FAULT_KINDS;
        if (!may_strike(w, v, f))
            continue;
        w->count.faults[f]++;
        kinds[f].run(w, v);
        return;
    }
}

/* What follows from what happened before. */
static void follow_up(struct world *w, struct volume *v)
{
    struct proc *p = &v->gateway;
    if (p->aborted) {
        p->aborted = false;
        w->count.aborts++;
        gateway_dies(w, v, w->now_us + SECOND_US / 10);
    }
    if (p->again && p->state == PROC_UP && w->now_us >= p->started_us + p->again_after_us) {
        p->again = false;
        gateway_dies(w, v, w->now_us + p->again_down_us);
    }
}

void faults_tick(struct world *w, bool new)
{
    for (unsigned i = 0; i < w->n_volumes; i++)
        follow_up(w, &w->volumes[i]);
    if (!new || w->now_us < w->next_fault_us)
        return;
    begin(w);
    plan_next(w);
}
