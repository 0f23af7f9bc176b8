/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The planner on fleets made of any bytes.  Held to, whatever they say: it ends; a volume moves
 * once, from its owner, steady and at its epoch, to an active gateway that is scored, allowed and
 * not full; the limits hold; the same fleet gets the same plan; and explaining changes nothing.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/saturate.h"
#include "common/plan/choose.h"
#include "common/plan/words.h"
#include "fuzz.h"

enum { GATEWAYS = 8, VOLUMES = 16 };

static const double now = 1e6;

/* ---- bytes to numbers; zeros behind the end ---- */

struct bytes {
    const uint8_t *at;
    const uint8_t *end;
};

static unsigned byte(struct bytes *b)
{
    return b->at < b->end ? *b->at++ : 0;
}

static double ratio(struct bytes *b)
{
    const unsigned x = byte(b);
    return x == 255 ? (double)NAN : x / 254.0;
}

/* Up to 2^63, mostly small. */
static uint64_t number(struct bytes *b)
{
    const unsigned x = byte(b);
    return (uint64_t)(x & 7) << (x >> 3) * 2 % 61;
}

static const char *name(char *text, size_t size, char kind, unsigned i)
{
    snprintf(text, size, "%c%u", kind, i);
    return text;
}

/* ---- the fleet ---- */

static void take(int err)
{
    require(err == 0 || err == -ENOENT || err == -EEXIST || err == -EINVAL);
}

/* Open from 22:00 to 04:00. */
static struct plan_span night = {22 * 3600.0, 4 * 3600.0};
static const struct plan_calendar nights = {.windows = &night, .n_windows = 1};

static void add_gateway(struct plan_fleet *f, struct bytes *b, unsigned i)
{
    static const char *const storages[] = {"", "", "san", "nas"};
    char text[16];
    const struct plan_gateway g = {
        .name = name(text, sizeof(text), 'g', i),
        .state = byte(b) % 4,
        .storage = storages[byte(b) % 4],
        .capacity_bytes = number(b),
        .iops_limit = (double)number(b),
    };
    require(plan_fleet_gateway(f, &g) == 0);
}

static void add_volume(struct plan_fleet *f, struct bytes *b, unsigned i)
{
    static const char *const allowed[] = {"", "", "", "g0 g1 g2", "g7", "nowhere"};
    char text[16], owner[16], other[16];
    const struct plan_volume v = {
        .name = name(text, sizeof(text), 'v', i),
        .owner_name = name(owner, sizeof(owner), 'g', byte(b) % (GATEWAYS + 1)),
        .state = byte(b) < 200 ? ROUTE_STATE_STEADY : byte(b) % 5,
        .epoch = 1 + number(b),
        .size_bytes = number(b),
        .routed = (double)byte(b) * 5000,
        .policy = byte(b) < 200 ? POLICY_AUTO : byte(b) % 3,
    };
    name(other, sizeof(other), 'g', byte(b) % (GATEWAYS + 1));
    require(plan_fleet_volume(f, &v, v.state ? other : "", allowed[byte(b) % 6]) == 0);
}

static void add_event(struct plan_fleet *f, struct bytes *b, const char *volume,
                      const char *gateway)
{
    static const char *const details[] = {"", "mandatory: x; affinity 0.1 to 0.9; y",
                                          "optional: x; affinity 0.9 to 0.1", "; affinity 1 to"};
    char id[16], other[16];
    name(id, sizeof(id), 'm', byte(b) % 16);
    name(other, sizeof(other), 'g', byte(b) % GATEWAYS);
    require(plan_history_event(&f->history, now + ((double)byte(b) - 200) * 5000, id, volume,
                               gateway, other, byte(b) % (EVENT_MODIFIED + 1),
                               details[byte(b) % 4]) == 0);
    plan_history_sent(&f->history, id, number(b));
}

static void add_row(struct plan_fleet *f, struct bytes *b)
{
    char volume[16], gateway[16], label[4];
    const unsigned kind = byte(b) % 8;
    name(volume, sizeof(volume), 'v', byte(b) % (VOLUMES + 1));
    name(gateway, sizeof(gateway), 'g', byte(b) % (GATEWAYS + 1));
    name(label, sizeof(label), 'l', byte(b) % 3);
    const double time = now + 100 - (double)byte(b) * 2;
    const double ghs = ratio(b), by_load = ratio(b), p_fail = ratio(b);
    const struct plan_health h = {
        .time = time,
        .ghs = ghs,
        .by_load = by_load,
        .p_fail = p_fail,
        .confidence = fmin(1, byte(b) / 128.0),
        .horizon_s = 86400,
        .reason = "",
    };
    const struct plan_demand d = {
        .time = time,
        .confidence = fmin(1, byte(b) / 128.0),
        .requests = (double)number(b),
        .horizon_s = (double)byte(b) * 100,
    };
    if (kind == 0)
        take(plan_fleet_apart(f, volume, label));
    else if (kind == 1)
        take(plan_fleet_group(f, volume, label));
    else if (kind == 2)
        take(plan_fleet_changed(f, volume, gateway, number(b)));
    else if (kind == 3)
        add_event(f, b, volume, gateway);
    else if (kind == 4 && f->hours)
        take(plan_fleet_forecast(f, volume, time + (double)byte(b) * 900, byte(b) * 60,
                                 (double)number(b)));
    else if (kind == 5)
        take(plan_fleet_affinity(f, volume, gateway, byte(b) / 255.0, byte(b) / 255.0, &d));
    else
        take(plan_fleet_health(f, gateway, &h));
}

static void make(struct plan_fleet *f, struct plan_limits *lim, struct bytes b)
{
    const unsigned flags = byte(&b);
    plan_limits_init(lim);
    lim->max_moves = lim->max_per_source = lim->max_per_target = 1 + byte(&b) % 16;
    lim->order = flags & 1;
    lim->shadow = flags & 2;
    lim->force = flags & 4;
    lim->improve = flags & 8 ? 300 : 0;
    f->with_affinity = flags & 16;
    f->with_history = flags & 32;
    f->latest = flags & 64 ? now + 60 : 0;
    for (unsigned i = 0; i < GATEWAYS; i++)
        add_gateway(f, &b, i);
    for (unsigned i = 0; i < VOLUMES; i++)
        add_volume(f, &b, i);
    if (flags & 128)
        require(plan_fleet_hours(f, now) == 0);
    if (byte(&b) % 4 == 0)
        f->calendar = &nights;
    while (b.at < b.end)
        add_row(f, &b);
    require(plan_fleet_settle(f) == 0);
}

/* ---- the plan ---- */

struct answer {
    struct buf moves;
    struct buf words;
    bool moved[VOLUMES];
    uint64_t arrived[GATEWAYS];
};

static int take_move(void *arg, const struct plan_move *m)
{
    struct answer *a = arg;
    const struct plan_volume *v = plan_case_volume(m->c);
    const struct plan_gateway *t = plan_case_target(m->c);
    require(!a->moved[m->c->volume]);
    a->moved[m->c->volume] = true;
    require(v->owner != PLAN_NONE && v->owner != m->c->target && v->state == ROUTE_STATE_STEADY);
    require(t->state == GATEWAY_STATE_ACTIVE && t->scored && !isnan(t->health.ghs));
    require(plan_fleet_allowed(m->c->fleet, m->c->volume, m->c->target));
    a->arrived[m->c->target] = saturate_sum(a->arrived[m->c->target], v->size_bytes);
    require(!t->capacity_bytes || a->arrived[m->c->target] <= t->capacity_bytes);
    require(m->not_before == 0 || m->not_before > now);
    require(plan_words_move(&a->words, m->c) == 0);
    return buf_printf(&a->moves, "%s %s %d %.0f\n", v->name, t->name, (int)m->kind, m->not_before);
}

static int take_verdict(void *arg, const struct plan_verdict *v)
{
    struct answer *a = arg;
    require((v->held ? plan_words_held(&a->words, v->held, v->refusal)
                     : plan_words_refusal(&a->words, v->c, v->refusal)) == 0);
    return 0;
}

static void ask(struct bytes b, bool explain, struct answer *a)
{
    struct plan_fleet f = {0};
    struct plan_limits lim;
    const struct plan_sink sink = {a, take_move, explain ? take_verdict : NULL};
    *a = (struct answer){0};
    make(&f, &lim, b);
    require(plan_choose(&f, &lim, now, &sink) == 0);
    plan_fleet_release(&f);
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer first, again, quiet;
    const struct bytes b = {data, data + size};
    ask(b, true, &first);
    ask(b, true, &again);
    ask(b, false, &quiet);
    require(same(&first.moves, &again.moves) && same(&first.words, &again.words));
    require(same(&first.moves, &quiet.moves));
    buf_release(&first.moves);
    buf_release(&first.words);
    buf_release(&again.moves);
    buf_release(&again.words);
    buf_release(&quiet.moves);
    buf_release(&quiet.words);
    return 0;
}
