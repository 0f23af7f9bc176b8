/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-replay/draw.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/error.h"

#define HOUR_S 3600.0
#define DAY_S  86400.0
/* From onset to failure, and of the repair. */
#define WARNING_LEAST_S HOUR_S
#define WARNING_MOST_S  (12 * HOUR_S)
#define REPAIR_LEAST_S  HOUR_S
#define REPAIR_MOST_S   (8 * HOUR_S)

/* So often a place is looked for. */
enum { TRIES = 1000 };

/* What happens, wherever and whenever it does. */
struct nature {
    enum rec_scenario_kind kind;
    double warning_s; /* from onset to failure; 0: none */
    double recovers;  /* at this share of that way; 0: it fails */
    double repair_s;
};

static unsigned without_warning(unsigned failures)
{
    return failures / 3;
}

size_t draw_events(unsigned failures)
{
    return (size_t)failures + (failures - without_warning(failures)) / 2;
}

static double uniform(struct rng *rng, double from, double to)
{
    return from + (to - from) * rng_unit(rng);
}

/* Of event number I: those without warning come first, and those that recover last. */
static struct nature draw_nature(const struct draw_how *how, struct rng *rng, size_t i)
{
    static const enum rec_scenario_kind kinds[] = {SCENARIO_LINEAR, SCENARIO_CURVED,
                                                   SCENARIO_ERRORS, SCENARIO_LEAK};
    const bool sudden = i < without_warning(how->failures);
    struct nature n = {.warning_s = sudden ? 0 : uniform(rng, WARNING_LEAST_S, WARNING_MOST_S)};
    const double share = uniform(rng, 0.3, 0.7);
    n.repair_s = uniform(rng, REPAIR_LEAST_S, REPAIR_MOST_S);
    n.kind = kinds[rng_below(rng, how->every_kind ? 4 : 2)];
    if (sudden)
        n.kind = SCENARIO_SUDDEN;
    n.recovers = i >= how->failures ? share : 0;
    return n;
}

static struct scenario_event event_at(const struct nature *n, double onset)
{
    struct scenario_event e = {.onset = onset, .due = onset + n->warning_s, .kind = n->kind};
    e.failure = n->recovers > 0 ? INFINITY : e.due;
    e.repair = n->recovers > 0 ? onset + n->recovers * n->warning_s : e.due + n->repair_s;
    return e;
}

/* Is its gateway out of trouble then, and REST_S before and after? */
static bool is_free(const struct scenario *s, const struct scenario_event *e, double rest_s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct scenario_event *o = &s->events[i];
        if (o->gateway == e->gateway && e->onset < o->repair + rest_s &&
            o->onset < e->repair + rest_s)
            return false;
    }
    return true;
}

/* ---- evenly ---- */

static bool place(struct scenario *s, const struct fleet *f, const struct draw_how *how,
                  struct rng *rng, const struct nature *n)
{
    for (int i = 0; i < TRIES; i++) {
        struct scenario_event e = event_at(n, uniform(rng, how->from, how->to));
        e.gateway = (size_t)rng_below(rng, f->gateway_names.n);
        if (is_free(s, &e, DAY_S) && e.repair < how->to) {
            scenario_add(s, &e);
            return true;
        }
    }
    return false;
}

static size_t draw_evenly(struct scenario *s, const struct fleet *f, const struct draw_how *how,
                          struct rng *rng)
{
    size_t left_out = 0;
    for (size_t i = 0; i < draw_events(how->failures); i++) {
        const struct nature n = draw_nature(how, rng, i);
        left_out += !place(s, f, how, rng, &n);
    }
    return left_out;
}

/* ---- as they came ---- */

/* The gateways of each site, in an order drawn, and those that nodes of the record stand for. */
struct sites {
    struct intern names;
    size_t *gateways; /* by site */
    size_t *first;    /* [site], and the end of all */
    size_t *turn;     /* [site]: nodes so far */
    size_t *home;     /* [node]: its number among those of its site; SIZE_MAX: none yet */
};

/* Puts the gateways by their site, within it in the order drawn. */
static void group(struct sites *s, const size_t *site, const size_t *order, size_t n)
{
    for (size_t g = 0; g < n; g++)
        s->first[site[g] + 1]++;
    for (size_t i = 0; i < s->names.n; i++)
        s->first[i + 1] += s->first[i];
    for (size_t i = 0; i < n; i++)
        s->gateways[s->first[site[order[i]]] + s->turn[site[order[i]]]++] = order[i];
    for (size_t i = 0; i < s->names.n; i++)
        s->turn[i] = 0;
}

static void sites_init(struct sites *s, const struct fleet *f, size_t nodes, struct rng *rng)
{
    const size_t n = f->gateway_names.n;
    size_t *order = calloc(n, sizeof(*order)), *site = calloc(n, sizeof(*site));
    *s = (struct sites){.gateways = calloc(n, sizeof(*s->gateways))};
    err_need(order && site && s->gateways);
    for (size_t g = 0; g < n; g++) {
        const long id = intern_add(&s->names, f->gateways[g].site);
        err_need(id >= 0);
        site[g] = (size_t)id;
    }
    s->first = calloc(s->names.n + 1, sizeof(*s->first));
    s->turn = calloc(s->names.n, sizeof(*s->turn));
    s->home = calloc(nodes + 1, sizeof(*s->home));
    err_need(s->first && s->turn && s->home);
    for (size_t i = 0; i < nodes; i++)
        s->home[i] = SIZE_MAX;
    rng_order(rng, order, n);
    group(s, site, order, n);
    free(order);
    free(site);
}

static void sites_release(struct sites *s)
{
    intern_release(&s->names);
    free(s->gateways);
    free(s->first);
    free(s->turn);
    free(s->home);
}

static bool strike(struct scenario *s, struct sites *sites, const struct arrival *a,
                   const struct nature *n)
{
    const size_t first = sites->first[a->site], count = sites->first[a->site + 1] - first;
    struct scenario_event e = event_at(n, a->time - n->warning_s);
    if (sites->home[a->node] == SIZE_MAX)
        sites->home[a->node] = sites->turn[a->site]++;
    for (size_t i = 0; i < count && i < TRIES; i++) {
        e.gateway = sites->gateways[first + (sites->home[a->node] + i) % count];
        if (is_free(s, &e, 0)) {
            scenario_add(s, &e);
            return true;
        }
    }
    return false;
}

static size_t draw_arrivals(struct scenario *s, const struct fleet *f, const struct draw_how *how,
                            struct rng *rng)
{
    const size_t n = draw_events(how->failures);
    struct sites sites;
    struct arrival *list = calloc(n + 1, sizeof(*list));
    size_t *roles = calloc(n + 1, sizeof(*roles)), left_out = 0;
    err_need(list && roles);
    sites_init(&sites, f, how->arrivals->nodes.n, rng);
    const struct arrivals_draw draw = {
        .n = n,
        .sites = sites.names.n,
        .from = how->from + WARNING_MOST_S,
        .to = how->to - REPAIR_MOST_S,
    };
    arrivals_draw(how->arrivals, &draw, rng, list);
    rng_order(rng, roles, n);
    for (size_t i = 0; i < n; i++) {
        const struct nature nature = draw_nature(how, rng, roles[i]);
        left_out += !strike(s, &sites, &list[i], &nature);
    }
    sites_release(&sites);
    free(roles);
    free(list);
    return left_out;
}

/* Is there a gateway, and any time for it to fail? */
static bool is_possible(const struct fleet *f, const struct draw_how *how)
{
    const double margin_s = how->arrivals ? WARNING_MOST_S + REPAIR_MOST_S : 0;
    return f->gateway_names.n && how->from + margin_s < how->to;
}

size_t draw_scenario(struct scenario *s, const struct fleet *f, const struct draw_how *how)
{
    struct rng rng;
    size_t left_out = draw_events(how->failures);
    rng_init(&rng, how->seed);
    if (is_possible(f, how))
        left_out = (how->arrivals ? draw_arrivals : draw_evenly)(s, f, how, &rng);
    scenario_settle(s, f->gateway_names.n);
    return left_out;
}
