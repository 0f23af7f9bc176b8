/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-plan/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/plan/cost.h"
#include "common/plan/figure.h"
#include "common/plan/shun.h"
#include "common/plan/words.h"
#include "common/record/record.h"
#include "common/base/outfile.h"
#include "cmd/migrate-plan/table.h"

struct report {
    struct rec_writer *plan;
    struct rec_writer *verdict; /* NULL: not to a file */
    struct outfile file;        /* of VERDICT */
    bool tabulated;
    struct table table; /* if tabulated */
    struct buf words;
};

void report_fail(struct report *r, int err)
{
    if (r)
        outfile_discard(&r->file);
    err_die(err == -ENOMEM ? EX_OSERR : EX_IOERR, "cannot write the plan: %s", err_text(err));
}

static void check(struct report *r, int err)
{
    if (err < 0)
        report_fail(r, err);
}

static void put_known(struct rec_writer *w, size_t col, double v)
{
    if (!isnan(v))
        rec_put_real(w, col, v);
}

/* ---- plan ---- */

static int write_move(void *arg, const struct plan_move *m)
{
    struct report *r = arg;
    struct rec_writer *w = r->plan;
    const struct plan_volume *v = plan_case_volume(m->c);
    buf_clear(&r->words);
    check(r, plan_words_move(&r->words, m->c));
    rec_put_real(w, PLAN_TIME, m->c->now);
    rec_put_text(w, PLAN_VOLUME, v->name);
    rec_put_text(w, PLAN_SOURCE, v->owner_name);
    rec_put_text(w, PLAN_TARGET, plan_case_target(m->c)->name);
    rec_put_uint(w, PLAN_EPOCH, v->epoch);
    rec_put_word(w, PLAN_KIND, m->kind);
    put_known(w, PLAN_BENEFIT, m->c->score.benefit);
    put_known(w, PLAN_REVERSE_BENEFIT, m->c->score.reverse);
    put_known(w, PLAN_SOURCE_GHS, m->c->score.source_ghs);
    put_known(w, PLAN_TARGET_GHS, m->c->score.target_ghs);
    put_known(w, PLAN_DAS, m->c->score.target_das);
    bool known;
    const uint64_t bytes = plan_cost_bytes(m->c->fleet, m->c->volume, m->c->target, &known);
    if (known)
        rec_put_uint(w, PLAN_BYTES, bytes);
    if (m->not_before > 0)
        rec_put_real(w, PLAN_NOT_BEFORE, m->not_before);
    rec_put_text(w, PLAN_REASON, r->words.data);
    check(r, rec_write(w));
    return 0;
}

/* ---- verdicts ---- */

/* A target with more benefit may be the worse one, if the volume left it, or failed to reach it, of
 * late. */
static int better_words(struct buf *words, const struct plan_verdict *v)
{
    const struct plan_gateway *better = &v->c->fleet->gateways[v->better];
    const struct plan_shun *shun = plan_shun(v->c->fleet, v->c->volume, v->c->target, v->c->now);
    int err = buf_printf(words, "%s is the better target", better->name);
    if (!err && shun)
        err = buf_printf(words, ": to %s it failed %s ago, not again for %s",
                         plan_case_target(v->c)->name,
                         plan_span_figure(v->c->now - shun->failed).text,
                         plan_span_figure(shun->failed + plan_shun_pause_s(shun) - v->c->now).text);
    else if (!err && v->c->score.handicap > 0)
        err = buf_printf(words, ": %s was left of late", plan_case_target(v->c)->name);
    return err;
}

/* Leaves the words in R->words, NUL-terminated. */
static void verdict_words(struct report *r, const struct plan_verdict *v)
{
    int err;
    buf_clear(&r->words);
    if (v->held)
        err = plan_words_held(&r->words, v->held, v->refusal);
    else if (v->refusal)
        err = plan_words_refusal(&r->words, v->c, v->refusal);
    else if (v->better != PLAN_NONE)
        err = better_words(&r->words, v);
    else
        err = plan_words_move(&r->words, v->c);
    check(r, err);
}

static void write_verdict(struct report *r, const struct plan_verdict *v)
{
    struct rec_writer *w = r->verdict;
    const struct plan_score *s = &v->c->score;
    rec_put_real(w, VERDICT_TIME, v->c->now);
    rec_put_text(w, VERDICT_VOLUME, plan_case_volume(v->c)->name);
    rec_put_text(w, VERDICT_SOURCE, plan_case_volume(v->c)->owner_name);
    if (v->c->target != PLAN_NONE)
        rec_put_text(w, VERDICT_TARGET, plan_case_target(v->c)->name);
    put_known(w, VERDICT_BENEFIT, s->benefit);
    put_known(w, VERDICT_REVERSE_BENEFIT, s->reverse);
    put_known(w, VERDICT_SOURCE_GHS, s->source_ghs);
    put_known(w, VERDICT_TARGET_GHS, s->target_ghs);
    put_known(w, VERDICT_SOURCE_DAS, s->source_das);
    put_known(w, VERDICT_TARGET_DAS, s->target_das);
    rec_put_text(w, VERDICT_GUARD, plan_guard_name(plan_guard_of(v->refusal)));
    rec_put_word(w, VERDICT_VERDICT, v->verdict);
    rec_put_text(w, VERDICT_REASON, r->words.data);
    int err = rec_write(w);
    if (err < 0)
        outfile_fail(&r->file, err);
}

static void table_pair(struct table *t, double from, double to)
{
    if (isnan(from) && isnan(to))
        table_cell(t, "-");
    else if (isnan(from))
        table_cell(t, "- %.2f", to);
    else if (isnan(to))
        table_cell(t, "%.2f -", from);
    else
        table_cell(t, "%.2f %.2f", from, to);
}

static void tabulate(struct table *t, const struct plan_verdict *v, const char *words)
{
    const struct plan_score *s = &v->c->score;
    const char *guard = plan_guard_name(plan_guard_of(v->refusal));
    table_cell(t, "%s", plan_case_volume(v->c)->name);
    table_cell(t, "%s", plan_case_volume(v->c)->owner_name);
    table_cell(t, "%s", v->c->target == PLAN_NONE ? "-" : plan_case_target(v->c)->name);
    table_pair(t, s->source_ghs, s->target_ghs);
    table_pair(t, s->source_das, s->target_das);
    table_pair(t, s->benefit, s->reverse);
    table_cell(t, "%s", rec_verdict_words[v->verdict]);
    table_cell(t, "%s", *guard ? guard : "-");
    table_cell(t, "%s", words);
}

static int take_verdict(void *arg, const struct plan_verdict *v)
{
    struct report *r = arg;
    verdict_words(r, v);
    if (r->verdict)
        write_verdict(r, v);
    else
        tabulate(&r->table, v, r->words.data);
    return 0;
}

/* ---- life ---- */

static void open_verdicts(struct report *r, const char *path)
{
    static const char *const heads[] = {"volume",  "source",  "target", "health", "affinity",
                                        "benefit", "verdict", "guard",  "reason", NULL};
    r->tabulated = !path;
    if (r->tabulated) {
        table_init(&r->table, heads);
        return;
    }
    outfile_open(&r->file, path);
    r->verdict = rec_writer_new(&rec_verdict, r->file.stream);
    check(r, r->verdict ? rec_writer_header(r->verdict) : -ENOMEM);
}

struct report *report_new(bool explain, const char *verdicts)
{
    struct report *r = calloc(1, sizeof(*r));
    check(r, r ? 0 : -ENOMEM);
    if (explain)
        open_verdicts(r, verdicts);
    r->plan = rec_writer_new(&rec_plan, stdout);
    check(r, r->plan ? rec_writer_header(r->plan) : -ENOMEM);
    return r;
}

struct plan_sink report_sink(struct report *r)
{
    return (struct plan_sink){
        .arg = r,
        .move = write_move,
        .verdict = r->verdict || r->tabulated ? take_verdict : NULL,
    };
}

void report_finish(struct report *r)
{
    if (r->tabulated)
        table_print(&r->table, stderr);
    if (r->verdict)
        outfile_close(&r->file);
    table_release(&r->table);
    rec_writer_free(r->plan);
    rec_writer_free(r->verdict);
    buf_release(&r->words);
    free(r);
}
