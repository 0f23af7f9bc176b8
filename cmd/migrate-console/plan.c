/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-console/ask.h"
#include "cmd/migrate-console/looks.h"
#include "cmd/migrate-console/moves.h"
#include "cmd/migrate-console/names.h"
#include "cmd/migrate-console/text.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"

/* ---- plan ---- */

/* Did the user name an input of this kind? */
static bool has_option(const struct words *w, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 1; i < w->n; i++)
        if (strncmp(w->v[i], name, len) == 0 && (!w->v[i][len] || w->v[i][len] == '='))
            return true;
    return false;
}

/* The file of health records to plan by, computed if there is none.  NULL: that failed. */
static char *health_file(struct console *c, int *status)
{
    struct pipeline p = {0};
    char *standing = names_kept(c, "health.csv");
    bool is_there = c->health || access(standing, R_OK) == 0;
    free(standing);
    if (is_there)
        return names_health_file(c);
    /* Anew each time: the scores of an earlier plan are as old as that. */
    char *path = console_file(c, "health.csv");
    unlink(path);
    look_health_source(c, &p, NULL);
    p.to = path;
    *status = run(c, &p);
    if (*status == 0)
        return path;
    unlink(path);
    free(path);
    return NULL;
}

/* The same of affinity; NULL with status 0: nothing was ever learnt, and planning does without. */
static char *affinity_file(struct console *c, int *status)
{
    struct pipeline p = {0};
    char *standing = names_kept(c, "affinity.csv");
    char *learnt = console_path(c->dirs.state, "affinity/index"), *path = NULL;
    if (c->affinity || access(standing, R_OK) == 0) {
        path = names_affinity_file(c);
    } else if (access(learnt, R_OK) == 0) {
        path = console_file(c, "affinity.csv");
        run_tool(&p, c, "affinity-profile");
        p.to = path;
        *status = run(c, &p);
        if (*status) {
            unlink(path);
            free(path);
            path = NULL;
        }
    }
    free(standing);
    free(learnt);
    return path;
}

static void when_cell(struct table *t, const char *not_before)
{
    struct buf b = {0};
    double time;
    if (parse_f64(not_before, &time) < 0 || time <= clock_now())
        words_need(buf_adds(&b, "now"));
    else
        text_time(&b, time);
    table_take(t, &b);
    buf_release(&b);
}

static void show_plan(struct console *c, const struct records *r)
{
    static const char *const titles[] = {">",     "volume", "from", "to",     "kind",
                                         ">gain", ">bytes", "when", "reason", NULL};
    struct table t = {0};
    struct buf b = {0};
    uint64_t bytes;
    (void)c;
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        words_need(buf_printf(&b, "%zu", i + 1));
        table_take(&t, &b);
        table_cell(&t, records_get(r, i, "volume"));
        table_cell(&t, records_get(r, i, "source"));
        table_cell(&t, records_get(r, i, "target"));
        table_cell(&t, records_get(r, i, "kind"));
        table_cell(&t, records_get(r, i, "benefit"));
        if (parse_u64(records_get(r, i, "bytes"), &bytes) == 0)
            text_bytes(&b, bytes);
        table_take(&t, &b);
        when_cell(&t, records_get(r, i, "not_before"));
        table_cell(&t, records_get(r, i, "reason"));
    }
    table_print(&t);
    table_release(&t);
    buf_release(&b);
    if (records_n(r) == 0)
        puts("nothing is worth moving, or may be moved: 'explain VOL' says why");
}

/* Forgets the plan before: its numbers must not be taken for the new one's. */
static void forget(struct console *c)
{
    records_release(&c->plan);
    words_clear(&c->verdicts);
    c->planned = false;
}

/* Keeps what migrate-plan printed, and a copy in a file for who wants to paste the line that
 * `run` shows. */
static int keep(struct console *c, const struct buf *csv)
{
    if (records_parse(&c->plan, csv) < 0) {
        err_warn("what migrate-plan printed is no plan");
        return EX_DATAERR;
    }
    char *path = console_file(c, "plan.csv");
    int r = fsfile_replace(path, csv->data, csv->len);
    if (r < 0)
        err_warn("cannot create '%s': %s", path, err_text(r));
    free(path);
    c->planned = r == 0;
    c->plan_time = clock_now();
    return r < 0 ? EX_CANTCREAT : 0;
}

/* The forecast that share/loop made together with its affinity, if that is what is used. */
static void add_forecast(const struct console *c, const struct words *w, struct pipeline *p)
{
    char *affinity = names_kept(c, "affinity.csv"), *forecast = names_kept(c, "forecast.csv");
    if (!c->affinity && access(affinity, R_OK) == 0 && access(forecast, R_OK) == 0 &&
        !has_option(w, "--forecast"))
        run_words(p, "--forecast", forecast, (char *)NULL);
    free(affinity);
    free(forecast);
}

static int make(struct console *c, struct words *w, const char *health, const char *affinity)
{
    struct pipeline p = {0};
    struct buf csv = {0}, explain = {0};
    char *verdicts = console_file(c, "verdicts.csv");
    run_tool(&p, c, "migrate-plan");
    if (health)
        run_words(&p, "--health", health, (char *)NULL);
    if (affinity)
        run_words(&p, "--affinity", affinity, (char *)NULL);
    if (affinity)
        add_forecast(c, w, &p);
    words_need(buf_printf(&explain, "--explain=%s", verdicts));
    run_word(&p, explain.data);
    for (size_t i = 1; i < w->n; i++)
        run_word(&p, w->v[i]);
    p.capture = &csv;
    int status = run(c, &p), kept = status == 0 ? keep(c, &csv) : 0;
    if (status == 0 && kept == 0) {
        words_add(&c->verdicts, verdicts);
        look_show(c, &csv, show_plan);
    }
    buf_release(&csv);
    buf_release(&explain);
    free(verdicts);
    return status ? status : kept;
}

int plan_make(struct console *c, struct words *w)
{
    int status = 0;
    bool replay = has_option(w, "--replay");
    char *health = NULL, *affinity = NULL;
    forget(c);
    if (!replay && !has_option(w, "--health"))
        health = health_file(c, &status);
    if (!status && !replay && !has_option(w, "--affinity"))
        affinity = affinity_file(c, &status);
    if (!status)
        status = make(c, w, health, affinity);
    free(health);
    free(affinity);
    return status;
}

/* ---- rows by number ---- */

static bool need_plan(const struct console *c)
{
    if (!c->planned)
        err_warn("there is no plan: make one with 'plan'");
    return c->planned;
}

/* The row that WORD, a number from 1, names: 0 and *ROW from 0, or 64, said. */
static int row_of(const struct console *c, const char *word, size_t *row)
{
    uint64_t n;
    if (parse_u64(word, &n) < 0 || n < 1 || n > records_n(&c->plan)) {
        if (records_n(&c->plan))
            err_warn("the plan has rows 1 to %zu, and none of that number", records_n(&c->plan));
        else
            err_warn("the plan has no rows");
        return EX_USAGE;
    }
    *row = (size_t)n - 1;
    return 0;
}

/* ---- explain ---- */

/* "TARGET: REASON", which is never cut: it is what was asked for. */
static void add_reason(struct buf *out, const char *target, const char *reason)
{
    struct buf line = {0};
    text_safe(&line, target, strlen(target));
    words_need(buf_adds(&line, ": "));
    text_safe(&line, reason, strlen(reason));
    text_wrap(out, line.data, text_columns(), 2);
    buf_release(&line);
}

static void show_verdicts(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"to",        "verdict", ">gain", ">back",
                                         ">affinity", "guard",   NULL};
    struct table t = {0};
    struct buf why = {0};
    (void)c;
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        table_cell(&t, records_get(r, i, "target"));
        table_cell(&t, records_get(r, i, "verdict"));
        table_cell(&t, records_get(r, i, "benefit"));
        table_cell(&t, records_get(r, i, "reverse_benefit"));
        table_cell(&t, records_get(r, i, "target_das"));
        table_cell(&t, records_get(r, i, "guard"));
        add_reason(&why, records_get(r, i, "target"), records_get(r, i, "reason"));
    }
    if (records_n(r))
        printf("%s is on %s.\n", records_get(r, 0, "volume"), records_get(r, 0, "source"));
    else
        puts("no verdict: the plan does not know the volume");
    table_print(&t);
    fwrite(why.len ? why.data : "", 1, why.len, stdout);
    table_release(&t);
    buf_release(&why);
}

int plan_explain(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    char program[32 + NAME_LEN_MAX];
    uint64_t number;
    size_t row = 0;
    if (!need_plan(c))
        return EX_USAGE;
    /* A volume may be called 7; whoever means it says its row. */
    bool by_number = parse_u64(w->v[1], &number) == 0;
    int status = by_number ? row_of(c, w->v[1], &row) : 0;
    if (status == 0 && !by_number && !look_is_name("volume", w->v[1]))
        status = EX_USAGE;
    if (status)
        return status;
    snprintf(program, sizeof(program), "NR == 1 || $2 == \"%s\"",
             by_number ? records_get(&c->plan, row, "volume") : w->v[1]);
    run_stage(&p, "awk", "-F,", program, c->verdicts.v[0], (char *)NULL);
    return look_records(c, &p, show_verdicts);
}

/* ---- run ---- */

/* The rows that are to be carried out, in the plan's order. */
struct choice {
    bool *row; /* [records_n(plan)] */
    size_t n;
    struct words options; /* of migrate-exec */
};

static int choose(struct console *c, const struct words *w, struct choice *out)
{
    int status = 0;
    size_t row = 0;
    bool all = false;
    for (size_t i = 1; i < w->n && status == 0; i++) {
        if (w->v[i][0] == '-') {
            words_add(&out->options, w->v[i]);
        } else if (strcmp(w->v[i], "all") == 0) {
            all = true;
        } else {
            status = row_of(c, w->v[i], &row);
            if (status == 0)
                out->row[row] = true;
        }
    }
    for (size_t i = 0; i < records_n(&c->plan); i++) {
        out->row[i] = out->row[i] || all;
        out->n += out->row[i];
    }
    return status;
}

/* The lines of the plan that are given to migrate-exec, and the command that prints them. */
static void rows_text(struct console *c, const struct choice *ch, struct buf *csv, struct buf *sed)
{
    struct buf script = {0};
    char *path = console_file(c, "plan.csv");
    for (size_t i = 0; i < c->plan.header.n; i++)
        words_need(buf_printf(csv, "%s%s", i ? "," : "", c->plan.header.v[i]));
    words_need(buf_adds(csv, "\n"));
    words_need(buf_adds(&script, "1p"));
    for (size_t i = 0; i < records_n(&c->plan); i++) {
        if (!ch->row[i])
            continue;
        words_need(buf_printf(csv, "%s\n", c->plan.lines.v[i]));
        words_need(buf_printf(&script, ";%zup", i + 2));
    }
    words_need(buf_printf(sed, "sed -n '%s' ", script.data));
    words_quote(sed, path);
    buf_release(&script);
    free(path);
}

static void tell_row(const struct console *c, size_t i, struct buf *out)
{
    const struct records *p = &c->plan;
    double not_before;
    uint64_t bytes;
    words_need(buf_printf(out, "%zu: ", i + 1));
    if (strcmp(records_get(p, i, "kind"), "shadow") == 0) {
        words_need(buf_printf(out, "%s is a shadow: skipped\n", records_get(p, i, "volume")));
        return;
    }
    bool standby = strcmp(records_get(p, i, "kind"), "standby") == 0;
    words_need(buf_printf(
        out, standby ? "%s stays on %s, and %s stands by: " : "%s moves from %s to %s: ",
        records_get(p, i, "volume"), records_get(p, i, "source"), records_get(p, i, "target")));
    if (parse_u64(records_get(p, i, "bytes"), &bytes) == 0)
        text_bytes(out, bytes);
    else
        words_need(buf_adds(out, "an unknown number of"));
    words_need(
        buf_printf(out, " bytes are written to its export on %s", records_get(p, i, "target")));
    if (parse_f64(records_get(p, i, "not_before"), &not_before) == 0 && not_before > clock_now()) {
        words_need(buf_adds(out, "; not before "));
        text_time(out, not_before);
        words_need(buf_adds(out, " UTC: left for later, unless --wait"));
    }
    words_need(buf_adds(out, "\n"));
}

static void tell(const struct console *c, const struct choice *ch, struct buf *out)
{
    for (size_t i = 0; i < records_n(&c->plan); i++)
        if (ch->row[i])
            tell_row(c, i, out);
    words_need(buf_adds(out, "The old copies are kept until commit. Planned "));
    text_seconds(out, clock_now() - c->plan_time);
    words_need(buf_adds(out, " ago; a row whose volume has moved since is refused.\n"));
}

static int carry_out(struct console *c, const struct choice *ch, bool yes)
{
    struct buf csv = {0}, sed = {0}, what = {0};
    struct pipeline p = {0};
    tell(c, ch, &what);
    int status = ask(c, yes, &what);
    if (status == 0) {
        rows_text(c, ch, &csv, &sed);
        run_tool(&p, c, "migrate-exec");
        for (size_t i = 0; i < ch->options.n; i++)
            run_word(&p, ch->options.v[i]);
        run_word(&p, "-");
        p.input = csv.data;
        p.input_len = csv.len;
        p.input_shown = sed.data;
        status = moves_drive(c, &p, "run");
    }
    buf_release(&csv);
    buf_release(&sed);
    buf_release(&what);
    return status;
}

int plan_run(struct console *c, struct words *w)
{
    struct choice ch = {0};
    bool yes = ask_take_yes(w);
    if (!need_plan(c) || !moves_options_fit(w))
        return EX_USAGE;
    ch.row = calloc(records_n(&c->plan) + 1, sizeof(*ch.row));
    words_need(ch.row ? 0 : -ENOMEM);
    int status = choose(c, w, &ch);
    if (status == 0 && ch.n == 0) {
        err_warn(records_n(&c->plan) ? "which rows? Their numbers, or all"
                                     : "the plan has no rows: nothing is worth moving");
        status = EX_USAGE;
    }
    if (status == 0)
        status = carry_out(c, &ch, yes);
    words_release(&ch.options);
    free(ch.row);
    return status;
}
