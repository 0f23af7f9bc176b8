/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/looks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/migrate-console/chart.h"
#include "cmd/migrate-console/moves.h"
#include "cmd/migrate-console/names.h"
#include "cmd/migrate-console/text.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/intern.h"
#include "common/base/parse.h"

/* Metric records without any: health-score then answers from its state alone. */
static const char no_metrics[] = "time,gateway,metric,value";

bool look_is_name(const char *what, const char *name)
{
    if (parse_name(name) == 0)
        return true;
    err_warn("that is no %s's name", what);
    return false;
}

/* ---- records ---- */

int look_show(struct console *c, const struct buf *csv,
              void (*fn)(struct console *c, const struct records *r))
{
    struct records r = {0};
    if (!c->table) {
        fwrite(csv->data, 1, csv->len, stdout);
        return 0;
    }
    if (csv->len == 0)
        return 0;
    if (records_parse(&r, csv) < 0) {
        err_warn("what was printed are no records");
        return EX_DATAERR;
    }
    fn(c, &r);
    records_release(&r);
    return 0;
}

int look_records(struct console *c, struct pipeline *p,
                 void (*fn)(struct console *c, const struct records *r))
{
    struct buf csv = {0};
    if (c->table)
        p->capture = &csv; /* cppcheck-suppress autoVariables ; run() forgets it */
    int status = run(c, p);
    int shown = c->table ? look_show(c, &csv, fn) : 0;
    buf_release(&csv);
    return status ? status : shown;
}

/* A field that is a number, shown by FN; as it is if it is none. */
static void number_cell(struct table *t, const char *field, void (*fn)(struct buf *out, double v))
{
    struct buf b = {0};
    double v;
    if (parse_f64(field, &v) < 0) {
        table_cell(t, field);
        return;
    }
    fn(&b, v);
    table_take(t, &b);
    buf_release(&b);
}

static void show_bytes(struct buf *out, double v)
{
    text_bytes(out, v > 0 ? (uint64_t)v : 0);
}

static void show_age(struct buf *out, double time)
{
    text_seconds(out, clock_now() > time ? clock_now() - time : 0);
}

static void show_ratio(struct buf *out, double v)
{
    words_need(buf_printf(out, "%.2f", v));
}

static void show_lead(struct buf *out, double v)
{
    text_seconds(out, v);
}

/* ---- routes, gateways, volumes ---- */

static void show_routes(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"volume", "gateway", ">epoch", "state",
                                         "target", ">size",   "since",  NULL};
    struct table t = {0};
    (void)c;
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        table_cell(&t, records_get(r, i, "volume"));
        table_cell(&t, records_get(r, i, "gateway"));
        table_cell(&t, records_get(r, i, "epoch"));
        table_cell(&t, records_get(r, i, "state"));
        table_cell(&t, records_get(r, i, "target"));
        number_cell(&t, records_get(r, i, "size_bytes"), show_bytes);
        number_cell(&t, records_get(r, i, "time"), text_time);
    }
    table_print(&t);
    table_release(&t);
}

int look_routes(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    run_tool(&p, c, "route-set");
    for (size_t i = 1; i < w->n; i++) {
        if (!look_is_name("volume", w->v[i])) {
            run_release(&p);
            return EX_USAGE;
        }
        run_word(&p, w->v[i]);
    }
    int status = look_records(c, &p, show_routes);
    if (status == EX_NO && w->n > 1)
        err_warn("no gateway has '%s', says the route store", w->v[1]);
    return status;
}

static void show_gateways(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"gateway",   "state", "site", ">volumes", ">owned",
                                         ">capacity", ">iops", "hook", "uri",      NULL};
    struct table t = {0};
    struct buf b = {0};
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        struct load load = names_load(c, records_get(r, i, "gateway"));
        table_cell(&t, records_get(r, i, "gateway"));
        table_cell(&t, records_get(r, i, "state"));
        table_cell(&t, records_get(r, i, "site"));
        words_need(buf_printf(&b, "%zu", load.volumes));
        table_take(&t, &b);
        text_bytes(&b, load.bytes);
        table_take(&t, &b);
        number_cell(&t, records_get(r, i, "capacity_bytes"), show_bytes);
        table_cell(&t, records_get(r, i, "iops_limit"));
        table_cell(&t, records_get(r, i, "hook"));
        table_cell(&t, records_get(r, i, "uri"));
    }
    table_print(&t);
    table_release(&t);
    buf_release(&b);
}

static int look_config(struct console *c, const char *name,
                       void (*fn)(struct console *c, const struct records *r))
{
    struct pipeline p = {0};
    char *path = console_path(c->dirs.config, name);
    run_stage(&p, "cat", path, (char *)NULL);
    free(path);
    return look_records(c, &p, fn);
}

int look_gateways(struct console *c, struct words *w)
{
    (void)w;
    return look_config(c, "gateways.csv", show_gateways);
}

static void show_volumes(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"volume", ">size",   "policy",  "gateways", "group",
                                         "anti",   "clients", "standby", NULL};
    struct table t = {0};
    (void)c;
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        table_cell(&t, records_get(r, i, "volume"));
        number_cell(&t, records_get(r, i, "size_bytes"), show_bytes);
        for (size_t k = 2; titles[k]; k++)
            table_cell(&t, records_get(r, i, titles[k]));
    }
    table_print(&t);
    table_release(&t);
}

/* Where no volume is listed all are as volumes.csv would have them by default, and the routes say
 * which there are. */
int look_volumes(struct console *c, struct words *w)
{
    char *path = console_path(c->dirs.config, "volumes.csv");
    bool listed = access(path, F_OK) == 0;
    free(path);
    if (listed)
        return look_config(c, "volumes.csv", show_volumes);
    words_clear(w);
    words_add(w, "routes");
    return look_routes(c, w);
}

/* ---- health ---- */

void look_health_source(struct console *c, struct pipeline *p, const char *option)
{
    char *path = option ? NULL : names_health_file(c);
    if (path) {
        run_stage(p, "cat", path, (char *)NULL);
    } else {
        run_stage(p, "echo", no_metrics, (char *)NULL);
        run_tool(p, c, "health-score");
        if (option)
            run_word(p, option);
    }
    free(path);
}

static double time_of(const struct records *r, size_t row)
{
    double time = -1;
    parse_f64(records_get(r, row, "time"), &time);
    return time;
}

/* Of several records of a gateway the latest counts: their rows, by gateway in order of first
 * sight, N of them.  Owned. */
static size_t *latest_rows(const struct records *r, size_t *n)
{
    struct intern gateways = {0};
    size_t *row = calloc(records_n(r) + 1, sizeof(*row));
    if (!row)
        words_no_memory();
    for (size_t i = 0; i < records_n(r); i++) {
        size_t before = gateways.n;
        long id = intern_add(&gateways, records_get(r, i, "gateway"));
        words_need(id < 0 ? -ENOMEM : 0);
        if (gateways.n > before || time_of(r, i) >= time_of(r, row[id]))
            row[id] = i;
    }
    *n = gateways.n;
    intern_release(&gateways);
    return row;
}

static void show_health(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"gateway", ">health", ">now",   ">fails", ">sure",
                                         ">in",     ">age",    "reason", NULL};
    struct table t = {0};
    (void)c;
    if (records_n(r) == 0)
        err_warn("no gateway's health is known yet: probe takes samples");
    table_begin(&t, titles);
    size_t n, *row = latest_rows(r, &n);
    for (size_t k = 0; k < n; k++) {
        size_t i = row[k];
        const char *ghs = records_get(r, i, "ghs");
        table_cell(&t, records_get(r, i, "gateway"));
        if (*ghs)
            number_cell(&t, ghs, show_ratio);
        else
            table_cell(&t, "silent");
        number_cell(&t, records_get(r, i, "current"), show_ratio);
        number_cell(&t, records_get(r, i, "p_fail"), show_ratio);
        number_cell(&t, records_get(r, i, "confidence"), show_ratio);
        number_cell(&t, records_get(r, i, "lead_low_s"), show_lead);
        number_cell(&t, records_get(r, i, "time"), show_age);
        table_cell(&t, records_get(r, i, "reason"));
    }
    table_print(&t);
    table_release(&t);
    free(row);
}

static void show_metrics(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"metric", ">value", ">usual", ">score", ">fails", ">level",
                                         ">drift", ">trend", ">burst", "silent", NULL};
    static const char *const fields[] = {"subscore", "p_fail", "level", "drift", "trend", "burst"};
    struct table t = {0};
    (void)c;
    if (records_n(r) == 0)
        err_warn("no sample of it is known: probe takes some");
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        table_cell(&t, records_get(r, i, "metric"));
        table_cell(&t, records_get(r, i, "value"));
        table_cell(&t, records_get(r, i, "usual"));
        for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
            number_cell(&t, records_get(r, i, fields[k]), show_ratio);
        table_cell(&t, records_get(r, i, "silent"));
    }
    table_print(&t);
    table_release(&t);
}

/* awk prints of records those with NAME in the column N: names need no quotes in CSV. */
static void run_rows_of(struct pipeline *p, int column, const char *name)
{
    char program[64 + NAME_LEN_MAX];
    snprintf(program, sizeof(program), "NR == 1 || $%d == \"%s\"", column, name);
    run_stage(p, "awk", "-F,", program, (char *)NULL);
}

/* Is it the name of a gateway, and one of gateways.csv, if that can be read? */
static bool is_gateway(const struct console *c, const char *name)
{
    struct words all = {0};
    bool found = false;
    if (!look_is_name("gateway", name))
        return false;
    names_gateways(c, &all);
    for (size_t i = 0; i < all.n; i++)
        found = found || strcmp(all.v[i], name) == 0;
    if (all.n && !found)
        err_warn("no such gateway '%s' in gateways.csv", name);
    found = found || !all.n;
    words_release(&all);
    return found;
}

static int look_metrics(struct console *c, const char *gateway)
{
    struct pipeline p = {0};
    if (!is_gateway(c, gateway))
        return EX_USAGE;
    look_health_source(c, &p, "--explain");
    run_rows_of(&p, 2, gateway);
    int status = look_records(c, &p, show_metrics);
    /* The bars are characters of UTF-8. */
    if (status || !c->table || !text_is_utf8())
        return status;
    char program[32 + NAME_LEN_MAX];
    snprintf(program, sizeof(program), "$1 == \"%s\"", gateway);
    look_health_source(c, &p, "--chart");
    run_stage(&p, "awk", program, (char *)NULL);
    return run(c, &p);
}

int look_health(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    if (w->n > 1)
        return look_metrics(c, w->v[1]);
    look_health_source(c, &p, NULL);
    return look_records(c, &p, show_health);
}

int look_probe(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    run_tool(&p, c, "gateway-probe");
    run_words(&p, "--count", "3", "--interval", "1s", (char *)NULL);
    for (size_t i = 1; i < w->n; i++) {
        if (!is_gateway(c, w->v[i])) {
            run_release(&p);
            return EX_USAGE;
        }
        run_word(&p, w->v[i]);
    }
    run_tool(&p, c, "health-score");
    return look_records(c, &p, show_health);
}

/* ---- affinity ---- */

static int look_profile(struct console *c, struct words *w, const char *first, const char *second)
{
    struct pipeline p = {0};
    if (!look_is_name("volume", w->v[1]))
        return EX_USAGE;
    run_tool(&p, c, "affinity-profile");
    run_word(&p, first);
    if (second)
        run_word(&p, second);
    run_word(&p, w->v[1]);
    /* It knows by itself what the terminal can show. */
    return run(c, &p);
}

int look_affinity(struct console *c, struct words *w)
{
    return look_profile(c, w, "--explain", NULL);
}

int look_heat(struct console *c, struct words *w)
{
    return look_profile(c, w, "--chart", "--volume");
}

int look_forecast(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    if (!look_is_name("volume", w->v[1]))
        return EX_USAGE;
    run_tool(&p, c, "affinity-profile");
    run_words(&p, "--forecast", "--volume", w->v[1], (char *)NULL);
    return look_records(c, &p, chart_forecast);
}

/* ---- events ---- */

void look_events(struct console *c, const struct records *r)
{
    static const char *const titles[] = {"time",  "migration", "phase",  "event",
                                         ">done", ">pause",    "detail", NULL};
    struct table t = {0};
    (void)c;
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(r); i++) {
        number_cell(&t, records_get(r, i, "time"), text_time);
        table_cell(&t, records_get(r, i, "migration"));
        table_cell(&t, records_get(r, i, "phase"));
        table_cell(&t, records_get(r, i, "event"));
        number_cell(&t, records_get(r, i, "bytes_done"), show_bytes);
        number_cell(&t, records_get(r, i, "pause_us"), text_us);
        table_cell(&t, records_get(r, i, "detail"));
    }
    table_print(&t);
    table_release(&t);
}

/* On a terminal the last events, as many as it has room for; else all. */
int look_log(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    char program[320 + 2 * NAME_LEN_MAX];
    char *path = console_path(c->dirs.state, "history.csv");
    size_t most = c->table ? text_lines() - 2 : 0;
    if (w->n > 1 && !look_is_name("migration", w->v[1])) {
        free(path);
        return EX_USAGE;
    }
    if (access(path, F_OK) < 0) {
        if (c->table)
            puts("no move was made yet");
        free(path);
        return 0;
    }
    const char *name = w->n > 1 ? w->v[1] : "";
    char test[64 + 2 * NAME_LEN_MAX];
    snprintf(test, sizeof(test), "$2 == \"%s\" || $3 == \"%s\"", name, name);
    if (most)
        snprintf(program, sizeof(program),
                 "NR == 1; NR > 1%s%s%s { l[n++ %% %zu] = $0 } "
                 "END { for (i = n > %zu ? n - %zu : 0; i < n; i++) print l[i %% %zu] }",
                 *name ? " && (" : "", *name ? test : "", *name ? ")" : "", most, most, most, most);
    else
        snprintf(program, sizeof(program), "NR == 1%s%s", *name ? " || " : "", *name ? test : "");
    if (!most && !*name)
        run_stage(&p, "cat", path, (char *)NULL);
    else
        run_stage(&p, "awk", "-F,", program, path, (char *)NULL);
    free(path);
    return look_records(c, &p, look_events);
}

/* ---- status ---- */

static void show_director(const struct buf *text)
{
    static const char *const keys[] = {"volume",  "owner",       "phase",        "target",
                                       "clients", "read_us_p99", "write_us_p99", NULL};
    static const char *const titles[] = {"volume",   "gateway",   "phase",      "target",
                                         ">clients", ">read p99", ">write p99", NULL};
    struct table t = {0};
    char *copy = strdup(text->len ? text->data : ""), *rest = copy, value[256];
    words_need(copy ? 0 : -1);
    table_begin(&t, titles);
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (!*line)
            continue;
        for (size_t k = 0; keys[k]; k++) {
            words_value(line, keys[k], value, sizeof(value));
            if (k < 5)
                table_cell(&t, value);
            else
                number_cell(&t, value, text_us);
        }
    }
    table_print(&t);
    table_release(&t);
    free(copy);
}

static void show_moves(struct console *c, const struct records *all)
{
    static const char *const titles[] = {"migration", "from",   "to",     "phase", "event",
                                         ">done",     ">pause", "detail", NULL};
    struct table t = {0};
    (void)c;
    table_begin(&t, titles);
    for (size_t i = 0; i < records_n(all); i++) {
        if (moves_is_over(records_get(all, i, "event")))
            continue;
        table_cell(&t, records_get(all, i, "migration"));
        table_cell(&t, records_get(all, i, "source"));
        table_cell(&t, records_get(all, i, "target"));
        table_cell(&t, records_get(all, i, "phase"));
        table_cell(&t, records_get(all, i, "event"));
        number_cell(&t, records_get(all, i, "bytes_done"), show_bytes);
        number_cell(&t, records_get(all, i, "pause_us"), text_us);
        table_cell(&t, records_get(all, i, "detail"));
    }
    table_print(&t);
    table_release(&t);
}

int look_status(struct console *c, struct words *w)
{
    struct pipeline p = {0};
    struct buf text = {0};
    int status = 0;
    if (w->n == 1) {
        run_tool(&p, c, "route-director");
        run_word(&p, "--status");
        p.capture = c->table ? &text : NULL;
        status = run(c, &p);
        if (c->table)
            show_director(&text);
        buf_release(&text);
    } else if (!look_is_name("migration", w->v[1])) {
        return EX_USAGE;
    }
    run_tool(&p, c, "migrate-exec");
    run_word(&p, "--status");
    if (w->n > 1)
        run_word(&p, w->v[1]);
    int second = look_records(c, &p, w->n > 1 ? look_events : show_moves);
    struct words alarms = {0};
    if (c->table && w->n == 1)
        names_alarms(c, &alarms);
    for (size_t i = 0; i < alarms.n; i++) {
        words_need(buf_printf(&text, "ALARM %s\n", alarms.v[i]));
        run_say(text.data, text.len);
        buf_clear(&text);
    }
    words_release(&alarms);
    buf_release(&text);
    return status ? status : second;
}
