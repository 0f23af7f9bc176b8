/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Promises of the planner on seeded random fleets, checked by arithmetic of this test's own: no
 * unfit target, limits and room kept, optional moves worth it, and the same plan whatever the
 * order of the rows.
 */
#include <math.h>

#include "common/plan/choose.h"
#include "common/plan/words.h"
#include "tests/unit/fleetrandom.h"

enum { FLEETS = 400, GATEWAYS_MAX = 9, VOLUMES_MAX = 24 };

static const double now = 1e6;

struct gateway_row {
    char name[8];
    enum rec_gateway_state state;
    uint64_t capacity_bytes;
    double iops_limit;
    bool scored;
    double ghs;
    double p_fail;
    double confidence;
    double age_s;
};

struct volume_row {
    char name[8];
    size_t owner;
    size_t other;
    enum rec_route_state state;
    bool stands_by; /* deferred, its copy on OTHER is mirrored */
    enum rec_policy policy;
    uint64_t size_bytes;
    double requests;
    double das[GATEWAYS_MAX];
    const char *apart; /* "": none */
    const char *group;
    double routed_s;    /* before now */
    double last_move_s; /* before now; 0: never */
    size_t last_from;
    double failed_s[2]; /* before now, moves from OWNER; 0: none */
    size_t failed_to[2];
};

struct world {
    size_t n_gateways;
    size_t n_volumes;
    struct gateway_row gateways[GATEWAYS_MAX];
    struct volume_row volumes[VOLUMES_MAX];
};

/* ---- making worlds ---- */

static void make_gateway(struct rng *r, struct gateway_row *g, size_t i)
{
    *g = (struct gateway_row){
        .state = chance(r, .7) ? GATEWAY_STATE_ACTIVE : (enum rec_gateway_state)rng_below(r, 4),
        .capacity_bytes = chance(r, .5) ? rng_below(r, 400) : 0,
        .iops_limit = chance(r, .3) ? (double)rng_below(r, 40) : 0,
        .scored = chance(r, .95),
        .ghs = chance(r, .1)   ? (double)NAN
               : chance(r, .5) ? .9 + decimals(r) / 10
                               : decimals(r),
        .p_fail = decimals(r) * decimals(r),
        .confidence = chance(r, .9) ? .9 : decimals(r),
        .age_s = chance(r, .9) ? 0 : 1000 * (decimals(r) - .5),
    };
    snprintf(g->name, sizeof(g->name), "g%zu", i);
}

static void make_volume(struct rng *r, struct volume_row *v, size_t i, size_t gateways)
{
    *v = (struct volume_row){
        .owner = rng_below(r, gateways),
        .other = rng_below(r, gateways),
        .state = chance(r, .8) ? ROUTE_STATE_STEADY : (enum rec_route_state)rng_below(r, 5),
        .policy = chance(r, .8) ? POLICY_AUTO : (enum rec_policy)rng_below(r, 3),
        .size_bytes = chance(r, .9) ? 1 + rng_below(r, 100) : 0,
        .requests = (double)rng_below(r, 3600 * 5),
        .apart = chance(r, .3)   ? "one"
                 : chance(r, .3) ? "two"
                                 : "",
        .group = chance(r, .3)   ? "together"
                 : chance(r, .1) ? "pair"
                                 : "",
        .last_move_s = chance(r, .3) ? 864000 * decimals(r) : 0,
        .last_from = rng_below(r, gateways),
        .routed_s = 172800 * decimals(r),
        .failed_to = {rng_below(r, gateways), rng_below(r, gateways)},
    };
    for (size_t k = 0; k < 2; k++)
        v->failed_s[k] = chance(r, .3) ? 1 + 14400 * decimals(r) : 0;
    v->stands_by = v->state == ROUTE_STATE_DEFERRED && v->other != v->owner && chance(r, .7);
    snprintf(v->name, sizeof(v->name), "v%zu", i);
    for (size_t g = 0; g < gateways; g++)
        v->das[g] = decimals(r);
}

static void make_world(struct rng *r, struct world *w)
{
    w->n_gateways = 1 + rng_below(r, GATEWAYS_MAX);
    w->n_volumes = rng_below(r, VOLUMES_MAX + 1);
    for (size_t i = 0; i < w->n_gateways; i++)
        make_gateway(r, &w->gateways[i], i);
    for (size_t i = 0; i < w->n_volumes; i++)
        make_volume(r, &w->volumes[i], i, w->n_gateways);
}

/* ---- filling the planner's fleet, rows in random order ---- */

static void fill_gateway(struct plan_fleet *f, const struct gateway_row *row)
{
    const struct plan_gateway g = {
        .name = row->name,
        .state = row->state,
        .capacity_bytes = row->capacity_bytes,
        .iops_limit = row->iops_limit,
    };
    CHECK(plan_fleet_gateway(f, &g) == 0);
}

static void fill_health(struct plan_fleet *f, const struct gateway_row *row)
{
    const struct plan_health h = {
        .time = now - row->age_s,
        .ghs = row->ghs,
        .p_fail = row->p_fail,
        .confidence = row->confidence,
        .reason = "",
    };
    if (row->scored)
        CHECK(plan_fleet_health(f, row->name, &h) == 0);
}

static void fill_volume(struct plan_fleet *f, const struct world *w, const struct volume_row *row)
{
    const struct plan_volume v = {
        .name = row->name,
        .owner_name = w->gateways[row->owner].name,
        .state = row->state,
        .epoch = 2,
        .size_bytes = row->size_bytes,
        .routed = now - row->routed_s,
        .policy = row->policy,
    };
    const char *other = row->state ? w->gateways[row->other].name : "";
    CHECK(plan_fleet_volume(f, &v, other, "") == 0);
    if (row->stands_by)
        CHECK(plan_fleet_changed(f, row->name, other, 0) == 0);
    if (*row->apart)
        CHECK(plan_fleet_apart(f, row->name, row->apart) == 0);
    if (*row->group)
        CHECK(plan_fleet_group(f, row->name, row->group) == 0);
}

static void fill_scores(struct plan_fleet *f, const struct world *w, const struct volume_row *row,
                        const size_t *order)
{
    const struct plan_demand d = {
        .time = now, .confidence = .9, .requests = row->requests, .horizon_s = 3600};
    for (size_t i = 0; i < w->n_gateways; i++) {
        const char *gateway = w->gateways[order[i]].name;
        CHECK(plan_fleet_affinity(f, row->name, gateway, row->das[order[i]], 0, &d) == 0);
    }
    char id[16];
    snprintf(id, sizeof(id), "s%.8s", row->name);
    if (row->stands_by)
        CHECK(plan_history_event(&f->history, now - row->routed_s, id, row->name,
                                 w->gateways[row->owner].name, w->gateways[row->other].name,
                                 EVENT_DEFERRED, REC_STANDS_BY ": mirrored") == 0);
    if (row->last_move_s > 0)
        CHECK(plan_history_event(&f->history, now - row->last_move_s, row->name, row->name,
                                 w->gateways[row->last_from].name, w->gateways[row->owner].name,
                                 EVENT_SWITCHED, "") == 0);
}

static void fill_failures(struct plan_fleet *f, const struct world *w, const struct volume_row *row)
{
    char id[16];
    for (size_t k = 0; k < 2; k++) {
        snprintf(id, sizeof(id), "f%zu%.8s", k, row->name);
        if (row->failed_s[k] > 0)
            CHECK(plan_history_event(&f->history, now - row->failed_s[k], id, row->name,
                                     w->gateways[row->owner].name,
                                     w->gateways[row->failed_to[k]].name, EVENT_FAILED, "") == 0);
    }
}

static void fill(struct rng *r, struct plan_fleet *f, const struct world *w)
{
    size_t gateways[GATEWAYS_MAX] = {0}, volumes[VOLUMES_MAX] = {0};
    shuffle(r, gateways, w->n_gateways);
    shuffle(r, volumes, w->n_volumes);
    f->with_affinity = f->with_history = true;
    for (size_t i = 0; i < w->n_gateways; i++)
        fill_gateway(f, &w->gateways[gateways[i]]);
    for (size_t i = 0; i < w->n_volumes; i++)
        fill_volume(f, w, &w->volumes[volumes[i]]);
    for (size_t i = w->n_gateways; i-- > 0;)
        fill_health(f, &w->gateways[gateways[i]]);
    for (size_t i = w->n_volumes; i-- > 0;)
        fill_scores(f, w, &w->volumes[volumes[i]], gateways);
    for (size_t i = 0; i < w->n_volumes; i++)
        fill_failures(f, w, &w->volumes[volumes[i]]);
    CHECK(plan_fleet_settle(f) == 0);
}

/* ---- what the planner said ---- */

struct answer {
    const struct world *w;
    struct buf text;
    size_t volume[VOLUMES_MAX];
    size_t target[VOLUMES_MAX];
    enum rec_plan_kind kind[VOLUMES_MAX];
    size_t moves;    /* all of them; the last ones are */
    size_t standbys; /* copies that are to stand by */
    size_t agreed;   /* verdicts move and shadow */
    size_t verdicts;
};

/* The row of "g12" or "v12". */
static int take_move(void *arg, const struct plan_move *m)
{
    struct answer *a = arg;
    CHECK(a->moves < VOLUMES_MAX);
    a->volume[a->moves] = row_of(plan_case_volume(m->c)->name);
    a->target[a->moves] = row_of(plan_case_target(m->c)->name);
    a->kind[a->moves++] = m->kind;
    a->standbys += m->kind == PLAN_KIND_STANDBY;
    CHECK(plan_words_move(&a->text, m->c) == 0);
    return buf_adds(&a->text, "\n");
}

static int take_verdict(void *arg, const struct plan_verdict *v)
{
    struct answer *a = arg;
    const char *target = v->c->target == PLAN_NONE ? "" : plan_case_target(v->c)->name;
    a->verdicts++;
    a->agreed += v->verdict == VERDICT_MOVE || v->verdict == VERDICT_SHADOW;
    CHECK(buf_printf(&a->text, "%s %s %d: ", plan_case_volume(v->c)->name, target, v->verdict) ==
          0);
    CHECK((v->held ? plan_words_held(&a->text, v->held, v->refusal)
                   : plan_words_refusal(&a->text, v->c, v->refusal)) == 0);
    return buf_adds(&a->text, "\n");
}

static void ask(struct rng *r, const struct world *w, const struct plan_limits *lim, bool explain,
                struct answer *a)
{
    struct plan_fleet f = {0};
    const struct plan_sink sink = {a, take_move, explain ? take_verdict : NULL};
    *a = (struct answer){.w = w};
    fill(r, &f, w);
    CHECK(plan_choose(&f, lim, now, &sink) == 0);
    plan_fleet_release(&f);
}

/* ---- the promises ---- */

static bool must_leave(const struct gateway_row *g)
{
    if (g->state == GATEWAY_STATE_DRAIN)
        return true;
    return g->scored && !isnan(g->ghs) && (g->ghs < .4 || g->p_fail > .5);
}

/* Is no move of V open, or only one whose copy may be let go, gone to or left behind? */
static bool may_go(const struct world *w, const struct volume_row *v)
{
    const struct gateway_row *kept = &w->gateways[v->other];
    if (v->state == ROUTE_STATE_DEFERRED && must_leave(&w->gateways[v->owner]))
        return true;
    if (v->state != ROUTE_STATE_UNCOMMITTED && !v->stands_by)
        return v->state == ROUTE_STATE_STEADY;
    if (must_leave(&w->gateways[v->owner]))
        return true;
    if (!kept->scored || isnan(kept->ghs))
        return false;
    return v->stands_by || (v->routed_s >= 86400 && !must_leave(kept));
}

static void check_target(const struct world *w, const struct volume_row *v,
                         const struct gateway_row *s, const struct gateway_row *t)
{
    CHECK(s != t);
    CHECK(may_go(w, v));
    CHECK(v->policy != POLICY_PINNED);
    CHECK(s->state != GATEWAY_STATE_DOWN);
    CHECK(t->state == GATEWAY_STATE_ACTIVE);
    CHECK(t->scored && t->ghs >= .6);
    CHECK(t->confidence >= .5 && t->age_s <= 300 && t->age_s >= -60);
}

/* Are both of one group and on one gateway, so that they move as one? */
static bool bound(const struct volume_row *a, const struct volume_row *b)
{
    return a == b || (*a->group && !strcmp(a->group, b->group) && a->owner == b->owner);
}

/* The DAS on G of all that V moves with, as of one volume with the requests of all. */
static double joint_das(const struct world *w, const struct volume_row *v, size_t g)
{
    double sum = 0, requests = 0, plain = 0, n = 0;
    for (size_t i = 0; i < w->n_volumes; i++) {
        const struct volume_row *o = &w->volumes[i];
        if (!bound(v, o))
            continue;
        sum += o->requests * o->das[g];
        requests += o->requests;
        plain += o->das[g];
        n++;
    }
    return requests > 0 ? sum / requests : plain / n;
}

static void check_optional(const struct world *w, const struct volume_row *v,
                           const struct gateway_row *s, const struct gateway_row *t)
{
    const double das_s = joint_das(w, v, (size_t)(s - w->gateways));
    const double das_t = joint_das(w, v, (size_t)(t - w->gateways));
    const double benefit = t->ghs - s->ghs + das_t, reverse = s->ghs - t->ghs + das_s;
    CHECK(benefit > .5);
    CHECK(benefit - reverse > .3);
    CHECK(t->ghs > s->ghs - .15);
    CHECK(s->confidence >= .5 && s->age_s <= 300);
    CHECK(v->last_move_s == 0 || v->last_move_s >= 6 * 3600);
    CHECK(v->last_move_s == 0 || v->last_move_s >= 72 * 3600 || &w->gateways[v->last_from] != t ||
          v->last_from == v->owner);
}

static void check_move(const struct answer *a, size_t i)
{
    const struct volume_row *v = &a->w->volumes[a->volume[i]];
    const struct gateway_row *s = &a->w->gateways[v->owner], *t = &a->w->gateways[a->target[i]];
    check_target(a->w, v, s, t);
    CHECK(v->policy != POLICY_MANUAL || a->kind[i] == PLAN_KIND_SHADOW);
    if (a->kind[i] == PLAN_KIND_SHADOW)
        CHECK(v->policy == POLICY_MANUAL || (*v->group && !must_leave(s)));
    if (a->kind[i] == PLAN_KIND_MANDATORY)
        CHECK(must_leave(s));
    if (!must_leave(s))
        check_optional(a->w, v, s, t);
}

/* A copy that stands by is of no use where its gateway has to be left. */
static void check_standby(const struct answer *a, size_t i)
{
    const struct volume_row *v = &a->w->volumes[a->volume[i]];
    const struct gateway_row *s = &a->w->gateways[v->owner], *t = &a->w->gateways[a->target[i]];
    const bool has_one = v->state == ROUTE_STATE_UNCOMMITTED || v->stands_by;
    CHECK(a->kind[i] == PLAN_KIND_STANDBY);
    CHECK(s != t && v->policy == POLICY_AUTO && (v->state == ROUTE_STATE_STEADY || has_one));
    CHECK(s->scored && !isnan(s->ghs) && s->state != GATEWAY_STATE_DOWN && !must_leave(s));
    CHECK(t->state == GATEWAY_STATE_ACTIVE && t->scored && t->ghs >= .6 && !must_leave(t));
    CHECK(t->confidence >= .5 && t->age_s <= 300 && t->age_s >= -60);
    CHECK(!has_one || must_leave(&a->w->gateways[v->other]));
    for (size_t j = 0; j < a->moves; j++)
        CHECK(j == i || a->volume[j] != a->volume[i]);
}

/* Is one that V moves with, and that comes before the I-th move, on its way to the same target? */
static bool follows(const struct answer *a, size_t i)
{
    const struct volume_row *rows = a->w->volumes;
    for (size_t j = 0; j < i && a->kind[i] != PLAN_KIND_STANDBY; j++)
        if (a->target[j] == a->target[i] && bound(&rows[a->volume[j]], &rows[a->volume[i]]))
            return true;
    return false;
}

/* Is the same said of the I-th volume's move under way? */
static bool accompanies(const struct world *w, size_t i)
{
    const struct volume_row *v = &w->volumes[i];
    for (size_t j = 0; j < i; j++)
        if (w->volumes[j].state == ROUTE_STATE_MOVING && bound(&w->volumes[j], v) &&
            w->volumes[j].other == v->other)
            return true;
    return false;
}

/* All that the I-th move's volume is bound to go with it, but from where they must leave. */
static void check_together(const struct answer *a, size_t i)
{
    const struct volume_row *rows = a->w->volumes, *v = &rows[a->volume[i]];
    size_t bound_to = 0, moved = 0;
    for (size_t j = 0; j < a->w->n_volumes; j++) {
        const bool may = may_go(a->w, &rows[j]) && rows[j].policy != POLICY_PINNED;
        bound_to += bound(v, &rows[j]) && (may || !must_leave(&a->w->gateways[v->owner]));
    }
    for (size_t j = 0; j < a->moves - a->standbys; j++)
        moved += bound(v, &rows[a->volume[j]]) && a->target[j] == a->target[i];
    CHECK_EQ_U64(moved, bound_to);
}

/* Shadows come last, so counting them with the rest asks for no less. */
static void check_sums(const struct answer *a, const struct plan_limits *lim)
{
    uint64_t bytes[GATEWAYS_MAX] = {0};
    size_t leaving[GATEWAYS_MAX] = {0}, arriving[GATEWAYS_MAX] = {0}, under_way = 0;
    size_t planned = 0;
    for (size_t i = 0; i < a->w->n_volumes; i++) {
        const struct volume_row *v = &a->w->volumes[i];
        bytes[v->owner] += v->size_bytes;
        bytes[v->other] += v->state ? v->size_bytes : 0;
        const bool counts = v->state == ROUTE_STATE_MOVING && !accompanies(a->w, i);
        leaving[v->owner] += counts;
        arriving[v->other] += counts;
        under_way += counts;
    }
    for (size_t i = 0; i < a->moves; i++) {
        const struct volume_row *v = &a->w->volumes[a->volume[i]];
        const size_t s = v->owner, t = a->target[i];
        if (!v->state || v->other != t) { /* else its bytes are there already */
            bytes[t] += v->size_bytes;
            CHECK(!a->w->gateways[t].capacity_bytes ||
                  bytes[t] <= a->w->gateways[t].capacity_bytes);
        }
        /* What must leave is handed over at once to the copy that stands by. */
        if (follows(a, i) || (v->stands_by && v->other == t && must_leave(&a->w->gateways[s])))
            continue;
        planned++;
        CHECK(++leaving[s] <= lim->max_per_source);
        CHECK(++arriving[t] <= lim->max_per_target);
    }
    CHECK(planned == 0 || planned + under_way <= lim->max_moves);
}

/* Is V on gateway G, or on its way there before the plan? */
static bool belongs(const struct volume_row *v, size_t g)
{
    const bool coming =
        v->state == ROUTE_STATE_MOVING || (v->state == ROUTE_STATE_DEFERRED && !v->stands_by);
    return v->owner == g || (coming && v->other == g);
}

static void check_apart(const struct answer *a, size_t i)
{
    const struct volume_row *rows = a->w->volumes, *v = &rows[a->volume[i]];
    if (!*v->apart)
        return;
    for (size_t j = 0; j < a->w->n_volumes; j++)
        CHECK(strcmp(rows[j].apart, v->apart) != 0 || !belongs(&rows[j], a->target[i]));
    for (size_t j = 0; j < i; j++)
        CHECK(strcmp(rows[a->volume[j]].apart, v->apart) != 0 || a->target[j] != a->target[i]);
}

static void check_evacuation(const struct answer *a)
{
    bool left[GATEWAYS_MAX] = {false};
    size_t before = 0, n = 0, most = a->w->n_gateways / 3 ? a->w->n_gateways / 3 : 1;
    for (size_t i = 0; i < a->w->n_volumes; i++)
        if (a->w->volumes[i].state == ROUTE_STATE_MOVING)
            left[a->w->volumes[i].owner] |= must_leave(&a->w->gateways[a->w->volumes[i].owner]);
    for (size_t g = 0; g < a->w->n_gateways; g++)
        before += left[g];
    for (size_t i = 0; i < a->moves - a->standbys; i++)
        left[a->w->volumes[a->volume[i]].owner] |=
            must_leave(&a->w->gateways[a->w->volumes[a->volume[i]].owner]);
    for (size_t g = 0; g < a->w->n_gateways; g++)
        n += left[g];
    CHECK(n <= (before > most ? before : most));
}

/* A manual volume goes where its group, that has to leave, goes: then a shadow stands before. */
static void check_order(const struct answer *a)
{
    for (size_t i = 1; i < a->moves; i++)
        CHECK(a->kind[i - 1] <= a->kind[i] || follows(a, i) || follows(a, i - 1));
}

/* The number of moves planned. */
static size_t test_world(struct rng *r)
{
    struct world w;
    struct plan_limits lim;
    struct answer a, b, quiet;
    make_world(r, &w);
    plan_limits_init(&lim);
    if (chance(r, .5))
        lim.max_moves = lim.max_per_source = lim.max_per_target = (unsigned)rng_below(r, 9);
    lim.standby = chance(r, .5);
    ask(r, &w, &lim, true, &a);
    ask(r, &w, &lim, true, &b);
    ask(r, &w, &lim, false, &quiet);
    CHECK(a.text.len == b.text.len && (!a.text.len || !strcmp(a.text.data, b.text.data)));
    CHECK(a.agreed + a.standbys == a.moves && quiet.moves == a.moves);
    CHECK(lim.standby || !a.standbys);
    CHECK(!memcmp(a.volume, quiet.volume, a.moves * sizeof(*a.volume)));
    CHECK(!memcmp(a.target, quiet.target, a.moves * sizeof(*a.target)));
    for (size_t i = a.moves - a.standbys; i < a.moves; i++)
        check_standby(&a, i);
    for (size_t i = 0; i < a.moves - a.standbys; i++) {
        check_move(&a, i);
        check_apart(&a, i);
        check_together(&a, i);
    }
    check_sums(&a, &lim);
    check_evacuation(&a);
    check_order(&a);
    buf_release(&a.text);
    buf_release(&b.text);
    buf_release(&quiet.text);
    return a.moves;
}

int main(void)
{
    char name[64];
    size_t planned = 0;
    for (size_t seed = 1; seed <= FLEETS; seed++) {
        struct rng r;
        rng_init(&r, seed);
        snprintf(name, sizeof(name), "plan_random, seed %zu", seed);
        test_begin(name);
        planned += test_world(&r);
    }
    test_begin("plan_random");
    CHECK(planned > FLEETS / 2);
    return test_done();
}
