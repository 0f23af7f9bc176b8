/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Promises of the planner on seeded random logs of scores, with forecasts, a calendar, shared
 * storage and known copies: what is dated after now changes nothing, whatever stands in it; rows
 * may come in any order; epochs, allowed gateways, room and hourly load hold; and nothing that can
 * wait starts when the calendar is closed.  Checked by arithmetic of this test's own.
 */
#include <math.h>

#include "common/plan/choose.h"
#include "common/plan/words.h"
#include "tests/unit/fleetrandom.h"

enum { FLEETS = 400, GATEWAYS = 5, VOLUMES = 10, RUNS = 4, HOURS = PLAN_HOURS };

static const double now = 1e6; /* 13:46:40 on 1970-01-12 */

struct health_row {
    size_t gateway;
    double time;
    double ghs;
    double p_fail;
};

struct affinity_row {
    size_t volume;
    double time;
    double das[GATEWAYS];
    double requests;
};

struct volume_row {
    size_t owner;
    uint64_t epoch;
    uint64_t size_bytes;
    char allowed[64]; /* "": all */
    bool forecast;
    unsigned requests[HOURS];
    int64_t changed[GATEWAYS]; /* -1: no copy */
};

struct world {
    struct plan_gateway gateways[GATEWAYS];
    char names[GATEWAYS][8];
    struct volume_row volumes[VOLUMES];
    struct health_row health[GATEWAYS * RUNS];
    struct affinity_row affinity[VOLUMES * RUNS];
    bool window; /* from 22:00 to 04:00 */
};

/* ---- making worlds ---- */

/* The first run is of now, more or less; of the others half are yet to come. */
static double run_time(struct rng *r, size_t run)
{
    if (!run)
        return now - (double)rng_below(r, 200);
    return now + (chance(r, .5) ? -1 : 1) * (200 + 4 * (double)rng_below(r, 20000) + (double)run);
}

static void make_gateway(struct rng *r, struct world *w, size_t g)
{
    static const char *const storages[] = {"", "", "san", "nas"};
    snprintf(w->names[g], sizeof(w->names[g]), "g%zu", g);
    w->gateways[g] = (struct plan_gateway){
        .name = w->names[g],
        .storage = storages[rng_below(r, 4)],
        .state = chance(r, .8) ? GATEWAY_STATE_ACTIVE : (enum rec_gateway_state)rng_below(r, 4),
        .capacity_bytes = chance(r, .5) ? 100 + rng_below(r, 400) : 0,
        .iops_limit = chance(r, .5) ? 1 + (double)rng_below(r, 8) : 0,
    };
    for (size_t i = 0; i < RUNS; i++)
        w->health[g * RUNS + i] = (struct health_row){
            .gateway = g,
            .time = run_time(r, i),
            .ghs = chance(r, .8) ? .9 + decimals(r) / 10 : decimals(r),
            .p_fail = decimals(r) * decimals(r),
        };
}

static void make_volume(struct rng *r, struct world *w, size_t v)
{
    struct volume_row *row = &w->volumes[v];
    *row = (struct volume_row){
        .owner = rng_below(r, GATEWAYS),
        .epoch = 1 + rng_below(r, 1000),
        .size_bytes = 1 + rng_below(r, 100),
        .forecast = chance(r, .7),
    };
    for (size_t g = 0; g < GATEWAYS && chance(r, .2); g++)
        snprintf(row->allowed + strlen(row->allowed), 8, "g%zu ", g);
    for (size_t h = 0; h < HOURS; h++)
        row->requests[h] = (unsigned)rng_below(r, 3600 * 2);
    for (size_t g = 0; g < GATEWAYS; g++)
        row->changed[g] = chance(r, .1) ? (int64_t)rng_below(r, 120) : -1;
    for (size_t i = 0; i < RUNS; i++) {
        struct affinity_row *a = &w->affinity[v * RUNS + i];
        *a = (struct affinity_row){
            .volume = v, .time = run_time(r, i), .requests = (double)rng_below(r, 3600 * 8)};
        for (size_t g = 0; g < GATEWAYS; g++)
            a->das[g] = decimals(r);
    }
}

static void make_world(struct rng *r, struct world *w)
{
    *w = (struct world){.window = chance(r, .5)};
    for (size_t g = 0; g < GATEWAYS; g++)
        make_gateway(r, w, g);
    for (size_t v = 0; v < VOLUMES; v++)
        make_volume(r, w, v);
}

/* ---- filling the planner's fleet, rows in random order ---- */

static void fill_volume(struct plan_fleet *f, const struct world *w, size_t i)
{
    const struct volume_row *row = &w->volumes[i];
    char text[8];
    snprintf(text, sizeof(text), "v%zu", i);
    const struct plan_volume v = {
        .name = text,
        .owner_name = w->names[row->owner],
        .epoch = row->epoch,
        .size_bytes = row->size_bytes,
    };
    CHECK(plan_fleet_volume(f, &v, "", row->allowed) == 0);
    for (size_t g = 0; g < GATEWAYS; g++)
        if (row->changed[g] >= 0)
            CHECK(plan_fleet_changed(f, text, w->names[g], (uint64_t)row->changed[g]) == 0);
}

static void fill_health(struct plan_fleet *f, const struct world *w, const struct health_row *row)
{
    const struct plan_health h = {
        .time = row->time,
        .ghs = row->ghs,
        .p_fail = row->p_fail,
        .confidence = 1,
        .horizon_s = 86400,
        .reason = "",
    };
    CHECK(plan_fleet_health(f, w->names[row->gateway], &h) == 0);
}

static void fill_affinity(struct plan_fleet *f, const struct world *w,
                          const struct affinity_row *row)
{
    const struct plan_demand d = {
        .time = row->time, .confidence = 1, .requests = row->requests, .horizon_s = 21600};
    char text[8];
    snprintf(text, sizeof(text), "v%zu", row->volume);
    for (size_t g = 0; g < GATEWAYS; g++)
        CHECK(plan_fleet_affinity(f, text, w->names[g], row->das[g], 0, &d) == 0);
}

static void fill_forecast(struct plan_fleet *f, const struct world *w, size_t i)
{
    const struct volume_row *row = &w->volumes[i];
    char text[8];
    snprintf(text, sizeof(text), "v%zu", i);
    for (size_t h = 0; row->forecast && h < HOURS; h++)
        CHECK(plan_fleet_forecast(f, text, f->hours_start + 3600.0 * (double)h, 3600,
                                  row->requests[h]) == 0);
}

/* Open from 22:00 to 04:00. */
static struct plan_span night = {22 * 3600.0, 4 * 3600.0};
static const struct plan_calendar nights = {.windows = &night, .n_windows = 1};

/* CUT: without what is dated after now. */
static void fill(struct rng *r, struct plan_fleet *f, const struct world *w, bool cut)
{
    size_t order[VOLUMES * RUNS];
    f->with_affinity = f->with_history = true;
    f->latest = now + 60;
    shuffle(r, order, GATEWAYS);
    for (size_t i = 0; i < GATEWAYS; i++)
        CHECK(plan_fleet_gateway(f, &w->gateways[order[i]]) == 0);
    shuffle(r, order, VOLUMES);
    for (size_t i = 0; i < VOLUMES; i++)
        fill_volume(f, w, order[i]);
    shuffle(r, order, GATEWAYS * RUNS);
    for (size_t i = 0; i < GATEWAYS * RUNS; i++)
        if (!cut || w->health[order[i]].time <= now)
            fill_health(f, w, &w->health[order[i]]);
    shuffle(r, order, VOLUMES * RUNS);
    for (size_t i = 0; i < VOLUMES * RUNS; i++)
        if (!cut || w->affinity[order[i]].time <= now)
            fill_affinity(f, w, &w->affinity[order[i]]);
    CHECK(plan_fleet_hours(f, now) == 0);
    shuffle(r, order, VOLUMES);
    for (size_t i = 0; i < VOLUMES; i++)
        fill_forecast(f, w, order[i]);
    if (w->window)
        f->calendar = &nights;
    CHECK(plan_fleet_settle(f) == 0);
}

/* ---- what the planner said ---- */

struct answer {
    struct buf text;
    size_t volume[VOLUMES];
    size_t target[VOLUMES];
    uint64_t epoch[VOLUMES];
    bool mandatory[VOLUMES];
    double not_before[VOLUMES];
    size_t moves;
};

static int take_move(void *arg, const struct plan_move *m)
{
    struct answer *a = arg;
    CHECK(a->moves < VOLUMES);
    a->volume[a->moves] = row_of(plan_case_volume(m->c)->name);
    a->target[a->moves] = row_of(plan_case_target(m->c)->name);
    a->epoch[a->moves] = plan_case_volume(m->c)->epoch;
    a->mandatory[a->moves] = m->kind == PLAN_KIND_MANDATORY;
    a->not_before[a->moves++] = m->not_before;
    CHECK(buf_printf(&a->text, "%s from %.0f: ", plan_case_volume(m->c)->name, m->not_before) == 0);
    CHECK(plan_words_move(&a->text, m->c) == 0);
    return buf_adds(&a->text, "\n");
}

static int take_verdict(void *arg, const struct plan_verdict *v)
{
    struct answer *a = arg;
    CHECK(buf_printf(&a->text, "%s %zu %d: ", plan_case_volume(v->c)->name,
                     v->c->target == PLAN_NONE ? 99 : row_of(plan_case_target(v->c)->name),
                     (int)v->verdict) == 0);
    CHECK(plan_words_refusal(&a->text, v->c, v->refusal) == 0);
    return buf_adds(&a->text, "\n");
}

static void ask(struct rng *r, const struct world *w, const struct plan_limits *lim, bool cut,
                struct answer *a)
{
    struct plan_fleet f = {0};
    const struct plan_sink sink = {a, take_move, take_verdict};
    *a = (struct answer){0};
    fill(r, &f, w, cut);
    CHECK(plan_choose(&f, lim, now, &sink) == 0);
    plan_fleet_release(&f);
}

/* ---- the promises ---- */

static bool shared(const struct world *w, size_t a, size_t b)
{
    const char *of = w->gateways[a].storage;
    return *of && !strcmp(of, w->gateways[b].storage);
}

static void check_move(const struct world *w, const struct answer *a, size_t i)
{
    const struct volume_row *v = &w->volumes[a->volume[i]];
    const size_t t = a->target[i];
    CHECK(t != v->owner);
    CHECK_EQ_U64(a->epoch[i], v->epoch);
    CHECK(w->gateways[t].state == GATEWAY_STATE_ACTIVE);
    CHECK(!*v->allowed || strstr(v->allowed, w->names[t]));
    CHECK(w->gateways[v->owner].state != GATEWAY_STATE_DOWN || shared(w, v->owner, t));
}

/* Now is in the afternoon, outside the window. */
static void check_start(const struct world *w, const struct answer *a, size_t i)
{
    const double start = a->not_before[i], hour = fmod(start, 86400) / 3600;
    if (a->mandatory[i]) {
        CHECK(start == 0);
        return;
    }
    CHECK(start == 0 || start > now);
    CHECK(w->window ? hour >= 22 || (start > 0 && hour < 4) : start <= now + 6 * 3600);
}

static void check_room(const struct world *w, const struct answer *a)
{
    uint64_t bytes[GATEWAYS] = {0};
    for (size_t v = 0; v < VOLUMES; v++)
        bytes[w->volumes[v].owner] += w->volumes[v].size_bytes;
    for (size_t i = 0; i < a->moves; i++) {
        const uint64_t capacity = w->gateways[a->target[i]].capacity_bytes;
        bytes[a->target[i]] += w->volumes[a->volume[i]].size_bytes;
        CHECK(!capacity || bytes[a->target[i]] <= capacity);
    }
}

/* Requests in HOUR of V: of its forecast, or of the last affinity that is not yet to come. */
static double requests(const struct world *w, size_t v, size_t hour)
{
    const struct affinity_row *last = &w->affinity[v * RUNS];
    if (w->volumes[v].forecast)
        return w->volumes[v].requests[hour];
    for (size_t i = 1; i < RUNS; i++)
        if (w->affinity[v * RUNS + i].time <= now && w->affinity[v * RUNS + i].time > last->time)
            last = &w->affinity[v * RUNS + i];
    return last->requests / 6;
}

/* Of the busiest hour, requests a second at its peak; PLANNED: with the moves. */
static double peak(const struct world *w, const struct answer *a, size_t g, bool planned)
{
    double most = 0;
    for (size_t h = 0; h < HOURS; h++) {
        double sum = 0;
        for (size_t v = 0; v < VOLUMES; v++)
            sum += w->volumes[v].owner == g ? requests(w, v, h) : 0;
        for (size_t i = 0; planned && i < a->moves; i++)
            sum += a->target[i] == g ? requests(w, a->volume[i], h) : 0;
        most = fmax(most, 2 * sum / 3600);
    }
    return most;
}

/* Thousandths of requests are cut off, of each volume and hour. */
static const double rounding = 1e-3;

static void check_load(const struct world *w, const struct answer *a, size_t t)
{
    const double limit = w->gateways[t].iops_limit, then = peak(w, a, t, true);
    double bar = -INFINITY;
    bool arrives = false;
    for (size_t i = 0; i < a->moves; i++) {
        const size_t s = w->volumes[a->volume[i]].owner;
        if (a->target[i] != t)
            continue;
        arrives = true;
        const bool limited = limit > 0 && w->gateways[s].iops_limit > 0;
        const double by_source = limited ? INFINITY : 2 * peak(w, a, s, false);
        if (!a->mandatory[i])
            bar = fmax(bar, fmax(by_source, 1.1 * peak(w, a, t, false)));
    }
    CHECK(!arrives || !(limit > 0) || then <= limit + rounding);
    CHECK(!isfinite(bar) || then <= bar + rounding);
}

static size_t test_world(struct rng *r)
{
    struct world w;
    struct plan_limits lim;
    struct answer all, again, cut;
    make_world(r, &w);
    plan_limits_init(&lim);
    lim.max_moves = lim.max_per_source = lim.max_per_target = 1 + (unsigned)rng_below(r, 9);
    lim.order = (unsigned)rng_below(r, 2);
    ask(r, &w, &lim, false, &all);
    ask(r, &w, &lim, false, &again);
    ask(r, &w, &lim, true, &cut);
    CHECK_STR(again.text.data, all.text.data);
    CHECK_STR(cut.text.data, all.text.data);
    for (size_t i = 0; i < all.moves; i++) {
        check_move(&w, &all, i);
        check_start(&w, &all, i);
    }
    check_room(&w, &all);
    for (size_t g = 0; g < GATEWAYS; g++)
        check_load(&w, &all, g);
    buf_release(&all.text);
    buf_release(&again.text);
    buf_release(&cut.text);
    return all.moves;
}

int main(void)
{
    char name[64];
    size_t planned = 0;
    for (size_t seed = 1; seed <= FLEETS; seed++) {
        struct rng r;
        rng_init(&r, seed);
        snprintf(name, sizeof(name), "plan_records, seed %zu", seed);
        test_begin(name);
        planned += test_world(&r);
    }
    test_begin("plan_records");
    CHECK(planned > FLEETS / 2);
    return test_done();
}
