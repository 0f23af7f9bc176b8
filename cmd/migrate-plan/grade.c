/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/grade.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/migrate-plan/file.h"
#include "common/affinity/score.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/fleet/fleet.h"
#include "common/plan/outcome.h"
#include "common/plan/score.h"
#include "common/plan/words.h"
#include "common/record/record.h"
#include "cmd/migrate-plan/outcomes.h"

/* As affinity-profile's --rtt-scale. */
static const double rtt_scale_us = 1000;
/* What the fourth decimals of four terms may add up to. */
static const double rounded = 5e-4;

/* The closeness of the clients of a site to each gateway. */
struct sites {
    struct fleet fleet;
    struct intern names;
    double *closeness; /* [site * gateways + gateway] */
    size_t cap;
};

struct grading {
    const struct grade_job *job;
    const struct plan_limits *lim;
    struct plan_grades grades;
    struct sites sites;
    double newest_health; /* -INFINITY: none */
    double *seen;         /* the same of each gateway, by its number in the grades */
    size_t n_seen;
    size_t seen_cap;
    double newest_access;
};

static void check(int err)
{
    if (err < 0)
        err_die(EX_OSERR, "cannot grade: %s", err_text(err));
}

/* ---- what was planned ---- */

/* A plan has it in its reverse benefit: GHS(s) - GHS(t) + DAS(v,s). */
static double source_das(const struct rec_reader *r, const struct plan_graded *row)
{
    const double das =
        file_real_or_nan(r, PLAN_REVERSE_BENEFIT) - row->source_ghs + row->target_ghs;
    return fabs(das - row->target_das) < rounded ? row->target_das : das;
}

static void take_plan(void *arg, struct rec_reader *r)
{
    struct grading *g = arg;
    struct plan_graded row = {
        .volume = rec_text(r, PLAN_VOLUME),
        .source = rec_text(r, PLAN_SOURCE),
        .target = rec_text(r, PLAN_TARGET),
        .epoch = rec_uint(r, PLAN_EPOCH),
        .kind = rec_word(r, PLAN_KIND),
        .time = fmax(rec_real(r, PLAN_TIME), rec_real(r, PLAN_NOT_BEFORE)),
        .source_ghs = file_real_or_nan(r, PLAN_SOURCE_GHS),
        .target_ghs = file_real_or_nan(r, PLAN_TARGET_GHS),
        .target_das = file_real_or_nan(r, PLAN_DAS),
        .bytes = rec_uint(r, PLAN_BYTES),
        .drained = plan_words_drained(rec_text(r, PLAN_REASON)),
    };
    row.source_das = source_das(r, &row);
    if (row.kind == PLAN_KIND_STANDBY) /* nobody would have been moved */
        return;
    check(plan_grades_row(&g->grades, &row));
}

/* ---- what came ---- */

static void take_failure(void *arg, struct rec_reader *r)
{
    struct grading *g = arg;
    const bool failed = rec_word(r, FAILURE_KIND) == FAILURE_KIND_FAILURE;
    const double time = rec_real(r, FAILURE_TIME);
    if (time <= g->job->now)
        check(plan_grades_trouble(&g->grades, rec_text(r, FAILURE_GATEWAY), time,
                                  failed ? PLAN_TROUBLE_FAILED : PLAN_TROUBLE_UNCLEAR));
}

/* Up to GATEWAY, if it has not been heard of. */
static void make_seen(struct grading *g, size_t gateway)
{
    while (g->n_seen <= gateway) {
        check(vec_room(&g->seen, g->n_seen, &g->seen_cap, sizeof(*g->seen)));
        g->seen[g->n_seen++] = -INFINITY;
    }
}

static void see(struct grading *g, const char *gateway, double time)
{
    const long id = intern_add(&g->grades.gateways, gateway);
    check(id < 0 ? -ENOMEM : 0);
    make_seen(g, (size_t)id);
    g->seen[id] = fmax(g->seen[id], time);
}

/* What was measured counts, not what was predicted. */
static void take_health(void *arg, struct rec_reader *r)
{
    struct grading *g = arg;
    const char *gateway = rec_text(r, HEALTH_GATEWAY);
    const double time = rec_real(r, HEALTH_TIME);
    if (time > g->job->now)
        return;
    g->newest_health = fmax(g->newest_health, time);
    see(g, gateway, time);
    if (!rec_present(r, HEALTH_CURRENT)) {
        if (!rec_present(r, HEALTH_GHS) && !g->job->failures)
            check(plan_grades_trouble(&g->grades, gateway, time, PLAN_TROUBLE_UNCLEAR));
    } else if (plan_exceeds(g->lim->critical, rec_real(r, HEALTH_CURRENT))) {
        check(plan_grades_trouble(&g->grades, gateway, time, PLAN_TROUBLE_DEGRADED));
    }
}

static void find_closeness(const struct fleet *f, const char *site, double *out)
{
    const size_t n = f->gateway_names.n;
    const long s = intern_find(&f->site_names, site);
    double *rtt_us = calloc(n + 1, sizeof(*rtt_us));
    bool *same = calloc(n + 1, sizeof(*same));
    check(rtt_us && same ? 0 : -ENOMEM);
    for (size_t i = 0; i < n; i++) {
        rtt_us[i] = s >= 0 && f->rtt_us ? f->rtt_us[(size_t)s * n + i] : NAN;
        same[i] = strcmp(f->gateways[i].site, site) == 0;
    }
    score_closeness(rtt_us, same, n, rtt_scale_us, out);
    free(rtt_us);
    free(same);
}

static const double *closeness_of(struct sites *s, const char *client)
{
    const char *site = fleet_site_of(&s->fleet, client);
    const size_t n = s->fleet.gateway_names.n, known = s->names.n;
    const long id = intern_add(&s->names, site);
    check(id < 0 ? -ENOMEM : 0);
    if ((size_t)id == known) {
        check(vec_room(&s->closeness, known, &s->cap, (n + 1) * sizeof(*s->closeness)));
        find_closeness(&s->fleet, site, s->closeness + known * n);
    }
    return s->closeness + (size_t)id * n;
}

static void take_access(void *arg, struct rec_reader *r)
{
    struct grading *g = arg;
    const double time = rec_real(r, ACCESS_TIME);
    const uint64_t count = rec_present(r, ACCESS_COUNT) ? rec_uint(r, ACCESS_COUNT) : 1;
    if (time > g->job->now)
        return;
    g->newest_access = fmax(g->newest_access, time);
    plan_grades_request(&g->grades, rec_text(r, ACCESS_VOLUME), time, (double)count,
                        closeness_of(&g->sites, rec_text(r, ACCESS_CLIENT)),
                        g->sites.fleet.gateway_names.n);
}

/* The fleet's gateways come first, so that their numbers are those of the closeness. */
static void load_sites(struct grading *g)
{
    struct fleet *f = &g->sites.fleet;
    if (fleet_load(f, g->job->config, FLEET_GATEWAYS | FLEET_SITES | FLEET_DISTANCES) < 0)
        err_die(f->status, "%s", f->error);
    for (size_t i = 0; i < f->gateway_names.n; i++)
        check(intern_add(&g->grades.gateways, f->gateway_names.names[i]) < 0 ? -ENOMEM : 0);
}

static void load(struct grading *g)
{
    const struct grade_job *job = g->job;
    if (job->access)
        load_sites(g);
    for (size_t i = 0; i < job->n_plans; i++)
        file_read(&rec_plan, job->plans[i], take_plan, g);
    if (job->failures)
        file_read(&rec_failure, job->failures, take_failure, g);
    if (job->health)
        file_read(&rec_health, job->health, take_health, g);
    check(plan_grades_open(&g->grades));
    if (job->access)
        file_read(&rec_access, job->access, take_access, g);
}

/* ---- all of it ---- */

void grade_add(struct grade_job *job, const char *file)
{
    check(vec_room(&job->plans, job->n_plans, &job->plans_cap, sizeof(*job->plans)));
    job->plans[job->n_plans++] = file;
}

void grade(const struct grade_job *job, const struct plan_limits *lim)
{
    struct grading g = {
        .job = job,
        .lim = lim,
        .grades = {.horizon_s = job->horizon_s, .demand_s = job->demand_s},
        .newest_health = -INFINITY,
        .newest_access = -INFINITY,
    };
    load(&g);
    make_seen(&g, g.grades.gateways.n);
    const struct plan_grade_terms terms = {
        .known_until = job->health ? fmin(job->now, g.newest_health) : job->now,
        .demand_until = g.newest_access,
        .margin = lim->margin,
        .seen_until = job->failures ? NULL : g.seen,
        .silence_s = lim->health_max_age_s,
    };
    plan_grades_judge(&g.grades, &terms);
    outcomes_print(&g.grades, job->access, job->explain, job->verdicts);
    plan_grades_release(&g.grades);
    intern_release(&g.sites.names);
    free(g.sites.closeness);
    free(g.seen);
    fleet_release(&g.sites.fleet);
}

void grade_release(struct grade_job *job)
{
    free(job->plans);
    *job = (struct grade_job){0};
}
