/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/inputs.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "cmd/migrate-plan/file.h"
#include "cmd/migrate-plan/routes.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/fleet/fleet.h"
#include "common/plan/calendar_file.h"
#include "common/record/record.h"
#include "common/route/store.h"

struct load {
    struct plan_fleet *f;
    const struct fleet *config;
    struct intern unknown; /* gateways that were noted */
};

static void check(int err)
{
    if (err < 0)
        err_die(EX_OSERR, "cannot plan: %s", err_text(err));
}

/* ---- configuration ---- */

static void add_gateways(struct load *l)
{
    for (size_t i = 0; i < l->config->gateway_names.n; i++) {
        const struct fleet_gateway *g = &l->config->gateways[i];
        const struct plan_gateway p = {
            .name = g->name,
            .storage = g->storage,
            .state = g->state,
            .capacity_bytes = g->capacity_bytes,
            .iops_limit = g->iops_limit,
        };
        check(plan_fleet_gateway(l->f, &p));
    }
}

/* ---- routes ---- */

/* WHERE: "name:line" of the record, for the message about a second one. */
static void add_route(struct load *l, struct plan_volume *v, const char *other, const char *where)
{
    const struct fleet_volume *listed = fleet_volume(l->config, v->name);
    v->policy = listed ? listed->policy : POLICY_AUTO;
    v->standby = listed ? listed->standby : STANDBY_ASKED;
    if (!v->size_bytes && listed)
        v->size_bytes = listed->size_bytes;
    int err = plan_fleet_volume(l->f, v, other, listed ? listed->gateways : "");
    if (err == -EEXIST)
        err_die(EX_DATAERR, "%s: a second route of volume '%s'", where, v->name);
    check(err);
    if (listed && *listed->anti)
        check(plan_fleet_apart(l->f, v->name, listed->anti));
    if (listed && *listed->group)
        check(plan_fleet_group(l->f, v->name, listed->group));
    if (plan_fleet_find(l->f, v->owner_name) == PLAN_NONE)
        err_warn("%s: gateway '%s' of volume '%s' is not in gateways.csv: volume left alone", where,
                 v->owner_name, v->name);
}

static void take_route(void *arg, struct rec_reader *r)
{
    struct load *l = arg;
    struct plan_volume v = {
        .name = rec_text(r, ROUTE_VOLUME),
        .owner_name = rec_text(r, ROUTE_GATEWAY),
        .state = rec_word(r, ROUTE_STATE),
        .epoch = rec_uint(r, ROUTE_EPOCH),
        .size_bytes = rec_uint(r, ROUTE_SIZE_BYTES),
        .routed = rec_real(r, ROUTE_TIME),
    };
    add_route(l, &v, rec_text(r, ROUTE_TARGET), rec_reader_where(r));
}

static int take_stored(const struct route *r, void *arg)
{
    struct plan_volume v = {
        .name = r->volume,
        .owner_name = r->gateway,
        .state = r->state,
        .epoch = r->epoch,
        .size_bytes = r->size_bytes,
        .routed = r->time,
    };
    add_route(arg, &v, r->target, "routes");
    return 0;
}

/* ---- scores and history ---- */

/* Says once for each gateway that its records are left out; a typing error should be seen. */
static void note_unknown(struct load *l, const char *gateway, struct rec_reader *r)
{
    if (plan_fleet_find(l->f, gateway) != PLAN_NONE || intern_find(&l->unknown, gateway) >= 0)
        return;
    err_warn("%s: gateway '%s' is not in gateways.csv: ignored", rec_reader_where(r), gateway);
    if (intern_add(&l->unknown, gateway) < 0)
        check(-ENOMEM);
}

static void took(struct load *l, int err, const char *gateway, struct rec_reader *r)
{
    if (err == -EEXIST)
        err_die(EX_DATAERR, "%s: contradicts an earlier score of the same time",
                rec_reader_where(r));
    if (err == -ENOENT)
        note_unknown(l, gateway, r);
    else
        check(err);
}

/* How much of what a gateway lacks its load explains. */
static double by_load(const struct rec_reader *r)
{
    if (!rec_present(r, HEALTH_UNLOADED) || !rec_present(r, HEALTH_GHS))
        return 0;
    return fmax(rec_real(r, HEALTH_UNLOADED) - rec_real(r, HEALTH_GHS), 0);
}

static void take_health(void *arg, struct rec_reader *r)
{
    struct load *l = arg;
    const char *gateway = rec_text(r, HEALTH_GATEWAY);
    const struct plan_health h = {
        .time = rec_real(r, HEALTH_TIME),
        .ghs = file_real_or_nan(r, HEALTH_GHS),
        .by_load = by_load(r),
        .p_fail = file_real_or_nan(r, HEALTH_P_FAIL),
        .confidence = rec_real(r, HEALTH_CONFIDENCE),
        .horizon_s = rec_real(r, HEALTH_HORIZON_S),
        .reason = rec_text(r, HEALTH_REASON),
    };
    took(l, plan_fleet_health(l->f, gateway, &h), gateway, r);
}

static void take_affinity(void *arg, struct rec_reader *r)
{
    struct load *l = arg;
    const char *gateway = rec_text(r, AFFINITY_GATEWAY);
    const struct plan_demand d = {
        .time = rec_real(r, AFFINITY_TIME),
        .confidence = rec_real(r, AFFINITY_CONFIDENCE),
        .requests = rec_real(r, AFFINITY_REQUESTS),
        .horizon_s = rec_real(r, AFFINITY_HORIZON_S),
    };
    int err = plan_fleet_affinity(l->f, rec_text(r, AFFINITY_VOLUME), gateway,
                                  rec_real(r, AFFINITY_DAS), rec_real(r, AFFINITY_SHARE), &d);
    took(l, err, gateway, r);
}

static void take_event(void *arg, struct rec_reader *r)
{
    struct load *l = arg;
    check(plan_history_event(&l->f->history, rec_real(r, EVENT_TIME), rec_text(r, EVENT_MIGRATION),
                             rec_text(r, EVENT_VOLUME), rec_text(r, EVENT_SOURCE),
                             rec_text(r, EVENT_TARGET), rec_word(r, EVENT_EVENT),
                             rec_text(r, EVENT_DETAIL)));
    if (rec_word(r, EVENT_EVENT) == EVENT_SWITCHED)
        plan_history_sent(&l->f->history, rec_text(r, EVENT_MIGRATION),
                          rec_uint(r, EVENT_BYTES_DONE));
}

static void take_forecast(void *arg, struct rec_reader *r)
{
    struct load *l = arg;
    const int err =
        plan_fleet_forecast(l->f, rec_text(r, FORECAST_VOLUME), rec_real(r, FORECAST_START),
                            rec_real(r, FORECAST_DURATION_S), rec_real(r, FORECAST_REQUESTS));
    check(err == -ENOENT ? 0 : err);
}

static void take_changed(void *arg, struct rec_reader *r)
{
    struct load *l = arg;
    const char *gateway = rec_text(r, CHANGED_GATEWAY);
    const int err =
        plan_fleet_changed(l->f, rec_text(r, CHANGED_VOLUME), gateway, rec_uint(r, CHANGED_BYTES));
    if (err == -EEXIST)
        err_die(EX_DATAERR, "%s: contradicts an earlier record of the same copy",
                rec_reader_where(r));
    took(l, err, gateway, r);
}

static void read_forecast(struct load *l, const char *path, double now)
{
    check(plan_fleet_hours(l->f, now));
    file_read(&rec_forecast, path, take_forecast, l);
}

/* ---- all of it ---- */

static void load_records(struct load *l, const struct inputs *in, double now)
{
    add_gateways(l);
    if (in->routes)
        file_read(&rec_route, in->routes, take_route, l);
    else
        routes_each(in->state, take_stored, l);
    file_read(&rec_health, in->health, take_health, l);
    l->f->with_affinity = in->affinity != NULL;
    if (in->affinity)
        file_read(&rec_affinity, in->affinity, take_affinity, l);
    l->f->with_history = in->history != NULL;
    if (in->history)
        file_read_appended(&rec_event, in->history, take_event, l);
    if (in->forecast)
        read_forecast(l, in->forecast, now);
    if (in->changed)
        file_read(&rec_changed, in->changed, take_changed, l);
}

void inputs_load(const struct inputs *in, double now, double skew_s, struct drains *drains,
                 struct plan_calendar *calendar, struct plan_fleet *f)
{
    struct fleet config = {0};
    struct refused e;
    if (fleet_load(&config, in->config, FLEET_GATEWAYS | FLEET_VOLUMES) < 0)
        err_die(config.status, "%s", config.error);
    if (plan_calendar_load(calendar, in->config, &e) < 0)
        err_die(e.status, "%s", e.text);
    f->calendar = calendar;
    struct load l = {.f = f, .config = &config};
    f->latest = now + skew_s;
    load_records(&l, in, now);
    drains_apply(drains, f);
    check(plan_fleet_settle(f));
    intern_release(&l.unknown);
    fleet_release(&config);
}
