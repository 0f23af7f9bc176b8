/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cmd/migrate-console/names.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/migrate-console/run.h"
#include "common/base/fsfile.h"
#include "common/base/parse.h"
#include "common/fleet/fleet.h"
#include "common/record/schema.h"
#include "common/route/control.h"
#include "common/route/store.h"

/* Defaults of migrate-plan: below and above them a gateway has to be left. */
static const double critical = 0.40, p_fail_limit = 0.50;

enum {
    HEALTH_MAX = 16 << 20, /* bytes of a file of health that is read for each prompt */
    PATIENCE_MS = 500      /* with the director, before each prompt */
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_unique(struct words *w)
{
    size_t n = 0;
    if (w->n)
        qsort(w->v, w->n, sizeof(*w->v), by_text);
    for (size_t i = 0; i < w->n; i++) {
        if (n && strcmp(w->v[n - 1], w->v[i]) == 0)
            free(w->v[i]);
        else
            w->v[n++] = w->v[i];
    }
    w->n = n;
}

/* ---- routes ---- */

static void each_route(const struct console *c, int (*fn)(const struct route *r, void *arg),
                       void *arg)
{
    struct route_store *s;
    if (route_store_open(c->dirs.state, false, &s) < 0)
        return;
    route_store_each(s, fn, arg);
    route_store_close(s);
}

static int add_volume(const struct route *r, void *arg)
{
    words_add(arg, r->volume);
    return 0;
}

struct count {
    const char *gateway;
    struct load load;
};

static int count_load(const struct route *r, void *arg)
{
    struct count *n = arg;
    if (strcmp(r->gateway, n->gateway) == 0) {
        n->load.volumes++;
        n->load.bytes += r->size_bytes;
    }
    return 0;
}

struct load names_load(const struct console *c, const char *gateway)
{
    struct count n = {.gateway = gateway};
    each_route(c, count_load, &n);
    return n.load;
}

/* ---- names ---- */

void names_gateways(const struct console *c, struct words *out)
{
    struct fleet f = {0};
    if (fleet_load(&f, c->dirs.config, FLEET_GATEWAYS) == 0)
        for (size_t i = 0; i < f.gateway_names.n; i++)
            words_add(out, f.gateways[i].name);
    fleet_release(&f);
    sort_unique(out);
}

void names_volumes(const struct console *c, struct words *out)
{
    struct fleet f = {0};
    if (fleet_load(&f, c->dirs.config, FLEET_VOLUMES) == 0)
        for (size_t i = 0; i < f.volume_names.n; i++)
            words_add(out, f.volumes[i].name);
    fleet_release(&f);
    each_route(c, add_volume, out);
    sort_unique(out);
}

void names_migrations(const struct console *c, struct words *out)
{
    char *path = console_path(c->dirs.state, "migrations");
    DIR *d = opendir(path);
    free(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len <= 4 || strcmp(e->d_name + len - 4, ".csv") != 0)
            continue;
        words_add_n(out, e->d_name, len - 4);
        if (parse_name(out->v[out->n - 1]) < 0)
            free(out->v[--out->n]);
    }
    if (d)
        closedir(d);
    sort_unique(out);
}

void names_options(struct console *c, const char *program, struct words *out)
{
    struct buf text = {0};
    struct pipeline p = {.capture = &text, .hidden = true};
    run_stage(&p, program, "--long-options", (char *)NULL);
    run(c, &p);
    char *rest = text.data;
    for (char *line; rest && (line = strsep(&rest, "\n"));)
        if (*line)
            words_add(out, line);
    buf_release(&text);
    sort_unique(out);
}

/* ---- health and affinity at hand ---- */

static char *first_readable(const char *option, char *standing, char *session)
{
    char *found = option                                  ? strdup(option)
                  : access(standing, R_OK) == 0           ? strdup(standing)
                  : session && access(session, R_OK) == 0 ? strdup(session)
                                                          : NULL;
    free(standing);
    free(session);
    return found;
}

char *names_kept(const struct console *c, const char *name)
{
    struct buf path = {0};
    words_need(buf_printf(&path, "%s/loop/%s", c->dirs.state, name));
    return path.data;
}

static char *at_hand(struct console *c, const char *option, const char *name)
{
    return first_readable(option, names_kept(c, name),
                          c->session ? console_path(c->session, name) : NULL);
}

char *names_health_file(struct console *c)
{
    return at_hand(c, c->health, "health.csv");
}

char *names_affinity_file(struct console *c)
{
    return at_hand(c, c->affinity, "affinity.csv");
}

/* ---- alarms ---- */

static void alarm_of(struct words *out, const char *what, const char *name, const char *why)
{
    struct buf line = {0};
    words_need(buf_printf(&line, "%s%s%s: %s", what, *name ? " " : "", name, why));
    words_add(out, line.data);
    buf_release(&line);
}

struct look {
    struct console *c;
    struct words *out;
};

static int alarm_route(const struct route *r, void *arg)
{
    const struct look *l = arg;
    if (r->state == ROUTE_STATE_MANUAL_RECOVERY)
        alarm_of(l->out, "volume", r->volume, "manual recovery");
    if (r->state == ROUTE_STATE_DEFERRED && !names_stands_by(l->c, r))
        alarm_of(l->out, "volume", r->volume, "its move is deferred");
    return 0;
}

static void alarm_frozen(const struct console *c, struct words *out)
{
    struct buf why = {0};
    char *path = console_path(c->dirs.state, "frozen");
    int r = fsfile_read(path, 4096, &why);
    if (r == 0 || r == -EFBIG) {
        if (why.len)
            why.data[strcspn(why.data, "\n")] = 0;
        alarm_of(out, "frozen", "", why.len ? why.data : "no reason is given");
    }
    free(path);
    buf_release(&why);
}

/* A gateway's latest health. */
struct seen {
    double time;
    bool silent;
    double ghs, p_fail;
};

static void alarm_gateway(struct words *out, const char *gateway, const struct seen *s)
{
    char why[96];
    if (s->silent)
        snprintf(why, sizeof(why), "silent");
    else if (s->ghs < critical)
        snprintf(why, sizeof(why), "health %.2f is below %.2f", s->ghs, critical);
    else if (s->p_fail > p_fail_limit)
        snprintf(why, sizeof(why), "likely to fail: %.2f", s->p_fail);
    else
        return;
    alarm_of(out, "gateway", gateway, why);
}

static void alarm_health(struct console *c, struct words *out)
{
    char *path = names_health_file(c);
    struct stat st;
    if (path && (stat(path, &st) < 0 || st.st_size > HEALTH_MAX)) {
        free(path);
        path = NULL;
    }
    struct rec_reader *r = path ? rec_reader_new(&rec_health) : NULL;
    struct intern gateways = {0};
    struct seen *seen = NULL;
    size_t cap = 0;
    if (r)
        rec_reader_files(r, &path, 1);
    while (r && rec_reader_next(r) > 0) {
        size_t before = gateways.n;
        long id = intern_add(&gateways, rec_text(r, HEALTH_GATEWAY));
        words_need(id < 0 ? -ENOMEM : 0);
        if (gateways.n > before)
            words_need(vec_room(&seen, before, &cap, sizeof(*seen)));
        if (!seen || (gateways.n == before && rec_real(r, HEALTH_TIME) < seen[id].time))
            continue;
        seen[id] = (struct seen){rec_real(r, HEALTH_TIME), !rec_present(r, HEALTH_GHS),
                                 rec_real(r, HEALTH_GHS), rec_real(r, HEALTH_P_FAIL)};
    }
    for (size_t i = 0; seen && i < gateways.n; i++)
        alarm_gateway(out, gateways.names[i], &seen[i]);
    intern_release(&gateways);
    rec_reader_free(r);
    free(seen);
    free(path);
}

void names_alarms(struct console *c, struct words *out)
{
    struct look l = {c, out};
    alarm_frozen(c, out);
    each_route(c, alarm_route, &l);
    alarm_health(c, out);
}

/* ---- mood ---- */

struct tally {
    struct console *c;
    size_t moves;
};

static int count_moves(const struct route *r, void *arg)
{
    struct tally *n = arg;
    n->moves += r->state == ROUTE_STATE_MOVING ||
                (r->state == ROUTE_STATE_DEFERRED && !names_stands_by(n->c, r));
    return 0;
}

struct mood names_mood(struct console *c)
{
    struct mood m = {0};
    struct control *control;
    struct words alarms = {0};
    char *path = console_path(c->dirs.run, "director.sock");
    if (control_open(path, &control) == 0) {
        m.director = control_call(control, PATIENCE_MS, "help") == 0 ? DIRECTOR_UP : DIRECTOR_HANGS;
        control_close(control);
    }
    free(path);
    struct tally n = {c, 0};
    each_route(c, count_moves, &n);
    m.moves = n.moves;
    names_alarms(c, &alarms);
    m.alarms = alarms.n;
    words_release(&alarms);
    return m;
}
