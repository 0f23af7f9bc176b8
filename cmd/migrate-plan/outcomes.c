/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/outcomes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/plan/figure.h"
#include "common/record/record.h"
#include "common/base/outfile.h"
#include "cmd/migrate-plan/table.h"

static void check(int err)
{
    if (err < 0)
        err_die(EX_OSERR, "cannot grade: %s", err_text(err));
}

/* ---- outcomes, move by move ---- */

static int nothing_words(struct buf *b, const struct plan_graded *row)
{
    const int err = buf_printf(b, "%s did well", row->source);
    if (err < 0 || isnan(row->target_das))
        return err;
    if (!(row->requests > 0))
        return buf_printf(b, ", no requests came");
    return buf_printf(b, ", the demand did not come: affinity %.2f to %.2f of %.0f requests",
                      plan_graded_source_das(row), plan_graded_target_das(row), row->requests);
}

static int words(struct buf *b, const struct plan_graded *row, bool with_access)
{
    const struct plan_figure after = plan_span_figure(row->after_s);
    switch (row->why) {
    case PLAN_WHY_FAILED:
        return buf_printf(b, "%s failed %s later", row->source, after.text);
    case PLAN_WHY_DEGRADED:
        return buf_printf(b, "%s was degraded %s later", row->source, after.text);
    case PLAN_WHY_DEMAND:
        return buf_printf(b, "the demand came: affinity %.2f to %.2f of %.0f requests",
                          plan_graded_source_das(row), plan_graded_target_das(row), row->requests);
    case PLAN_WHY_TARGET_FAILED:
        return buf_printf(b, "%s failed %s later", row->target, after.text);
    case PLAN_WHY_TARGET_DEGRADED:
        return buf_printf(b, "%s was degraded %s later", row->target, after.text);
    case PLAN_WHY_NOTHING:
        return with_access ? nothing_words(b, row) : buf_printf(b, "%s did well", row->source);
    case PLAN_WHY_TOO_SOON:
        return buf_printf(b, "the horizon is not over");
    case PLAN_WHY_UNCLEAR:
        return buf_printf(b, "%s was silent, out or evacuated %s later", row->source, after.text);
    case PLAN_WHY_NO_ACCESS:
        return buf_printf(b, "whether the demand came is not known");
    case PLAN_WHY_DRAINED:
        break;
    }
    return buf_printf(b, "%s was drained by the operator", row->source);
}

static void write_outcomes(const struct plan_grades *g, bool with_access, const char *path,
                           struct buf *b)
{
    struct outfile file;
    outfile_open(&file, path);
    struct rec_writer *w = rec_writer_new(&rec_outcome, file.stream);
    int err = w ? rec_writer_header(w) : -ENOMEM;
    for (size_t i = 0; !err && i < g->n; i++) {
        const struct plan_graded *row = &g->rows[i];
        buf_clear(b);
        check(words(b, row, with_access));
        rec_put_real(w, OUTCOME_TIME, row->time);
        rec_put_text(w, OUTCOME_VOLUME, row->volume);
        rec_put_text(w, OUTCOME_SOURCE, row->source);
        rec_put_text(w, OUTCOME_TARGET, row->target);
        rec_put_word(w, OUTCOME_KIND, row->kind);
        rec_put_word(w, OUTCOME_OUTCOME, plan_outcome_of(row->why));
        if (!isnan(row->after_s))
            rec_put_uint(w, OUTCOME_AFTER_S, (uint64_t)row->after_s);
        rec_put_text(w, OUTCOME_REASON, b->data);
        err = rec_write(w);
    }
    if (err < 0)
        outfile_fail(&file, err);
    outfile_close(&file);
    rec_writer_free(w);
}

static void tabulate_outcomes(const struct plan_grades *g, bool with_access, struct buf *b)
{
    static const char *const heads[] = {"time", "volume",  "source", "target",
                                        "kind", "outcome", "reason", NULL};
    struct table t;
    table_init(&t, heads);
    for (size_t i = 0; i < g->n; i++) {
        const struct plan_graded *row = &g->rows[i];
        buf_clear(b);
        check(words(b, row, with_access));
        table_cell(&t, "%.0f", row->time);
        table_cell(&t, "%s", row->volume);
        table_cell(&t, "%s", row->source);
        table_cell(&t, "%s", row->target);
        table_cell(&t, "%s", rec_plan_kind_words[row->kind]);
        table_cell(&t, "%s", rec_outcome_words[plan_outcome_of(row->why)]);
        table_cell(&t, "%s", b->data);
    }
    table_print(&t, stderr);
    table_release(&t);
}

/* ---- all of a kind ---- */

enum { KINDS = PLAN_KIND_SHADOW + 1 };

struct sum {
    size_t why[PLAN_WHY_DRAINED + 1];
    uint64_t bytes[OUTCOME_UNKNOWN + 1];
    double *leads; /* of moves off a source that failed or was degraded later */
    size_t n_leads;
    size_t cap;
};

static size_t count(const struct sum *s, enum rec_outcome o)
{
    size_t n = 0;
    for (enum plan_why why = 0; why <= PLAN_WHY_DRAINED; why++)
        n += plan_outcome_of(why) == o ? s->why[why] : 0;
    return n;
}

static void add(struct sum *s, const struct plan_graded *row)
{
    s->why[row->why]++;
    uint64_t *bytes = &s->bytes[plan_outcome_of(row->why)];
    *bytes = row->bytes > UINT64_MAX - *bytes ? UINT64_MAX : *bytes + row->bytes;
    if (row->why > PLAN_WHY_DEGRADED)
        return;
    check(vec_room(&s->leads, s->n_leads, &s->cap, sizeof(*s->leads)));
    s->leads[s->n_leads++] = row->after_s;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(struct sum *s)
{
    if (!s->n_leads)
        return NAN;
    qsort(s->leads, s->n_leads, sizeof(*s->leads), ascending);
    return s->leads[s->n_leads / 2];
}

static double paid_off_rate(const struct sum *s)
{
    const size_t good = count(s, OUTCOME_PAID_OFF), bad = count(s, OUTCOME_MISMIGRATION);
    return good + bad ? (double)good / (double)(good + bad) : (double)NAN;
}

static void put(struct rec_writer *w, enum rec_plan_kind kind, const char *measure, double value)
{
    if (isnan(value))
        return;
    rec_put_text(w, GRADE_PREDICTOR, rec_plan_kind_words[kind]);
    rec_put_text(w, GRADE_MEASURE, measure);
    rec_put_real(w, GRADE_VALUE, value);
    const int err = rec_write(w);
    if (err < 0)
        err_die(EX_IOERR, "cannot write the grade: %s", err_text(err));
}

static void write_sum(struct rec_writer *w, enum rec_plan_kind kind, struct sum *s)
{
    const size_t unknown = count(s, OUTCOME_UNKNOWN);
    const size_t good = count(s, OUTCOME_PAID_OFF), bad = count(s, OUTCOME_MISMIGRATION);
    put(w, kind, "moves", (double)(good + bad + unknown));
    put(w, kind, "unknown", (double)unknown);
    put(w, kind, "paid off", (double)good);
    put(w, kind, "source failed", (double)s->why[PLAN_WHY_FAILED]);
    put(w, kind, "source degraded", (double)s->why[PLAN_WHY_DEGRADED]);
    put(w, kind, "demand came", (double)s->why[PLAN_WHY_DEMAND]);
    put(w, kind, "mismigrations", (double)bad);
    put(w, kind, "paid off rate", paid_off_rate(s));
    put(w, kind, "lead median s", median(s));
    put(w, kind, "paid off bytes", (double)s->bytes[OUTCOME_PAID_OFF]);
    put(w, kind, "mismigrated bytes", (double)s->bytes[OUTCOME_MISMIGRATION]);
}

static void tabulate_sum(struct table *t, enum rec_plan_kind kind, struct sum *s)
{
    const double rate = paid_off_rate(s), lead_s = median(s);
    char text[16] = "-";
    if (!isnan(rate))
        snprintf(text, sizeof(text), "%.0f%%", 100 * rate);
    table_cell(t, "%s", rec_plan_kind_words[kind]);
    table_cell(t, "%zu", count(s, OUTCOME_PAID_OFF));
    table_cell(t, "%zu", s->why[PLAN_WHY_FAILED]);
    table_cell(t, "%zu", s->why[PLAN_WHY_DEGRADED]);
    table_cell(t, "%zu", s->why[PLAN_WHY_DEMAND]);
    table_cell(t, "%zu", count(s, OUTCOME_MISMIGRATION));
    table_cell(t, "%zu", count(s, OUTCOME_UNKNOWN));
    table_cell(t, "%s", text);
    table_cell(t, "%s", isnan(lead_s) ? "-" : plan_span_figure(lead_s).text);
}

static void print_sums(struct sum *sums)
{
    static const char *const heads[] = {"kind",         "paid off", "failed", "degraded", "demand",
                                        "mismigration", "unknown",  "rate",   "lead",     NULL};
    struct table t;
    struct rec_writer *w = NULL;
    const bool tabulated = isatty(STDOUT_FILENO);
    if (tabulated)
        table_init(&t, heads);
    else
        w = rec_writer_new(&rec_grade, stdout);
    check(w ? rec_writer_header(w) : tabulated ? 0 : -ENOMEM);
    for (unsigned k = 0; k < KINDS; k++) {
        if (!count(&sums[k], OUTCOME_PAID_OFF) && !count(&sums[k], OUTCOME_MISMIGRATION) &&
            !count(&sums[k], OUTCOME_UNKNOWN))
            continue;
        if (tabulated)
            tabulate_sum(&t, k, &sums[k]);
        else
            write_sum(w, k, &sums[k]);
    }
    if (tabulated) {
        table_print(&t, stdout);
        table_release(&t);
    }
    rec_writer_free(w);
}

/* ---- all of it ---- */

void outcomes_print(const struct plan_grades *g, bool with_access, bool explain, const char *file)
{
    struct sum sums[KINDS] = {0};
    struct buf b = {0};
    if (explain && file)
        write_outcomes(g, with_access, file, &b);
    else if (explain)
        tabulate_outcomes(g, with_access, &b);
    for (size_t i = 0; i < g->n; i++)
        add(&sums[g->rows[i].kind], &g->rows[i]);
    print_sums(sums);
    for (size_t i = 0; i < KINDS; i++)
        free(sums[i].leads);
    buf_release(&b);
}
