/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/health-score/labels.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/intern.h"
#include "common/health/grade.h"
#include "common/record/schema.h"

#define NOTE_EVERY_S 300.0
/* What makes migrate-plan's moves mandatory. */
#define ALARM_P   0.5
#define ALARM_GHS 0.4

enum { FAILURES_MIN = 5 };

/* Failures, and what makes it unknown whether there would have been one. */
struct events {
    struct grade_failure *failures;
    size_t n;
    size_t cap;
    struct grade_failure *others;
    size_t n_others;
    size_t others_cap;
};

struct note {
    size_t gateway; /* in names */
    double time;
    double current;
    double features[HEALTH_FEATURES];
    double p;
};

struct labels {
    struct intern names;
    struct events fit;
    struct events grade;
    bool fits;
    bool grades;
    double horizon_s;
    struct note *notes;
    size_t n;
    size_t cap;
    double *noted; /* by gateway in names: when last; NaN: never */
    size_t noted_n;
    size_t noted_cap;
    double first;
    double newest;
};

static _Noreturn void out_of_memory(void)
{
    err_die(EX_OSERR, "out of memory");
}

static size_t name_of(struct labels *l, const char *name)
{
    long id = intern_add(&l->names, name);
    if (id < 0)
        out_of_memory();
    while (l->noted_n <= (size_t)id) {
        if (vec_room(&l->noted, l->noted_n, &l->noted_cap, sizeof(*l->noted)) < 0)
            out_of_memory();
        l->noted[l->noted_n++] = NAN;
    }
    return (size_t)id;
}

static void add_event(struct labels *l, struct events *e, const struct rec_reader *r)
{
    struct grade_failure f = {name_of(l, rec_text(r, FAILURE_GATEWAY)), rec_real(r, FAILURE_TIME)};
    if (rec_word(r, FAILURE_KIND) == FAILURE_KIND_FAILURE) {
        if (vec_room(&e->failures, e->n, &e->cap, sizeof(f)) < 0)
            out_of_memory();
        e->failures[e->n++] = f;
    } else {
        if (vec_room(&e->others, e->n_others, &e->others_cap, sizeof(f)) < 0)
            out_of_memory();
        e->others[e->n_others++] = f;
    }
}

static void read_events(struct labels *l, const char *path, struct events *e)
{
    struct rec_reader *r = rec_reader_new(&rec_failure);
    char *paths[] = {(char *)path};
    int got;
    if (!r)
        out_of_memory();
    rec_reader_files(r, paths, 1);
    while ((got = rec_reader_next(r)) > 0)
        add_event(l, e, r);
    if (got < 0)
        err_die(rec_reader_status(r), "%s", rec_reader_error(r));
    rec_reader_free(r);
}

struct labels *labels_new(const char *fit, const char *grade, double horizon_s)
{
    struct labels *l = calloc(1, sizeof(*l));
    if (!l)
        out_of_memory();
    *l = (struct labels){
        .fits = fit, .grades = grade, .horizon_s = horizon_s, .first = NAN, .newest = NAN};
    if (fit)
        read_events(l, fit, &l->fit);
    if (grade)
        read_events(l, grade, &l->grade);
    return l;
}

static void events_release(struct events *e)
{
    free(e->failures);
    free(e->others);
}

void labels_free(struct labels *l)
{
    if (!l)
        return;
    intern_release(&l->names);
    events_release(&l->fit);
    events_release(&l->grade);
    free(l->notes);
    free(l->noted);
    free(l);
}

void labels_note(struct labels *l, struct health_board *b, size_t gateway, double now)
{
    size_t id = name_of(l, health_board_gateway(b, gateway));
    struct health_score s;
    l->newest = fmax(l->newest, now);
    if (now - l->noted[id] < NOTE_EVERY_S)
        return;
    if (health_board_score(b, gateway, now, &s) < 0 ||
        vec_room(&l->notes, l->n, &l->cap, sizeof(*l->notes)) < 0)
        out_of_memory();
    if (!s.known)
        return;
    l->noted[id] = now;
    l->first = fmin(l->first, now);
    struct note *n = &l->notes[l->n++];
    *n = (struct note){.gateway = id, .time = now, .current = s.current, .p = s.p_fail};
    for (int i = 0; i < HEALTH_FEATURES; i++)
        n->features[i] = s.features[i];
}

/* Up to here is fitted, from here on graded. */
static double split_at(const struct labels *l)
{
    return l->first + (l->newest - l->first) * 2 / 3;
}

/* The failures of E up to UNTIL, moved to its front; how many. */
static size_t failures_until(struct events *e, double until)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++)
        if (e->failures[i].time <= until) {
            struct grade_failure f = e->failures[i];
            e->failures[i] = e->failures[n];
            e->failures[n++] = f;
        }
    return n;
}

static size_t examples_until(const struct labels *l, double until, size_t n_failures,
                             struct health_example *out)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct note *note = &l->notes[i];
        if (note->time > until)
            continue;
        enum grade_truth truth =
            grade_truth(l->fit.failures, n_failures, l->fit.others, l->fit.n_others, note->gateway,
                        note->time, l->horizon_s, until);
        if (truth == GRADE_UNKNOWN)
            continue;
        for (int k = 0; k < HEALTH_FEATURES; k++)
            out[n].features[k] = note->features[k];
        out[n++].failed = truth == GRADE_FAILS;
    }
    return n;
}

void labels_fit(struct labels *l, struct health_board *b)
{
    double until = l->grades ? split_at(l) : l->newest;
    size_t failures = failures_until(&l->fit, until);
    if (!(failures >= FAILURES_MIN)) {
        err_warn("not fitted: %zu failures in the time of the records, %d are needed", failures,
                 FAILURES_MIN);
        l->fits = false;
        return;
    }
    struct health_example *examples = calloc(l->n + 1, sizeof(*examples));
    if (!examples)
        out_of_memory();
    size_t n = examples_until(l, until, failures, examples);
    if (health_model_fit(health_board_model(b), examples, n) < 0) {
        err_warn("not fitted: no failure of a gateway of which there are records");
        l->fits = false;
    }
    free(examples);
}

/* ---- grading ---- */

enum predictor { BY_HEALTH, BY_WARN, BY_VALUE, PREDICTORS };

static const char *const predictor_names[] = {"health-score", "beyond-warn", "last-value"};

/* What PREDICTOR says, by what was noted; MODEL may not be fitted. */
static void predict(const struct note *n, enum predictor predictor,
                    const struct health_model *model, struct grade_point *out)
{
    double level = n->features[FEATURE_LEVEL];
    switch (predictor) {
    case BY_HEALTH:
        out->p = model ? health_model_p(model, n->features) : n->p;
        out->alarm = out->p > ALARM_P || n->current * (1 - out->p) < ALARM_GHS;
        break;
    case BY_WARN:
        out->p = level > 0;
        out->alarm = level > 0;
        break;
    case BY_VALUE:
    case PREDICTORS:
        out->p = level;
        out->alarm = level > ALARM_P;
        break;
    }
}

static void put(struct rec_writer *w, const char *predictor, const char *measure, double v)
{
    if (!isfinite(v))
        return;
    rec_put_text(w, GRADE_PREDICTOR, predictor);
    rec_put_text(w, GRADE_MEASURE, measure);
    rec_put_real(w, GRADE_VALUE, v);
    int r = rec_write(w);
    if (r < 0)
        err_die(EX_IOERR, "write failed 'stdout': %s", err_text(r));
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

static void put_grade(struct rec_writer *w, const char *name, const struct grade *g)
{
    put(w, name, "failures", (double)g->failures);
    put(w, name, "alarms", (double)g->alarms);
    put(w, name, "precision", share(g->true_alarms, g->alarms));
    put(w, name, "recall", share(g->met, g->failures));
    put(w, name, "migration rate", share(g->moved, g->failures));
    put(w, name, "mismigration rate", share(g->mismoved, g->healthy));
    put(w, name, "lead p10 s", g->lead_p10_s);
    put(w, name, "lead median s", g->lead_median_s);
    put(w, name, "brier", g->brier);
    for (int i = 0; i < GRADE_BINS; i++) {
        char text[48];
        if (g->bins[i].n == 0)
            continue;
        snprintf(text, sizeof(text), "samples with p %.1f to %.1f", i / 10.0, (i + 1) / 10.0);
        put(w, name, text, (double)g->bins[i].n);
        snprintf(text, sizeof(text), "failed with p %.1f to %.1f", i / 10.0, (i + 1) / 10.0);
        put(w, name, text, share(g->bins[i].failed, g->bins[i].n));
    }
}

/* The failures graded by: those within the time that is. */
static size_t graded_failures(struct events *e, double from, double until)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++)
        if (e->failures[i].time > from && e->failures[i].time <= until)
            e->failures[n++] = e->failures[i];
    return n;
}

void labels_grade(struct labels *l, struct health_board *b, struct rec_writer *w)
{
    double from = l->fits ? split_at(l) : -INFINITY;
    const struct health_model *model = l->fits ? health_board_model(b) : NULL;
    struct events *e = &l->grade;
    size_t n_failures = graded_failures(e, from, l->newest);
    struct grade_point *points = calloc(l->n + 1, sizeof(*points));
    if (!points)
        out_of_memory();
    for (enum predictor k = 0; k < PREDICTORS; k++) {
        struct grade g;
        size_t n = 0;
        for (size_t i = 0; i < l->n; i++) {
            const struct note *note = &l->notes[i];
            if (note->time <= from)
                continue;
            struct grade_point *p = &points[n++];
            *p = (struct grade_point){.gateway = note->gateway, .time = note->time};
            p->truth = grade_truth(e->failures, n_failures, e->others, e->n_others, note->gateway,
                                   note->time, l->horizon_s, l->newest);
            predict(note, k, model, p);
        }
        if (grade_points(points, n, e->failures, n_failures, l->horizon_s, &g) < 0)
            out_of_memory();
        put_grade(w, predictor_names[k], &g);
    }
    free(points);
}
